package actor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// recorder is a handler that answers "<message>!" and remembers its batches.
type recorder struct {
	mu      sync.Mutex
	batches []actor.Batch[string]
	do      func(ctx context.Context, b actor.Batch[string]) error // nil for nothing
}

func (r *recorder) Handle(ctx context.Context, b actor.Batch[string]) ([]string, error) {
	r.mu.Lock()
	r.batches = append(r.batches, b)
	r.mu.Unlock()
	if r.do != nil {
		if err := r.do(ctx, b); err != nil {
			return nil, err
		}
	}
	answers := make([]string, len(b.Messages))
	for i, m := range b.Messages {
		answers[i] = m + "!"
	}
	return answers, nil
}

func (r *recorder) seen() [][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all [][]string
	for _, b := range r.batches {
		all = append(all, b.Messages)
	}
	return all
}

// counter observes actors.
type counter struct {
	mu       sync.Mutex
	outcomes map[string]int
	sizes    []int
	queued   time.Duration
	worked   time.Duration
}

func (c *counter) Batch(_ string, size int, queued, worked time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sizes, c.queued, c.worked = append(c.sizes, size), queued, worked
}

func (c *counter) Message(_, outcome string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcomes[outcome] += n
}

func (c *counter) count(outcome string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outcomes[outcome]
}

type strings = actor.Actor[string, string]

func newActor(h actor.Handler[string, string], change func(*actor.Config)) (*strings, *counter) {
	cfg := actor.Config{Name: "test", Capacity: 100, MaxBatch: 100, MaxBytes: 1 << 20}
	if change != nil {
		change(&cfg)
	}
	c := &counter{outcomes: map[string]int{}}
	return actor.New(cfg, h, func(s string) int { return len(s) }, c, slog.New(slog.DiscardHandler)), c
}

type outcome struct {
	reply string
	err   error
}

// asks sends messages and returns where their outcomes arrive, in order.
func asks(ctx context.Context, a *strings, messages ...string) []chan outcome {
	all := make([]chan outcome, len(messages))
	for i, m := range messages {
		c := make(chan outcome, 1)
		all[i] = c
		go func() {
			reply, err := a.Ask(ctx, m)
			c <- outcome{reply, err}
		}()
		synctest.Wait() // in the order in which they are given
	}
	return all
}

func stop(t *testing.T, a *strings) {
	t.Helper()
	require.NoError(t, a.Stop(context.WithoutCancel(t.Context())))
}

func numbers(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("m%02d", i)
	}
	return all
}

func TestWhatGathersWhileOneBatchIsAtWorkIsTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := &recorder{do: func(context.Context, actor.Batch[string]) error { <-release; return nil }}
		a, seen := newActor(h, func(c *actor.Config) { c.MaxBatch = 4 })
		a.Start()
		got := asks(t.Context(), a, "0", "1", "2", "3", "4", "5", "6")
		require.Equal(t, 6, a.Depth())
		time.Sleep(time.Second) // of the bubble: nothing waits for real
		close(release)
		for i, c := range got {
			require.Equal(t, outcome{fmt.Sprintf("%d!", i), nil}, <-c)
		}
		require.Equal(t, [][]string{{"0"}, {"1", "2", "3", "4"}, {"5", "6"}}, h.seen())
		stop(t, a)
		require.Equal(t, []int{1, 4, 2}, seen.sizes)
		require.Equal(t, time.Second, seen.queued)
		require.Equal(t, 7, seen.count(actor.Handled))
		require.Equal(t, "test", a.Name())
		require.Equal(t, 100, a.Capacity())
	})
}

func TestABatchIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{}
		a, _ := newActor(h, func(c *actor.Config) { c.MaxBytes = 10 })
		got := asks(t.Context(), a, "aaaa", "bbbb", "cccc", "dddddddddddddddd", "e")
		a.Start()
		for _, c := range got {
			require.NoError(t, (<-c).err)
		}
		require.Equal(t, [][]string{{"aaaa", "bbbb", "cccc"}, {"dddddddddddddddd"}, {"e"}}, h.seen())
		stop(t, a)
	})
}

func TestOnePoisonedMessageFailsAlone(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, poison := range map[string]func() error{
		"error": func() error { return boom },
		"panic": func() error { panic(boom) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &recorder{do: func(_ context.Context, b actor.Batch[string]) error {
					if slices.Contains(b.Messages, "m05") {
						return poison()
					}
					return nil
				}}
				a, seen := newActor(h, nil)
				got := asks(t.Context(), a, numbers(16)...)
				a.Start()
				for i, c := range got {
					o := <-c
					if i == 5 {
						require.ErrorContains(t, o.err, "boom")
						continue
					}
					require.Equal(t, outcome{fmt.Sprintf("m%02d!", i), nil}, o)
				}
				require.Equal(t, outcome{"later!", nil}, <-asks(t.Context(), a, "later")[0], "the actor lives")
				stop(t, a)
				require.LessOrEqual(t, len(h.batches), 1+2*4+1, "it is halved, not tried one by one")
				for i, b := range h.batches {
					require.Equal(t, i > 0 && len(b.Messages) < 16 && b.Messages[0] != "later", b.Part)
					require.False(t, b.Again)
				}
				require.Equal(t, 16, seen.count(actor.Handled))
				require.Equal(t, 1, seen.count(actor.Failed))
			})
		})
	}
}

func TestTooFewAnswersAreADefectOfTheHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := newActor(short{}, nil)
		a.Start()
		require.ErrorContains(t, (<-asks(t.Context(), a, "x")[0]).err, "0 answers for 1 messages")
		stop(t, a)
	})
}

type short struct{}

func (short) Handle(context.Context, actor.Batch[string]) ([]string, error) { return nil, nil }

func TestAnOutageIsWaitedOut(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]error{
		"outage":      fmt.Errorf("write: %w", ports.ErrOutage),
		"unavailable": fault.New(fault.CodeBreakerOpen, "not now"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				h := &recorder{do: func(context.Context, actor.Batch[string]) error {
					if tries++; tries <= 3 {
						return outage
					}
					return nil
				}}
				a, seen := newActor(h, nil)
				got := asks(t.Context(), a, "a", "b")
				began := time.Now()
				a.Start()
				for _, c := range got {
					require.NoError(t, (<-c).err)
				}
				require.Equal(t, 70*time.Millisecond, time.Since(began), "10 + 20 + 40")
				require.Equal(t, [][]string{{"a", "b"}, {"a", "b"}, {"a", "b"}, {"a", "b"}}, h.seen(), "the batch stays together")
				for i, b := range h.batches {
					require.Equal(t, i > 0, b.Again, "try %d", i+1)
					require.False(t, b.Part)
				}
				stop(t, a)
				require.Equal(t, 2, seen.count(actor.Handled))
			})
		})
	}
}

// TestHalvesRememberThatTheirOutcomeIsNotKnown: what may have been stored before
// an outage must not be stored again when the batch falls apart after it.
func TestHalvesRememberThatTheirOutcomeIsNotKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		h := &recorder{do: func(_ context.Context, b actor.Batch[string]) error {
			switch tries++; {
			case tries == 1:
				return ports.ErrOutage
			case slices.Contains(b.Messages, "bad"):
				return errors.New("boom")
			default:
				return nil
			}
		}}
		a, _ := newActor(h, nil)
		got := asks(t.Context(), a, "a", "bad", "b", "c")
		a.Start()
		for i, c := range got {
			require.Equal(t, i == 1, (<-c).err != nil)
		}
		stop(t, a)
		require.Len(t, h.batches, 6)
		for i, b := range h.batches {
			require.Equal(t, i > 0, b.Again, "%v", b.Messages)
			require.Equal(t, i > 1, b.Part, "%v", b.Messages)
		}
	})
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{do: func(context.Context, actor.Batch[string]) error { return ports.ErrOutage }}
		a, seen := newActor(h, func(c *actor.Config) { c.Patience = 5 * time.Second })
		a.Start()
		began := time.Now()
		o := <-asks(t.Context(), a, "x")[0]
		require.True(t, fault.Is(o.err, fault.CodeDatabaseDown), "%v", o.err)
		require.Positive(t, fault.Of(o.err).RetryAfter)
		require.ErrorIs(t, o.err, ports.ErrOutage, "the cause is for the log")
		require.InDelta(t, 5, time.Since(began).Seconds(), 1.1)

		h.do = func(context.Context, actor.Batch[string]) error { return nil }
		require.NoError(t, (<-asks(t.Context(), a, "y")[0]).err)
		stop(t, a)
		require.Equal(t, 1, seen.count(actor.Failed))
	})
}

func TestAFaultOfUnavailabilityReachesTheSender(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{do: func(context.Context, actor.Batch[string]) error {
			return fault.New(fault.CodeBreakerOpen, "not now").Later(7 * time.Second)
		}}
		a, _ := newActor(h, func(c *actor.Config) { c.Patience = time.Second })
		a.Start()
		o := <-asks(t.Context(), a, "x")[0]
		require.True(t, fault.Is(o.err, fault.CodeBreakerOpen), "%v", o.err)
		require.Equal(t, 7*time.Second, fault.Of(o.err).RetryAfter)
		stop(t, a)
	})
}

func TestAStrangersLockIsToldApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{do: func(_ context.Context, b actor.Batch[string]) error {
			if slices.Contains(b.Messages, "held") {
				return fmt.Errorf("lock: %w", ports.ErrContended)
			}
			return nil
		}}
		a, _ := newActor(h, nil)
		got := asks(t.Context(), a, "free", "held")
		a.Start()
		require.NoError(t, (<-got[0]).err)
		require.True(t, fault.Is((<-got[1]).err, fault.CodeContended))
		stop(t, a)
	})
}

func TestAFullMailboxRefusesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := &recorder{do: func(context.Context, actor.Batch[string]) error { <-release; return nil }}
		a, seen := newActor(h, func(c *actor.Config) { c.Capacity = 2 })
		a.Start()
		got := asks(t.Context(), a, "working", "waits", "waits too")
		began := time.Now()
		_, err := a.Ask(t.Context(), "one too many")
		require.True(t, fault.Is(err, fault.CodeMailboxFull), "%v", err)
		require.Equal(t, fault.Unavailable, fault.Of(err).Kind)
		require.Positive(t, fault.Of(err).RetryAfter)
		require.Zero(t, time.Since(began))
		require.Equal(t, 1, seen.count(actor.Refused))

		sent := make(chan error, 1)
		answered := make(chan outcome, 1)
		go func() {
			sent <- a.Send(t.Context(), "patient", func(r string, err error) { answered <- outcome{r, err} })
		}()
		synctest.Wait()
		require.Empty(t, sent, "Send waits for room")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, a.Send(gone, "impatient", func(string, error) {}), context.Canceled)

		close(release)
		require.NoError(t, <-sent)
		require.Equal(t, outcome{"patient!", nil}, <-answered)
		for _, c := range got {
			require.NoError(t, (<-c).err)
		}
		stop(t, a)
		require.NotContains(t, slices.Concat(h.seen()...), "impatient")
	})
}

func TestStopAnswersWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := &recorder{do: func(context.Context, actor.Batch[string]) error { <-release; return nil }}
		a, seen := newActor(h, func(c *actor.Config) { c.MaxBatch = 3 })
		a.Start()
		got := asks(t.Context(), a, numbers(10)...)
		stopped := make(chan error, 1)
		go func() { stopped <- a.Stop(t.Context()) }()
		synctest.Wait()
		_, err := a.Ask(t.Context(), "late")
		require.True(t, fault.Is(err, fault.CodeShuttingDown), "%v", err)
		require.True(t, fault.Is(a.Send(t.Context(), "late", nil), fault.CodeShuttingDown))
		require.Empty(t, stopped)
		close(release)
		require.NoError(t, <-stopped)
		for _, c := range got {
			require.NoError(t, (<-c).err)
		}
		require.Equal(t, 2, seen.count(actor.Refused))
		stop(t, a)
	})
}

// TestStopGivesUpInAnOutage: with a full mailbox and senders who wait for room,
// while the database does not come back.
func TestStopGivesUpInAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{do: func(context.Context, actor.Batch[string]) error { return ports.ErrOutage }}
		a, _ := newActor(h, func(c *actor.Config) { c.Capacity = 1 })
		a.Start()
		got := asks(t.Context(), a, "working", "waits")
		answered := make(chan error, 3)
		for range 3 {
			go func() {
				if err := a.Send(t.Context(), "no room", func(_ string, err error) { answered <- err }); err != nil {
					answered <- err
				}
			}()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		stopped := make(chan error, 1)
		go func() { stopped <- a.Stop(ctx) }()
		synctest.Wait()
		_, err := a.Ask(t.Context(), "late")
		require.True(t, fault.Is(err, fault.CodeShuttingDown), "refused at once while Stop waits: %v", err)
		require.Zero(t, time.Since(began))
		require.ErrorIs(t, <-stopped, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(began))
		for _, c := range got {
			require.True(t, fault.Is((<-c).err, fault.CodeShuttingDown))
		}
		for range 3 {
			require.True(t, fault.Is(<-answered, fault.CodeShuttingDown))
		}
	})
}
