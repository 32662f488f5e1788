package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

var (
	_ ports.Leases      = (*Store)(nil)
	_ ports.Checkpoints = (*Store)(nil)
)

// Renew implements ports.Leases. It takes a connection that can write leases: a
// server that cannot commit does not renew.
func (s *Store) Renew(ctx context.Context, lease time.Duration, declared []plan.Queue) error {
	names := make([][2]string, len(declared))
	for i, q := range declared {
		names[i] = [2]string{q.Namespace, q.Handler}
	}
	handlers, err := json.Marshal(names)
	if err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	conn, err := s.hot.Acquire(ctx)
	if err != nil {
		return translate(fmt.Errorf("renew: %w", err))
	}
	defer conn.Release()
	_, err = conn.Exec(ctx, `
		update tasker.instances set expires_at = clock_timestamp() + $2::interval, handlers = $3::text::jsonb
		where instance_no = $1`, instanceOf(conn.Conn()), lease, string(handlers))
	return translate(err)
}

// Holders implements ports.Leases.
func (s *Store) Holders(ctx context.Context) ([]ports.Holder, error) {
	rows, err := s.reads.Query(ctx, `
		select i.instance_no, i.description, i.expires_at,
		       coalesce(i.expires_at > clock_timestamp(), true) and exists (
		         select from pg_locks l
		         where l.locktype = 'advisory' and l.classid = $1::integer::oid and l.objid = i.instance_no::oid and l.granted
		           and l.database = (select oid from pg_database where datname = current_database())),
		       i.handlers
		from tasker.instances i order by i.instance_no`, lockClass)
	if err != nil {
		return nil, translate(fmt.Errorf("holders: %w", err))
	}
	var (
		out   []ports.Holder
		h     ports.Holder
		until *time.Time
		raw   []byte
	)
	_, err = pgx.ForEachRow(rows, []any{&h.No, &h.Name, &until, &h.Live, &raw}, func() error {
		var names [][2]string
		if err := json.Unmarshal(raw, &names); err != nil {
			return fmt.Errorf("handlers of server %d: %w", h.No, err)
		}
		h.Until, h.Declared = moment(until), make([]plan.Queue, len(names))
		if !h.Until.IsZero() {
			h.Until = h.Until.Add(s.offset.get()) // by the clock that all other times are told by
		}
		for i, n := range names {
			h.Declared[i] = plan.Queue{Namespace: n[0], Handler: n[1]}
		}
		out = append(out, h)
		return nil
	})
	return out, translate(err)
}

// SaveCheckpoint implements ports.Checkpoints. It needs no lock on the task: the
// row is written only while the dispatch is live, and a result that is on its
// way meets the new row.
func (s *Store) SaveCheckpoint(ctx context.Context, ref ident.StepRef, dispatch int32, checkpoint []byte) (bool, error) {
	tag, err := s.hot.Exec(ctx, `
		update tasker.workflow_steps set checkpoint = $4::text::jsonb, updated_at = clock_timestamp() + $5::interval
		where task_id = $1 and step_no = $2 and dispatch_no = $3 and state = 'in_progress'`,
		ref.Task, ref.No, dispatch, string(checkpoint), s.offset.get())
	if err != nil {
		return false, translate(fmt.Errorf("save a checkpoint: %w", err))
	}
	return tag.RowsAffected() == 1, nil
}
