package upkeep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// Templates knows templates; *catalog.Catalog is one.
type Templates interface {
	List(ctx context.Context, namespace string) ([]ports.StoredTemplate, error)
	Ensure(ctx context.Context, ids []ident.TemplateID) error
	Definition(id ident.TemplateID) *template.Template
}

// Staleness looks for tasks that stand still and for steps that nobody serves. It
// is safe for concurrent use.
type Staleness struct {
	Letters    ports.Letters
	Due        ports.DueStore
	Templates  Templates
	Enqueuer   *Enqueuer
	Finalizer  *Finalizer
	Thresholds deadletter.Thresholds
}

// Swept is what a sweep did.
type Swept struct {
	Stale    int // tasks that got a dead letter since they stood still
	Failed   int // tasks that were failed for it, as their templates want
	Unserved int // tasks that got a dead letter since nobody serves a step
}

// page is how many tasks a sweep looks at at once.
const page = 500

// Sweep files what stands still. What an actor refuses moved meanwhile.
func (s *Staleness) Sweep(ctx context.Context) (Swept, error) {
	var done Swept
	stored, err := s.Templates.List(ctx, "")
	if err != nil {
		return done, fmt.Errorf("list templates: %w", err)
	}
	own := make(map[ident.TemplateID]template.Lifecycle, len(stored))
	for _, t := range stored {
		own[t.ID] = t.Definition.Lifecycle
	}
	for _, state := range deadletter.WatchedStates() {
		if err := s.sweepState(ctx, state, own, &done); err != nil {
			return done, err
		}
	}
	return done, s.sweepUnserved(ctx, &done)
}

// sweepState looks at the templates that say something of the state by their own
// thresholds, and at all others by the server's.
func (s *Staleness) sweepState(ctx context.Context, state task.State, own map[ident.TemplateID]template.Lifecycle, done *Swept) error {
	otherwise := s.Thresholds.For(state, template.Lifecycle{})
	apart := map[time.Duration][]ident.TemplateID{}
	var except []ident.TemplateID
	for id, l := range own {
		if age := s.Thresholds.For(state, l); age != otherwise {
			apart[age], except = append(apart[age], id), append(except, id)
		}
	}
	for age, templates := range apart {
		if err := s.sweepAge(ctx, ports.StandingFilter{States: []task.State{state}, Templates: templates, Age: age}, done); err != nil {
			return err
		}
	}
	if otherwise <= 0 {
		return nil
	}
	return s.sweepAge(ctx, ports.StandingFilter{States: []task.State{state}, Except: except, Age: otherwise}, done)
}

// sweepAge files page after page, until what is left is nothing, or nothing that
// can be filed.
func (s *Staleness) sweepAge(ctx context.Context, f ports.StandingFilter, done *Swept) error {
	f.Idle, f.Limit = true, page
	for {
		standing, err := s.Letters.Standing(ctx, f)
		if err != nil {
			return err
		}
		ids := make([]ident.TemplateID, len(standing))
		for i := range standing {
			ids[i] = standing[i].Template
		}
		if err := s.Templates.Ensure(ctx, ids); err != nil {
			return err
		}
		filed, err := s.file(ctx, standing, &f)
		done.Stale += filed.Stale
		done.Failed += filed.Failed
		if err != nil || len(standing) < page || filed == (Swept{}) {
			return err
		}
	}
}

// file does to each task what its template wants of stale ones. Templates that
// only want to be seen, or whose older revision has a longer threshold, are left
// out of f from then on.
func (s *Staleness) file(ctx context.Context, standing []ports.StandingTask, f *ports.StandingFilter) (Swept, error) {
	var (
		w      waiting
		filed  Swept
		left   = map[ident.TemplateID]bool{}
		errAll error
	)
	for i := range standing {
		x := &standing[i]
		l := s.Templates.Definition(x.Template).Lifecycle
		age := x.Now.Sub(x.EnteredAt)
		limit := s.Thresholds.For(x.State, l)
		fails := l.StalenessAction == "error"
		seen := !fails && l.AutoDLQOnTimeout != nil && !*l.AutoDLQOnTimeout
		if seen || deadletter.Judge(age, limit, x.Running > 0) != deadletter.Stale {
			if !left[x.Template] {
				left[x.Template], f.Except = true, append(f.Except, x.Template)
			}
			continue
		}
		why := fmt.Sprintf("in %s for %s, the threshold is %s", x.State, age.Round(time.Second), limit)
		var err error
		if fails {
			err = w.send(func(answered func(plan.Refusal, error)) error {
				return s.Finalizer.Send(ctx, plan.Ending{Task: x.ID, End: plan.StoodStill, Since: x.EnteredAt, Why: why}, answered)
			}, &filed.Failed)
		} else {
			err = w.send(func(answered func(plan.Refusal, error)) error {
				return s.Enqueuer.Send(ctx, plan.Wake{Ref: ident.StepRef{Task: x.ID}, Cause: plan.Stale, Since: x.EnteredAt, Why: why}, answered)
			}, &filed.Stale)
		}
		if errAll = err; err != nil {
			break
		}
	}
	return filed, errors.Join(errAll, w.wait(ctx))
}

func (s *Staleness) sweepUnserved(ctx context.Context, done *Swept) error {
	if s.Thresholds.Unserved <= 0 {
		return nil
	}
	for {
		wakes, err := s.Due.UnservedSteps(ctx, s.Thresholds.Unserved, page)
		if err != nil {
			return err
		}
		var (
			w     waiting
			filed int
		)
		for _, wake := range wakes {
			if err = w.send(func(answered func(plan.Refusal, error)) error { return s.Enqueuer.Send(ctx, wake, answered) }, &filed); err != nil {
				break
			}
		}
		err = errors.Join(err, w.wait(ctx))
		done.Unserved += filed
		if err != nil || len(wakes) < page || filed == 0 {
			return err
		}
	}
}

// waiting is for the answers to messages that share transactions: all are sent
// before any is waited for.
type waiting struct {
	answers []chan error
	counts  []*int
}

// send sends a message; count is raised by wait if it was carried out.
func (w *waiting) send(offer func(func(plan.Refusal, error)) error, count *int) error {
	got := make(chan error, 1)
	if err := offer(func(r plan.Refusal, err error) {
		if err == nil && r.Refused() {
			err = errRefused
		}
		got <- err
	}); err != nil {
		return err
	}
	w.answers, w.counts = append(w.answers, got), append(w.counts, count)
	return nil
}

// errRefused says that a message was too late.
var errRefused = errors.New("refused")

// wait waits for all answers and returns the first error.
func (w *waiting) wait(ctx context.Context) error {
	var first error
	for i, got := range w.answers {
		select {
		case err := <-got:
			switch {
			case err == nil:
				*w.counts[i]++
			case !errors.Is(err, errRefused) && first == nil:
				first = err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return first
}
