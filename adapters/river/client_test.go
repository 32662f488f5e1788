package river_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/plan"
)

// fakeControl tells what it was asked for, and answers as the test says.
type fakeControl struct {
	calls    chan string
	announce func(deadletter.EntryID) error
	resume   func(uuid.UUID) (bool, time.Duration, error)
}

func newFake() *fakeControl {
	return &fakeControl{
		calls:    make(chan string, 1000),
		announce: func(deadletter.EntryID) error { return nil },
		resume:   func(uuid.UUID) (bool, time.Duration, error) { return false, 0, nil },
	}
}

func (f *fakeControl) AnnounceDeadLetter(_ context.Context, id deadletter.EntryID) error {
	f.calls <- "announce " + id.String()
	return f.announce(id)
}

func (f *fakeControl) ContinueResume(_ context.Context, id uuid.UUID) (bool, time.Duration, error) {
	f.calls <- "resume " + id.String()
	return f.resume(id)
}

func (f *fakeControl) SweepStaleness(context.Context) error { f.calls <- "sweep"; return nil }
func (f *fakeControl) Reconcile(context.Context) error      { f.calls <- "reconcile"; return nil }

// await waits for a call and passes over others.
func (f *fakeControl) await(t *testing.T, want string) {
	t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for {
		select {
		case got := <-f.calls:
			if got == want {
				return
			}
		case <-limit.C:
			require.Fail(t, "never called", want)
		}
	}
}

func client(t *testing.T, p *pgxpool.Pool, c river.Control, sweep, reconcile time.Duration) *river.Client {
	t.Helper()
	made, err := river.NewClient(t.Context(), river.ClientConfig{
		URL: p.Config().ConnString(), Schema: postgres.Schema, SweepEvery: sweep, ReconcileEvery: reconcile,
		Log: slog.New(slog.DiscardHandler),
	}, c)
	require.NoError(t, err)
	require.NoError(t, made.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, made.Stop(context.WithoutCancel(t.Context()))) })
	return made
}

// A job of a transaction's pipeline starts when that commits, not at a poll.
func TestControlJobsStartAtOnce(t *testing.T) {
	t.Parallel()
	p, f := pool(t), newFake()
	client(t, p, f, 0, 0)
	for i := range byte(5) {
		began := time.Now()
		send(t, p, func(b *pgx.Batch) { river.QueueAnnouncements(b, []deadletter.EntryID{letter(i)}) })
		f.await(t, "announce "+letter(i).String())
		require.Less(t, time.Since(began), time.Second)
	}
	id, began := uuid.New(), time.Now()
	send(t, p, func(b *pgx.Batch) { river.QueueResume(b, id) })
	f.await(t, "resume "+id.String())
	require.Less(t, time.Since(began), time.Second)
}

// A flood of announcements that hang does not hold up a resume.
func TestAResumeGoesBeforeAnnouncements(t *testing.T) {
	t.Parallel()
	p, f := pool(t), newFake()
	var many []deadletter.EntryID
	for i := range byte(100) {
		many = append(many, letter(i))
	}
	release := make(chan struct{})
	f.announce = func(deadletter.EntryID) error { <-release; return nil }
	send(t, p, func(b *pgx.Batch) { river.QueueAnnouncements(b, many) })
	id := uuid.New()
	send(t, p, func(b *pgx.Batch) { river.QueueResume(b, id) })
	client(t, p, f, 0, 0)
	f.await(t, "resume "+id.String())
	close(release)
}

// The leader inserts the periodic jobs, at once and again, and step jobs stay as
// they are, whatever it tidies up.
func TestPeriodicJobsRunAndStepJobsStay(t *testing.T) {
	t.Parallel()
	p, f := pool(t), newFake()
	queue := river.NewQueue()
	send(t, p, func(b *pgx.Batch) {
		queue.Enqueue(b, []plan.Job{
			job(0, plan.Queue{Namespace: "orders", Handler: "a"}), job(100, plan.Queue{Namespace: "control", Handler: "control"}),
			job(0, plan.Queue{Namespace: "orders", Handler: "parked"}),
		})
		b.Queue("update tasker.river_job set state = 'pending' where queue = $1", river.QueueName(plan.Queue{Namespace: "orders", Handler: "parked"}))
	})
	before := dump(t, p)
	client(t, p, f, time.Second, time.Second)
	for range 3 {
		f.await(t, "sweep")
		f.await(t, "reconcile")
	}
	var leaders int
	require.NoError(t, p.QueryRow(t.Context(), "select count(*) from tasker.river_leader").Scan(&leaders))
	require.Equal(t, 1, leaders)
	require.Equal(t, before, dump(t, p))
}

// While a sweep runs on, no second one is inserted by either server; other
// periodic jobs go on.
func TestPeriodicJobsAreOneOfAKind(t *testing.T) {
	t.Parallel()
	p := pool(t)
	c := &slowControl{fakeControl: newFake(), let: make(chan struct{})}
	client(t, p, c, time.Second, time.Second)
	client(t, p, c, time.Second, time.Second)
	c.await(t, "sweep")
	for range 3 {
		c.await(t, "reconcile")
	}
	var sweeps int
	require.NoError(t, p.QueryRow(t.Context(), "select count(*) from tasker.river_job where kind = 'staleness_sweep'").Scan(&sweeps))
	require.Equal(t, 1, sweeps)
	close(c.let)
	c.await(t, "sweep")
}

type slowControl struct {
	*fakeControl
	let chan struct{}
}

func (s *slowControl) SweepStaleness(ctx context.Context) error {
	err := s.fakeControl.SweepStaleness(ctx)
	select {
	case <-s.let:
	case <-ctx.Done():
	}
	return err
}

// A resume goes on slice by slice, and moves to another server when its own stops.
func TestAResumeOutlivesItsServer(t *testing.T) {
	t.Parallel()
	p := pool(t)
	id := uuid.New()
	endless := func(uuid.UUID) (bool, time.Duration, error) { return true, 10 * time.Millisecond, nil }
	a, b := newFake(), newFake()
	a.resume = endless
	first := client(t, p, a, 0, 0)
	send(t, p, func(batch *pgx.Batch) { river.QueueResume(batch, id) })
	for range 3 {
		a.await(t, "resume "+id.String())
	}
	client(t, p, b, 0, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, first.Stop(ctx))
	b.await(t, "resume "+id.String())
}

// A long wait is no job's to sit through.
func TestAResumeThatWaitsLongIsPutOff(t *testing.T) {
	t.Parallel()
	p, f := pool(t), newFake()
	f.resume = func(uuid.UUID) (bool, time.Duration, error) { return true, time.Hour, nil }
	c := client(t, p, f, 0, 0)
	id := uuid.New()
	send(t, p, func(b *pgx.Batch) { river.QueueResume(b, id) })
	f.await(t, "resume "+id.String())
	require.NoError(t, c.Stop(t.Context()))
	var state string
	var wait float64
	require.NoError(t, p.QueryRow(t.Context(), `select state, extract(epoch from scheduled_at - attempted_at) from tasker.river_job`).
		Scan(&state, &wait))
	require.Equal(t, "scheduled", state)
	require.InDelta(t, 3600, wait, 10)
}

// A failed job waits for its next attempt with its error.
func TestAFailedAnnouncementIsTriedAgain(t *testing.T) {
	t.Parallel()
	p, f := pool(t), newFake()
	f.announce = func(deadletter.EntryID) error { return errors.New("no answer") }
	c := client(t, p, f, 0, 0)
	send(t, p, func(b *pgx.Batch) { river.QueueAnnouncements(b, []deadletter.EntryID{letter(1)}) })
	f.await(t, "announce "+letter(1).String())
	require.NoError(t, c.Stop(t.Context()))
	var state, message string
	var wait float64
	require.NoError(t, p.QueryRow(t.Context(), `select state, errors[1]->>'error', extract(epoch from scheduled_at - attempted_at)
		from tasker.river_job`).Scan(&state, &message, &wait))
	require.Equal(t, "no answer", message)
	require.Equal(t, "retryable", state)
	require.InDelta(t, 10, wait, 2)
}

// Arguments in a form that a newer server wrote are left to it.
func TestArgumentsOfANewerServerAreNotRead(t *testing.T) {
	t.Parallel()
	p, f := pool(t), newFake()
	send(t, p, func(b *pgx.Batch) {
		river.QueueAnnouncements(b, []deadletter.EntryID{letter(1)})
		b.Queue(`update tasker.river_job set args = jsonb_set(args, '{v}', '2')`)
		river.QueueAnnouncements(b, []deadletter.EntryID{letter(2)})
	})
	c := client(t, p, f, 0, 0)
	f.await(t, "announce "+letter(2).String())
	require.NoError(t, c.Stop(t.Context()))
	var message string
	require.NoError(t, p.QueryRow(t.Context(), `select errors[1]->>'error' from tasker.river_job where args->>'v' = '2'`).Scan(&message))
	require.Equal(t, "the job's arguments have form 2, and this server reads 1 to 1", message)
}

func TestWaitsDouble(t *testing.T) {
	t.Parallel()
	w := river.NewWaits(5*time.Second, time.Hour)
	for failed, want := range map[int]time.Duration{0: 5 * time.Second, 1: 10 * time.Second, 9: 2560 * time.Second, 10: time.Hour, 44: time.Hour} {
		got := time.Until(w.NextRetry(&rivertype.JobRow{Errors: make([]rivertype.AttemptError, failed)}))
		require.InEpsilon(t, want.Seconds(), got.Seconds(), 0.12, fmt.Sprint(failed))
	}
}

// Stop may be called twice, at the same time, and before Start.
func TestStopTwice(t *testing.T) {
	t.Parallel()
	p := pool(t)
	c, err := river.NewClient(t.Context(), river.ClientConfig{URL: p.Config().ConnString(), Schema: postgres.Schema, Log: slog.New(slog.DiscardHandler)}, newFake())
	require.NoError(t, err)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() { _ = c.Stop(t.Context()) })
	}
	both.Wait()
}
