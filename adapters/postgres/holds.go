package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

var (
	_ ports.Pauses = (*Store)(nil)
	_ ports.Purger = (*Store)(nil)
)

const (
	pauseColumns = ` kind, namespace, name, version, task_id, by_whom, reason, since `
	// Nothing of a pause that is there already changes; the update has it
	// returned, and touches no key, so that it does not wait for claims.
	sqlPause = `
insert into tasker.pauses (` + pauseColumns + `)
values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $8::interval)
on conflict (kind, namespace, name, version, task_id) do update set by_whom = pauses.by_whom
returning` + pauseColumns
	// A claim that sets jobs aside holds the row for key share: this waits for it,
	// and the statement after it sees what was set aside.
	sqlUnpause = `
delete from tasker.pauses where kind = $1 and namespace = $2 and name = $3 and version = $4 and task_id = $5`
	// Jobs that another pause holds stay where they are. What was set aside is
	// read first, and the rest by key, whatever the planner thinks of its number.
	sqlPutBack = `
with aside as materialized (
  select r.id, (r.args->>'task_id')::uuid as task_id from tasker.river_job r where r.state = 'pending' and r.kind = $1
), freed as materialized (
  select a.id
  from aside a
  cross join lateral (select t.task_id, t.template_id from tasker.tasks t where t.task_id = a.task_id offset 0) t
  cross join lateral (
    select d.namespace, d.name, d.version from tasker.templates d where d.template_id = t.template_id offset 0
  ) d
  where case when $2 = 'task' then t.task_id = $6 else d.namespace = $3 and d.name = $4 and d.version = $5 end
    and not exists (
      select from tasker.pauses p
      where p.kind = 'task' and p.task_id = t.task_id
         or p.kind = 'template' and p.namespace = d.namespace and p.name = d.name and p.version = d.version)
)
update tasker.river_job r set state = 'available' from freed where r.id = freed.id and r.state = 'pending'`
	sqlPausedTask = `
select` + pauseColumns + `from tasker.pauses
where kind = 'task' and task_id = $1
   or kind = 'template' and namespace = $2 and name = $3 and version = $4
   or kind = 'namespace' and namespace = $2
order by kind, since`
	sqlEndPauses = `
delete from tasker.pauses p
using tasker.tasks t
where p.kind = 'task' and t.task_id = p.task_id and t.state in ('complete', 'cancelled', 'resolved_manually')`
	sqlListPauses = `select` + pauseColumns + `from tasker.pauses order by since desc, kind, namespace, name, version, task_id limit $1`
)

// pauseKey returns the key of a pause, in the order of its columns; the parts
// that its kind does not have are empty, whatever p says.
func pauseKey(p ports.Pause) []any {
	name, id := p.Name, ident.TaskID{}
	switch p.Kind {
	case ports.PauseTask:
		name, id = task.Name{}, p.Task
	case ports.PauseNamespace:
		name = task.Name{Namespace: p.Name.Namespace}
	case ports.PauseTemplate:
	}
	return []any{string(p.Kind), name.Namespace, name.Name, name.Version, id}
}

// Pause implements ports.Pauses.
func (s *Store) Pause(ctx context.Context, p ports.Pause) (ports.Pause, error) {
	var out ports.Pause
	err := s.change(ctx, "pause", func(tx pgx.Tx) error {
		if p.Kind == ports.PauseTask {
			state, err := lockTask(ctx, tx, p.Task)
			if err != nil {
				return err
			}
			if state.Terminal() {
				return fault.New(fault.CodeTaskFinished, "the task is %s already and cannot be paused", state).With("state", state.String())
			}
		}
		rows, err := tx.Query(ctx, sqlPause, append(pauseKey(p), p.By, p.Why, s.offset.get())...)
		if err != nil {
			return err
		}
		out, err = pgx.CollectExactlyOneRow(rows, pauseOf)
		return err
	})
	return out, err
}

// lockTask locks a task as every writer does and returns its state.
func lockTask(ctx context.Context, tx pgx.Tx, id ident.TaskID) (task.State, error) {
	var name string
	err := tx.QueryRow(ctx, "select state from tasker.tasks where task_id = $1 for no key update", id).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, fault.New(fault.CodeTaskNotFound, "there is no task %s", id)
	}
	if err != nil {
		return 0, err
	}
	return task.ParseState(name)
}

func pauseOf(row pgx.CollectableRow) (ports.Pause, error) {
	var (
		p     ports.Pause
		since time.Time
	)
	err := row.Scan((*string)(&p.Kind), &p.Name.Namespace, &p.Name.Name, &p.Name.Version, &p.Task, &p.By, &p.Why, &since)
	p.Since = since.UTC()
	return p, err
}

// Unpause implements ports.Pauses.
func (s *Store) Unpause(ctx context.Context, p ports.Pause) (bool, error) {
	var was bool
	// To every server, this one among them: 0 is nobody's number.
	wake, err := json.Marshal(message{Jobs: true})
	if err != nil {
		return false, fmt.Errorf("unpause: %w", err)
	}
	key := pauseKey(p)
	err = s.change(ctx, "unpause", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlUnpause, key...)
		if err != nil {
			return err
		}
		if was = tag.RowsAffected() > 0; !was {
			return nil
		}
		// Of a namespace nothing is set aside: claims do not look at its queues.
		if p.Kind != ports.PauseNamespace {
			if _, err := tx.Exec(ctx, sqlPutBack, append([]any{s.queue.Kind()}, key...)...); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, sqlNotify, string(wake))
		return err
	})
	return was, err
}

// Paused implements ports.Pauses.
func (s *Store) Paused(ctx context.Context, id ident.TaskID, name task.Name) ([]ports.Pause, error) {
	return s.pauses(ctx, sqlPausedTask, id, name.Namespace, name.Name, name.Version)
}

// EndPauses implements ports.Pauses.
func (s *Store) EndPauses(ctx context.Context) (int, error) {
	tag, err := s.reads.Exec(ctx, sqlEndPauses)
	if err != nil {
		return 0, translate(fmt.Errorf("end pauses: %w", err))
	}
	return int(tag.RowsAffected()), nil
}

// ListPauses implements ports.Pauses.
func (s *Store) ListPauses(ctx context.Context, limit int) ([]ports.Pause, error) {
	return s.pauses(ctx, sqlListPauses, limit)
}

func (s *Store) pauses(ctx context.Context, sql string, args ...any) (out []ports.Pause, err error) {
	err = s.listing(ctx, "pauses", sql, args, func(rows pgx.Rows) (err error) {
		out, err = pgx.CollectRows(rows, pauseOf)
		return err
	})
	return out, err
}

// purged are the statements that remove what is kept of a task; the task itself
// is the last, and what is counted is taken off before.
var purged = []string{
	`insert into tasker.count_deltas (template_id, kind, state, delta)
	 select t.template_id, 'step', s.state, -count(*)::integer
	 from tasker.tasks t join tasker.workflow_steps s using (task_id)
	 where t.task_id = $1 group by t.template_id, s.state`,
	`insert into tasker.count_deltas (template_id, kind, state, delta)
	 select template_id, 'task', state, -1 from tasker.tasks where task_id = $1`,
	`delete from tasker.workflow_steps where task_id = $1`,
	`delete from tasker.step_transitions where task_id = $1`,
	`delete from tasker.task_transitions where task_id = $1`,
	`delete from tasker.dlq_failures f using tasker.tasks_dlq d where d.task_id = $1 and f.dlq_entry_uuid = d.dlq_entry_uuid`,
	`delete from tasker.tasks_dlq where task_id = $1`,
	`delete from tasker.task_identities where task_id = $1`,
	`delete from tasker.pauses where kind = 'task' and task_id = $1`,
	`delete from tasker.tasks where task_id = $1`,
}

// Jobs of a task are found by looking at all that wait. One that is complete has
// had a result of every dispatch, and so has left none.
const sqlPurgeJobs = `
delete from tasker.river_job r
where r.state in ('available', 'pending') and r.kind = $1 and r.args->>'task_id' = $2::text`

// Purge implements ports.Purger.
func (s *Store) Purge(ctx context.Context, id ident.TaskID) error {
	return s.change(ctx, "purge", func(tx pgx.Tx) error {
		state, err := lockTask(ctx, tx, id)
		if err != nil {
			return err
		}
		if !state.Terminal() {
			return fault.New(fault.CodeTaskNotFinished, "the task is %s; only one that has ended can be purged: cancel it first", state).
				With("state", state.String())
		}
		if state != task.Complete {
			if _, err := tx.Exec(ctx, sqlPurgeJobs, s.queue.Kind(), uuid.UUID(id).String()); err != nil {
				return err
			}
		}
		var b pgx.Batch
		for _, sql := range purged {
			b.Queue(sql, id)
		}
		return tx.SendBatch(ctx, &b).Close()
	})
}
