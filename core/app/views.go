package app

import (
	"encoding/json"
	"time"

	"github.com/tasker-go/tasker/core/app/catalog"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// Task is a task as clients see it.
type Task struct {
	ports.TaskRecord
	readiness.Counts
	readiness.Status
	Steps   []Step // empty in lists
	Existed bool   // it was there before the request that asked for it
}

// Step is a step as clients see it.
type Step struct {
	ports.StepRecord
	readiness.Step
	Ready  bool
	Result json.RawMessage // of the contract: value, error and metadata in one; nil before the first report
}

// view derives what clients see from what is stored.
func view(c *catalog.Catalog, r ports.TaskRecord, steps []ports.StepRecord, now time.Time) Task {
	t := Task{TaskRecord: r, Steps: make([]Step, len(steps))}
	rules := make([]readiness.Step, len(steps))
	def := c.Definition(r.Template)
	for i, s := range steps {
		t.Steps[i] = viewStep(def, s, now)
		rules[i] = t.Steps[i].Step
	}
	t.Counts = readiness.Count(rules, now)
	t.Status = readiness.Of(t.Counts, r.State)
	return t
}

func viewStep(def *template.Template, s ports.StepRecord, now time.Time) Step {
	v := Step{StepRecord: s, Result: resultOf(s), Step: readiness.Step{
		State: s.State, Parents: int32(len(s.Parents)), OpenParents: s.OpenParents, //nolint:gosec // G115: at most MaxSteps
		Attempts: s.Attempts, MaxAttempts: s.MaxAttempts, NextRetryAt: s.NextRetryAt,
		Retryable: def == nil || def.Step(s.Def).Retry.Retryable,
	}}
	v.Ready = v.Step.Ready(now)
	return v
}

// viewListed derives the same from the counts that a list brings along.
func viewListed(r ports.TaskRecord) Task {
	t := Task{TaskRecord: r, Counts: readiness.Counts{
		Total: r.Total, Pending: r.PendingSteps, InProgress: r.InProgressSteps, Completed: r.CompletedSteps,
		Failed: r.Failed, Active: r.Active,
	}}
	t.Status = readiness.Of(t.Counts, r.State)
	return t
}

// storedResult is the result of a step in the form of the contract.
type storedResult struct {
	StepUUID string          `json:"step_uuid"`
	Success  bool            `json:"success"`
	Result   json.RawMessage `json:"result"`
	Status   string          `json:"status"`
	Error    json.RawMessage `json:"error"`
	Metadata map[string]any  `json:"metadata"`
}

func resultOf(s ports.StepRecord) json.RawMessage {
	if s.Value == nil && s.Failure == nil {
		return nil
	}
	r := storedResult{
		StepUUID: s.Ref.ID().String(), Success: s.State.Satisfies(), Result: s.Value, Status: "failed", Error: s.Failure,
		Metadata: map[string]any{"execution_time_ms": s.ElapsedMS},
	}
	if r.Success {
		r.Status, r.Error = "completed", nil
		r.Metadata["completed_at"] = s.CompletedAt.UTC().Format(time.RFC3339Nano)
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return nil // the parts are JSON already
	}
	return raw
}

// created is the record of a task that was stored a moment ago.
func created(n *plan.NewTask, at time.Time) (ports.TaskRecord, []ports.StepRecord) {
	requested := n.RequestedAt
	if requested.IsZero() {
		requested = at
	}
	r := ports.TaskRecord{
		ID: n.Task.ID, Template: n.Task.Template, Namespace: n.Namespace, Name: n.Definition.Name,
		Version: n.Definition.Version, State: n.State, Counters: n.Counters, CreatedAt: at, UpdatedAt: at,
		RequestedAt: requested, StartAt: n.StartAt, Deadline: n.Task.Deadline, Context: n.Context, Options: n.Options, Tags: n.Tags, Initiator: n.Initiator,
		SourceSystem: n.SourceSystem, Reason: n.Reason, Priority: n.Task.Priority,
		CorrelationID: n.CorrelationID, ParentCorrelationID: n.ParentCorrelationID,
	}
	steps := make([]ports.StepRecord, len(n.Steps))
	for i, s := range n.Steps {
		steps[i] = ports.StepRecord{
			Ref: refOf(n, s), Def: s.Def, Name: s.Name, State: s.State, Parents: s.Parents, OpenParents: s.OpenParents,
			MaxAttempts: s.MaxAttempts, Dispatch: s.Dispatch, CreatedAt: at, UpdatedAt: at,
		}
	}
	return r, steps
}
