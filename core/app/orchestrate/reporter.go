package orchestrate

import (
	"context"
	"errors"
	"log/slog"

	"github.com/tasker-go/tasker/core/app/actor"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/ports"
)

// The actors that take results and wakes.
type (
	Results  = actor.Actor[step.Result, step.Verdict]
	Enqueuer = actor.Actor[plan.Wake, plan.Refusal]
	// Finalizer takes what ends tasks from outside.
	Finalizer = actor.Actor[plan.Ending, plan.Refusal]
)

// VerdictObserver counts what became of results.
type VerdictObserver interface {
	Verdict(step.Verdict)
}

// Reporter brings what in-process workers report to the ResultProcessor. It
// implements dispatch.Results and is safe for concurrent use.
type Reporter struct {
	Results  *Results
	Enqueuer *Enqueuer
	IDs      ports.IDs
	Limits   jsondoc.Limits
	Observe  VerdictObserver
	Log      *slog.Logger
}

// Report hands a result over; it waits while the mailbox is full. A result that
// cannot be stored becomes a failure that says so: the step must not stay in
// progress for ever.
func (p *Reporter) Report(ctx context.Context, r step.Result) {
	r.Chance = p.IDs.Chance()
	p.check(&r)
	p.send(ctx, r, func(err error) {
		p.Log.ErrorContext(ctx, "a result could not be stored; the step fails instead", "step", r.Ref, "error", err)
		r.Value, r.Failure = nil, &step.Failure{
			Type: step.TypeInvalidResult, Retryable: true, Message: "the server could not store the result; its log has the cause",
		}
		go p.send(ctx, r, func(err error) {
			p.Log.ErrorContext(ctx, "a failure could not be stored; the step runs again", "step", r.Ref, "error", err)
			go p.release(ctx, r)
		})
	})
}

// check makes a result storable: documents come from handlers, and anything may
// be in them.
func (p *Reporter) check(r *step.Result) {
	if r.Failure != nil {
		if r.Failure.Context != nil && jsondoc.Check("context", r.Failure.Context, p.Limits) != nil {
			f := *r.Failure
			f.Context = nil
			r.Failure = &f
		}
		return
	}
	if r.Value == nil {
		return
	}
	if err := jsondoc.Check("result", r.Value, p.Limits); err != nil {
		r.Value, r.Failure = nil, &step.Failure{Type: step.TypeInvalidResult, Message: fault.Of(err).Message}
	}
}

// send hands a result over, unless the server has given up on its step. From
// then on the result does not depend on ctx: what a drain has waited for is
// stored, though the workers are stopped before the actor is.
func (p *Reporter) send(ctx context.Context, r step.Result, failed func(error)) {
	if ctx.Err() != nil {
		p.Log.WarnContext(ctx, "a result came after shutdown; the step runs again", "step", r.Ref)
		return
	}
	err := p.Results.Send(context.WithoutCancel(ctx), r, func(v step.Verdict, err error) {
		switch {
		case err == nil:
			p.Observe.Verdict(v)
			if v != step.Applied {
				p.Log.InfoContext(ctx, "a late result changed nothing", "step", r.Ref, "dispatch", r.Dispatch, "verdict", v)
			}
		case leaving(ctx, err):
			p.Log.WarnContext(ctx, "a result was not stored before shutdown; the step runs again", "step", r.Ref, "error", err)
		default:
			failed(err)
		}
	})
	if err != nil {
		p.Log.WarnContext(ctx, "a result came after shutdown; the step runs again", "step", r.Ref, "error", err)
	}
}

// leaving reports whether the server is shutting down: its leases are released
// when it is gone, so nothing is lost.
func leaving(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, context.Canceled) || fault.Is(err, fault.CodeShuttingDown)
}

func (p *Reporter) release(ctx context.Context, r step.Result) {
	w := plan.Wake{Ref: r.Ref, Dispatch: r.Dispatch, Cause: plan.LeaseLost, Why: "its result could not be stored"}
	if _, err := p.Enqueuer.Ask(ctx, w); err != nil {
		p.Log.ErrorContext(ctx, "a step could not be released", "step", r.Ref, "error", err)
	}
}
