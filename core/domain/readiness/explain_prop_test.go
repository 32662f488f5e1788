package readiness_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// world carries out what an explanation says, on the facts, as server, workers
// and operators would: by moves of the state machines alone.
type world struct {
	*rapid.T
	f readiness.Facts
}

func drawWorld(t *rapid.T) *world {
	w := &world{T: t, f: readiness.Facts{Now: noon}}
	n := rapid.Int32Range(1, 10).Draw(t, "steps")
	numbers := rapid.Permutation(slices.Collect(func(yield func(int32) bool) {
		for no := int32(1); no <= n && yield(no); no++ {
		}
	})).Draw(t, "numbers")
	mode := rapid.SampledFrom([]task.State{task.Pending, task.StepsInProcess, task.StepsInProcess, task.Error}).Draw(t, "mode")
	served := map[string]bool{"a": rapid.Bool().Draw(t, "a is served"), "b": rapid.Bool().Draw(t, "b is served")}
	started := []step.State{
		step.Enqueued, step.InProgress, step.WaitingForRetry, step.Error, step.Complete, step.Complete, step.ResolvedManually,
	}
	for i, no := range numbers {
		s := readiness.StepFacts{
			No: no, Name: fmt.Sprintf("s%d", no), State: step.Pending, MaxAttempts: 3, Retryable: rapid.Bool().Draw(t, "retryable"),
			Handler: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "handler"),
		}
		s.Served = served[s.Handler]
		for _, p := range w.f.Steps[:i] {
			if rapid.IntRange(0, 2).Draw(t, "edge") == 0 {
				s.Parents = append(s.Parents, p.No)
				if !p.State.Satisfies() {
					s.OpenParents++
				}
			}
		}
		switch {
		case s.OpenParents > 0 || mode == task.Pending:
		case mode == task.Error:
			s.State = rapid.SampledFrom([]step.State{step.Pending, step.Error, step.Complete}).Draw(t, "state")
		default:
			s.State = rapid.SampledFrom(started).Draw(t, "state")
		}
		w.equip(&s)
		w.f.Steps = append(w.f.Steps, s)
	}
	for _, kind := range []string{"namespace", "template", "task"} {
		if rapid.IntRange(0, 3).Draw(t, "pause") == 0 {
			w.f.Task.Pauses = append(w.f.Task.Pauses, readiness.Pause{Kind: kind, Subject: "x", By: "ann", Since: noon})
		}
	}
	w.f.Task.Counters = counters(w.f.Steps)
	w.f.Task.State = mode
	switch mode {
	case task.Pending:
		w.f.Task.StartAt = noon.Add(time.Duration(rapid.IntRange(-100, 100).Draw(t, "start")) * time.Second)
	case task.StepsInProcess:
		w.f.Task.State = w.f.Task.Rest()
	default:
	}
	return w
}

// equip gives a step what its state brings along.
func (w *world) equip(s *readiness.StepFacts) {
	if s.State == step.Pending || s.State == step.Enqueued {
		return
	}
	s.Attempts = 1
	ahead := time.Duration(rapid.IntRange(-100, 100).Draw(w.T, "ahead")) * time.Second
	switch s.State {
	case step.InProgress:
		s.Lease = &readiness.LeaseFacts{Holder: "server-1", Until: noon.Add(ahead), Gone: rapid.Bool().Draw(w.T, "gone")}
	case step.WaitingForRetry:
		s.Retryable, s.WakeAt = true, noon.Add(ahead)
	case step.Error:
		s.Attempts = 3
	default:
	}
}

// clone is a world that can go another way.
func (w *world) clone() *world {
	c := &world{T: w.T, f: w.f}
	c.f.Steps = slices.Clone(w.f.Steps)
	c.f.Task.Pauses = slices.Clone(w.f.Task.Pauses)
	return c
}

func (w *world) at(no int32) *readiness.StepFacts {
	i := slices.IndexFunc(w.f.Steps, func(s readiness.StepFacts) bool { return s.No == no })
	require.GreaterOrEqual(w, i, 0)
	return &w.f.Steps[i]
}

func (w *world) move(s *readiness.StepFacts, events ...step.Event) {
	satisfied := s.State.Satisfies()
	for _, e := range events {
		next, err := s.State.On(e)
		require.NoError(w, err, "%s", s.Name)
		s.State = next
	}
	if !satisfied && s.State.Satisfies() {
		for i := range w.f.Steps {
			if slices.Contains(w.f.Steps[i].Parents, s.No) {
				w.f.Steps[i].OpenParents--
			}
		}
	}
	w.settle()
}

// settle is what the server does at once: ready steps of a task that has started
// are enqueued, and the task comes to rest.
func (w *world) settle() {
	t := &w.f.Task
	if t.State == task.Pending || t.State.Terminal() {
		return
	}
	for i := range w.f.Steps {
		if s := &w.f.Steps[i]; s.State == step.Pending && s.OpenParents == 0 {
			next, err := s.State.On(step.Enqueue)
			require.NoError(w, err)
			s.State = next
		}
	}
	t.Counters = counters(w.f.Steps)
	t.State = t.Rest()
}

// tick is what the server does once some time has passed.
func (w *world) tick() {
	t := &w.f.Task
	if t.State == task.Pending && !t.StartAt.After(w.f.Now) {
		t.State = task.StepsInProcess
		w.settle()
	}
	for i := range w.f.Steps {
		if s := &w.f.Steps[i]; s.State == step.WaitingForRetry && !s.WakeAt.After(w.f.Now) {
			w.move(s, step.Retry, step.Enqueue)
		}
	}
}

func (w *world) explain(no int32) readiness.StepExplanation {
	for _, s := range readiness.Explain(&w.f).Steps {
		if s.No == no {
			return s
		}
	}
	require.FailNow(w, "no explanation", "step %d", no)
	return readiness.StepExplanation{}
}

// wait waits as long as the action says; without a time, until what Code says is
// under way has come about.
func (w *world) wait(a readiness.Action, e readiness.StepExplanation) {
	if a.Until.After(w.f.Now) {
		w.f.Now = a.Until
	}
	s := w.at(e.No)
	switch e.Code {
	case readiness.Queued:
		w.move(s, step.Start)
		s.Attempts++
		s.Lease = &readiness.LeaseFacts{Holder: "server-2", Until: w.f.Now.Add(30 * time.Second)}
	case readiness.Running:
		w.move(s, step.EnqueueForOrchestration, step.Finish)
	case readiness.LeaseLapsed:
		s.Attempts--
		s.Losses++
		w.move(s, step.LeaseLost, step.Enqueue)
	default:
		w.tick()
	}
}

func (w *world) do(a readiness.Action, e readiness.StepExplanation) {
	t := &w.f.Task
	live := t.State != task.Pending && !t.State.Terminal()
	switch a.Kind {
	case readiness.ActWait:
		w.wait(a, e)
	case readiness.ActFinishParents:
		for _, p := range e.WaitingFor {
			w.drive(p.No, func(s *readiness.StepFacts, _ readiness.StepExplanation) bool { return s.State.Settled() })
		}
	case readiness.ActStartWorker:
		for i := range w.f.Steps {
			if w.f.Steps[i].Handler == a.Handler {
				w.f.Steps[i].Served = true
			}
		}
	case readiness.ActResume:
		before := len(t.Pauses)
		t.Pauses = slices.DeleteFunc(slices.Clone(t.Pauses), func(p readiness.Pause) bool { return p == *a.Pause })
		require.Len(w, t.Pauses, before-1)
	case readiness.ActResetStep:
		require.True(w, live, "a step of a task in %s cannot be reset", t.State)
		w.at(a.Step).Attempts = 0
		w.move(w.at(a.Step), step.ResetForRetry)
	case readiness.ActResolveStep:
		require.True(w, live, "a step of a task in %s cannot be resolved", t.State)
		w.move(w.at(a.Step), step.ResolveManually)
	case readiness.ActRetryTask:
		next, err := t.State.On(task.Reset)
		require.NoError(w, err)
		t.State, err = next.On(task.Start)
		require.NoError(w, err)
		for i := range w.f.Steps {
			if s := &w.f.Steps[i]; s.State == step.Error {
				s.Attempts = 0
				w.move(s, step.ResetForRetry)
			}
		}
		w.settle()
	case readiness.ActResolveTask:
		next, err := t.State.On(task.ResolveByHand)
		require.NoError(w, err)
		t.State = next
		for i := range w.f.Steps {
			if s := &w.f.Steps[i]; !s.State.Settled() {
				w.move(s, step.ResolveManually)
			}
		}
	default:
		require.Fail(w, "unknown action", "%s", a.Kind)
	}
}

// drive does what the explanations of a step say until it is where it should be.
// A step has few reasons, each of which must go away when it is acted on.
func (w *world) drive(no int32, there func(*readiness.StepFacts, readiness.StepExplanation) bool) {
	for range 12 {
		s := w.at(no)
		if s.State.Settled() {
			return
		}
		e := w.explain(no)
		if there(s, e) {
			return
		}
		require.NotEmpty(w, e.Actions, "%s: %s", e.Code, e.Sentence)
		for _, a := range e.Actions {
			w.do(a, e)
		}
		if s := w.at(no); !s.State.Settled() {
			require.NotEqual(w, e.Code, w.explain(no).Code, "did what it says, and it still says: %s", e.Sentence)
		}
	}
	require.Fail(w, "it does not end", "step %d: %s", no, w.explain(no).Sentence)
}

func TestDoingWhatItSaysUnblocksTheStep(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		begin := drawWorld(t)
		for _, e := range readiness.Explain(&begin.f).Steps {
			moves := func(_ *readiness.StepFacts, e readiness.StepExplanation) bool {
				return e.Code == readiness.Queued || e.Code == readiness.Running
			}
			begin.clone().drive(e.No, moves)

			for _, a := range e.Instead {
				w := begin.clone()
				w.do(a, e)
				require.True(t, w.at(e.No).State.Settled(), "%s: %s alone does it, it says", e.Sentence, a.Kind)
			}
		}
	})
}

// TestFurtherReasonsComeTrue: what Also says is what a step meets on its way,
// once the reason before it is gone.
func TestFurtherReasonsComeTrue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		begin := drawWorld(t)
		for _, e := range readiness.Explain(&begin.f).Steps {
			w := begin.clone()
			met := []readiness.Code{}
			w.drive(e.No, func(_ *readiness.StepFacts, now readiness.StepExplanation) bool {
				if now.Code == readiness.Queued || now.Code == readiness.Running {
					return true
				}
				met = append(met, now.Code)
				return false
			})
			if e.Code == readiness.WaitingForParents || slices.Contains(e.Also, readiness.WaitingForParents) ||
				slices.Contains(e.Also, readiness.Halted) {
				continue // finishing the parents, or retrying the task, removes more than its own reason
			}
			want := append([]readiness.Code{e.Code}, e.Also...)
			if e.Code == readiness.Queued || e.Code == readiness.Running {
				want = want[1:]
			}
			require.Equal(t, append([]readiness.Code{}, want...), met)
		}
	})
}

func TestExplanationsAreComplete(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		e := readiness.Explain(&w.f)
		var explained, unfinished []int32
		for _, s := range e.Steps {
			explained = append(explained, s.No)
			require.NotEmpty(t, s.Sentence)
			require.NotEmpty(t, s.Unblock)
			require.NotEmpty(t, s.Actions)
			require.Contains(t, s.Sentence, fmt.Sprintf("step %q", s.Name))
			require.NotEqual(t, readiness.Stuck, s.Code, "the facts are sound")
			require.NotContains(t, s.Also, s.Code)
		}
		for _, s := range w.f.Steps {
			if s.State.Settled() {
				continue
			}
			unfinished = append(unfinished, s.No)
			var want []readiness.Named
			for _, no := range s.Parents {
				if p := w.at(no); !p.State.Satisfies() {
					want = append(want, readiness.Named{No: p.No, Name: p.Name})
				}
			}
			got := w.explain(s.No)
			require.Equal(t, want, got.WaitingFor, "exactly the parents that do not satisfy")
			require.Len(t, got.WaitingFor, int(s.OpenParents))
			if got.Code == readiness.Queued {
				require.True(t, s.State == step.Enqueued && s.Served && len(w.f.Task.Pauses) == 0)
			}
		}
		require.Equal(t, unfinished, explained, "each unfinished step once")
		require.NotEqual(t, readiness.Stuck, e.Code, e.Sentence)
		require.NotEmpty(t, e.Unblock)
		w.checkCriticalPath(e.CriticalPath)
	})
}

// checkCriticalPath compares with the plain definition.
func (w *world) checkCriticalPath(path []readiness.Named) {
	var chain func(no int32) int
	chain = func(no int32) int {
		if w.at(no).State.Settled() {
			return 0
		}
		longest := 0
		for _, p := range w.at(no).Parents {
			longest = max(longest, chain(p))
		}
		return longest + 1
	}
	longest := 0
	for _, s := range w.f.Steps {
		longest = max(longest, chain(s.No))
	}
	require.Len(w, path, longest)
	for i, p := range path {
		require.Equal(w, i+1, chain(p.No), "nothing unfinished is left out before %s", p.Name)
		if i > 0 {
			require.Contains(w, w.at(p.No).Parents, path[i-1].No)
		}
	}
}
