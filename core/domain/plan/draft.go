package plan

import (
	"fmt"
	"slices"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// draft collects the changes of one decision. Two stimuli that meet in one
// batch see each other's effects through it.
type draft struct {
	snap  *Snapshot
	defs  Definitions
	rules Rules

	tasks map[ident.TaskID]*TaskChange
	steps map[ident.StepRef]*StepChange
	order struct {
		tasks []*TaskChange
		steps []*StepChange
	}
	jobs    []Job
	dropped []Job
	letters []*LetterChange
	whole   []ident.TaskID // must be seen whole before this can be decided
}

func newDraft(snap *Snapshot, defs Definitions, rules Rules) *draft {
	return &draft{
		snap: snap, defs: defs, rules: rules,
		tasks: make(map[ident.TaskID]*TaskChange, len(snap.Tasks)),
		steps: make(map[ident.StepRef]*StepChange, len(snap.Steps)),
	}
}

// task returns the change of a task, begun if need be; nil if the snapshot
// lacks it.
func (d *draft) task(id ident.TaskID) *TaskChange {
	if c, ok := d.tasks[id]; ok {
		return c
	}
	known, ok := d.snap.Tasks[id]
	if !ok {
		return nil
	}
	c := &TaskChange{Task: known, From: known.State, failed: known.Failed}
	d.tasks[id] = c
	d.order.tasks = append(d.order.tasks, c)
	return c
}

// peek returns a step as it stands in the draft.
func (d *draft) peek(ref ident.StepRef) (Step, bool) {
	if c, ok := d.steps[ref]; ok {
		return c.Step, true
	}
	s, ok := d.snap.Steps[ref]
	return s, ok
}

// step returns the change of a step, begun if need be; nil if the snapshot
// lacks it.
func (d *draft) step(ref ident.StepRef) *StepChange {
	if c, ok := d.steps[ref]; ok {
		return c
	}
	known, ok := d.snap.Steps[ref]
	if !ok {
		return nil
	}
	c := &StepChange{Step: known, From: known.State, Live: known.Dispatch}
	d.steps[ref] = c
	d.order.steps = append(d.order.steps, c)
	return c
}

// move takes a step through events and keeps the task's counters.
func (d *draft) move(t *TaskChange, c *StepChange, events ...step.Event) error {
	before := c.State
	for _, e := range events {
		next, err := c.State.On(e)
		if err != nil {
			return fmt.Errorf("step %s: %w", c.Ref, err)
		}
		if c.State != c.From {
			c.Path = append(c.Path, c.State)
		}
		c.State = next
	}
	count(t, before, -1)
	count(t, c.State, +1)
	t.stirred = true
	return nil
}

func count(t *TaskChange, s step.State, by int32) {
	if !s.Settled() {
		t.Open += by
	}
	switch {
	case s.Active():
		t.Active += by
	case s == step.WaitingForRetry:
		t.Retrying += by
	case s == step.Error:
		t.Failed += by
	}
}

// enqueue makes a step's next dispatch. The events must end in enqueued.
func (d *draft) enqueue(t *TaskChange, c *StepChange, events ...step.Event) error {
	if err := d.move(t, c, events...); err != nil {
		return err
	}
	c.Dispatch++
	d.jobs = append(d.jobs, d.job(t, c))
	return nil
}

func (d *draft) job(t *TaskChange, c *StepChange) Job {
	def := d.defs(t.Template).Step(c.Def)
	return Job{
		Ref: c.Ref, Dispatch: c.Dispatch, Priority: t.Priority,
		Queue: Queue{Namespace: t.Namespace, Handler: def.Handler.Callable},
	}
}

// withdraw takes a step from its queue or from whoever runs it, before it moves
// on for another cause than its own.
func (d *draft) withdraw(t *TaskChange, c *StepChange) {
	c.WakeAt = noTime
	switch c.State {
	case step.Enqueued:
		d.dropped = append(d.dropped, d.job(t, c))
	case step.InProgress:
		c.Stop = true
	default:
	}
}

// satisfy tells the children of a step that it is done, and enqueues those that
// waited for nothing else.
func (d *draft) satisfy(t *TaskChange, parent *StepChange) error {
	for _, no := range parent.Children {
		child := d.step(ident.StepRef{Task: parent.Ref.Task, No: no})
		if child == nil {
			return fmt.Errorf("step %s: its child %d is missing from the snapshot", parent.Ref, no)
		}
		child.OpenParents--
		if child.OpenParents == 0 && child.State == step.Pending {
			if err := d.enqueue(t, child, step.Enqueue); err != nil {
				return err
			}
		}
	}
	return nil
}

// way is how a task comes to its new state where its counters do not tell.
type way uint8

const (
	byCounters way = iota
	ended          // Task.State is set already
	started        // from pending
	revived        // from error or blocked, by way of pending
	failedFast     // to error, since one step failed
)

// decide lets every touched task come to rest and returns the decision.
func (d *draft) decide() (Decision, error) {
	if len(d.whole) > 0 {
		return Decision{}, &WholeError{Tasks: d.whole}
	}
	for _, t := range d.order.tasks {
		if err := d.rest(t); err != nil {
			return Decision{}, fmt.Errorf("task %s: %w", t.ID, err)
		}
		d.closeLetter(t)
		if t.State.Terminal() {
			t.WakeAt = noTime
		}
	}
	out := Decision{Jobs: d.liveJobs(), Dropped: d.oldJobs()}
	for _, c := range d.order.steps {
		out.Steps = append(out.Steps, *c)
	}
	for _, t := range d.order.tasks {
		out.Tasks = append(out.Tasks, *t)
	}
	for _, l := range d.letters {
		out.Letters = append(out.Letters, *l)
	}
	return out, nil
}

// liveJobs leaves out jobs whose step has moved on within the draft.
func (d *draft) liveJobs() []Job {
	return slices.DeleteFunc(d.jobs, func(j Job) bool {
		c := d.steps[j.Ref]
		return c.State != step.Enqueued || c.Dispatch != j.Dispatch
	})
}

// oldJobs leaves out jobs that were never stored.
func (d *draft) oldJobs() []Job {
	return slices.DeleteFunc(d.dropped, func(j Job) bool { return d.steps[j.Ref].Live != j.Dispatch })
}

// rest brings a task to where it rests.
func (d *draft) rest(t *TaskChange) error {
	switch t.how {
	case ended:
		return nil
	case failedFast:
		return t.walk(task.AllStepsCompleted, task.PermanentFailure, task.GiveUp)
	case started:
		return t.walk(task.Start, task.ReadyStepsFound, task.StepsEnqueued)
	case revived:
		if t.Open == 0 {
			return t.walk(task.Reset, task.Start, task.NoStepsFound)
		}
		return t.walk(task.Reset, task.Start, task.ReadyStepsFound, task.StepsEnqueued)
	case byCounters:
	}
	rest := t.Rest()
	if t.State == task.Pending || t.State.Terminal() || rest == t.State {
		return nil
	}
	route, err := t.State.RouteTo(rest)
	if err != nil {
		return err
	}
	t.State, t.Path = rest, route.Path
	return nil
}

// walk takes a task through events.
func (t *TaskChange) walk(events ...task.Event) error {
	for _, e := range events {
		next, err := t.State.On(e)
		if err != nil {
			return err
		}
		if t.State != t.From {
			t.Path = append(t.Path, t.State)
		}
		t.State = next
	}
	return nil
}
