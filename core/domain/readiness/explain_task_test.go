package readiness_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// several returns the facts of a task with served steps s1, s2, … in the
// states, as changed.
func several(change func(*facts), states ...step.State) *facts {
	f := &facts{Now: noon}
	for i, s := range states {
		f.Steps = append(f.Steps, fact{
			No: int32(i + 1), Name: fmt.Sprintf("s%d", i+1), State: s, MaxAttempts: 3, Retryable: true, Handler: "pay", Served: true,
			Lease: &readiness.LeaseFacts{Holder: "server-1", Until: noon.Add(time.Minute)}, WakeAt: noon.Add(time.Duration(10-i) * time.Second),
		})
	}
	f.Task.Counters = counters(f.Steps)
	f.Task.State = f.Task.Rest()
	change(f)
	return f
}

func asIs(*facts) {}

func TestEveryReasonOfATask(t *testing.T) {
	t.Parallel()
	wait := []act{{Kind: readiness.ActWait}}
	retry, resolve := []act{{Kind: readiness.ActRetryTask}}, []act{{Kind: readiness.ActResolveTask}}
	until := func(t time.Time) []act { return []act{{Kind: readiness.ActWait, Until: t}} }
	pause := readiness.Pause{Kind: "template", Subject: "shop/order/1.0.0", By: "ann", Since: noon.Add(-time.Hour)}
	codes := func(all ...readiness.Code) []readiness.Code { return all }
	for name, c := range map[string]struct {
		facts             *facts
		code              readiness.Code
		also              []readiness.Code
		sentence, unblock string
		actions, instead  []act
	}{
		"complete": {
			several(asIs, step.Complete), readiness.Finished, nil,
			`the task is complete`, `nothing: the task has ended`, nil, nil,
		},
		"cancelled after its deadline": {
			several(func(f *facts) { f.Task.State, f.Task.Deadline = task.Cancelled, noon.Add(-time.Hour) }, step.Cancelled),
			readiness.Finished, nil, `the task is cancelled`, `nothing: the task has ended`, nil, nil,
		},
		"running": {
			several(asIs, step.InProgress, step.InProgress, step.Enqueued, step.Error, step.WaitingForRetry),
			readiness.Running, codes(readiness.Failed, readiness.RetryAt, readiness.Queued),
			`the task is under way: 2 steps run: "s1" and "s2"`, `wait for the results`, wait, nil,
		},
		"queued": {
			several(asIs, step.Enqueued, step.WaitingForRetry), readiness.Queued, codes(readiness.RetryAt),
			`the task is under way: 1 step waits for a free slot: "s1"`, `wait for a free slot, or start another worker`, wait, nil,
		},
		"a worker lost": {
			several(func(f *facts) { f.Steps[0].Lease = nil }, step.InProgress), readiness.LeaseLapsed, nil,
			`the task has lost the worker of "s1"`, `the server takes the work back and enqueues it again by itself`, wait, nil,
		},
		"no workers": {
			several(func(f *facts) {
				for i := range f.Steps {
					f.Steps[i].Served = false
				}
				f.Steps[2].Handler = "ship"
			}, step.Enqueued, step.Enqueued, step.Enqueued), readiness.NoWorker, nil,
			`the task waits for workers, but none has declared the handler of "s1", "s2" and "s3"`,
			`start workers that declare handler "pay", handler "ship"`,
			[]act{{Kind: readiness.ActStartWorker, Handler: "pay"}, {Kind: readiness.ActStartWorker, Handler: "ship"}}, nil,
		},
		"paused": {
			several(func(f *facts) { f.Task.Pauses = []readiness.Pause{pause} }, step.Enqueued, step.Error),
			readiness.Paused, codes(readiness.Failed),
			`the task is held back: template "shop/order/1.0.0" is paused by ann since 2026-11-24T11:00:00Z`,
			`resume template "shop/order/1.0.0"`, []act{{Kind: readiness.ActResume, Pause: &pause}}, nil,
		},
		"retrying: the first one": {
			several(asIs, step.WaitingForRetry, step.WaitingForRetry, step.Error), readiness.RetryAt, codes(readiness.Failed),
			`the task waits for the next attempt of "s2", which starts at 2026-11-24T12:00:09Z (in 9s)`,
			`wait until 2026-11-24T12:00:09Z`, until(noon.Add(9 * time.Second)), nil,
		},
		"a retry overdue": {
			several(func(f *facts) { f.Steps[0].WakeAt = noon.Add(-time.Hour) }, step.WaitingForRetry), readiness.Overdue, nil,
			`the task waits for the next attempt of "s1", which was to start at 2026-11-24T11:00:00Z (1h ago) and has not`,
			`the server makes up for it by itself; if it does not, resolve the step by hand`, wait, nil,
		},
		"blocked, with a dead letter": {
			several(func(f *facts) {
				f.Task.Letter = &readiness.LetterFacts{Reason: "max_retries_exceeded", Since: noon.Add(-time.Minute)}
			}, step.Error, step.Complete, step.Error), readiness.Failed, codes(readiness.DeadLettered),
			`the task is blocked, for 2 steps failed: "s1" and "s3"; dead-lettered since 2026-11-24T11:59:00Z (max_retries_exceeded)`,
			`retry the task, reset or resolve its failed steps, or resolve the task by hand`, retry, resolve,
		},
		"in error": {
			several(func(f *facts) { f.Task.State = task.Error }, step.Error, step.Pending), readiness.Halted, codes(readiness.Failed),
			`the task ended in error with 1 failed step: "s1"`, `retry the whole task, or resolve it by hand`, retry, resolve,
		},
		"in error without a failure": {
			several(func(f *facts) { f.Task.State = task.Error }, step.Pending), readiness.Halted, nil,
			`the task ended in error`, `retry the whole task, or resolve it by hand`, retry, resolve,
		},
		"scheduled": {
			several(func(f *facts) { f.Task.State, f.Task.StartAt = task.Pending, noon.Add(time.Hour) }, step.Pending), readiness.Scheduled, nil,
			`the task starts at 2026-11-24T13:00:00Z (in 1h)`, `wait until 2026-11-24T13:00:00Z`, until(noon.Add(time.Hour)), resolve,
		},
		"start due": {
			several(func(f *facts) { f.Task.State, f.Task.StartAt = task.Pending, noon.Add(-29*time.Second) }, step.Pending), readiness.Scheduled, nil,
			`the task is due to start since 2026-11-24T11:59:31Z`, `the server starts it within moments`, until(noon.Add(-29 * time.Second)), resolve,
		},
		"start overdue": {
			several(func(f *facts) { f.Task.State, f.Task.StartAt = task.Pending, noon.Add(-time.Hour) }, step.Pending), readiness.Overdue, nil,
			`the task was to start at 2026-11-24T11:00:00Z (1h ago) and has not`,
			`the server makes up for it by itself; if it does not, resolve the task by hand`, wait, resolve,
		},
		"without a time to start": {
			several(func(f *facts) { f.Task.State = task.Pending }, step.Pending), readiness.Overdue, nil,
			`the task has no time to start at and has not started`,
			`the server makes up for it by itself; if it does not, resolve the task by hand`, wait, resolve,
		},
		"stale": {
			several(func(f *facts) { f.Task.EnteredAt, f.Task.StaleAfter = noon.Add(-2*time.Hour), time.Hour }, step.Enqueued),
			readiness.Queued, codes(readiness.Stale),
			`the task is under way: 1 step waits for a free slot: "s1"; it has been steps_in_process for 2h, and counts as stale after 1h`,
			`wait for a free slot, or start another worker`, wait, nil,
		},
		"what runs is never stale": {
			several(func(f *facts) { f.Task.EnteredAt, f.Task.StaleAfter = noon.Add(-2*time.Hour), time.Hour }, step.InProgress),
			readiness.Running, nil, `the task is under way: 1 step runs: "s1"`, `wait for the results`, wait, nil,
		},
		"a deadline ahead": {
			several(func(f *facts) { f.Task.Deadline = noon.Add(90 * time.Second) }, step.InProgress), readiness.Running, nil,
			`the task is under way: 1 step runs: "s1"; its deadline is 2026-11-24T12:01:30Z (in 1m30s)`, `wait for the results`, wait, nil,
		},
		"a deadline passed": {
			several(func(f *facts) { f.Task.Deadline = noon.Add(-49 * time.Hour) }, step.InProgress),
			readiness.Running, codes(readiness.DeadlinePassed),
			`the task is under way: 1 step runs: "s1"; its deadline was 2026-11-22T11:00:00Z (49h ago)`, `wait for the results`, wait, nil,
		},
		"nothing under way": {
			several(asIs, step.Pending), readiness.Stuck, nil,
			`the task is waiting_for_dependencies and nothing will move it by itself: no step of it is under way, waits for its time or has failed`,
			`resolve the steps or the task by hand, and have the database checked`, resolve, nil,
		},
		"all done, not ended": {
			several(func(f *facts) { f.Task.State = task.StepsInProcess }, step.Complete), readiness.Stuck, nil,
			`the task is steps_in_process and nothing will move it by itself: all its steps are done and it has not ended`,
			`resolve the steps or the task by hand, and have the database checked`, resolve, nil,
		},
		"counters that are wrong": {
			several(func(f *facts) { f.Task.Active = 1 }, step.Error), readiness.Stuck, codes(readiness.Failed),
			`the task is blocked_by_failures and nothing will move it by itself: its counters say steps_in_process, and its steps say otherwise`,
			`resolve the steps or the task by hand, and have the database checked`, resolve, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := readiness.Explain(c.facts)
			require.Equal(t, c.sentence, e.Sentence)
			require.Equal(t, c.unblock, e.Unblock)
			require.Equal(t, c.code, e.Code)
			require.Equal(t, c.also, e.Also)
			require.Equal(t, c.actions, e.Actions)
			require.Equal(t, c.instead, e.Instead)
		})
	}
}

func TestCodesAreDocumented(t *testing.T) {
	t.Parallel()
	docs := map[readiness.Code]readiness.CodeDoc{}
	for _, d := range readiness.Codes() {
		require.NotContains(t, docs, d.Code)
		require.NotEmpty(t, d.Meaning)
		docs[d.Code] = d
	}
	for _, s := range step.States() {
		for _, ts := range task.States() {
			e := readiness.Explain(several(func(f *facts) { f.Task.State = ts }, s))
			require.NotEqual(t, "step", docs[e.Code].Of, "%s as the reason of a task", e.Code)
			require.Contains(t, docs, e.Code)
			for _, x := range e.Steps {
				require.Contains(t, docs, x.Code)
				require.NotEqual(t, "task", docs[x.Code].Of, "%s as the reason of a step", x.Code)
			}
		}
	}
}

// layered is a task of n steps in layers of 100, each step with two parents, in
// all conditions.
func layered(n int) *facts {
	f := &facts{Now: noon, Steps: make([]fact, n)}
	for i := range f.Steps {
		s := fact{
			No: int32(i + 1), Name: fmt.Sprintf("step_%d", i+1), State: step.Pending, MaxAttempts: 3, Retryable: true,
			Handler: "pay", Served: i%3 > 0,
		}
		if i >= 100 {
			s.Parents = []int32{int32(i - 99), int32(i - i%100)}
			s.OpenParents = 2
		} else {
			s.State = []step.State{step.Enqueued, step.WaitingForRetry, step.Error, step.InProgress}[i%4]
			s.WakeAt, s.LastErrorType, s.LastError = noon.Add(time.Minute), "card_declined", "the bank said no"
		}
		f.Steps[i] = s
	}
	f.Task.Pauses = []readiness.Pause{{Kind: "namespace", Subject: "shop", By: "ann", Since: noon}}
	f.Task.Counters = counters(f.Steps)
	f.Task.State = f.Task.Rest()
	return f
}

func BenchmarkExplain(b *testing.B) {
	for name, f := range map[string]*facts{
		"layers": layered(10_000),
		"fan-in": parented(slices.Repeat([]step.State{step.Enqueued}, 9_999)...),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if e := readiness.Explain(f); len(e.Steps) != 10_000 {
					b.Fatal(len(e.Steps))
				}
			}
		})
	}
}
