package readiness_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// counters counts the steps of facts, as the planners do.
func counters(steps []readiness.StepFacts) task.Counters {
	c := task.Counters{Total: int32(len(steps))}
	for _, s := range steps {
		if !s.State.Settled() {
			c.Open++
		}
		switch {
		case s.State.Active():
			c.Active++
		case s.State == step.WaitingForRetry:
			c.Retrying++
		case s.State == step.Error:
			c.Failed++
		}
	}
	return c
}

// one returns the facts of a task with one step, "charge", as changed; a change
// that moves the task says so in its state.
func one(change func(*readiness.Facts, *readiness.StepFacts)) *readiness.Facts {
	f := &readiness.Facts{Now: noon, Steps: []readiness.StepFacts{{
		No: 1, Name: "charge", State: step.Enqueued, MaxAttempts: 3, Retryable: true, Handler: "pay", Served: true,
	}}}
	change(f, &f.Steps[0])
	f.Task.Counters = counters(f.Steps)
	if f.Task.State == 0 {
		f.Task.State = f.Task.Rest()
	}
	return f
}

type (
	facts = readiness.Facts
	fact  = readiness.StepFacts
	act   = readiness.Action
)

func TestEveryReasonOfAStep(t *testing.T) {
	t.Parallel()
	resolve := act{Kind: readiness.ActResolveStep, Step: 1}
	wait := act{Kind: readiness.ActWait}
	shop := readiness.Pause{Kind: "namespace", Subject: "shop", By: "ann", Reason: "stock-taking", Since: noon.Add(-time.Hour)}
	mine := readiness.Pause{Kind: "task", By: "bob", Since: noon.Add(-time.Minute)}
	letter := &readiness.LetterFacts{EntryID: "e", Reason: "max_retries_exceeded", Since: noon.Add(-time.Hour)}
	lease := &readiness.LeaseFacts{Holder: "server-1", Until: noon.Add(20 * time.Second)}
	retrying := func(after time.Duration) func(*facts, *fact) {
		return func(_ *facts, s *fact) {
			s.State, s.Attempts, s.WakeAt = step.WaitingForRetry, 1, noon.Add(after)
			s.LastErrorType, s.LastError = "card_declined", "the bank said no"
		}
	}
	failing := func(attempts, limit int32, typ string) func(*facts, *fact) {
		return func(_ *facts, s *fact) {
			s.State, s.Attempts, s.MaxAttempts, s.LastErrorType, s.LastError = step.Error, attempts, limit, typ, "no"
		}
	}
	for name, c := range map[string]struct {
		facts             *readiness.Facts
		code              readiness.Code
		also              []readiness.Code
		sentence, unblock string
		actions, instead  []act
	}{
		"queued": {
			one(func(_ *facts, s *fact) { s.Since = noon.Add(-90 * time.Second) }), readiness.Queued, nil,
			`step "charge" waits in the queue of handler "pay" for a free slot, for 1m30s so far`,
			`wait for a free slot, or start another worker for handler "pay"`, []act{wait}, []act{resolve},
		},
		"queued, nobody knows since when": {
			one(func(_ *facts, _ *fact) {}), readiness.Queued, nil,
			`step "charge" waits in the queue of handler "pay" for a free slot`,
			`wait for a free slot, or start another worker for handler "pay"`, []act{wait}, []act{resolve},
		},
		"no worker": {
			one(func(_ *facts, s *fact) { s.Served = false }), readiness.NoWorker, nil,
			`step "charge" waits for a worker, but none has declared handler "pay"`,
			`start a worker that declares handler "pay"`, []act{{Kind: readiness.ActStartWorker, Handler: "pay"}}, []act{resolve},
		},
		"paused": {
			one(func(f *facts, _ *fact) { f.Task.Pauses = []readiness.Pause{shop} }), readiness.Paused, nil,
			`step "charge" is held back: namespace "shop" is paused by ann since 2026-11-24T11:00:00Z (stock-taking)`,
			`resume namespace "shop"`, []act{{Kind: readiness.ActResume, Pause: &shop}}, []act{resolve},
		},
		"paused twice, and no worker": {
			one(func(f *facts, s *fact) { f.Task.Pauses, s.Served = []readiness.Pause{shop, mine}, false }),
			readiness.Paused, []readiness.Code{readiness.NoWorker},
			`step "charge" is held back: namespace "shop" is paused by ann since 2026-11-24T11:00:00Z (stock-taking); ` +
				`the task is paused by bob since 2026-11-24T11:59:00Z`,
			`resume namespace "shop" and the task`,
			[]act{{Kind: readiness.ActResume, Pause: &shop}, {Kind: readiness.ActResume, Pause: &mine}}, []act{resolve},
		},
		"running": {
			one(func(_ *facts, s *fact) { s.State, s.Attempts, s.Lease = step.InProgress, 2, lease }), readiness.Running, nil,
			`step "charge" is running: attempt 2 of 3, leased by server-1 until 2026-11-24T12:00:20Z`,
			`wait for its result, or resolve the step by hand`, []act{wait}, []act{resolve},
		},
		"what runs is not paused": {
			one(func(f *facts, s *fact) {
				f.Task.Pauses = []readiness.Pause{shop}
				s.State, s.Attempts, s.Lease, s.Served = step.InProgress, 1, &readiness.LeaseFacts{Holder: "server-1"}, false
			}), readiness.Running, nil,
			`step "charge" is running: attempt 1 of 3, leased by server-1`,
			`wait for its result, or resolve the step by hand`, []act{wait}, []act{resolve},
		},
		"lease not renewed": {
			one(func(_ *facts, s *fact) {
				s.State, s.Attempts, s.Losses = step.InProgress, 1, 2
				s.Lease = &readiness.LeaseFacts{Holder: "server-1", Until: noon}
			}), readiness.LeaseLapsed, nil,
			`step "charge" was leased by server-1 until 2026-11-24T12:00:00Z (less than 1s ago), and the lease was not renewed; it has lost 2 leases before`,
			`the server takes the step back and enqueues it again by itself; if it does not, resolve the step by hand`, []act{wait}, []act{resolve},
		},
		"server gone, and paused": {
			one(func(f *facts, s *fact) {
				f.Task.Pauses = []readiness.Pause{shop}
				s.State, s.Attempts = step.InProgress, 1
				s.Lease = &readiness.LeaseFacts{Holder: "server-1", Until: noon.Add(time.Hour), Gone: true}
			}), readiness.LeaseLapsed, []readiness.Code{readiness.Paused},
			`step "charge" was run by server-1, which is gone`,
			`the server takes the step back and enqueues it again by itself; if it does not, resolve the step by hand`, []act{wait}, []act{resolve},
		},
		"lease of nobody": {
			one(func(_ *facts, s *fact) { s.State, s.Attempts, s.Losses = step.InProgress, 1, 1 }), readiness.LeaseLapsed, nil,
			`step "charge" is in progress, but nobody is known to run it; it has lost 1 lease before`,
			`the server takes the step back and enqueues it again by itself; if it does not, resolve the step by hand`, []act{wait}, []act{resolve},
		},
		"retry": {
			one(retrying(12 * time.Second)), readiness.RetryAt, nil,
			`attempt 2 of 3 of step "charge" starts at 2026-11-24T12:00:12Z (in 12s); last error: card_declined: the bank said no`,
			`wait until 2026-11-24T12:00:12Z, or resolve the step by hand`,
			[]act{{Kind: readiness.ActWait, Until: noon.Add(12 * time.Second)}}, []act{resolve},
		},
		"retry, in a paused task without workers": {
			one(func(f *facts, s *fact) {
				retrying(time.Hour)(f, s)
				f.Task.Pauses, s.Served, s.LastError = []readiness.Pause{shop}, false, ""
			}), readiness.RetryAt, []readiness.Code{readiness.Paused, readiness.NoWorker},
			`attempt 2 of 3 of step "charge" starts at 2026-11-24T13:00:00Z (in 1h); last error: card_declined`,
			`wait until 2026-11-24T13:00:00Z, or resolve the step by hand`,
			[]act{{Kind: readiness.ActWait, Until: noon.Add(time.Hour)}}, []act{resolve},
		},
		"retry that is due": {
			one(retrying(-29 * time.Second)), readiness.RetryAt, nil,
			`attempt 2 of 3 of step "charge" is due since 2026-11-24T11:59:31Z; last error: card_declined: the bank said no`,
			`the server enqueues it within moments`, []act{{Kind: readiness.ActWait, Until: noon.Add(-29 * time.Second)}}, []act{resolve},
		},
		"retry that is overdue": {
			one(retrying(-30 * time.Second)), readiness.Overdue, nil,
			`attempt 2 of 3 of step "charge" was to start at 2026-11-24T11:59:30Z (30s ago) and has not; last error: card_declined: the bank said no`,
			`the server makes up for it by itself; if it does not, resolve the step by hand`, []act{wait}, []act{resolve},
		},
		"retry without a time": {
			one(func(f *facts, s *fact) { retrying(0)(f, s); s.WakeAt = time.Time{} }), readiness.Stuck, nil,
			`step "charge" is waiting_for_retry and nothing will move it by itself: it has no time to be tried again at`,
			`resolve it by hand, and have the database checked`, []act{resolve}, nil,
		},
		"failed, out of attempts, dead-lettered": {
			one(func(f *facts, s *fact) { failing(3, 3, "card_declined")(f, s); f.Task.Letter = letter }), readiness.Failed, nil,
			`step "charge" failed in all 3 attempts; last error: card_declined: no; dead-lettered since 2026-11-24T11:00:00Z`,
			`reset the step for another run, or resolve it by hand`, []act{{Kind: readiness.ActResetStep, Step: 1}}, []act{resolve},
		},
		"failed for good, with obstacles behind it": {
			one(func(f *facts, s *fact) {
				failing(1, 3, "")(f, s)
				f.Task.Pauses, s.Served = []readiness.Pause{shop}, false
			}), readiness.Failed, []readiness.Code{readiness.Paused, readiness.NoWorker},
			`step "charge" failed for good in attempt 1 of 3; last error: no`,
			`reset the step for another run, or resolve it by hand`, []act{{Kind: readiness.ActResetStep, Step: 1}}, []act{resolve},
		},
		"failed in its only attempt": {
			one(func(f *facts, s *fact) { failing(1, 3, "x")(f, s); s.Retryable, s.LastError = false, "" }), readiness.Failed, nil,
			`step "charge" failed in its only attempt; last error: x`,
			`reset the step for another run, or resolve it by hand`, []act{{Kind: readiness.ActResetStep, Step: 1}}, []act{resolve},
		},
		"failed for lost workers": {
			one(failing(0, 3, step.TypeWorkerUnavailable)), readiness.Failed, nil,
			`step "charge" failed; last error: worker_unavailable: no`,
			`reset the step for another run, or resolve it by hand`, []act{{Kind: readiness.ActResetStep, Step: 1}}, []act{resolve},
		},
		"failed, the task ended in error": {
			one(func(f *facts, s *fact) { failing(3, 3, "x")(f, s); f.Task.State = task.Error }),
			readiness.Failed, []readiness.Code{readiness.Halted},
			`step "charge" failed in all 3 attempts; last error: x: no`,
			`retry the whole task, or resolve it by hand`, []act{{Kind: readiness.ActRetryTask}}, []act{{Kind: readiness.ActResolveTask}},
		},
		"halted": {
			one(func(f *facts, s *fact) { s.State, f.Task.State = step.Pending, task.Error }), readiness.Halted, nil,
			`step "charge" does not go on, for its task ended in error`,
			`retry the whole task, or resolve it by hand`, []act{{Kind: readiness.ActRetryTask}}, []act{{Kind: readiness.ActResolveTask}},
		},
		"scheduled": {
			one(func(f *facts, s *fact) {
				s.State, f.Task.State, f.Task.StartAt = step.Pending, task.Pending, noon.Add(90*time.Minute)
			}), readiness.Scheduled, nil,
			`step "charge" cannot start before its task, which starts at 2026-11-24T13:30:00Z (in 1h30m)`,
			`wait until 2026-11-24T13:30:00Z`,
			[]act{{Kind: readiness.ActWait, Until: noon.Add(90 * time.Minute)}}, []act{{Kind: readiness.ActResolveTask}},
		},
		"start overdue": {
			one(func(f *facts, s *fact) {
				s.State, f.Task.State, f.Task.StartAt = step.Pending, task.Pending, noon.Add(-time.Minute)
			}), readiness.Overdue, nil,
			`step "charge" cannot start before its task, which was to start at 2026-11-24T11:59:00Z (1m ago) and has not`,
			`the server makes up for it by itself; if it does not, resolve the task by hand`,
			[]act{wait}, []act{{Kind: readiness.ActResolveTask}},
		},
		"in no queue": {
			one(func(f *facts, s *fact) { s.State, f.Task.State = step.Pending, task.StepsInProcess }), readiness.Stuck, nil,
			`step "charge" is pending and nothing will move it by itself: it waits for nothing and is in no queue`,
			`resolve it by hand, and have the database checked`, []act{resolve}, nil,
		},
		"a wrong count of parents": {
			one(func(f *facts, s *fact) {
				s.State, s.OpenParents, f.Task.State = step.Pending, 1, task.StepsInProcess
			}), readiness.Stuck, nil,
			`step "charge" is pending and nothing will move it by itself: it counts 1 parent that it waits for, but all are done`,
			`resolve it by hand, and have the database checked`, []act{resolve}, nil,
		},
		"at rest where none rests": {
			one(func(f *facts, s *fact) {
				s.State, f.Task.State = step.EnqueuedForOrchestration, task.StepsInProcess
			}), readiness.Stuck, nil,
			`step "charge" is enqueued_for_orchestration and nothing will move it by itself: no step rests in that state`,
			`resolve it by hand, and have the database checked`, []act{resolve}, nil,
		},
		"left over": {
			one(func(f *facts, _ *fact) { f.Task.State = task.Cancelled }), readiness.Finished, nil,
			`step "charge" will not run, for its task is cancelled`,
			`nothing: the task has ended`, nil, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := readiness.Explain(c.facts)
			require.Len(t, e.Steps, 1)
			s := e.Steps[0]
			require.Equal(t, c.sentence, s.Sentence)
			require.Equal(t, c.unblock, s.Unblock)
			require.Equal(t, c.code, s.Code)
			require.Equal(t, c.also, s.Also)
			require.Equal(t, c.actions, s.Actions)
			require.Equal(t, c.instead, s.Instead)
			require.Equal(t, readiness.Named{No: 1, Name: "charge"}, s.Named)
			require.Equal(t, []readiness.Named{s.Named}, e.CriticalPath)
		})
	}
}

func TestTypedFields(t *testing.T) {
	t.Parallel()
	shop := readiness.Pause{Kind: "namespace", Subject: "shop", By: "ann", Since: noon}
	running := readiness.Explain(one(func(f *facts, s *fact) {
		f.Task.Pauses = []readiness.Pause{shop}
		s.State, s.Attempts, s.LastError = step.InProgress, 2, "of the attempt before"
		s.Lease = &readiness.LeaseFacts{Holder: "server-1", Until: noon.Add(1)}
	})).Steps[0]
	require.Equal(t, readiness.LeaseFacts{Holder: "server-1", Until: noon.Add(1)}, *running.Lease)
	require.Equal(t, int32(2), running.Attempt)
	require.Equal(t, int32(3), running.MaxAttempts)
	require.Empty(t, running.LastError)
	require.Empty(t, running.Pauses)

	failed := readiness.Explain(one(func(f *facts, s *fact) {
		f.Task.Pauses = []readiness.Pause{shop}
		f.Task.Letter = &readiness.LetterFacts{Since: noon.Add(-1)}
		s.State, s.LastErrorType, s.LastError = step.Error, "x", "y"
	}))
	require.Equal(t, noon.Add(-1), failed.Letter.Since)
	require.Equal(t, noon.Add(-1), failed.Steps[0].Letter.Since)
	require.Equal(t, "x", failed.Steps[0].LastErrorType)
	require.Equal(t, "y", failed.Steps[0].LastError)
	require.Equal(t, []readiness.Pause{shop}, failed.Steps[0].Pauses)

	waiting := readiness.Explain(one(func(_ *facts, s *fact) {
		s.State, s.Attempts, s.WakeAt, s.Retryable = step.WaitingForRetry, 1, noon.Add(1), true
	})).Steps[0]
	require.Equal(t, noon.Add(1), waiting.RetryAt)
	require.Equal(t, "pay", waiting.Handler)
}

// parented is a step "last" with parents p1, p2, … in the states.
func parented(states ...step.State) *readiness.Facts {
	f := &readiness.Facts{Now: noon}
	last := readiness.StepFacts{No: int32(len(states) + 1), Name: "last", State: step.Pending, Served: true}
	for i, s := range states {
		no := int32(i + 1)
		f.Steps = append(f.Steps, readiness.StepFacts{No: no, Name: fmt.Sprintf("p%d", no), State: s, Served: true})
		last.Parents = append(last.Parents, no)
		if !s.Satisfies() {
			last.OpenParents++
		}
	}
	f.Steps = append(f.Steps, last)
	f.Task.Counters = counters(f.Steps)
	f.Task.State = f.Task.Rest()
	return f
}

func TestWaitingForParents(t *testing.T) {
	t.Parallel()
	many := make([]step.State, 12)
	for i := range many {
		many[i] = step.Enqueued
	}
	lacking := parented(step.Enqueued)
	lacking.Steps[1].Parents = []int32{1, 7}
	lacking.Steps[1].OpenParents = 2
	for name, c := range map[string]struct {
		facts             *readiness.Facts
		sentence, unblock string
		action            readiness.ActionKind
	}{
		"one of one": {
			parented(step.Enqueued), `step "last" waits for "p1" (1 of 1 parent is not done)`,
			`that parent must be complete or resolved by hand`, readiness.ActFinishParents,
		},
		"two of three": {
			parented(step.Enqueued, step.Complete, step.Error),
			`step "last" waits for "p1" and "p3" (2 of 3 parents are not done)`,
			`those parents must all be complete or resolved by hand`, readiness.ActFinishParents,
		},
		"three of four": {
			parented(step.Enqueued, step.Error, step.ResolvedManually, step.Enqueued),
			`step "last" waits for "p1", "p2" and "p4" (3 of 4 parents are not done)`,
			`those parents must all be complete or resolved by hand`, readiness.ActFinishParents,
		},
		"more than are named": {
			parented(many...),
			`step "last" waits for "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10" and 2 more (12 of 12 parents are not done)`,
			`those parents must all be complete or resolved by hand`,
			readiness.ActFinishParents,
		},
		"a parent that was cancelled": {
			parented(step.Enqueued, step.Cancelled),
			`step "last" waits for "p1" and "p2" (2 of 2 parents are not done)`,
			`"p2" will never be done: resolve step "last" by hand`, readiness.ActResolveStep,
		},
		"a parent that the facts lack": {
			lacking, `step "last" waits for "p1" and step 7 (2 of 2 parents are not done)`,
			`step 7 will never be done: resolve step "last" by hand`, readiness.ActResolveStep,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := readiness.Explain(c.facts)
			last := e.Steps[len(e.Steps)-1]
			require.Equal(t, readiness.WaitingForParents, last.Code)
			require.Equal(t, c.sentence, last.Sentence)
			require.Equal(t, c.unblock, last.Unblock)
			require.Len(t, last.Actions, 1)
			require.Equal(t, c.action, last.Actions[0].Kind)
		})
	}
	require.Len(t, readiness.Explain(parented(many...)).Steps[12].WaitingFor, 12, "the names are cut in words alone")
}

func TestNamesAreQuoted(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a b":   `"a b"`,
		`a"b`:   `"a\"b"`,
		`a\b`:   `"a\\b"`,
		"a\nb":  `"a\nb"`,
		"größe": `"größe"`,
	} {
		e := readiness.Explain(one(func(f *facts, s *fact) { s.State, s.Name, f.Task.State = step.Pending, name, task.Error }))
		require.Equal(t, "step "+want+" does not go on, for its task ended in error", e.Steps[0].Sentence)
	}
}

func TestLongErrorsAreCut(t *testing.T) {
	t.Parallel()
	sentence := func(message string) string {
		return readiness.Explain(one(func(_ *facts, s *fact) { s.State, s.LastError = step.Error, message })).Steps[0].Sentence
	}
	require.Equal(t, `step "charge" failed; last error: first line`, sentence("first line\nand its trace"))
	require.Equal(t, `step "charge" failed; last error: `+strings.Repeat("a", 199)+"…", sentence(strings.Repeat("a", 199)+"é and so on"))
	require.Equal(t, `step "charge" failed`, sentence(""))
}
