package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// change runs a small transaction that writes, again while it merely met others.
func (s *Store) change(ctx context.Context, what string, do func(pgx.Tx) error) error {
	for try := 1; ; try++ {
		err := pgx.BeginFunc(ctx, s.hot, do)
		if err == nil || !repeatable(err) || try == maxTries {
			return settle(what, err)
		}
	}
}

// settle says what was being done, unless the error says it to callers.
func settle(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, known := errors.AsType[*fault.Error](err); known {
		return err
	}
	return translate(fmt.Errorf("%s: %w", what, err))
}

// The task's lock is the first, as for every other writer: what the task says of
// its letters stays true until the commit.
const (
	sqlLockTaskOfLetter = `
select t.task_id, t.letters, t.letter_open, t.state from tasker.tasks t
where t.task_id = (select d.task_id from tasker.tasks_dlq d where d.dlq_entry_uuid = $1)
for no key update`
	sqlUpdateLetter = `
update tasker.tasks_dlq d
set resolution_status = coalesce($3, d.resolution_status),
    resolution_timestamp = case
      when $3::text is null or $3 = d.resolution_status then d.resolution_timestamp
      when $3 <> 'pending' then clock_timestamp() + $2::interval end,
    resolution_notes = coalesce($4, d.resolution_notes), resolved_by = coalesce($5, d.resolved_by),
    metadata = coalesce($6::text::jsonb, d.metadata), updated_at = clock_timestamp() + $2::interval
where d.dlq_entry_uuid = $1
returning` + letterColumns
	sqlMarkTaskOfLetter = `update tasker.tasks set letter_open = $2, letter_stale = false where task_id = $1`
)

// Update implements ports.Letters.
func (s *Store) Update(ctx context.Context, id deadletter.EntryID, u ports.LetterUpdate) (ports.Letter, error) {
	var out ports.Letter
	err := s.change(ctx, "update a dead letter", func(tx pgx.Tx) error {
		var (
			owner  ident.TaskID
			newest int32
			open   bool
			name   string
		)
		if err := tx.QueryRow(ctx, sqlLockTaskOfLetter, id).Scan(&owner, &newest, &open, &name); err != nil {
			if errors.Is(err, pgx.ErrNoRows) {
				return letterNotFound(id)
			}
			return err
		}
		state, err := task.ParseState(name)
		if err != nil {
			return err
		}
		before, err := queryLetter(ctx, tx, sqlLetter, id)
		if err != nil {
			return err
		}
		switch {
		case u.If != 0 && u.If != before.Status:
			return fault.New(fault.CodeDeadLetterClosed, "dead letter %s is %s already", id, before.Status).With("status", before.Status.String())
		case u.Status == 0 || u.Status == before.Status:
		case u.Status == deadletter.Pending && state.Terminal() && state != task.Error:
			return letterOver(id, state)
		case u.Status == deadletter.Pending:
			if before.Ordinal != newest || open {
				return letterSuperseded(id)
			}
			_, err = tx.Exec(ctx, sqlMarkTaskOfLetter, owner, true)
		case before.Status == deadletter.Pending:
			_, err = tx.Exec(ctx, sqlMarkTaskOfLetter, owner, false)
		}
		if err != nil {
			return err
		}
		var status *string
		if u.Status != 0 {
			name := u.Status.String()
			status = &name
		}
		rows, err := tx.Query(ctx, sqlUpdateLetter, id, s.offset.get(), status, nullable(u.Notes), nullable(u.ResolvedBy), text(u.Metadata))
		if err != nil {
			return err
		}
		out, err = pgx.CollectExactlyOneRow(rows, letterOf)
		return err
	})
	return out, err
}

func letterOver(id deadletter.EntryID, s task.State) *fault.Error {
	return fault.New(fault.CodeTaskFinished, "dead letter %s cannot be opened again: its task is %s", id, s).With("state", s.String())
}

func letterSuperseded(id deadletter.EntryID) *fault.Error {
	return fault.New(fault.CodeDeadLetterOld, "dead letter %s cannot be opened again: its task has had a newer one since", id)
}
