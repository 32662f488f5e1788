package postgres

import (
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.Analytics = (*Store)(nil)

// A task's id begins with the time at which it was made, so a period is a range
// of the primary key. A period of up to exactTasks tasks and exactSteps steps is
// read whole. A longer one is cut into slices of equal time, of each of which
// the first tasks are read: the figures of a slice that holds more stand for
// all of it, weighted by how dense its tasks lie. Where tasks come in bursts that
// is rough, so they are counted as well, as far as that is cheap.
const (
	exactTasks = 2_000
	exactSteps = 6_000
	cuts       = 60
	perSlice   = 20
	countTasks = 20_000 // so many are counted, more are estimated
)

var (
	//go:embed sql/analytics_probe.sql
	sqlProbePeriod string
	//go:embed sql/analytics_tally.sql
	sqlTally string
	//go:embed sql/analytics_steps.sql
	sqlSlowSteps string
	//go:embed sql/analytics_tasks.sql
	sqlSlowTasks string
)

// period is the tasks that are read of a span of time.
type period struct {
	from, now  time.Time
	lows, ends []uuid.UUID // of the slices: ids from low to before end
	widths     []time.Duration
	starts     []time.Time
	perSlice   int
	sampled    bool
	counted    int64 // tasks, countTasks at most
}

// periodOf decides what is read of the time before now.
func periodOf(ctx context.Context, tx pgx.Tx, length time.Duration) (period, error) {
	var (
		p           period
		tasks, n    int64
		first, last *uuid.UUID
	)
	if err := tx.QueryRow(ctx, "select clock_timestamp()").Scan(&p.now); err != nil {
		return p, err
	}
	p.now = p.now.UTC()
	p.from = p.now.Add(-length)
	err := tx.QueryRow(ctx, sqlProbePeriod, lowest(p.from), exactTasks+1, countTasks).Scan(&tasks, &n, &first, &last, &p.counted)
	if err != nil || first == nil || last == nil {
		return p, err
	}
	if tasks <= exactTasks && n <= exactSteps {
		p.perSlice = exactTasks
		p.add(timeOfID(*first), timeOfID(*last).Add(time.Millisecond))
		return p, nil
	}
	p.sampled, p.perSlice = true, perSlice
	start, end := timeOfID(*first), timeOfID(*last).Add(time.Millisecond)
	for i := range cuts {
		at := func(i int) time.Time {
			return start.Add(end.Sub(start) / cuts * time.Duration(i)).Truncate(time.Millisecond)
		}
		to := at(i + 1)
		if i == cuts-1 {
			to = end
		}
		if to.After(at(i)) {
			p.add(at(i), to)
		}
	}
	return p, nil
}

func (p *period) add(from, to time.Time) {
	p.lows, p.ends = append(p.lows, lowest(from)), append(p.ends, lowest(to))
	p.starts, p.widths = append(p.starts, from), append(p.widths, to.Sub(from))
}

// weight returns how many tasks each task read of a slice stands for. In a slice
// that may hold more than were read, the time that passed up to the last of them
// tells how dense they lie.
func (p *period) weight(slice int, read int64, last uuid.UUID) float64 {
	if !p.sampled || read < int64(p.perSlice) {
		return 1
	}
	passed := max(time.Millisecond, timeOfID(last).Sub(p.starts[slice]))
	return max(1, float64(p.widths[slice])/float64(passed)*(float64(read)-0.5)/float64(read))
}

// lowest returns an id below all that are made in a millisecond or later.
func lowest(t time.Time) uuid.UUID {
	var id uuid.UUID
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(0, t.UnixMilli())))
	copy(id[:6], ms[2:])
	return id
}

func timeOfID(id uuid.UUID) time.Time {
	var ms [8]byte
	copy(ms[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:]))).UTC() //nolint:gosec // G115: 48 bits
}

// Tally implements ports.Analytics.
func (s *Store) Tally(ctx context.Context, length time.Duration, steps bool) (ports.Tally, error) {
	var t ports.Tally
	err := pgx.BeginTxFunc(ctx, s.reads, pgx.TxOptions{BeginQuery: beginList}, func(tx pgx.Tx) error {
		p, err := periodOf(ctx, tx, length)
		if err != nil {
			return err
		}
		t = ports.Tally{From: p.from, Now: p.now, Sampled: p.sampled}
		room := 0
		if steps {
			room = exactSteps
		}
		rows, err := tx.Query(ctx, sqlTally, p.lows, p.ends, p.perSlice, room)
		if err != nil {
			return err
		}
		return p.tally(rows, &t)
	})
	if err != nil {
		return ports.Tally{}, translate(fmt.Errorf("tally tasks: %w", err))
	}
	return t, nil
}

// tally adds up the slices.
func (p *period) tally(rows pgx.Rows, t *ports.Tally) error {
	var (
		no, read, total, completed, failed, settled int64
		last                                        uuid.UUID
		took, worked                                float64
		sum                                         struct{ tasks, steps, completed, failed, took, settled, worked float64 }
	)
	_, err := pgx.ForEachRow(rows, []any{&no, &read, &last, &total, &completed, &failed, &took, &settled, &worked}, func() error {
		w := p.weight(int(no-1), read, last)
		sum.tasks += w * float64(read)
		sum.steps += w * float64(total)
		sum.completed += w * float64(completed)
		sum.failed += w * float64(failed)
		sum.took += w * took
		sum.settled += w * float64(settled)
		sum.worked += w * worked
		t.TasksMeasured += completed
		t.StepsRead += settled
		return nil
	})
	scale := 1.0
	if p.sampled && sum.tasks > 0 && (p.counted < countTasks || sum.tasks < countTasks) {
		scale = float64(p.counted) / sum.tasks
	}
	whole := func(n float64) int64 { return int64(math.Round(scale * n)) }
	t.Tasks, t.Steps, t.Completed, t.Failed = whole(sum.tasks), whole(sum.steps), whole(sum.completed), whole(sum.failed)
	t.TaskDuration, t.StepDuration = mean(sum.took, sum.completed), mean(sum.worked, sum.settled)
	return err
}

// mean is of seconds; 0 of nothing.
func mean(seconds, n float64) time.Duration {
	if n == 0 {
		return 0
	}
	return time.Duration(seconds / n * float64(time.Second))
}

// Slowest implements ports.Analytics.
func (s *Store) Slowest(ctx context.Context, q ports.Slowest) (ports.SlowReport, error) {
	var r ports.SlowReport
	err := pgx.BeginTxFunc(ctx, s.reads, pgx.TxOptions{BeginQuery: beginList}, func(tx pgx.Tx) error {
		p, err := periodOf(ctx, tx, q.Period)
		if err != nil {
			return err
		}
		r.Sampled = p.sampled
		rows, err := tx.Query(ctx, sqlSlowSteps, p.lows, p.ends, p.perSlice, exactSteps, q.MinRuns, q.Limit)
		if err != nil {
			return err
		}
		if r.Steps, err = pgx.CollectRows(rows, slowStep); err != nil {
			return err
		}
		if rows, err = tx.Query(ctx, sqlSlowTasks, p.lows, p.ends, p.perSlice, q.MinRuns, q.Limit); err != nil {
			return err
		}
		r.Tasks, err = pgx.CollectRows(rows, slowTask)
		return err
	})
	if err != nil {
		return ports.SlowReport{}, translate(fmt.Errorf("find what is slow: %w", err))
	}
	return r, nil
}

func slowStep(row pgx.CollectableRow) (s ports.SlowStep, err error) {
	var average, longest float64
	err = row.Scan(&s.Template.Namespace, &s.Template.Name, &s.Template.Version, &s.Step, &average, &longest, &s.Runs, &s.Failed, &s.LastAt)
	s.Average, s.Longest, s.LastAt = mean(average, 1), mean(longest, 1), s.LastAt.UTC()
	return s, err
}

func slowTask(row pgx.CollectableRow) (t ports.SlowTask, err error) {
	var average, longest float64
	err = row.Scan(&t.Template.Namespace, &t.Template.Name, &t.Template.Version, &average, &longest,
		&t.Runs, &t.AverageSteps, &t.Failed, &t.FailedSteps, &t.LastAt)
	t.Average, t.Longest, t.LastAt = mean(average, 1), mean(longest, 1), t.LastAt.UTC()
	return t, err
}
