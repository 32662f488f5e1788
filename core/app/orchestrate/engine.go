// Package orchestrate holds the four actors' work: requests become tasks,
// steps are enqueued, results are processed, tasks are ended from outside. Each
// is one transaction for a batch of messages; what follows from it is computed
// by the planner inside that transaction, so there is no hand-over between them
// that a crash could cut.
package orchestrate

import (
	"context"
	"errors"
	"time"

	"github.com/tasker-go/tasker/core/app/catalog"
	"github.com/tasker-go/tasker/core/app/dispatch"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// Timers is told of steps that will move by themselves.
type Timers interface {
	// In makes sure that due steps are looked for after the delay.
	In(time.Duration)
}

// Engine runs transactions and sees to what follows a commit. It is safe for
// concurrent use.
type Engine struct {
	uow        ports.UnitOfWork
	catalog    *catalog.Catalog
	dispatcher *dispatch.Dispatcher
	hub        *watch.Hub
	timers     Timers
	observe    Observer
	rules      plan.Rules
}

// Observer is told of what needs people. It must be fast.
type Observer interface {
	// DeadLetter counts one that was opened.
	DeadLetter(reason, state string)
}

// NewEngine returns an engine.
func NewEngine(uow ports.UnitOfWork, c *catalog.Catalog, d *dispatch.Dispatcher, h *watch.Hub, t Timers, o Observer, rules plan.Rules) *Engine {
	return &Engine{uow: uow, catalog: c, dispatcher: d, hub: h, timers: t, observe: o, rules: rules}
}

// errUnknownTemplates ends a transaction that met a task whose template this
// server has not loaded yet.
var errUnknownTemplates = errors.New("templates must be loaded first")

// run does one transaction. Part says that the batch is a part of one that
// failed: then no claim rides along.
func (e *Engine) run(ctx context.Context, part bool, scope ports.Scope, decide func(*plan.Snapshot) (plan.Decision, error)) error {
	for {
		unknown, err := e.runOnce(ctx, part, scope, decide)
		whole, more := errors.AsType[*plan.WholeError](err)
		switch {
		case more:
			scope.Tasks = append(scope.Tasks[:len(scope.Tasks):len(scope.Tasks)], whole.Tasks...)
		case !errors.Is(err, errUnknownTemplates):
			return err
		default:
			if err := e.catalog.Ensure(ctx, unknown); err != nil {
				return err
			}
		}
	}
}

func (e *Engine) runOnce(ctx context.Context, part bool, scope ports.Scope, decide func(*plan.Snapshot) (plan.Decision, error)) ([]ident.TemplateID, error) {
	var (
		unknown []ident.TemplateID
		d       plan.Decision
		now     time.Time
		doubt   int
		ride    *dispatch.Reservation
	)
	reply, err := e.uow.Run(ctx, scope, func(snap *plan.Snapshot) (ports.Writes, error) {
		if ride != nil {
			ride.Abort() // the transaction is being tried again
			ride = nil
		}
		if unknown = e.catalog.Unknown(snap); len(unknown) > 0 {
			return ports.Writes{}, errUnknownTemplates
		}
		var err error
		if d, err = decide(snap); err != nil {
			return ports.Writes{}, err
		}
		now, doubt = snap.Now, e.hub.Doubt()
		if part {
			ride = e.dispatcher.Feed(d.Jobs)
		} else {
			ride = e.dispatcher.Ride(d.Jobs)
		}
		return ports.Writes{Decision: d, Claim: ride.Request}, nil
	})
	if err != nil {
		if ride != nil {
			ride.Abort()
		}
		return unknown, err
	}
	e.committed(now, d, doubt)
	if ride != nil {
		ride.Done(reply)
	}
	return nil, nil
}

func (e *Engine) committed(now time.Time, d plan.Decision, doubt int) {
	e.hub.Committed(now, d, doubt)
	var ended []ident.TaskID
	for i := range d.Tasks {
		t := &d.Tasks[i]
		if t.Moved() && t.State.Terminal() && t.State != task.Complete {
			ended = append(ended, t.ID)
		}
		if !t.WakeAt.IsZero() && t.Moved() {
			e.timers.In(t.WakeAt.Sub(now))
		}
	}
	for i := range d.Created {
		if at := d.Created[i].WakeAt; !at.IsZero() {
			e.timers.In(at.Sub(now))
		}
	}
	e.dispatcher.CancelTasks(ended)
	for i := range d.Steps {
		c := &d.Steps[i]
		if !c.WakeAt.IsZero() {
			e.timers.In(c.WakeAt.Sub(now))
		}
		if c.Stop {
			e.dispatcher.CancelStep(c.Ref, c.Live, dispatch.ErrTaken)
		}
	}
	for i := range d.Letters {
		if l := &d.Letters[i]; l.Reason != 0 {
			e.observe.DeadLetter(l.Reason.String(), l.State.String())
		}
	}
}
