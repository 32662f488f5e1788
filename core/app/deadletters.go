package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tasker-go/tasker/core/app/upkeep"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

// maxNotes is the length of what an investigation notes, in characters.
const maxNotes = 10_000

// ListDeadLetters returns a page of dead letters, newest first.
func (a *Application) ListDeadLetters(ctx context.Context, f ports.LetterFilter, skip, limit int) ([]ports.Letter, error) {
	if err := checkLetters(f, limit); err != nil {
		return nil, err
	}
	if skip < 0 {
		return nil, fault.In("offset", fault.CodeInvalidField, "offset is %d, want 0 or more", skip)
	}
	f.Within = withinOf(ctx)
	letters, err := a.Letters.Letters(ctx, f, skip, limit)
	if err != nil {
		return nil, err
	}
	for i := range letters {
		letters[i] = a.redacted(letters[i])
	}
	return letters, nil
}

func checkLetters(f ports.LetterFilter, limit int) error {
	if err := checkFilter(f); err != nil {
		return err
	}
	return checkLimit(limit)
}

func checkFilter(f ports.LetterFilter) error {
	for field, value := range map[string]string{
		"namespace": f.Namespace, "name": f.Name, "version": f.Version, "fingerprint": f.Fingerprint,
	} {
		if err := jsondoc.CheckText(field, value, maxName); err != nil {
			return err
		}
	}
	if !f.Until.IsZero() && f.Until.Before(f.From) {
		return fault.In("until", fault.CodeInvalidField, "until is before from, so that nothing can be between them")
	}
	return nil
}

// redacted is a letter as it leaves the application: values of configured names
// are not shown. Messages of errors stay as they are.
func (a *Application) redacted(l ports.Letter) ports.Letter {
	l.Snapshot = jsondoc.Redact(l.Snapshot, a.Redact)
	return l
}

// GetDeadLetter returns the newest dead letter of a task, or a fault
// dead_letter_not_found.
func (a *Application) GetDeadLetter(ctx context.Context, id ident.TaskID) (ports.Letter, error) {
	l, err := a.Letters.LetterOf(ctx, id)
	if err == nil && !PrincipalOf(ctx).Within(l.Name.Namespace) {
		return ports.Letter{}, noLetterOf(id)
	}
	return a.redacted(l), err
}

// UpdateDeadLetter notes what an investigation found. It changes nothing of the
// task; see ports.Letters.Update.
func (a *Application) UpdateDeadLetter(ctx context.Context, id deadletter.EntryID, u ports.LetterUpdate) (ports.Letter, error) {
	noteChange(ctx, targetDeadLetter, id.String(), u.Notes)
	if err := jsondoc.CheckText("resolution_notes", u.Notes, maxNotes); err != nil {
		return ports.Letter{}, err
	}
	if err := jsondoc.CheckText("resolved_by", u.ResolvedBy, maxWho); err != nil {
		return ports.Letter{}, err
	}
	if u.Metadata != nil {
		if err := jsondoc.Check("metadata", u.Metadata, a.Limits.Context); err != nil {
			return ports.Letter{}, err
		}
	}
	if err := a.reachLetter(ctx, id); err != nil {
		return ports.Letter{}, err
	}
	l, err := a.Letters.Update(ctx, id, u)
	noteNamespace(ctx, l.Name.Namespace)
	return a.redacted(l), err
}

// DeadLetterStats returns a row for each reason that there are dead letters for.
func (a *Application) DeadLetterStats(ctx context.Context) ([]ports.LetterStat, error) {
	return a.Letters.Stats(ctx, withinOf(ctx))
}

// InvestigationQueue returns open dead letters, those first that matter most.
func (a *Application) InvestigationQueue(ctx context.Context, limit int) ([]ports.Investigation, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	queue, err := a.Letters.Investigations(ctx, withinOf(ctx), limit)
	for i := range queue {
		queue[i].Letter = a.redacted(queue[i].Letter)
	}
	return queue, err
}

// DeadLetterFailures returns what failed for good, the oldest first. The fault is
// dead_letter_not_found.
func (a *Application) DeadLetterFailures(ctx context.Context, id deadletter.EntryID, limit int) ([]ports.LetterFailure, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	if err := a.reachLetter(ctx, id); err != nil {
		return nil, err
	}
	failures, err := a.Letters.Failures(ctx, id, limit)
	if err == nil && len(failures) == 0 {
		_, err = a.Letters.Letter(ctx, id) // none, or no such letter?
	}
	return failures, err
}

// DeadLetterGroups returns the failures of the selected letters by fingerprint,
// those of most letters first.
func (a *Application) DeadLetterGroups(ctx context.Context, f ports.LetterFilter, limit int) ([]ports.LetterGroup, error) {
	if err := checkLetters(f, limit); err != nil {
		return nil, err
	}
	f.Within = withinOf(ctx)
	return a.Letters.Groups(ctx, f, limit)
}

// StaleTask is an open task with the verdict on how long it has been in its
// state.
type StaleTask struct {
	ports.StandingTask
	Threshold time.Duration // zero for none
	Health    deadletter.Health
}

// Staleness returns open tasks, the stale ones first, then those that soon will
// be; within each those that have been in their state for longest. Of healthy
// tasks it returns those only that have stood for longest.
func (a *Application) Staleness(ctx context.Context, limit int) ([]StaleTask, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	standing, err := a.Letters.Standing(ctx, ports.StandingFilter{States: deadletter.WatchedStates(), Within: withinOf(ctx), Limit: maxRows, Longest: true})
	if err != nil {
		return nil, err
	}
	ids := make([]ident.TemplateID, len(standing))
	for i := range standing {
		ids[i] = standing[i].Template
	}
	if err := a.Catalog.Ensure(ctx, ids); err != nil {
		return nil, err
	}
	out := make([]StaleTask, len(standing))
	for i, s := range standing {
		limit := a.Thresholds.For(s.State, a.Catalog.Definition(s.Template).Lifecycle)
		out[i] = StaleTask{StandingTask: s, Threshold: limit, Health: deadletter.Judge(s.Now.Sub(s.EnteredAt), limit, s.Running > 0)}
	}
	order := map[deadletter.Health]int{deadletter.Stale: 0, deadletter.Warning: 1, deadletter.Healthy: 2}
	slices.SortStableFunc(out, func(x, y StaleTask) int {
		return cmp.Or(cmp.Compare(order[x.Health], order[y.Health]), x.EnteredAt.Compare(y.EnteredAt))
	})
	return out[:min(limit, len(out))], nil
}

// FileDeadLetter makes a task a dead letter by hand, for somebody to look at; the
// task itself goes on. Faults: task_not_found, task_finished, dead_letter_open.
func (a *Application) FileDeadLetter(ctx context.Context, id ident.TaskID, by, why string) (ports.Letter, error) {
	noteChange(ctx, targetTask, id.String(), why)
	if err := checkWho(by, why); err != nil {
		return ports.Letter{}, err
	}
	if err := a.reach(ctx, id); err != nil {
		return ports.Letter{}, err
	}
	note := why
	if by != "" {
		note = fmt.Sprintf("filed by %s: %s", by, why)
	}
	refused, err := a.Enqueuer.Ask(ctx, plan.Wake{Ref: ident.StepRef{Task: id}, Cause: plan.Filed, By: by, Why: note})
	if err != nil {
		return ports.Letter{}, err
	}
	if refused.Code == plan.NotDue {
		return ports.Letter{}, fault.New(fault.CodeDeadLetterOpen, "task %s has an open dead letter already; update that one", id).
			With("task_uuid", id.String())
	}
	if err := refusal(refused, id, "made a dead letter"); err != nil {
		return ports.Letter{}, err
	}
	return a.GetDeadLetter(ctx, id)
}

// AnnounceDeadLetter tells the world of a dead letter. One that was purged
// meanwhile is nobody's concern any more.
func (a *Application) AnnounceDeadLetter(ctx context.Context, id deadletter.EntryID) error {
	l, err := a.Letters.Letter(ctx, id)
	if fault.Is(err, fault.CodeDeadLetterNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return a.Announcer.Announce(ctx, a.redacted(l))
}

// SweepStaleness makes dead letters of tasks that stand still, and of steps that
// nobody serves.
func (a *Application) SweepStaleness(ctx context.Context) error {
	sweep := upkeep.Staleness{
		Letters: a.Letters, Due: a.Due, Templates: a.Catalog, Enqueuer: a.Enqueuer, Finalizer: a.Finalizer, Thresholds: a.Thresholds,
	}
	swept, err := sweep.Sweep(ctx)
	if a.Swept != nil {
		a.Swept(swept)
	}
	return err
}
