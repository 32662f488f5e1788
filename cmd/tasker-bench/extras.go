package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// fewSlots is the scarce number that is compared with the default.
const fewSlots = 50

// measureSlots compares bulk diamonds with few and with many slots, in turns.
func (b *bench) measureSlots(ctx context.Context, r *report) error {
	url, err := b.cluster.newDatabase(ctx, slotsDatabase)
	if err != nil {
		return err
	}
	sh, err := findShape("diamond4")
	if err != nil {
		return err
	}
	rates := map[int][]float64{}
	for round := range b.rounds {
		order := []int{fewSlots, defaultSlots}
		if round%2 == 1 {
			order[0], order[1] = order[1], order[0]
		}
		for _, slots := range order {
			run, err := b.onServer(ctx, serverConfig{url: url, slots: slots, counter: newCounter(false)},
				func(t measurable) (bulkRun, error) { return t.inBulk(ctx, sh.name, b.scaled(sh.tasks)) })
			if err != nil {
				return err
			}
			rates[slots] = append(rates[slots], float64(run.Tasks*sh.steps())/run.Total.Seconds())
		}
		b.say("slots, round %d of %d: %d %s steps/s, %d %s steps/s", round+1, b.rounds,
			fewSlots, last(rates[fewSlots]), defaultSlots, last(rates[defaultSlots]))
	}
	r.Slots = &slotFigures{
		Few: rounded(median(rates[fewSlots])), Many: rounded(median(rates[defaultSlots])),
		Ratio: rounded(median(over(rates[fewSlots], rates[defaultSlots]))),
	}
	return nil
}

// onServer runs something on a server that is started for it, and warm.
func (b *bench) onServer(ctx context.Context, c serverConfig, do func(measurable) (bulkRun, error)) (run bulkRun, err error) {
	s, err := startServer(ctx, c, b.log)
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.warm(ctx, "diamond4"); err != nil {
		return run, err
	}
	return do(localTarget{applicationTarget{s.Parts().App}})
}

// manyNamespaces is how many the second idle server has.
const manyNamespaces = 20

// measureIdle reads what a server costs that has nothing to do.
func (b *bench) measureIdle(ctx context.Context, r *report) error {
	if b.idleFor == 0 {
		return nil
	}
	var others []string
	for i := 1; i < manyNamespaces; i++ {
		others = append(others, fmt.Sprintf("bench%d", i))
	}
	// What the load has left for PostgreSQL to do later, vacuum and checkpoint, is
	// not the idle server's.
	if err := b.cluster.drop(ctx, databases...); err != nil {
		return err
	}
	if _, err := b.cluster.conn.Exec(ctx, "checkpoint"); err != nil {
		return err
	}
	one, err := b.idleServer(ctx, nil)
	if err != nil {
		return err
	}
	many, err := b.idleServer(ctx, others)
	if err != nil {
		return err
	}
	r.Idle = &idle{SQL: one.sql, CPU: one.cpu, SQL20: many.sql, CPU20: many.cpu}
	return nil
}

type idleReading struct {
	sql float64
	cpu *float64
}

func (b *bench) idleServer(ctx context.Context, others []string) (out idleReading, err error) {
	url, err := b.cluster.newDatabase(ctx, slotsDatabase)
	if err != nil {
		return out, err
	}
	m := b.meter
	m.counter = newCounter(b.statements)
	s, err := startServer(ctx, serverConfig{url: url, slots: defaultSlots, others: others, counter: m.counter}, b.log)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := b.settle(ctx, m); err != nil {
		return out, err
	}
	before, err := m.read(ctx)
	if err != nil {
		return out, err
	}
	if err := pause(ctx, b.idleFor); err != nil {
		return out, err
	}
	after, err := m.read(ctx)
	if err != nil {
		return out, err
	}
	u := after.since(before)
	out.sql = rounded(float64(u.counted.statements) / u.time.Seconds())
	if u.known {
		percent := rounded(100 * (u.server + u.postgres).Seconds() / u.time.Seconds())
		out.cpu = &percent
	}
	b.say("idle with %d namespaces: %s statements/s, %s %% of a core", 1+len(others), found(out.sql), foundIf(out.cpu))
	b.breakdown("per second of an idle server", u.counted, u.time.Seconds())
	return out, nil
}

// settle waits until a server that has just started, and its PostgreSQL, have
// come to rest.
func (b *bench) settle(ctx context.Context, m meter) error {
	const (
		window = 5 * time.Second
		tries  = 12
		rest   = 0.02 // of a core
	)
	for try := range tries {
		before, err := m.read(ctx)
		if err != nil {
			return err
		}
		if err := pause(ctx, window); err != nil {
			return err
		}
		after, err := m.read(ctx)
		if err != nil {
			return err
		}
		u := after.since(before)
		if try > 0 && (u.server+u.postgres).Seconds() < rest*u.time.Seconds() {
			return nil
		}
	}
	return nil // then its unrest is what it costs
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
