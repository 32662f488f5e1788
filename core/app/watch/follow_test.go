package watch_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

func TestAFollowerSeesEveryChangeInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 2)
	s := w.servers[0]
	id := s.begin(t)
	f := s.follow(t, id, "")
	for range 3 {
		s.settle(t, s.claim(t, 10), nil)
	}
	got := rest(t, f)
	want := []string{
		"pending", "steps_in_process", "first/1 enqueued", "first/1 in_progress", "first/1 complete",
		"middle_0/1 enqueued", "middle_1/1 enqueued", "middle_0/1 in_progress", "middle_1/1 in_progress",
		"middle_0/1 complete", "middle_1/1 complete", "last/1 enqueued", "last/1 in_progress", "last/1 complete", "complete",
	}
	require.Equal(t, want, saidAll(got))
	late := rest(t, s.follow(t, id, ""))
	require.Equal(t, want, saidAll(late), "whoever comes late is told the same")
	require.Equal(t, ids(got), ids(late), "under the same ids")
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(ids(got)))), len(got), "an id is of one event")
}

func TestAFailureIsToldWithItsMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	s := w.servers[0]
	f := s.follow(t, s.begin(t), "")
	s.settle(t, s.claim(t, 1), func(ports.ClaimedStep) bool { return true })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got []watch.Event
	for len(got) < 6 {
		events, _, err := f.Next(ctx)
		require.NoError(t, err)
		got = append(got, events...)
	}
	for _, e := range got {
		if e.Step == step.Error || e.State == task.BlockedByFailures {
			require.Equal(t, "no luck", e.Error)
		}
	}
	require.Contains(t, saidAll(got), "blocked_by_failures")
	require.Contains(t, saidAll(got), "first/1 error")
}

// play runs tasks to their end on all servers at once, at random.
func (w *world) play(t testing.TB, seed uint64) {
	t.Helper()
	var all sync.WaitGroup
	for i, s := range w.servers {
		dice := rand.New(rand.NewPCG(seed, uint64(i)))
		all.Go(func() {
			var mine []ports.ClaimedStep
			for idle := 0; idle < 200; {
				claimed := s.claim(t, 1+dice.IntN(3))
				mine = append(mine, claimed...)
				n := dice.IntN(len(mine) + 1)
				dice.Shuffle(len(mine), func(a, b int) { mine[a], mine[b] = mine[b], mine[a] })
				s.settle(t, mine[:n], nil)
				mine = mine[n:]
				if len(claimed)+n == 0 && len(mine) == 0 {
					idle++
				}
			}
		})
	}
	all.Wait()
}

// lawful checks what every order of events keeps.
func lawful(t *testing.T, events []watch.Event) {
	t.Helper()
	state := map[string]step.State{}
	for i, e := range events {
		if e.No == 0 {
			require.Equal(t, e.State.Terminal(), i == len(events)-1, "the end of the task is told last")
			continue
		}
		want := map[step.State]step.State{step.Enqueued: 0, step.InProgress: step.Enqueued, step.Complete: step.InProgress}
		require.Equal(t, want[e.Step], state[e.Name], "%s: %s", e.Name, e.Step)
		state[e.Name] = e.Step
	}
}

func TestStepsOfOtherServersAreToldToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3, 20)
	var followers []*watch.Follower
	for range 5 {
		id := w.servers[0].begin(t)
		for _, s := range w.servers {
			followers = append(followers, s.follow(t, id, ""))
		}
	}
	w.play(t, 1)
	for _, f := range followers {
		got := rest(t, f)
		require.Len(t, got, 3+3*22)
		lawful(t, got)
	}
}

func TestACutLosesNothingAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		w := newWorld(t, 2, 12)
		var tasks []ident.TaskID
		for range 4 {
			tasks = append(tasks, w.servers[0].begin(t))
		}
		var all sync.WaitGroup
		got := make([][]watch.Event, len(tasks)*2)
		for i := range got {
			dice := rand.New(rand.NewPCG(seed, 100+uint64(i)))
			all.Go(func() {
				after := ""
				for {
					s := w.servers[dice.IntN(len(w.servers))]
					f, err := s.hub.Follow(context.Background(), tasks[i/2], after)
					if err != nil {
						t.Error(err)
						return
					}
					events, ended, err := f.Next(context.Background())
					f.Close()
					if err != nil {
						t.Error(err)
						return
					}
					if len(events) > 0 {
						cut := 1 + dice.IntN(len(events))
						ended = ended && cut == len(events)
						got[i] = append(got[i], events[:cut]...)
						after = events[cut-1].ID()
					}
					if ended {
						return
					}
				}
			})
		}
		w.play(t, seed)
		all.Wait()
		for i := range got {
			require.Len(t, got[i], 3+3*14, "seed %d: %s", seed, strings.Join(saidAll(got[i]), "\n"))
			lawful(t, got[i])
		}
	}
}

// Who goes on at a server that has not heard yet of what was seen elsewhere is
// not told it twice.
func TestGoingOnWhereLessIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 3)
	here, there := w.servers[0], w.servers[1]
	id := here.begin(t)
	whole, lags := here.follow(t, id, ""), there.follow(t, id, "")
	_, _, err := lags.Next(t.Context()) // so that the other server has a feed
	require.NoError(t, err)
	w.deaf.Store(true)
	for range 2 {
		here.settle(t, here.claim(t, 10), nil)
	}
	seen, _, err := whole.Next(t.Context())
	require.NoError(t, err)
	require.Len(t, seen, 2+3+3*3+1)
	goes := there.follow(t, id, seen[len(seen)-2].ID())
	w.deaf.Store(false)
	here.settle(t, here.claim(t, 10), nil)
	require.Equal(t, append([]string{said(seen[len(seen)-1])}, saidAll(rest(t, whole))...), saidAll(rest(t, goes)))
}

// One that does not read is not waited for, and is told all the same.
func TestASlowFollowerReadsTheHistory(t *testing.T) {
	t.Parallel()
	const width = 3000
	w := newWorld(t, 1, width)
	s := w.servers[0]
	id := s.begin(t)
	slow, quick := s.follow(t, id, ""), s.follow(t, id, "")
	events, _, err := slow.Next(t.Context())
	require.NoError(t, err)
	var fast []watch.Event
	done := make(chan struct{})
	go func() { fast = rest(t, quick); close(done) }() //nolint:testifylint // a failure there ends that goroutine, and this one by its context
	for {
		c := s.claim(t, 100)
		if len(c) == 0 {
			break
		}
		s.settle(t, c, nil)
	}
	<-done
	require.Len(t, fast, 3+3*(width+2))
	got := append(events, rest(t, slow)...)
	require.Equal(t, saidAll(fast), saidAll(got))
	half := fast[len(fast)/3]
	require.Equal(t, saidAll(fast[len(fast)/3+1:]), saidAll(rest(t, s.follow(t, id, half.ID()))), "and one that comes back after long")
}

func TestFollowRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	s := w.servers[0]
	id := s.begin(t)
	_, err := s.hub.Follow(t.Context(), ident.NewTaskID(uuid.Must(uuid.NewV7())), "")
	require.Equal(t, fault.CodeTaskNotFound, fault.Of(err).Code)
	for _, after := range []string{"x", "1-2", "1-2-3-4", "-1-2-3", "zzzzzzzzzzzzzzzzzzzz-1-1", "01-1-1"} {
		_, err = s.hub.Follow(t.Context(), id, after)
		require.Equal(t, fault.CodeInvalidField, fault.Of(err).Code, after)
	}
	f := s.follow(t, id, "")
	_, _, err = f.Next(t.Context())
	require.NoError(t, err)
	s.hub.Leave()
	_, _, err = f.Next(t.Context())
	require.Equal(t, fault.CodeShuttingDown, fault.Of(err).Code)
}

// Two thousand watchers of two hundred tasks: each sees every change in order,
// and soon.
func TestWatchers(t *testing.T) {
	const tasks, each, width = 200, 10, 4
	w := newWorld(t, 1, width)
	s := w.servers[0]
	var (
		all     sync.WaitGroup
		mu      sync.Mutex
		delays  []time.Duration
		reading sync.WaitGroup
	)
	for range tasks {
		id := s.begin(t)
		for range each {
			reading.Add(1)
			all.Go(func() {
				f, err := s.hub.Follow(context.Background(), id, "")
				reading.Done()
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				var got []watch.Event
				var mine []time.Duration
				for {
					events, ended, err := f.Next(context.Background())
					if err != nil {
						t.Error(err)
						return
					}
					for _, e := range events {
						if e.Step == step.InProgress || e.Step == step.Complete || e.State.Terminal() {
							mine = append(mine, time.Since(e.At))
						}
					}
					got = append(got, events...)
					if ended {
						break
					}
				}
				mu.Lock()
				defer mu.Unlock()
				lawful(t, got)
				require.Len(t, got, 3+3*(width+2))
				delays = append(delays, mine...)
			})
		}
	}
	reading.Wait()
	began := time.Now()
	for {
		c := s.claim(t, 20)
		if len(c) == 0 {
			break
		}
		s.settle(t, c, nil)
	}
	took := time.Since(began)
	all.Wait()
	slices.Sort(delays)
	p := func(q float64) time.Duration { return delays[int(q*float64(len(delays)-1))] }
	t.Logf("%d watchers of %d tasks, %d changes told in %v: p50 %v, p99 %v, longest %v",
		tasks*each, tasks, len(delays), took, p(0.5), p(0.99), p(1))
	require.Less(t, p(0.99), 250*time.Millisecond)
}
