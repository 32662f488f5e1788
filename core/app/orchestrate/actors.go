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
	scope := ports.Scope{}
	for i := range b.Messages {
		s := &b.Messages[i]
		if s.Identity != (plan.Identity{}) {
			scope.Identities = append(scope.Identities, ports.IdentityClaim{Identity: s.Identity, Task: s.ID})
		}
		if b.Again {
			scope.Probes = append(scope.Probes, s.ID)
		}
	}
	var out []Admitted
	err := a.run(ctx, b.Part, scope, func(snap *plan.Snapshot) (plan.Decision, error) {
		d, became, err := plan.AfterSubmissions(snap, b.Messages, &a.blueprints)
		out = admitted(d, became, snap.Now)
		return d, err
	})
	return out, err
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

// StepEnqueuer enqueues steps again whose wait is over or whose worker is gone.
type StepEnqueuer struct{ *Engine }

// Handle implements actor.Handler.
func (a *StepEnqueuer) Handle(ctx context.Context, b actor.Batch[plan.Wake]) ([]struct{}, error) {
	scope := ports.Scope{Steps: make([]ident.StepRef, len(b.Messages))}
	for i, w := range b.Messages {
		scope.Steps[i] = w.Ref
	}
	err := a.run(ctx, b.Part, scope, func(snap *plan.Snapshot) (plan.Decision, error) {
		return plan.AfterWakes(snap, a.catalog.Definition, a.rules, b.Messages)
	})
	return make([]struct{}, len(b.Messages)), err
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
func (a *TaskFinalizer) Handle(ctx context.Context, b actor.Batch[plan.Cancel]) ([]plan.Refusal, error) {
	scope := ports.Scope{Tasks: make([]ident.TaskID, len(b.Messages))}
	for i := range b.Messages {
		scope.Tasks[i] = b.Messages[i].Task
	}
	var refusals []plan.Refusal
	err := a.run(ctx, b.Part, scope, func(snap *plan.Snapshot) (d plan.Decision, err error) {
		d, refusals, err = plan.AfterCancels(snap, a.catalog.Definition, a.rules, b.Messages)
		return d, err
	})
	return refusals, err
}
