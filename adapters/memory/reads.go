package memory

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// Task implements ports.TaskReads.
func (s *Store) Task(ctx context.Context, id ident.TaskID) (ports.TaskRecord, []ports.StepRecord, error) {
	if err := s.reading(ctx); err != nil {
		return ports.TaskRecord{}, nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	row, ok := s.db.tasks[id]
	if !ok {
		return ports.TaskRecord{}, nil, fault.New(fault.CodeTaskNotFound, "there is no task %s", id)
	}
	return row.record(), s.db.stepsOf(id), nil
}

// Outline implements ports.TaskReads.
func (s *Store) Outline(ctx context.Context, id ident.TaskID) (ports.Outline, error) {
	if err := s.reading(ctx); err != nil {
		return ports.Outline{}, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	row, ok := s.db.tasks[id]
	if !ok {
		return ports.Outline{}, fault.New(fault.CodeTaskNotFound, "there is no task %s", id)
	}
	o := ports.Outline{
		Now: s.db.now(), Template: row.Template, Namespace: row.Definition.Namespace, State: row.state, Counters: row.counters,
		EnteredAt: row.entered, StartAt: row.StartAt, Deadline: row.deadline, Letters: row.letters, LetterOpen: row.letterOpen,
	}
	for _, r := range s.db.stepsOf(id) {
		st := s.db.steps[r.Ref]
		out := ports.OutlineStep{
			No: r.Ref.No, Def: r.Def, Name: r.Name, State: r.State, Parents: r.Parents, OpenParents: r.OpenParents,
			Attempts: r.Attempts, MaxAttempts: r.MaxAttempts, Losses: st.losses, WakeAt: st.wakeAt, Since: st.updated, Holder: st.owner,
		}
		var f step.Failure
		if !r.State.Settled() && json.Unmarshal(r.Failure, &f) == nil {
			out.ErrorType, out.Error = f.Type, f.Message
		}
		o.Steps = append(o.Steps, out)
	}
	return o, nil
}

// StepHistory implements ports.TaskReads.
func (s *Store) StepHistory(ctx context.Context, ref ident.StepRef) ([]ports.StepMove, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	var moves []ports.StepMove
	for _, m := range s.db.stepLog[ref.Task] {
		if m.Ref == ref {
			moves = append(moves, ports.StepMove{
				At: m.At, Server: m.Server, Dispatch: m.Dispatch, Attempt: m.Attempt, From: m.From, To: m.To, Path: m.Path,
				Failure: m.Failure, By: m.By, Why: m.Why,
			})
		}
	}
	return moves, nil
}

// States implements ports.TaskReads.
func (s *Store) States(ctx context.Context, ids []ident.TaskID) (map[ident.TaskID]task.State, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	states := make(map[ident.TaskID]task.State, len(ids))
	for _, id := range ids {
		if row, ok := s.db.tasks[id]; ok {
			states[id] = row.state
		}
	}
	return states, nil
}

// Namespaces implements ports.TaskReads.
func (s *Store) Namespaces(ctx context.Context, ids []ident.TaskID) (map[ident.TaskID]string, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	out := make(map[ident.TaskID]string, len(ids))
	for _, id := range ids {
		if row, ok := s.db.tasks[id]; ok {
			out[id] = row.Definition.Namespace
		}
	}
	return out, nil
}

// Results implements ports.TaskReads. They come in the order of the steps.
func (s *Store) Results(ctx context.Context, id ident.TaskID, names []string) ([]ports.StepResult, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	var results []ports.StepResult
	for _, st := range s.db.stepsOf(id) {
		if st.Value != nil && slices.Contains(names, st.Name) {
			results = append(results, ports.StepResult{No: st.Ref.No, Name: st.Name, Value: st.Value})
		}
	}
	return results, nil
}

// stepsOf returns a task's steps in order. The caller holds the lock.
func (db *Database) stepsOf(id ident.TaskID) []ports.StepRecord {
	var steps []ports.StepRecord
	// Steps are numbered by their template, and some may not exist yet.
	for no := int32(1); len(steps) < int(db.tasks[id].counters.Total); no++ {
		ref := ident.StepRef{Task: id, No: no}
		if row, ok := db.steps[ref]; ok {
			steps = append(steps, row.record(ref))
		}
	}
	return steps
}

func (r taskRow) record() ports.TaskRecord {
	return ports.TaskRecord{
		ID: r.ID, Template: r.Template,
		Namespace: r.Definition.Namespace, Name: r.Definition.Name, Version: r.Definition.Version,
		State: r.state, Counters: r.counters,
		CreatedAt: r.created, UpdatedAt: r.updated, CompletedAt: r.completed, RequestedAt: r.RequestedAt.UTC(),
		StartAt: r.StartAt, Deadline: r.deadline,
		Context: r.Context, Options: r.Options, Tags: r.Tags, Initiator: r.Initiator, SourceSystem: r.SourceSystem,
		Reason: r.Reason, Priority: r.Priority, CorrelationID: r.CorrelationID, ParentCorrelationID: r.ParentCorrelationID,
	}
}

func (r stepRow) record(ref ident.StepRef) ports.StepRecord {
	return ports.StepRecord{
		Ref: ref, Def: r.def, Name: r.name, State: r.state, Parents: r.parents, OpenParents: r.openParents,
		Attempts: r.attempts, MaxAttempts: r.maxAttempts, Dispatch: r.dispatch,
		CreatedAt: r.created, UpdatedAt: r.updated, CompletedAt: r.completed, LastAttemptedAt: r.attempted,
		LastFailureAt: r.failed, NextRetryAt: r.wakeAt, Value: r.value, Failure: r.failure, ElapsedMS: r.elapsed,
	}
}
