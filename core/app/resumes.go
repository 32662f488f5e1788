package app

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// ResumeMany asks for all open dead letters that a filter selects to be resumed.
type ResumeMany struct {
	Filter        ports.LetterFilter // of open letters, whatever its status says
	Action        string             // reset (when empty), skip, resolve or give_up
	By, Why       string
	DryRun        bool    // only count
	Rate          float64 // letters a second, at most; 0 for as fast as it goes
	CanaryPercent float64 // of the letters first, then wait for what becomes of them; 0 for none
	StopPercent   float64 // stop when so many of those that have ended have failed again; 0 for never
	Limit         int     // letters in all, at most; 0 for all
}

// resumeRequest is a ResumeMany as it is stored and shown.
type resumeRequest struct {
	Filter        storedFilter `json:"filter"`
	Action        string       `json:"action"`
	Rate          float64      `json:"rate,omitempty"`
	CanaryPercent float64      `json:"canary_percent,omitempty"`
	StopPercent   float64      `json:"stop_percent,omitempty"`
	Limit         int          `json:"limit,omitempty"`
}

type storedFilter struct {
	Reasons     []string  `json:"reasons,omitempty"`
	Namespace   string    `json:"namespace,omitempty"`
	Within      []string  `json:"within,omitempty"` // what whoever asked is kept to
	Name        string    `json:"name,omitempty"`
	Version     string    `json:"version,omitempty"`
	Fingerprint string    `json:"fingerprint,omitempty"`
	From        time.Time `json:"from,omitzero"`
	Until       time.Time `json:"until,omitzero"`
}

func (f storedFilter) filter() (ports.LetterFilter, error) {
	out := ports.LetterFilter{
		Status: deadletter.Pending, Namespace: f.Namespace, Within: f.Within, Name: f.Name, Version: f.Version, Fingerprint: f.Fingerprint,
		From: f.From, Until: f.Until,
	}
	for _, name := range f.Reasons {
		r, err := deadletter.ParseReason(name)
		if err != nil {
			return out, err
		}
		out.Reasons = append(out.Reasons, r)
	}
	return out, nil
}

func (r *ResumeMany) check() error {
	if err := checkWho(r.By, r.Why); err != nil {
		return err
	}
	if _, err := actionOf("action", r.Action); err != nil {
		return err
	}
	if r.Filter.Status != 0 && r.Filter.Status != deadletter.Pending {
		return fault.In("filter.resolution_status", fault.CodeInvalidField,
			"only open dead letters can be resumed: leave resolution_status out, or say pending")
	}
	for field, percent := range map[string]float64{"canary_percent": r.CanaryPercent, "stop_percent": r.StopPercent} {
		if !(percent >= 0 && percent <= 100) {
			return fault.In(field, fault.CodeInvalidField, "%s is %v, want 0 to 100", field, percent)
		}
	}
	if !(r.Rate >= 0 && r.Rate <= 1e6) {
		return fault.In("rate", fault.CodeInvalidField, "rate is %v letters a second, want 0 (no limit) to 1000000", r.Rate)
	}
	if r.Limit < 0 {
		return fault.In("limit", fault.CodeInvalidField, "limit is %d, want 0 (no limit) or more", r.Limit)
	}
	return checkFilter(r.Filter)
}

// ResumeDeadLetters begins to resume many dead letters and returns how that
// stands; it goes on by itself. Letters that are opened after it has begun are
// not among them, so that a task which fails again is not resumed twice. A dry
// run returns how many there are and does nothing. The fault is invalid_field.
func (a *Application) ResumeDeadLetters(ctx context.Context, r ResumeMany) (ports.BulkResume, error) {
	noteChange(ctx, targetResume, "", r.Why)
	noteNamespace(ctx, r.Filter.Namespace)
	if err := r.check(); err != nil {
		return ports.BulkResume{}, err
	}
	if ns := r.Filter.Namespace; ns != "" {
		if err := mayActIn(ctx, ns); err != nil {
			return ports.BulkResume{}, err
		}
	}
	r.Filter.Within = withinOf(ctx)
	asked := resumeRequest{
		Filter: storedFilter{
			Namespace: r.Filter.Namespace, Within: r.Filter.Within, Name: r.Filter.Name, Version: r.Filter.Version, Fingerprint: r.Filter.Fingerprint,
			From: r.Filter.From, Until: r.Filter.Until,
		},
		Action: r.Action, Rate: r.Rate, CanaryPercent: r.CanaryPercent, StopPercent: r.StopPercent, Limit: r.Limit,
	}
	if asked.Action == "" {
		asked.Action = actionReset
	}
	for _, reason := range r.Filter.Reasons {
		asked.Filter.Reasons = append(asked.Filter.Reasons, reason.String())
	}
	raw, err := json.Marshal(asked)
	if err != nil {
		return ports.BulkResume{}, fmt.Errorf("a resume: %w", err)
	}
	out := ports.BulkResume{ID: a.IDs.UUID(), Request: raw, By: r.By, Reason: r.Why, State: ports.ResumeRunning}
	noteChange(ctx, targetResume, out.ID.String(), r.Why)
	if out.Matched, err = a.Resumes.Count(ctx, r.Filter); err != nil {
		return ports.BulkResume{}, err
	}
	if r.Limit > 0 {
		out.Matched = min(out.Matched, r.Limit)
	}
	if r.DryRun {
		out.ID, out.State = uuid.UUID{}, ""
		noteChange(ctx, targetResume, "dry run", r.Why)
		out.Message = fmt.Sprintf("dry run: %d dead letters would be resumed; nothing was changed", out.Matched)
		return out, nil
	}
	if r.CanaryPercent > 0 {
		out.State = ports.ResumeCanary
	}
	if err := a.Resumes.Begin(ctx, out); err != nil {
		return ports.BulkResume{}, err
	}
	return a.Resumes.Resume(ctx, out.ID)
}

// GetResume returns how a bulk resume stands. Faults: invalid_uuid,
// resume_not_found.
func (a *Application) GetResume(ctx context.Context, id string) (ports.BulkResume, error) {
	u, err := resumeID(id)
	if err != nil {
		return ports.BulkResume{}, err
	}
	r, err := a.reachResume(ctx, u)
	if err != nil {
		return r, err
	}
	o, err := a.Resumes.Outcome(ctx, u) // what was resumed goes on to fail, or not, after the resume is complete
	r.Resumed, r.FailedAgain = max(r.Resumed, o.Resumed), max(r.FailedAgain, o.FailedAgain)
	return r, err
}

func resumeID(text string) (uuid.UUID, error) {
	u, err := uuid.Parse(text)
	if err != nil {
		return u, fault.In("resume_uuid", fault.CodeInvalidUUID, "%q is not a UUID, want 8-4-4-4-12 hexadecimal digits", text)
	}
	return u, nil
}

// ListResumes returns the newest bulk resumes.
func (a *Application) ListResumes(ctx context.Context, limit int) ([]ports.BulkResume, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	if !PrincipalOf(ctx).Scoped() {
		return a.Resumes.ListResumes(ctx, limit)
	}
	return visibleResumes(ctx, a.Resumes, limit)
}

// CancelResume ends a bulk resume where it stands: what was resumed goes on, the
// batch that is under way is finished. Faults: invalid_uuid, resume_not_found,
// illegal_transition when it has ended.
func (a *Application) CancelResume(ctx context.Context, id, by, why string) (ports.BulkResume, error) {
	noteChange(ctx, targetResume, id, why)
	if err := checkWho(by, why); err != nil {
		return ports.BulkResume{}, err
	}
	u, err := resumeID(id)
	if err != nil {
		return ports.BulkResume{}, err
	}
	r, err := a.reachResume(ctx, u)
	if err != nil {
		return r, err
	}
	r.State, r.Message = ports.ResumeCancelled, "cancelled"
	if by != "" {
		r.Message += " by " + by
	}
	if why != "" {
		r.Message += ": " + why
	}
	saved, err := a.Resumes.Save(ctx, r)
	if err != nil {
		return r, err
	}
	if !saved {
		if r, err = a.Resumes.Resume(ctx, u); err != nil {
			return r, err
		}
		return r, fault.New(fault.CodeIllegalTransition, "the resume is %s already and cannot be cancelled", r.State).
			With("state", string(r.State))
	}
	return a.GetResume(ctx, id)
}

// canarySize is how many letters are resumed before the rest waits for what
// becomes of them.
func canarySize(matched int, percent float64) int {
	return max(1, int(math.Ceil(float64(matched)*percent/100)))
}
