package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/adapters/postgres/internal/dbsqlc"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.TaskReads = (*Store)(nil)

// Task implements ports.TaskReads.
func (s *Store) Task(ctx context.Context, id ident.TaskID) (ports.TaskRecord, []ports.StepRecord, error) {
	var (
		tasks []ports.TaskRecord
		steps []ports.StepRecord
	)
	err := s.snapshot(ctx, beginSnapshot, func(q *dbsqlc.Queries) (err error) {
		if tasks, err = tasksByID(ctx, q, []uuid.UUID{uuid.UUID(id)}); err != nil {
			return fmt.Errorf("read task: %w", err)
		}
		rows, err := q.Steps(ctx, id)
		if err != nil {
			return fmt.Errorf("read steps: %w", err)
		}
		steps = make([]ports.StepRecord, len(rows))
		for i := range rows {
			if steps[i], err = stepRecord(&rows[i]); err != nil {
				return fmt.Errorf("read steps: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return ports.TaskRecord{}, nil, err
	}
	if len(tasks) == 0 {
		return ports.TaskRecord{}, nil, fault.New(fault.CodeTaskNotFound, "there is no task %s", id)
	}
	return tasks[0], steps, nil
}

// States implements ports.TaskReads.
func (s *Store) States(ctx context.Context, ids []ident.TaskID) (map[ident.TaskID]task.State, error) {
	rows, err := dbsqlc.New(s.reads).TaskStates(ctx, uuids(ids))
	if err != nil {
		return nil, translate(fmt.Errorf("read states of tasks: %w", err))
	}
	out := make(map[ident.TaskID]task.State, len(rows))
	for _, row := range rows {
		if out[row.TaskID], err = task.ParseState(row.State); err != nil {
			return nil, fmt.Errorf("task %s: %w", row.TaskID, err)
		}
	}
	return out, nil
}

const sqlNamespaces = `select task_id, namespace from tasker.tasks where task_id = any ($1::uuid[])`

// Namespaces implements ports.TaskReads.
func (s *Store) Namespaces(ctx context.Context, ids []ident.TaskID) (map[ident.TaskID]string, error) {
	out := make(map[ident.TaskID]string, len(ids))
	rows, err := s.reads.Query(ctx, sqlNamespaces, uuids(ids))
	if err == nil {
		var (
			id        ident.TaskID
			namespace string
		)
		_, err = pgx.ForEachRow(rows, []any{&id, &namespace}, func() error { out[id] = namespace; return nil })
	}
	if err != nil {
		return nil, translate(fmt.Errorf("read namespaces of tasks: %w", err))
	}
	return out, nil
}

// Results implements ports.TaskReads. They come in the order of the steps.
func (s *Store) Results(ctx context.Context, id ident.TaskID, names []string) ([]ports.StepResult, error) {
	rows, err := dbsqlc.New(s.reads).StepResults(ctx, dbsqlc.StepResultsParams{TaskID: id, Names: names})
	if err != nil {
		return nil, translate(fmt.Errorf("read results: %w", err))
	}
	out := make([]ports.StepResult, len(rows))
	for i, row := range rows {
		out[i] = ports.StepResult{No: row.StepNo, Name: row.Name, Value: row.Result}
	}
	return out, nil
}

const (
	beginSnapshot = "begin isolation level repeatable read read only"
	// A list is planned for its arguments, every time: a plan for any arguments
	// cannot know which of the filters are set, takes the result for small, and
	// sorts a whole namespace for a page of it.
	beginList = beginSnapshot + "; set local plan_cache_mode = force_custom_plan"
)

// snapshot runs reads that must agree with each other.
func (s *Store) snapshot(ctx context.Context, begin string, read func(*dbsqlc.Queries) error) error {
	return translate(pgx.BeginTxFunc(ctx, s.reads, pgx.TxOptions{BeginQuery: begin},
		func(tx pgx.Tx) error { return read(dbsqlc.New(tx)) }))
}

// tasksByID returns the tasks that exist, newest first, without the numbers of
// their steps.
func tasksByID(ctx context.Context, q *dbsqlc.Queries, ids []uuid.UUID) ([]ports.TaskRecord, error) {
	rows, err := q.Tasks(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]ports.TaskRecord, len(rows))
	for i := range rows {
		if out[i], err = taskRecord(&rows[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func taskRecord(row *dbsqlc.TasksRow) (ports.TaskRecord, error) {
	t := &row.Task
	state, err := task.ParseState(t.State)
	if err != nil {
		return ports.TaskRecord{}, fmt.Errorf("task %s: %w", t.TaskID, err)
	}
	var tags []string
	if t.Tags != nil {
		if err := json.Unmarshal(t.Tags, &tags); err != nil {
			return ports.TaskRecord{}, fmt.Errorf("tags of task %s: %w", t.TaskID, err)
		}
	}
	return ports.TaskRecord{
		ID: t.TaskID, Template: t.TemplateID, Namespace: t.Namespace, Name: row.Name, Version: row.Version,
		State:     state,
		Counters:  task.Counters{Total: t.Total, Open: t.Open, Active: t.Active, Retrying: t.Retrying, Failed: t.Failed},
		CreatedAt: t.CreatedAt.UTC(), UpdatedAt: t.UpdatedAt.UTC(), CompletedAt: moment(t.CompletedAt),
		RequestedAt: t.RequestedAt.UTC(), StartAt: moment(t.StartAt), Deadline: moment(t.Deadline), Context: t.Context, Options: t.Options, Tags: tags,
		Initiator: t.Initiator, SourceSystem: t.SourceSystem, Reason: t.Reason, Priority: t.Priority,
		CorrelationID: t.CorrelationID, ParentCorrelationID: t.ParentCorrelationID,
	}, nil
}

func stepRecord(s *dbsqlc.Step) (ports.StepRecord, error) {
	ref := ident.StepRef{Task: s.TaskID, No: s.StepNo}
	state, err := step.ParseState(s.State)
	if err != nil {
		return ports.StepRecord{}, fmt.Errorf("step %s: %w", ref, err)
	}
	r := ports.StepRecord{
		Ref: ref, Def: s.DefNo, Name: s.Name, State: state, Parents: s.Parents, OpenParents: s.OpenParents,
		Attempts: s.Attempts, MaxAttempts: s.MaxAttempts, Dispatch: s.DispatchNo,
		CreatedAt: s.CreatedAt.UTC(), UpdatedAt: s.UpdatedAt.UTC(), CompletedAt: moment(s.CompletedAt),
		LastAttemptedAt: moment(s.LastAttemptedAt), LastFailureAt: moment(s.LastFailureAt),
		NextRetryAt: moment(s.WakeAt), Value: s.Result, Failure: s.Failure,
	}
	if s.ElapsedMS != nil {
		r.ElapsedMS = *s.ElapsedMS
	}
	return r, nil
}

func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func uuids(ids []ident.TaskID) []uuid.UUID {
	out := make([]uuid.UUID, len(ids))
	for i, id := range ids {
		out[i] = uuid.UUID(id)
	}
	return out
}
