package plan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// stored is a step as a row has it.
type stored struct {
	plan.Step
	parents []int32
	max     int32
	wakeAt  time.Time
	leased  bool
	value   string
	manual  bool // somebody acted on it
}

// world applies decisions as a database would, and holds each of them to the
// laws of the package.
type world struct {
	t     require.TestingT
	def   *template.Template
	rules plan.Rules
	now   time.Time

	tasks   map[ident.TaskID]plan.Task
	steps   map[ident.StepRef]stored
	jobs    map[plan.Job]bool
	settled map[ident.StepRef]int  // how often a step came to be settled
	open    map[ident.TaskID]int32 // ordinal of the open dead letter
	reasons map[ident.TaskID][]deadletter.Reason
	made    int
}

const templateID ident.TemplateID = 7

func newWorld(t require.TestingT, def *template.Template, rules plan.Rules) *world {
	return &world{
		t: t, def: def, rules: rules, now: epoch,
		tasks: map[ident.TaskID]plan.Task{}, steps: map[ident.StepRef]stored{}, jobs: map[plan.Job]bool{},
		settled: map[ident.StepRef]int{}, open: map[ident.TaskID]int32{}, reasons: map[ident.TaskID][]deadletter.Reason{},
	}
}

// clone returns a world that goes its own way from here.
func (w *world) clone() *world {
	c := *w
	c.tasks, c.steps, c.jobs, c.settled = maps.Clone(w.tasks), maps.Clone(w.steps), maps.Clone(w.jobs), maps.Clone(w.settled)
	c.open, c.reasons = maps.Clone(w.open), maps.Clone(w.reasons)
	return &c
}

func (w *world) definition(id ident.TemplateID) *template.Template {
	require.Equal(w.t, templateID, id)
	return w.def
}

// id returns a new task's id.
func (w *world) id() ident.TaskID {
	w.made++
	return ident.NewTaskID(uuid.UUID{0: 1, 5: byte(w.made >> 8), 6: byte(w.made)})
}

// see takes a snapshot of exactly the neighbourhood.
func (w *world) see(refs ...ident.StepRef) *plan.Snapshot {
	snap := &plan.Snapshot{Now: w.now, Tasks: map[ident.TaskID]plan.Task{}, Steps: map[ident.StepRef]plan.Step{}}
	for _, ref := range refs {
		s, ok := w.steps[ref]
		if !ok {
			continue
		}
		snap.Tasks[ref.Task] = w.tasks[ref.Task]
		snap.Steps[ref] = s.Step
		for _, no := range s.Children {
			child := ident.StepRef{Task: ref.Task, No: no}
			snap.Steps[child] = w.steps[child].Step
		}
	}
	return snap
}

func (w *world) submit(n int) []ident.TaskID {
	subs := make([]plan.Submission, n)
	ids := make([]ident.TaskID, n)
	for i := range subs {
		ids[i] = w.id()
		subs[i] = plan.Submission{ID: ids[i], Template: templateID, Definition: w.def, Priority: int32(i)}
	}
	var blueprints plan.Blueprints
	d, became, err := plan.AfterSubmissions(&plan.Snapshot{Now: w.now}, subs, &blueprints)
	require.NoError(w.t, err)
	for _, b := range became {
		require.Equal(w.t, plan.Submitted{Created: true}, b)
	}
	w.apply(d)
	return ids
}

func (w *world) results(results ...step.Result) []step.Verdict {
	refs := make([]ident.StepRef, len(results))
	for i, r := range results {
		refs[i] = r.Ref
	}
	var verdicts []step.Verdict
	w.decide(func() *plan.Snapshot { return w.see(refs...) }, func(snap *plan.Snapshot) (plan.Decision, []plan.Refusal, error) {
		d, vs, err := plan.AfterResults(snap, w.definition, w.rules, results)
		verdicts = vs
		return d, nil, err
	})
	return verdicts
}

func (w *world) wakes(wakes ...plan.Wake) []plan.Refusal {
	look := func() *plan.Snapshot {
		var refs []ident.StepRef
		whole := map[ident.TaskID]bool{}
		for _, k := range wakes {
			refs = append(refs, k.Ref)
			if k.Order != nil {
				for _, s := range k.Order.Steps {
					refs = append(refs, ident.StepRef{Task: k.Ref.Task, No: s.No})
				}
			}
			if k.Whole() {
				whole[k.Ref.Task] = true
			}
		}
		return w.seeWhole(whole, refs...)
	}
	return w.decide(look, func(snap *plan.Snapshot) (plan.Decision, []plan.Refusal, error) {
		return plan.AfterWakes(snap, w.definition, w.rules, wakes)
	})
}

func (w *world) endings(endings ...plan.Ending) []plan.Refusal {
	look := func() *plan.Snapshot {
		whole := map[ident.TaskID]bool{}
		for _, e := range endings {
			whole[e.Task] = true
		}
		return w.seeWhole(whole)
	}
	return w.decide(look, func(snap *plan.Snapshot) (plan.Decision, []plan.Refusal, error) {
		return plan.AfterEndings(snap, w.definition, w.rules, endings)
	})
}

// seeWhole takes a snapshot that holds some tasks with all their steps.
func (w *world) seeWhole(whole map[ident.TaskID]bool, refs ...ident.StepRef) *plan.Snapshot {
	for ref := range w.steps {
		if whole[ref.Task] {
			refs = append(refs, ref)
		}
	}
	snap := w.see(refs...)
	snap.Whole = whole
	for _, ref := range refs { // a task is locked for a step that there is not
		if t, ok := w.tasks[ref.Task]; ok {
			snap.Tasks[ref.Task] = t
		}
	}
	return snap
}

// decide asks a planner twice, and again with whole tasks where it needs them.
func (w *world) decide(look func() *plan.Snapshot, ask func(*plan.Snapshot) (plan.Decision, []plan.Refusal, error)) []plan.Refusal {
	snap, same := look(), look()
	d, refusals, err := ask(snap)
	if need, ok := errors.AsType[*plan.WholeError](err); ok {
		w.whole(snap, need)
		w.whole(same, need)
		d, refusals, err = ask(snap)
	}
	require.NoError(w.t, err)
	require.Equal(w.t, same, snap, "a planner changes nothing by itself")
	again, _, err := ask(same)
	require.NoError(w.t, err)
	require.Equal(w.t, d, again, "the same snapshot and stimuli give the same decision")
	w.apply(d)
	return refusals
}

// whole adds all steps of tasks to a snapshot.
func (w *world) whole(snap *plan.Snapshot, need *plan.WholeError) {
	if snap.Whole == nil {
		snap.Whole = map[ident.TaskID]bool{}
	}
	for _, id := range need.Tasks {
		snap.Whole[id] = true
		for ref, s := range w.steps {
			if ref.Task == id {
				snap.Steps[ref] = s.Step
			}
		}
	}
}

// claim takes a job as the claim does, and reports whether its dispatch was
// live.
func (w *world) claim(j plan.Job) bool {
	require.True(w.t, w.jobs[j])
	delete(w.jobs, j)
	s := w.steps[j.Ref]
	if s.State != step.Enqueued || s.Dispatch != j.Dispatch {
		return false
	}
	s.State, s.leased = step.InProgress, true
	s.Attempts++
	require.LessOrEqual(w.t, s.Attempts, s.max, "step %s is tried more often than it may be", j.Ref)
	w.steps[j.Ref] = s
	return true
}

// apply stores a decision, held to what the database would refuse and to the
// laws.
func (w *world) apply(d plan.Decision) {
	touched := map[ident.TaskID]bool{}
	seen := map[ident.StepRef]bool{}
	for i := range d.Steps {
		c := &d.Steps[i]
		require.False(w.t, seen[c.Ref], "step %s is changed twice in one decision", c.Ref)
		seen[c.Ref] = true
		w.change(c)
	}
	for i := range d.Tasks {
		c := &d.Tasks[i]
		require.False(w.t, touched[c.ID], "task %s is changed twice in one decision", c.ID)
		touched[c.ID] = true
		require.Equal(w.t, w.tasks[c.ID].State, c.From)
		legal(w.t, c.From, c.State, c.Path, taskLaw())
		w.tasks[c.ID] = c.Task
	}
	for ref := range seen {
		require.True(w.t, touched[ref.Task], "step %s is changed without its task", ref)
	}
	for i := range d.Created {
		w.create(&d.Created[i])
		touched[d.Created[i].Task.ID] = true
	}
	for _, j := range d.Dropped {
		require.True(w.t, w.jobs[j], "the job of step %s was there", j.Ref)
		delete(w.jobs, j)
	}
	w.letters(d)
	for _, j := range d.Jobs {
		s := w.steps[j.Ref]
		require.Equal(w.t, step.Enqueued, s.State, "a job for step %s", j.Ref)
		require.Equal(w.t, s.Dispatch, j.Dispatch)
		require.Equal(w.t, w.tasks[j.Ref.Task].Priority, j.Priority)
		require.Equal(w.t, plan.Queue{Namespace: w.def.Namespace, Handler: w.def.Step(s.Def).Handler.Callable}, j.Queue)
		require.False(w.t, w.jobs[j], "two jobs for one dispatch of step %s", j.Ref)
		w.jobs[j] = true
	}
	w.check(touched)
}

func (w *world) create(t *plan.NewTask) {
	require.NotContains(w.t, w.tasks, t.Task.ID)
	legal(w.t, task.Pending, t.State, t.Path, taskLaw())
	w.tasks[t.Task.ID] = t.Task
	for _, s := range t.Steps {
		ref := ident.StepRef{Task: t.Task.ID, No: s.No}
		w.steps[ref] = stored{
			Step: plan.Step{
				Ref: ref, Def: s.Def, State: s.State, OpenParents: s.OpenParents, Dispatch: s.Dispatch, Children: s.Children,
			},
			parents: s.Parents, max: s.MaxAttempts,
		}
	}
}

func (w *world) change(c *plan.StepChange) {
	s, ok := w.steps[c.Ref]
	require.True(w.t, ok)
	require.Equal(w.t, s.State, c.From, "step %s: compare and set", c.Ref)
	require.Equal(w.t, s.Dispatch, c.Live, "step %s: compare and set", c.Ref)
	if c.Moved() {
		legal(w.t, c.From, c.State, c.Path, stepLaw())
	} else {
		require.Empty(w.t, c.Path)
	}
	if slices.Contains(append(slices.Clone(c.Path), c.State), step.Enqueued) && c.Moved() {
		require.Equal(w.t, c.Live+1, c.Dispatch, "step %s: dispatches count up", c.Ref)
	} else {
		require.Equal(w.t, c.Live, c.Dispatch, "step %s: only an enqueue is a new dispatch", c.Ref)
	}
	if c.State.Settled() && c.Moved() {
		w.settled[c.Ref]++
		require.Equal(w.t, 1, w.settled[c.Ref], "step %s is settled twice", c.Ref)
	}
	if c.Failure != nil {
		require.NotEqual(w.t, step.Complete, c.State)
	}
	require.Equal(w.t, c.State == step.WaitingForRetry, !c.WakeAt.IsZero(), "step %s in %s", c.Ref, c.State)
	require.False(w.t, !c.WakeAt.IsZero() && c.WakeAt.Before(w.now))
	require.Equal(w.t, c.From == step.InProgress && c.Failure == nil && c.Value == nil && c.State != step.Complete || c.Stop, c.Stop,
		"step %s: whoever runs it is to stop", c.Ref)
	s.Step, s.wakeAt, s.leased = c.Step, c.WakeAt, false
	if c.By != "" {
		s.manual = true
	}
	if c.Value != nil {
		s.value = string(c.Value)
	}
	w.steps[c.Ref] = s
}

// check looks at every step of the tasks that were touched.
func (w *world) check(touched map[ident.TaskID]bool) {
	counts := map[ident.TaskID]task.Counters{}
	jobs := map[ident.StepRef]int32{}
	for j := range w.jobs {
		if w.steps[j.Ref].Dispatch == j.Dispatch {
			jobs[j.Ref] = j.Dispatch
		}
	}
	for ref, s := range w.steps {
		if !touched[ref.Task] {
			continue
		}
		n := counts[ref.Task]
		n.Total++
		if !s.State.Settled() {
			n.Open++
		}
		open := int32(0)
		for _, parent := range s.parents {
			if !w.steps[ident.StepRef{Task: ref.Task, No: parent}].State.Satisfies() {
				open++
			}
		}
		ended := w.tasks[ref.Task].State
		if ended != task.Cancelled && ended != task.ResolvedManually {
			require.Equal(w.t, open, s.OpenParents, "step %s", ref)
		}
		switch s.State {
		case step.Enqueued, step.InProgress, step.WaitingForRetry, step.Complete, step.Error:
			require.True(w.t, open == 0 || s.State == step.Complete && s.manual, "step %s is %s before its parents are done", ref, s.State)
		case step.Pending:
			require.True(w.t, open != 0 || ended == task.Error || ended == task.Pending, "step %s is lost: it waits for nothing", ref)
		default:
		}
		switch s.State {
		case step.Enqueued:
			n.Active++
			require.Equal(w.t, s.Dispatch, jobs[ref], "step %s is lost: it has no job", ref)
		case step.InProgress:
			n.Active++
			require.True(w.t, s.leased, "step %s is lost: nobody has it", ref)
		case step.WaitingForRetry:
			n.Retrying++
			require.False(w.t, s.wakeAt.IsZero(), "step %s is lost: nothing wakes it", ref)
		case step.Error:
			n.Failed++
		default:
			require.False(w.t, s.State.Passing(), "step %s rests in %s", ref, s.State)
		}
		counts[ref.Task] = n
	}
	for id, n := range counts {
		t := w.tasks[id]
		require.Equal(w.t, n, t.Counters, "task %s", id)
		switch t.State {
		case task.Cancelled, task.ResolvedManually:
			require.Zero(w.t, t.Open)
		case task.Error:
			require.Zero(w.t, t.Active+t.Retrying, "task %s: nothing is under way any more", id)
			require.Positive(w.t, t.Open)
		case task.Pending:
			require.Zero(w.t, t.Active)
			require.False(w.t, t.WakeAt.IsZero(), "task %s is lost: nothing starts it", id)
		default:
			require.Equal(w.t, t.Rest(), t.State)
		}
		if t.State.Terminal() {
			require.True(w.t, t.WakeAt.IsZero())
		}
		if t.State == task.BlockedByFailures || t.Failed > 0 && !t.State.Terminal() {
			require.True(w.t, t.LetterOpen, "task %s has failed and is no dead letter", id)
		}
		if t.State == task.Complete || t.State == task.Cancelled || t.State == task.ResolvedManually {
			require.False(w.t, t.LetterOpen, "task %s has ended and is still a dead letter", id)
		}
		require.Equal(w.t, t.LetterOpen, w.open[id] != 0, "task %s", id)
	}
}

// letters stores what becomes of dead letters, held to their laws.
func (w *world) letters(d plan.Decision) {
	for _, closing := range []bool{true, false} {
		for _, l := range d.Letters {
			require.Equal(w.t, deadletter.ID(l.Task, l.Ordinal), l.ID)
			switch {
			case closing && l.Closed != 0:
				require.Equal(w.t, l.Ordinal, w.open[l.Task], "only what is open is closed")
				delete(w.open, l.Task)
			case !closing && l.Reason != 0:
				require.Zero(w.t, w.open[l.Task], "one open letter for a task")
				w.open[l.Task] = l.Ordinal
				w.reasons[l.Task] = append(w.reasons[l.Task], l.Reason)
			case !closing && l.Closed == 0:
				require.Equal(w.t, l.Ordinal, w.open[l.Task], "failures are added to what is open")
				require.NotEmpty(w.t, l.Failures)
			}
		}
	}
}

type law[S comparable] map[[2]S]bool

func taskLaw() law[task.State] {
	l := law[task.State]{}
	for _, m := range task.Moves() {
		if m.Unused == "" {
			l[[2]task.State{m.From, m.To}] = true
		}
	}
	return l
}

func stepLaw() law[step.State] {
	l := law[step.State]{}
	for _, m := range step.Moves() {
		if m.Unused == "" {
			l[[2]step.State{m.From, m.To}] = true
		}
	}
	return l
}

// legal walks a row of history by the rows of the law that are not unused.
func legal[S interface {
	comparable
	fmt.Stringer
	Passing() bool
}](t require.TestingT, from, to S, path []S, l law[S]) {
	if from == to {
		require.Empty(t, path)
		return
	}
	at := from
	for _, next := range append(slices.Clone(path), to) {
		require.True(t, l[[2]S{at, next}], "%s to %s by way of %v: no row leads from %s to %s", from, to, path, at, next)
		at = next
	}
	require.False(t, to.Passing())
}

// flow makes a workflow of n steps with edges to earlier ones.
func flow(t require.TestingT, dice *rand.Rand, n int) *template.Template {
	d := template.Template{Namespace: "ns", Name: "flow", Version: "1.0.0"}
	if dice.IntN(4) == 0 {
		d.OnFailure = template.FailTaskFast
	}
	backoffs := []template.Backoff{
		template.BackoffNone, template.BackoffFixed, template.BackoffLinear, template.BackoffExponential, template.BackoffFibonacci,
	}
	for i := range n {
		s := template.Step{
			Name: "s" + strconv.Itoa(i), Handler: template.Handler{Callable: "h" + strconv.Itoa(dice.IntN(3))},
			Retry: template.Retry{
				Retryable: dice.IntN(10) > 0, MaxAttempts: 1 + dice.IntN(4), Backoff: backoffs[dice.IntN(len(backoffs))],
				BackoffBaseMS: 100 + dice.IntN(100), MaxBackoffMS: 1000,
			},
		}
		parents := map[string]bool{}
		for range min(i, dice.IntN(4)) {
			// Near ones more often: long chains as well as wide ones.
			back := 1 + dice.IntN(min(i, 1+dice.IntN(n)))
			parents["s"+strconv.Itoa(i-back)] = true
		}
		s.Dependencies = slices.Sorted(maps.Keys(parents))
		d.Steps = append(d.Steps, s)
	}
	made, err := template.New(d)
	require.NoError(t, err)
	return made
}

func value(s string) json.RawMessage { return json.RawMessage(strconv.Quote(s)) }
