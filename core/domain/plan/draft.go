package plan

import (
	"fmt"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
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
	jobs []Job
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
	c := &TaskChange{Task: known, From: known.State}
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
	def := d.defs(t.Template).Step(c.Def)
	d.jobs = append(d.jobs, Job{
		Ref: c.Ref, Dispatch: c.Dispatch, Priority: t.Priority,
		Queue: Queue{Namespace: t.Namespace, Handler: def.Handler.Callable},
	})
	return nil
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

// decide lets every touched task come to rest and returns the decision.
func (d *draft) decide() (Decision, error) {
	out := Decision{Jobs: d.jobs}
	for _, c := range d.order.steps {
		out.Steps = append(out.Steps, *c)
	}
	for _, t := range d.order.tasks {
		if rest := t.Rest(); !t.State.Terminal() && rest != t.State {
			way, err := t.State.RouteTo(rest)
			if err != nil {
				return Decision{}, fmt.Errorf("task %s: %w", t.ID, err)
			}
			t.State, t.Path = rest, way.Path
		}
		out.Tasks = append(out.Tasks, *t)
	}
	return out, nil
}
