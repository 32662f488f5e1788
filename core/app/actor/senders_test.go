package actor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/app/actor"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

func TestWhoeverHasGoneIsNotWorkedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := &recorder{do: func(context.Context, actor.Batch[string]) error { <-release; return nil }}
		a, seen := newActor(h, nil)
		a.Start()
		first := asks(t.Context(), a, "working")
		gone, leave := context.WithCancel(t.Context())
		left := asks(gone, a, "abandoned")
		stays := asks(t.Context(), a, "stays")
		leave()
		require.ErrorIs(t, (<-left[0]).err, context.Canceled)
		close(release)
		require.NoError(t, (<-first[0]).err)
		require.NoError(t, (<-stays[0]).err)
		stop(t, a)
		require.Equal(t, [][]string{{"working"}, {"stays"}}, h.seen())
		require.Equal(t, 1, seen.count(actor.Abandoned))
		require.Equal(t, 2, seen.count(actor.Handled))
	})
}

func TestWhoeverGoesDuringAnOutageIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var down sync.Mutex
		out := true
		h := &recorder{do: func(context.Context, actor.Batch[string]) error {
			down.Lock()
			defer down.Unlock()
			if out {
				return ports.ErrOutage
			}
			return nil
		}}
		a, seen := newActor(h, nil)
		gone, leave := context.WithTimeout(t.Context(), 2*time.Second)
		defer leave()
		left, stays := asks(gone, a, "leaves"), asks(t.Context(), a, "stays")
		a.Start()
		require.ErrorIs(t, (<-left[0]).err, context.DeadlineExceeded)
		time.Sleep(2 * time.Second) // of the bubble: several tries
		down.Lock()
		out = false
		down.Unlock()
		require.NoError(t, (<-stays[0]).err)
		stop(t, a)
		all := h.seen()
		require.Equal(t, []string{"stays"}, all[len(all)-1])
		require.Equal(t, 1, seen.count(actor.Abandoned))
	})
}

func TestStartAndStopInAnyOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := newActor(&recorder{}, nil)
		a.Start()
		a.Start()
		require.NoError(t, (<-asks(t.Context(), a, "x")[0]).err)
		stop(t, a)
		stop(t, a)
		a.Start()
		_, err := a.Ask(t.Context(), "x")
		require.True(t, fault.Is(err, fault.CodeShuttingDown), "%v", err)
	})
}

func TestStopBeforeStartAnswersWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{}
		a, _ := newActor(h, func(c *actor.Config) { c.Capacity = 1 })
		got := asks(t.Context(), a, "waits")
		noRoom := make(chan error, 1)
		go func() {
			if err := a.Send(t.Context(), "no room", func(_ string, err error) { noRoom <- err }); err != nil {
				noRoom <- err
			}
		}()
		synctest.Wait()
		stop(t, a)
		require.True(t, fault.Is((<-got[0]).err, fault.CodeShuttingDown))
		require.True(t, fault.Is(<-noRoom, fault.CodeShuttingDown))
		a.Start()
		require.Empty(t, h.seen(), "nothing was worked on")
	})
}

func TestLoopsWorkSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		both := make(chan struct{}, 2)
		release := make(chan struct{})
		h := &recorder{do: func(context.Context, actor.Batch[string]) error { both <- struct{}{}; <-release; return nil }}
		a, _ := newActor(h, func(c *actor.Config) { c.Loops = 2 })
		a.Start()
		got := asks(t.Context(), a, "a", "b")
		<-both
		<-both
		close(release)
		for _, c := range got {
			require.NoError(t, (<-c).err)
		}
		stop(t, a)
	})
}

func TestEveryoneGetsTheirOwnAnswer(t *testing.T) {
	t.Parallel()
	h := &recorder{do: func(_ context.Context, b actor.Batch[string]) error {
		if slices.Contains(b.Messages, "7-7") {
			return errors.New("boom")
		}
		return nil
	}}
	a, seen := newActor(h, func(c *actor.Config) { c.Capacity, c.MaxBatch, c.Loops = 8, 5, 2 })
	a.Start()
	const senders, each = 32, 50
	wrong := make(chan string, senders*each)
	var group sync.WaitGroup
	for i := range senders {
		group.Go(func() {
			for j := range each {
				m := fmt.Sprintf("%d-%d", i, j)
				got := make(chan outcome, 1)
				if err := a.Send(t.Context(), m, func(r string, err error) { got <- outcome{r, err} }); err != nil {
					wrong <- m
					continue
				}
				o := <-got
				if bad := m == "7-7"; bad != (o.err != nil) || !bad && o.reply != m+"!" {
					wrong <- m
				}
			}
		})
	}
	group.Wait()
	require.Empty(t, wrong)
	stop(t, a)
	require.Equal(t, senders*each-1, seen.count(actor.Handled))
	require.Equal(t, 1, seen.count(actor.Failed))
}
