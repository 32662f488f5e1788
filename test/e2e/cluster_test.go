package e2e_test

import (
	"context"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
)

const killed = syscall.SIGKILL

// load has clients create tasks until they are told to stop; stop returns their
// first error. A step of the tasks takes so many milliseconds at most.
func (w *world) load(ctx context.Context, longest int) (stop func() error) {
	var (
		group sync.WaitGroup
		once  sync.Once
		first error
	)
	over := make(chan struct{})
	for range 8 {
		group.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if err := w.create(ctx, longest); err != nil {
					once.Do(func() { first = err })
					return
				}
			}
		})
	}
	return func() error {
		close(over)
		group.Wait()
		return first
	}
}

// Two servers on one database share the work, whoever was asked for it, and
// either may be killed.
func TestTwoServersShareTheWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.Empty(t).URL)
	a, b := w.worker(t), w.worker(t)
	w.ask(a) // b is asked for nothing
	stop := w.load(within(t, limit), 100)
	eventually(t, "both run steps", func() bool { return w.begun(t, a.PID) > 50 && w.begun(t, b.PID) > 50 })
	w.killInMidStep(t, a)
	sofar := w.begun(t, b.PID)
	w.ask(b)
	eventually(t, "the other one goes on", func() bool { return w.begun(t, b.PID) > sofar+100 })
	require.NoError(t, stop())
	first := w.check(t)
	require.Positive(t, first.CutOff, "the kill must have hit running steps")
	require.GreaterOrEqual(t, len(first.Released), first.CutOff)

	// A supervisor starts the first again; now the other dies.
	c := w.worker(t)
	w.ask(b, c)
	stop = w.load(within(t, limit), 100)
	sofar = w.begun(t, b.PID)
	eventually(t, "both run steps", func() bool { return w.begun(t, b.PID) > sofar+50 && w.begun(t, c.PID) > 50 })
	w.killInMidStep(t, b)
	sofar = w.begun(t, c.PID)
	eventually(t, "the new one goes on", func() bool { return w.begun(t, c.PID) > sofar+100 })
	require.NoError(t, stop())
	require.Greater(t, w.check(t).CutOff, first.CutOff)
}

// PostgreSQL stops and starts again under load: the server stays, and nothing
// that was acknowledged is lost.
func TestPostgreSQLComesAndGoes(t *testing.T) {
	t.Parallel()
	cluster := pgtest.OwnCluster(t)
	w := newWorld(t, cluster.URL())
	p := w.worker(t)
	w.ask(p)
	stop := w.load(within(t, 2*limit), 20)
	for range 2 {
		before, refused := w.acknowledged(), w.refused()
		eventually(t, "tasks are created", func() bool { return w.acknowledged() > before+50 })
		cluster.Stop(t)
		eventually(t, "tasks are refused", func() bool { return w.refused() > refused })
		cluster.Start(t)
	}
	before := w.acknowledged()
	eventually(t, "tasks are created again", func() bool { return w.acknowledged() > before+50 })
	cluster.Kill(t) // and once without a word
	eventually(t, "PostgreSQL is there again", func() bool {
		select {
		case <-p.Exited:
			require.Fail(t, "the server ended")
		default:
		}
		return w.acknowledged() > before+100
	})
	require.NoError(t, stop())
	w.check(t)
	select {
	case <-p.Exited:
		require.Fail(t, "the server ended")
	default:
	}
}
