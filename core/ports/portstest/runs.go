package portstest

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

func fanOut(t *testing.T, w *world) {
	const children = 1000
	middle := numbered("m", children, "<root")
	specs := append([]string{"root"}, middle...)
	specs = append(specs, "join<"+strings.Join(numbered("m", children, ""), ","))
	s := submission(t, w.register(t, withHandler(t, "fan", "h", specs...)))
	w.submit(t, ports.ClaimRequest{}, s)
	w.finish(t, w.one(t, "h"), `0`)
	for done := 0; done < children; {
		reply := w.claim(t, 250, "h")
		require.NotEmpty(t, reply.Steps)
		results := make([]step.Result, len(reply.Steps))
		for i, c := range reply.Steps {
			results[i] = success(c, `1`)
		}
		w.report(t, ports.ClaimRequest{}, results...)
		done += len(results)
	}
	join := w.one(t, "h")
	require.Equal(t, "join", join.Name)
	require.False(t, join.Whole)
	w.finish(t, join, `2`)
	got, steps := w.read(t, s.ID)
	require.Equal(t, task.Complete, got.State)
	require.Equal(t, task.Counters{Total: children + 2}, got.Counters)
	require.Len(t, steps, children+2)
}

// fate is what happens when an attempt of a step is made.
type fate uint8

const (
	succeeds fate = iota
	failsForNow
	failsForGood
)

// fateOf depends on the seed, the task, the step and the attempt alone, and so
// neither on the order in which things happen nor on the adapter: that is why
// the end of a run can be foretold.
func fateOf(seed uint64, nth int, no, attempt int32) fate {
	h := fnv.New64a()
	_ = binary.Write(h, binary.BigEndian, [4]uint64{seed, uint64(nth), uint64(no), uint64(attempt)}) //nolint:gosec // G115: small numbers
	switch x := h.Sum64() % 100; {
	case x < 70:
		return succeeds
	case x < 95:
		return failsForNow
	default:
		return failsForGood
	}
}

// foretell returns what the steps of a task come to.
func foretell(def *template.Template, seed uint64, nth int) map[int32]ports.StepRecord {
	end := map[int32]ports.StepRecord{}
	for _, no := range def.Graph().Order() {
		r := ports.StepRecord{State: step.Pending}
		open := int32(0)
		for _, parent := range def.Graph().Parents(no) {
			if end[parent].State != step.Complete {
				open++
			}
		}
		r.OpenParents = open
		most := int32(def.Step(no).Retry.MaxAttempts) //nolint:gosec // G115: validated to at most 100
		for attempt := int32(1); open == 0 && attempt <= most && (r.State == step.Pending); attempt++ {
			r.Attempts = attempt
			switch fateOf(seed, nth, no, attempt) {
			case succeeds:
				r.State = step.Complete
			case failsForGood:
				r.State = step.Error
			case failsForNow:
				if attempt == most {
					r.State = step.Error
				}
			}
		}
		end[no] = r
	}
	return end
}

// randomFlow makes a workflow of up to most steps with edges to earlier ones.
func randomFlow(t *testing.T, dice *rand.Rand, name string, most int) *template.Template {
	t.Helper()
	n := 2 + dice.IntN(most-1)
	specs := make([]string, n)
	for i := range specs {
		var parents []string
		for range dice.IntN(4) {
			if i > 0 {
				parents = append(parents, fmt.Sprintf("s%d", dice.IntN(i)))
			}
		}
		slices.Sort(parents)
		specs[i] = fmt.Sprintf("s%d", i)
		if parents = slices.Compact(parents); len(parents) > 0 {
			specs[i] += "<" + strings.Join(parents, ",")
		}
	}
	d := *workflow(t, namespace, name, specs...)
	for i := range d.Steps {
		d.Steps[i].Handler.Callable = fmt.Sprintf("h%d", i%3)
		d.Steps[i].Retry.MaxAttempts = 1 + dice.IntN(4)
	}
	made, err := template.New(template.Template{Namespace: d.Namespace, Name: d.Name, Version: d.Version, Steps: d.Steps})
	require.NoError(t, err)
	return made
}

// randomRuns drives random workflows in random order, with results that come
// twice or late, leases that are lost and a task that is cancelled, and
// compares the end with what was foretold.
func randomRuns(t *testing.T, w *world) {
	for seed := range uint64(6) {
		r := &randomRun{world: w, seed: seed, dice: rand.New(rand.NewPCG(seed, 42))} //nolint:gosec // G404: fixed dice
		r.run(t)
	}
}

type randomRun struct {
	*world
	seed    uint64
	dice    *rand.Rand
	tasks   []ident.TaskID
	running []ports.ClaimedStep
	told    []step.Result // to be told again
	lost    map[ident.StepRef]int32
}

func (r *randomRun) run(t *testing.T) {
	t.Helper()
	def := randomFlow(t, r.dice, fmt.Sprintf("random%d", r.seed), 40)
	of := r.register(t, def)
	r.lost = map[ident.StepRef]int32{}
	const tasks = 4
	for range tasks {
		s := submission(t, of)
		r.submit(t, ports.ClaimRequest{}, s)
		r.tasks = append(r.tasks, s.ID)
	}
	cancelled := r.tasks[tasks-1]
	cancelAt := r.dice.IntN(10)
	for round := 0; ; round++ {
		require.Less(t, round, 5000, "a run has to end")
		if round == cancelAt {
			r.cancel(t, cancelled)
		}
		r.take(t)
		r.tell(t)
		r.lose(t)
		if len(r.running) == 0 && !r.wait(t) {
			break
		}
	}
	for nth, id := range r.tasks[:tasks-1] {
		r.compare(t, def, nth, id)
	}
	got, steps := r.read(t, cancelled)
	if got.State != task.Complete && got.State != task.BlockedByFailures {
		require.Equal(t, task.Cancelled, got.State)
		require.Zero(t, got.Open)
		for _, s := range steps {
			require.True(t, s.State.Settled(), "%s is %s", s.Ref, s.State)
		}
	}
}

func (r *randomRun) nth(id ident.TaskID) int { return slices.Index(r.tasks, id) }

func (r *randomRun) take(t *testing.T) {
	t.Helper()
	reply := r.claim(t, r.dice.IntN(4), "h0", "h1", "h2")
	for _, c := range reply.Steps {
		require.Equal(t, step.InProgress, r.stateOf(t, c.Ref))
	}
	r.running = append(r.running, reply.Steps...)
}

func (r *randomRun) stateOf(t *testing.T, ref ident.StepRef) step.State {
	t.Helper()
	_, steps := r.read(t, ref.Task)
	return steps[ref.No-1].State
}

// tell reports on some of what runs, in one unit, and repeats old reports.
func (r *randomRun) tell(t *testing.T) {
	t.Helper()
	r.dice.Shuffle(len(r.running), func(i, j int) { r.running[i], r.running[j] = r.running[j], r.running[i] })
	n := r.dice.IntN(len(r.running) + 1)
	var results []step.Result
	for _, c := range r.running[:n] {
		res := success(c, `1`)
		switch fateOf(r.seed, r.nth(c.Ref.Task), c.Ref.No, c.Attempt) {
		case succeeds:
		case failsForNow:
			res = failure(c, true)
		case failsForGood:
			res = failure(c, false)
		}
		results = append(results, res)
	}
	r.running = r.running[n:]
	fresh := len(results)
	if len(r.told) > 0 && r.dice.IntN(2) == 0 {
		results = append(results, r.told[r.dice.IntN(len(r.told))])
	}
	if len(results) == 0 {
		return
	}
	var ride ports.ClaimRequest
	if r.dice.IntN(2) == 0 {
		ride = ask(1+r.dice.IntN(3), "h0", "h1", "h2")
	}
	verdicts, reply := r.report(t, ride, results...)
	for i, v := range verdicts {
		if i >= fresh {
			require.NotEqual(t, step.Applied, v, "a result counts once")
		}
	}
	r.told = append(r.told, results[:fresh]...)
	r.running = append(r.running, reply.Steps...)
}

// lose takes the lease of a step that runs.
func (r *randomRun) lose(t *testing.T) {
	t.Helper()
	if len(r.running) == 0 || r.dice.IntN(5) != 0 {
		return
	}
	c := r.running[0]
	r.running = r.running[1:]
	if r.stateOf(t, c.Ref) == step.InProgress {
		r.lost[c.Ref]++
	}
	r.wake(t, plan.Wake{Ref: c.Ref, Dispatch: c.Dispatch, Cause: plan.LeaseLost})
	r.told = append(r.told, success(c, `1`))
}

// wait lets time pass until something is due, and reports whether anything may
// still happen.
func (r *randomRun) wait(t *testing.T) bool {
	t.Helper()
	due, next, err := r.due(t, 1+r.dice.IntN(5))
	require.NoError(t, err)
	if len(due) > 0 {
		r.wake(t, due...)
		return true
	}
	if next >= 0 {
		r.Shift(next + time.Millisecond)
		return true
	}
	reply := r.claim(t, 1, "h0", "h1", "h2")
	r.running = append(r.running, reply.Steps...)
	return !slices.Equal(reply.Taken, []int{0, 0, 0})
}

func (r *randomRun) compare(t *testing.T, def *template.Template, nth int, id ident.TaskID) {
	t.Helper()
	end := foretell(def, r.seed, nth)
	got, steps := r.read(t, id)
	want := task.Counters{Total: int32(len(steps))} //nolint:gosec // G115: few steps
	for _, s := range steps {
		e := end[s.Ref.No]
		require.Equal(t, e.State, s.State, "seed %d, step %s", r.seed, s.Ref)
		require.Equal(t, e.Attempts, s.Attempts, "seed %d, step %s", r.seed, s.Ref)
		require.Equal(t, e.OpenParents, s.OpenParents, "seed %d, step %s", r.seed, s.Ref)
		require.Equal(t, e.Attempts+r.lost[s.Ref], s.Dispatch, "seed %d, step %s: one dispatch for each attempt and each loss", r.seed, s.Ref)
		if !s.State.Settled() {
			want.Open++
		}
		if s.State == step.Error {
			want.Failed++
		}
	}
	require.Equal(t, want, got.Counters)
	require.Equal(t, want.Rest(), got.State)
}
