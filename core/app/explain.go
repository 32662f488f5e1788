package app

import (
	"context"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// ExplainTask says in words why each unfinished step of a task does not move,
// and what would unblock it, by the rules that decide. The fault is
// task_not_found.
func (a *Application) ExplainTask(ctx context.Context, id ident.TaskID) (readiness.Explanation, error) {
	o, err := a.Reads.Outline(ctx, id)
	if err == nil && !PrincipalOf(ctx).Within(o.Namespace) {
		err = TaskNotFound(id)
	}
	if err != nil {
		return readiness.Explanation{}, err
	}
	if err := a.Catalog.Ensure(ctx, []ident.TemplateID{o.Template}); err != nil {
		return readiness.Explanation{}, err
	}
	def := a.Catalog.Definition(o.Template)
	name := task.Name{Namespace: def.Namespace, Name: def.Name, Version: def.Version}
	pauses, err := a.Pauses.Paused(ctx, id, name)
	if err != nil {
		return readiness.Explanation{}, err
	}
	holders, err := a.Leases.Holders(ctx)
	if err != nil {
		return readiness.Explanation{}, err
	}
	f := readiness.Facts{
		Now: o.Now, Steps: explained(&o, def, holders),
		Task: readiness.TaskFacts{
			State: o.State, Counters: o.Counters, EnteredAt: o.EnteredAt, StaleAfter: a.Thresholds.For(o.State, def.Lifecycle),
			StartAt: o.StartAt, Deadline: o.Deadline,
		},
	}
	for _, p := range pauses {
		subject := p.Name.Namespace
		if p.Kind == ports.PauseTemplate {
			subject += "/" + p.Name.Name + "/" + p.Name.Version
		}
		f.Task.Pauses = append(f.Task.Pauses, readiness.Pause{Kind: string(p.Kind), Subject: subject, By: p.By, Reason: p.Why, Since: p.Since})
	}
	if o.LetterOpen {
		l, err := a.Letters.Letter(ctx, deadletter.ID(id, o.Letters))
		if err != nil && !fault.Is(err, fault.CodeDeadLetterNotFound) {
			return readiness.Explanation{}, err
		}
		if err == nil {
			f.Task.Letter = &readiness.LetterFacts{EntryID: l.ID.String(), Reason: l.Reason.String(), Since: l.At}
		}
	}
	return readiness.Explain(&f), nil
}

func explained(o *ports.Outline, def *template.Template, holders []ports.Holder) []readiness.StepFacts {
	served := map[plan.Queue]bool{}
	leases := map[int32]*readiness.LeaseFacts{}
	for _, h := range holders {
		leases[h.No] = &readiness.LeaseFacts{Holder: h.Name, Until: h.Until, Gone: !h.Live}
		for _, q := range h.Declared {
			served[q] = served[q] || h.Live
		}
	}
	facts := make([]readiness.StepFacts, len(o.Steps))
	for i := range o.Steps {
		s := &o.Steps[i]
		d := def.Step(s.Def)
		facts[i] = readiness.StepFacts{
			No: s.No, Name: s.Name, State: s.State, Parents: s.Parents, OpenParents: s.OpenParents,
			Attempts: s.Attempts, MaxAttempts: s.MaxAttempts, Retryable: d.Retry.Retryable, Losses: s.Losses,
			WakeAt: s.WakeAt, Since: s.Since, Handler: d.Handler.Callable,
			Served:        served[plan.Queue{Namespace: def.Namespace, Handler: d.Handler.Callable}],
			LastErrorType: s.ErrorType, LastError: s.Error,
		}
		if s.State == step.InProgress {
			if facts[i].Lease = leases[s.Holder]; facts[i].Lease == nil {
				facts[i].Lease = &readiness.LeaseFacts{Holder: "a server that is not known any more", Gone: true}
			}
		}
	}
	return facts
}
