package orchestrate

import (
	"context"
	"time"

	"github.com/tasker-go/tasker/core/app/actor"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/ports"
)

// TaskRequest turns submissions into tasks and enqueues their first steps.
type TaskRequest struct {
	*Engine
	blueprints plan.Blueprints
}

// Admitted is the answer to a submission.
type Admitted struct {
	Existing ident.TaskID  // the task that has the identity; zero if created
	Task     *plan.NewTask // the task as it was stored; nil if it was there before
	At       time.Time     // when it was stored
}

// Handle implements actor.Handler.
func (a *TaskRequest) Handle(ctx context.Context, b actor.Batch[plan.Submission]) ([]Admitted, error) {
	var out []Admitted
	err := a.run(ctx, b.Part, scopeOf(b.Messages, b.Again), func(snap *plan.Snapshot) (plan.Decision, error) {
		d, became, err := plan.AfterSubmissions(snap, b.Messages, &a.blueprints)
		out = admitted(d, became, snap.Now)
		return d, err
	})
	return out, err
}

// scopeOf is what submissions claim, and, when they may have been stored before,
// look up.
func scopeOf(subs []plan.Submission, again bool) ports.Scope {
	scope := ports.Scope{}
	for i := range subs {
		s := &subs[i]
		if s.Identity != (plan.Identity{}) {
			scope.Identities = append(scope.Identities, ports.IdentityClaim{Identity: s.Identity, Task: s.ID})
		}
		if again {
			scope.Probes = append(scope.Probes, s.ID)
		}
	}
	return scope
}

// admitted matches what was created with what was asked for: both are in the
// order of the submissions.
func admitted(d plan.Decision, became []plan.Submitted, at time.Time) []Admitted {
	out := make([]Admitted, len(became))
	next := 0
	for i := range became {
		out[i].Existing, out[i].At = became[i].Existing, at
		if became[i].Created {
			out[i].Task = &d.Created[next]
			next++
		}
	}
	return out
}

// StepEnqueuer enqueues steps for other causes than results: a wait is over, a
// worker is gone, a task's time has come, a person wants it.
type StepEnqueuer struct{ *Engine }

// Handle implements actor.Handler.
func (a *StepEnqueuer) Handle(ctx context.Context, b actor.Batch[plan.Wake]) ([]plan.Refusal, error) {
	var scope ports.Scope
	for i := range b.Messages {
		w := &b.Messages[i]
		switch {
		case w.Whole():
			scope.Tasks = append(scope.Tasks, w.Ref.Task)
		case w.Cause == plan.Ordered:
			for _, s := range w.Order.Steps {
				scope.Steps = append(scope.Steps, ident.StepRef{Task: w.Ref.Task, No: s.No})
			}
		default:
			// Number 0 is no step: its task is locked and read nevertheless.
			scope.Steps = append(scope.Steps, w.Ref)
		}
	}
	var refusals []plan.Refusal
	err := a.run(ctx, b.Part, scope, func(snap *plan.Snapshot) (d plan.Decision, err error) {
		d, refusals, err = plan.AfterWakes(snap, a.catalog.Definition, a.rules, b.Messages)
		return d, err
	})
	return refusals, err
}

// ResultProcessor settles steps by what workers report.
type ResultProcessor struct{ *Engine }

// Handle implements actor.Handler.
func (a *ResultProcessor) Handle(ctx context.Context, b actor.Batch[step.Result]) ([]step.Verdict, error) {
	scope := ports.Scope{Steps: make([]ident.StepRef, len(b.Messages))}
	for i := range b.Messages {
		scope.Steps[i] = b.Messages[i].Ref
	}
	var verdicts []step.Verdict
	err := a.run(ctx, b.Part, scope, func(snap *plan.Snapshot) (d plan.Decision, err error) {
		d, verdicts, err = plan.AfterResults(snap, a.catalog.Definition, a.rules, b.Messages)
		return d, err
	})
	return verdicts, err
}

// TaskFinalizer ends tasks from outside. (A task that ends by its own results
// is finalised in the transaction of the last one.)
type TaskFinalizer struct{ *Engine }

// Handle implements actor.Handler.
func (a *TaskFinalizer) Handle(ctx context.Context, b actor.Batch[plan.Ending]) ([]plan.Refusal, error) {
	scope := ports.Scope{Tasks: make([]ident.TaskID, len(b.Messages))}
	for i := range b.Messages {
		scope.Tasks[i] = b.Messages[i].Task
	}
	var refusals []plan.Refusal
	err := a.run(ctx, b.Part, scope, func(snap *plan.Snapshot) (d plan.Decision, err error) {
		d, refusals, err = plan.AfterEndings(snap, a.catalog.Definition, a.rules, b.Messages)
		return d, err
	})
	return refusals, err
}
