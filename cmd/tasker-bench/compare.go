package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// comparisons measures a burdened database against a plain one.
func (b *bench) comparisons(ctx context.Context, finished, waiting int) ([]table, error) {
	var ts []table
	if finished > 0 {
		vs, err := b.compare(ctx, 1.3, func(ctx context.Context, url string) error {
			b.say("seeding %s finished tasks", found(float64(finished)))
			return b.seed(ctx, url, finished)
		})
		if err != nil {
			return nil, err
		}
		ts = append(ts, verdicts(fmt.Sprintf("diamond4 with %s finished tasks in the database, against an empty one", found(float64(finished))), vs))
	}
	if waiting > 0 {
		vs, err := b.compare(ctx, 1.2, func(ctx context.Context, url string) error {
			b.say("filling the queue with %s steps that nobody serves", found(float64(waiting)))
			return b.fillQueue(ctx, url, waiting)
		})
		if err != nil {
			return nil, err
		}
		ts = append(ts, verdicts(fmt.Sprintf("diamond4 behind %s steps that nobody serves, against an empty queue", found(float64(waiting))), vs))
	}
	return ts, nil
}

// compared is what the rounds found on one of the databases.
type compared struct{ latency, create, steps []float64 }

// compare measures diamonds, in turns, on an empty database and on one that
// burden has filled, and holds the ratios to a bound.
func (b *bench) compare(ctx context.Context, bound float64, burden func(ctx context.Context, url string) error) ([]verdict, error) {
	sh, err := findShape("diamond4")
	if err != nil {
		return nil, err
	}
	var (
		urls  [2]string
		found [2]compared
	)
	for i, name := range []string{plainDatabase, burdenedDatabase} {
		if urls[i], err = b.cluster.newDatabase(ctx, name); err != nil {
			return nil, err
		}
	}
	if err := burden(ctx, urls[1]); err != nil {
		return nil, err
	}
	if _, err := b.cluster.conn.Exec(ctx, "checkpoint"); err != nil {
		return nil, err
	}
	for round := range b.rounds {
		for turn := range urls {
			i := (turn + round) % len(urls) // neither is always the first
			c := &found[i]
			_, err := b.onServer(ctx, serverConfig{url: urls[i], slots: defaultSlots, counter: newCounter(false)},
				func(t measurable) (bulkRun, error) {
					took, err := t.oneAtATime(ctx, sh.name, max(1, b.scaled(sh.samples)/b.rounds))
					if err != nil {
						return bulkRun{}, err
					}
					run, err := t.inBulk(ctx, sh.name, b.scaled(sh.tasks))
					if err != nil {
						return run, err
					}
					c.latency = append(c.latency, median(milliseconds(took)))
					c.create = append(c.create, float64(run.Tasks)/run.Create.Seconds())
					c.steps = append(c.steps, float64(run.Tasks*sh.steps())/run.Total.Seconds())
					return run, nil
				})
			if err != nil {
				return nil, err
			}
		}
		b.say("round %d of %d, plain against burdened: p50 %s and %s ms, %s and %s creates/s, %s and %s steps/s", round+1, b.rounds,
			last(found[0].latency), last(found[1].latency), last(found[0].create), last(found[1].create),
			last(found[0].steps), last(found[1].steps))
	}
	ratio := func(a, b []float64) float64 { return median(over(a, b)) }
	plain, burdened := &found[0], &found[1]
	return []verdict{
		atMost("latency p50, burdened ÷ plain", bound, ratio(burdened.latency, plain.latency), true),
		atMost("creates/s, plain ÷ burdened", bound, ratio(plain.create, burdened.create), true),
		atMost("steps/s, plain ÷ burdened", bound, ratio(plain.steps, burdened.steps), true),
	}, nil
}

// fillQueue makes tasks whose steps all wait for a handler that nobody has.
func (b *bench) fillQueue(ctx context.Context, url string, steps int) (err error) {
	s, err := startServer(ctx, serverConfig{url: url, slots: defaultSlots, nobody: true, counter: newCounter(false)}, b.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	t, inputs := applicationTarget{s.Parts().App}, newContexts()
	for made := 0; made < steps; made += fanned {
		if _, err := t.create(ctx, "unserved", inputs.next()); err != nil {
			return err
		}
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	var waiting int
	if err := conn.QueryRow(ctx, "select count(*) from tasker.river_job where state = 'available'").Scan(&waiting); err != nil {
		return err
	}
	if waiting < steps {
		return fmt.Errorf("only %d of %d steps wait in the queue", waiting, steps)
	}
	_, err = conn.Exec(ctx, "vacuum (analyze)")
	return err
}
