package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

const sqlOutlineTask = `
select clock_timestamp() + $2::interval, t.template_id, t.namespace, t.state, t.total, t.open, t.active, t.retrying, t.failed,
       t.entered_at, t.start_at, t.deadline, t.letters, t.letter_open
from tasker.tasks t where t.task_id = $1`

// Errors are read of open steps alone, and their beginning alone.
const sqlOutlineSteps = `
select s.step_no, s.def_no, s.name, s.state, s.parents, s.open_parents, s.attempts, s.max_attempts, s.losses, s.wake_at,
       s.updated_at, coalesce(s.lease_owner, 0),
       case when s.state not in ('complete', 'cancelled', 'resolved_manually') then s.failure->>'error_type' end,
       case when s.state not in ('complete', 'cancelled', 'resolved_manually') then left(s.failure->>'message', 500) end
from tasker.workflow_steps s where s.task_id = $1 order by s.step_no`

// Outline implements ports.TaskReads.
func (s *Store) Outline(ctx context.Context, id ident.TaskID) (ports.Outline, error) {
	var o ports.Outline
	err := pgx.BeginTxFunc(ctx, s.reads, pgx.TxOptions{BeginQuery: beginSnapshot}, func(tx pgx.Tx) error {
		var (
			state           string
			start, deadline *time.Time
		)
		err := tx.QueryRow(ctx, sqlOutlineTask, id, s.offset.get()).Scan(&o.Now, &o.Template, &o.Namespace, &state,
			&o.Total, &o.Open, &o.Active, &o.Retrying, &o.Failed, &o.EnteredAt, &start, &deadline, &o.Letters, &o.LetterOpen)
		if err != nil {
			return err
		}
		o.Now, o.EnteredAt, o.StartAt, o.Deadline = o.Now.UTC(), o.EnteredAt.UTC(), moment(start), moment(deadline)
		if o.State, err = task.ParseState(state); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sqlOutlineSteps, id)
		if err != nil {
			return err
		}
		o.Steps, err = pgx.CollectRows(rows, scanOutlineStep)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return o, fault.New(fault.CodeTaskNotFound, "there is no task %s", id)
	}
	if err != nil {
		return o, translate(fmt.Errorf("read the outline of a task: %w", err))
	}
	return o, nil
}

func scanOutlineStep(row pgx.CollectableRow) (ports.OutlineStep, error) {
	var (
		s             ports.OutlineStep
		state         string
		wake          *time.Time
		kind, message *string
	)
	err := row.Scan(&s.No, &s.Def, &s.Name, &state, &s.Parents, &s.OpenParents, &s.Attempts, &s.MaxAttempts, &s.Losses,
		&wake, &s.Since, &s.Holder, &kind, &message)
	if err != nil {
		return s, err
	}
	s.WakeAt, s.Since = moment(wake), s.Since.UTC()
	if kind != nil {
		s.ErrorType = *kind
	}
	if message != nil {
		s.Error = *message
	}
	s.State, err = step.ParseState(state)
	return s, err
}

// StepHistory implements ports.TaskReads.
func (s *Store) StepHistory(ctx context.Context, ref ident.StepRef) ([]ports.StepMove, error) {
	rows, err := s.reads.Query(ctx, `
		select h.at, h.server, h.dispatch_no, h.attempt, h.from_state, h.to_state, h.path, h.failure,
		       coalesce(h.by_whom, ''), coalesce(h.reason, '')
		from tasker.step_transitions h
		where h.task_id = $1 and h.step_no = $2
		order by h.at, h.dispatch_no, h.attempt`, ref.Task, ref.No)
	if err != nil {
		return nil, translate(fmt.Errorf("read the history of a step: %w", err))
	}
	moves, err := pgx.CollectRows(rows, scanStepMove)
	return moves, translate(err)
}

func scanStepMove(row pgx.CollectableRow) (ports.StepMove, error) {
	var (
		m        ports.StepMove
		from, to string
		path     []string
	)
	err := row.Scan(&m.At, &m.Server, &m.Dispatch, &m.Attempt, &from, &to, &path, &m.Failure, &m.By, &m.Why)
	if err != nil {
		return m, err
	}
	m.At = m.At.UTC()
	for _, name := range path {
		passed, err := step.ParseState(name)
		if err != nil {
			return m, err
		}
		m.Path = append(m.Path, passed)
	}
	if m.From, err = step.ParseState(from); err != nil {
		return m, err
	}
	m.To, err = step.ParseState(to)
	return m, err
}
