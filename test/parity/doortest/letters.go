package doortest

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// Order is the template of everything.
var Order = task.Name{Namespace: "orders", Name: "order", Version: "1.0.0"}

// AddLetter keeps one more dead letter of a task.
func (o *Operators) AddLetter(id ident.TaskID, r deadletter.Reason) ports.Letter {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := int32(1)
	for _, l := range o.letters {
		if l.Task == id {
			n++
		}
	}
	l := ports.Letter{
		ID: deadletter.ID(id, n), Task: id, Ordinal: n, Name: Order, OriginalState: task.BlockedByFailures, Reason: r, At: Epoch,
		Status: deadletter.Pending, Fingerprint: "00ff", Snapshot: []byte(`{"task_uuid":"x"}`), CreatedAt: Epoch, UpdatedAt: Epoch,
	}
	o.letters = append(o.letters, l)
	return l
}

// ListDeadLetters returns those of a status.
func (o *Operators) ListDeadLetters(ctx context.Context, f ports.LetterFilter, skip, limit int) ([]ports.Letter, error) {
	if err := o.Record(ctx, app.ListDeadLetters, f, skip, limit); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []ports.Letter
	for _, l := range slices.Backward(o.letters) {
		if f.Status == 0 || l.Status == f.Status {
			found = append(found, l)
		}
	}
	found = found[min(skip, len(found)):]
	return found[:min(limit, len(found))], nil
}

// GetDeadLetter returns the newest of a task.
func (o *Operators) GetDeadLetter(ctx context.Context, id ident.TaskID) (ports.Letter, error) {
	if err := o.Record(ctx, app.GetDeadLetter, id); err != nil {
		return ports.Letter{}, err
	}
	return o.find(func(l ports.Letter) bool { return l.Task == id }, func(*ports.Letter) {})
}

// find returns the newest letter that is meant, once it is changed.
func (o *Operators) find(meant func(ports.Letter) bool, change func(*ports.Letter)) (ports.Letter, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, l := range slices.Backward(o.letters) {
		if meant(l) {
			change(&o.letters[i])
			return o.letters[i], nil
		}
	}
	return ports.Letter{}, fault.New(fault.CodeDeadLetterNotFound, "there is no such dead letter")
}

// FileDeadLetter makes one.
func (o *Operators) FileDeadLetter(ctx context.Context, id ident.TaskID, by, why string) (ports.Letter, error) {
	if err := o.Record(ctx, app.FileDeadLetter, id, by, why); err != nil {
		return ports.Letter{}, err
	}
	if l, err := o.find(func(l ports.Letter) bool { return l.Task == id && l.Status == deadletter.Pending }, func(*ports.Letter) {}); err == nil {
		return l, fault.New(fault.CodeDeadLetterOpen, "the task is a dead letter already: %s", l.ID)
	}
	return o.AddLetter(id, deadletter.ManualDLQ), nil
}

// UpdateDeadLetter notes what is given.
func (o *Operators) UpdateDeadLetter(ctx context.Context, id deadletter.EntryID, u ports.LetterUpdate) (ports.Letter, error) {
	if err := o.Record(ctx, app.UpdateDeadLetter, id, u); err != nil {
		return ports.Letter{}, err
	}
	return o.find(func(l ports.Letter) bool { return l.ID == id }, func(l *ports.Letter) {
		if u.Status != 0 {
			l.Status, l.ResolvedAt = u.Status, Epoch.Add(time.Hour)
		}
		l.Notes, l.ResolvedBy, l.Metadata = u.Notes, u.ResolvedBy, u.Metadata
	})
}

// DeadLetterFailures tells of one.
func (o *Operators) DeadLetterFailures(ctx context.Context, id deadletter.EntryID, limit int) ([]ports.LetterFailure, error) {
	if err := o.Record(ctx, app.ListDeadLetterFailures, id, limit); err != nil {
		return nil, err
	}
	l, err := o.find(func(l ports.Letter) bool { return l.ID == id }, func(*ports.Letter) {})
	if err != nil {
		return nil, err
	}
	return []ports.LetterFailure{{
		Ref: ident.StepRef{Task: l.Task, No: 1}, Name: "pay", Dispatch: 4, Attempt: 3, At: Epoch, Type: "declined", Message: "no money",
		Fingerprint: l.Fingerprint,
	}}, nil
}

// DeadLetterGroups tells of one.
func (o *Operators) DeadLetterGroups(ctx context.Context, f ports.LetterFilter, limit int) ([]ports.LetterGroup, error) {
	if err := o.Record(ctx, app.ListDeadLetterGroups, f, limit); err != nil {
		return nil, err
	}
	return []ports.LetterGroup{{
		Fingerprint: "00ff", Name: Order, Step: "pay", Type: "declined", Message: "no money", Letters: 2, Failures: 3,
		First: Epoch, Last: Epoch.Add(time.Hour),
	}}, nil
}

// DeadLetterStats counts the letters.
func (o *Operators) DeadLetterStats(ctx context.Context) ([]ports.LetterStat, error) {
	if err := o.Record(ctx, app.GetDeadLetterStats); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var stats []ports.LetterStat
	for _, r := range deadletter.Reasons() {
		s := ports.LetterStat{Reason: r, Oldest: Epoch, Newest: Epoch, AverageMinutes: 1.5}
		for _, l := range o.letters {
			if l.Reason == r {
				s.Total++
				s.Pending++
			}
		}
		if s.Total > 0 {
			stats = append(stats, s)
		}
	}
	return stats, nil
}

// InvestigationQueue returns the letters.
func (o *Operators) InvestigationQueue(ctx context.Context, limit int) ([]ports.Investigation, error) {
	if err := o.Record(ctx, app.GetInvestigationQueue, limit); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var queue []ports.Investigation
	for _, l := range o.letters[:min(limit, len(o.letters))] {
		queue = append(queue, ports.Investigation{
			Letter: l, MinutesInDLQ: 2.5, PriorityScore: l.Reason.Weight() + 2.5, CurrentState: task.BlockedByFailures, StateMinutes: 3,
		})
	}
	return queue, nil
}

// Staleness tells of one task.
func (o *Operators) Staleness(ctx context.Context, limit int) ([]app.StaleTask, error) {
	if err := o.Record(ctx, app.GetStaleness, limit); err != nil {
		return nil, err
	}
	return []app.StaleTask{{StandingTask: ports.StandingTask{
		ID: ident.TaskID{1, 6: 0x70, 8: 0x80}, Name: Order, State: task.WaitingForRetry, Now: Epoch,
		EnteredAt: Epoch.Add(-25*time.Minute - 40*time.Second), CreatedAt: Epoch.Add(-time.Hour), Priority: 7,
	}, Threshold: 30 * time.Minute, Health: deadletter.Warning}}, nil
}

// ResumeDeadLetter closes a letter and returns its task.
func (o *Operators) ResumeDeadLetter(ctx context.Context, r app.ResumeOne) (app.Task, error) {
	if err := o.Record(ctx, app.ResumeDeadLetter, r); err != nil {
		return app.Task{}, err
	}
	was := deadletter.Pending
	l, err := o.find(func(l ports.Letter) bool { return l.ID == r.Entry }, func(l *ports.Letter) {
		was, l.Status = l.Status, deadletter.ManuallyResolved
	})
	if err != nil {
		return app.Task{}, err
	}
	if was != deadletter.Pending {
		return app.Task{}, fault.New(fault.CodeDeadLetterClosed, "the dead letter is not open any more")
	}
	return o.Tasks.GetTask(ctx, l.Task)
}

// ResumeDeadLetters keeps a resume, unless it is a dry run.
func (o *Operators) ResumeDeadLetters(ctx context.Context, r app.ResumeMany) (ports.BulkResume, error) {
	if err := o.Record(ctx, app.ResumeDeadLetters, r); err != nil {
		return ports.BulkResume{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	b := ports.BulkResume{Request: []byte(`{"action":"` + r.Action + `"}`), By: r.By, Reason: r.Why, Matched: len(o.letters)}
	if r.DryRun {
		return b, nil
	}
	b.ID, b.State, b.CreatedAt, b.UpdatedAt = uuid.UUID{byte(len(o.resumes) + 1), 6: 0x40, 8: 0x80}, ports.ResumeRunning, Epoch, Epoch
	b.Resumed, b.Refused, b.FailedAgain, b.Message = 3, 2, 1, "goes on"
	o.resumes = append(o.resumes, b)
	return b, nil
}

// ListResumes returns the resumes.
func (o *Operators) ListResumes(ctx context.Context, limit int) ([]ports.BulkResume, error) {
	if err := o.Record(ctx, app.ListResumes, limit); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.resumes[:min(limit, len(o.resumes))]), nil
}

// GetResume returns a resume.
func (o *Operators) GetResume(ctx context.Context, id string) (ports.BulkResume, error) {
	if err := o.Record(ctx, app.GetResume, id); err != nil {
		return ports.BulkResume{}, err
	}
	return o.resume(id, func(*ports.BulkResume) {})
}

// CancelResume cancels a resume.
func (o *Operators) CancelResume(ctx context.Context, id, by, why string) (ports.BulkResume, error) {
	if err := o.Record(ctx, app.CancelResume, id, by, why); err != nil {
		return ports.BulkResume{}, err
	}
	return o.resume(id, func(r *ports.BulkResume) { r.State = ports.ResumeCancelled })
}

func (o *Operators) resume(id string, change func(*ports.BulkResume)) (ports.BulkResume, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.resumes {
		if o.resumes[i].ID.String() == id {
			change(&o.resumes[i])
			return o.resumes[i], nil
		}
	}
	return ports.BulkResume{}, fault.New(fault.CodeResumeNotFound, "there is no such resume")
}
