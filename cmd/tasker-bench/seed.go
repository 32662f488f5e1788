package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// seedBatch is how many tasks are made in one transaction.
const seedBatch = 20000

// seedHelpers names the copies: ids of the form that the server makes, one for
// each millisecond before $1, so that new tasks come after all of them.
const seedHelpers = `
create or replace function public.seed_at(i bigint, until timestamptz) returns timestamptz language sql immutable
return until - i * interval '1 millisecond';
create or replace function public.seed_id(i bigint, until timestamptz) returns uuid language sql immutable
return (lpad(to_hex((extract(epoch from public.seed_at(i, until)) * 1000)::bigint), 12, '0')
  || '7000' || '8' || substr(md5(i::text), 1, 10) || '00000')::uuid`

// seed fills a database with finished tasks as they would lie there after weeks:
// the server runs one diamond, and every row that it left is copied with other
// ids and times.
func (b *bench) seed(ctx context.Context, url string, n int) error {
	model, err := b.model(ctx, url)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // what it did is committed
	if _, err := conn.Exec(ctx, seedHelpers); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	var copies []string
	for _, table := range []string{"tasks", "workflow_steps", "task_transitions", "step_transitions"} {
		sql, err := copySQL(ctx, conn, table)
		if err != nil {
			return err
		}
		copies = append(copies, sql)
	}
	if err := b.copyModel(ctx, url, model, copies, n); err != nil {
		return err
	}
	for _, sql := range []string{
		`insert into tasker.count_deltas select template_id, 'task', 'complete', $2::integer from tasker.tasks where task_id = $1`,
		`insert into tasker.count_deltas select template_id, 'step', 'complete', 4 * $2::integer from tasker.tasks where task_id = $1`,
	} {
		if _, err := conn.Exec(ctx, sql, model, n); err != nil {
			return fmt.Errorf("seed: counts: %w", err)
		}
	}
	// As autovacuum would have left it by then.
	if _, err := conn.Exec(ctx, "vacuum (analyze)"); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return nil
}

// model runs the task that is copied, and returns its id.
func (b *bench) model(ctx context.Context, url string) (id string, err error) {
	s, err := startServer(ctx, serverConfig{url: url, slots: defaultSlots, counter: newCounter(false)}, b.log)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	t := applicationTarget{s.Parts().App}
	if id, err = t.create(ctx, "diamond4", newContexts().next()); err != nil {
		return "", err
	}
	return id, t.wait(ctx, id)
}

// copySQL returns the statement that copies the model's rows of a table for the
// numbers $2 to $3, ids counted back from $4.
func copySQL(ctx context.Context, conn *pgx.Conn, table string) (string, error) {
	rows, err := conn.Query(ctx, `
		select column_name::text, data_type::text from information_schema.columns
		where table_schema = 'tasker' and table_name = $1 order by ordinal_position`, table)
	if err != nil {
		return "", err
	}
	var names, values []string
	var name, kind string
	_, err = pgx.ForEachRow(rows, []any{&name, &kind}, func() error {
		column := pgx.Identifier{name}.Sanitize()
		value := "m." + column
		switch {
		case name == "task_id":
			value = "public.seed_id(i, $4)"
		case kind == "timestamp with time zone":
			value += " + (public.seed_at(i, $4) - (select created_at from tasker.tasks where task_id = $1))"
		}
		names, values = append(names, column), append(values, value)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("columns of %s: %w", table, err)
	}
	return fmt.Sprintf("insert into tasker.%s (%s) select %s from generate_series($2::bigint, $3::bigint, -1) i, tasker.%s m where m.task_id = $1",
		table, strings.Join(names, ", "), strings.Join(values, ", "), table), nil
}

// copyModel copies in batches, oldest first, on two connections.
func (b *bench) copyModel(ctx context.Context, url, model string, copies []string, n int) error {
	const identities = `
		insert into tasker.task_identities (identity, task_id)
		select sha256(int8send(i)), public.seed_id(i, $3) from generate_series($1::bigint, $2::bigint, -1) i`
	var (
		next atomic.Int64 // tasks given out
		done atomic.Int64
	)
	g, ctx := errgroup.WithContext(ctx)
	for range 2 {
		g.Go(func() error {
			conn, err := pgx.Connect(ctx, url)
			if err != nil {
				return err
			}
			defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // what it did is committed
			// Only the seeding is in a hurry; what is measured commits in full.
			if _, err := conn.Exec(ctx, "set synchronous_commit = off"); err != nil {
				return err
			}
			var until any
			if err := conn.QueryRow(ctx, "select created_at from tasker.tasks where task_id = $1", model).Scan(&until); err != nil {
				return err
			}
			for {
				to := next.Add(seedBatch)
				oldest := int64(n) - (to - seedBatch)
				if oldest <= 0 {
					return nil
				}
				newest := max(1, int64(n)-to+1)
				err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
					for _, sql := range copies {
						if _, err := tx.Exec(ctx, sql, model, oldest, newest, until); err != nil {
							return err
						}
					}
					_, err := tx.Exec(ctx, identities, oldest, newest, until)
					return err
				})
				if err != nil {
					return fmt.Errorf("seed: %w", err)
				}
				if all := done.Add(oldest - newest + 1); all%(10*seedBatch) == 0 {
					b.say("  %s tasks", found(float64(all)))
				}
			}
		})
	}
	return g.Wait()
}
