// Package doortest is what operators do, as a small application in memory: the
// tests of both doors ask it, and see what reached it.
package doortest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// Epoch is when everything happened.
var Epoch = time.Date(2026, 3, 1, 10, 0, 0, 123456000, time.UTC)

// Call is what reached the application.
type Call struct {
	Op   app.Operation
	Args []any
}

// Operators keeps pauses, dead letters, resumes and what is disabled. Its tasks
// are somebody else's. It is safe for concurrent use.
type Operators struct {
	Tasks interface {
		GetTask(ctx context.Context, id ident.TaskID) (app.Task, error)
	}
	Begin func(ctx context.Context, op app.Operation) error // asked first

	mu       sync.Mutex
	calls    []Call
	pauses   []ports.Pause
	letters  []ports.Letter
	resumes  []ports.BulkResume
	disabled map[task.Name]bool
}

// Calls returns what has reached the application, the oldest first.
func (o *Operators) Calls() []Call {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.calls)
}

// Last returns the newest call.
func (o *Operators) Last() Call {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.calls) == 0 {
		return Call{}
	}
	return o.calls[len(o.calls)-1]
}

// Record notes a call, also one that is not of operators, and asks Begin.
func (o *Operators) Record(ctx context.Context, op app.Operation, args ...any) error {
	o.mu.Lock()
	o.calls = append(o.calls, Call{op, args})
	o.mu.Unlock()
	if o.Begin == nil {
		return nil
	}
	return o.Begin(ctx, op)
}

func (o *Operators) act(ctx context.Context, op app.Operation, id ident.TaskID, by, why string) (app.Task, error) {
	if err := o.Record(ctx, op, id, by, why); err != nil {
		return app.Task{}, err
	}
	return o.Tasks.GetTask(ctx, id)
}

// GiveUpTask refuses tasks that are not blocked.
func (o *Operators) GiveUpTask(ctx context.Context, id ident.TaskID, by, why string) (app.Task, error) {
	t, err := o.act(ctx, app.GiveUpTask, id, by, why)
	if err == nil && t.TaskRecord.State != task.BlockedByFailures {
		return t, fault.New(fault.CodeTaskNotBlocked, "the task is %s", t.TaskRecord.State).With("state", t.TaskRecord.State.String())
	}
	t.TaskRecord.State = task.Error
	return t, err
}

// ResolveTask returns the task as it will be.
func (o *Operators) ResolveTask(ctx context.Context, id ident.TaskID, by, why string) (app.Task, error) {
	t, err := o.act(ctx, app.ResolveTask, id, by, why)
	t.TaskRecord.State = task.ResolvedManually
	return t, err
}

// RetryTask returns the task as it will be.
func (o *Operators) RetryTask(ctx context.Context, id ident.TaskID, by, why string) (app.Task, error) {
	t, err := o.act(ctx, app.RetryTask, id, by, why)
	t.TaskRecord.State = task.StepsInProcess
	return t, err
}

// PurgeTask refuses tasks that have not ended.
func (o *Operators) PurgeTask(ctx context.Context, id ident.TaskID) error {
	if err := o.Record(ctx, app.PurgeTask, id); err != nil {
		return err
	}
	t, err := o.Tasks.GetTask(ctx, id)
	if err == nil && !t.TaskRecord.State.Terminal() {
		return fault.New(fault.CodeTaskNotFinished, "the task is %s", t.TaskRecord.State)
	}
	return err
}

// ResolveStep returns the step as it will be.
func (o *Operators) ResolveStep(ctx context.Context, s app.StepAction) (app.Step, error) {
	if err := o.Record(ctx, app.ResolveStep, s); err != nil {
		return app.Step{}, err
	}
	t, err := o.Tasks.GetTask(ctx, s.Task)
	if err != nil {
		return app.Step{}, err
	}
	i := slices.IndexFunc(t.Steps, func(have app.Step) bool { return have.Ref.ID() == s.Step })
	if i < 0 {
		return app.Step{}, fault.New(fault.CodeStepNotFound, "there is no such step")
	}
	found := t.Steps[i]
	found.StepRecord.State = step.ResolvedManually
	return found, nil
}

// StepAudit tells of an attempt that failed and of a person who saw to it.
func (o *Operators) StepAudit(ctx context.Context, id ident.TaskID, stepID ident.StepID) ([]app.AuditRow, error) {
	if err := o.Record(ctx, app.GetStepAudit, id, stepID); err != nil {
		return nil, err
	}
	if _, err := o.Tasks.GetTask(ctx, id); err != nil {
		return nil, err
	}
	elapsed := int32(12)
	row := func(n byte, from, to step.State) app.AuditRow {
		return app.AuditRow{
			ID: uuid.UUID{n, 6: 0x40, 8: 0x80}.String(), Transition: uuid.UUID{n + 100, 6: 0x40, 8: 0x80}.String(),
			Ref: ident.Ref(stepID), Name: "pay", At: Epoch.Add(time.Duration(n) * time.Second), From: from, To: to, Attempt: 3, Dispatch: 3,
		}
	}
	failed, resolved := row(1, step.InProgress, step.Error), row(2, step.Error, step.ResolvedManually)
	failed.Path = []step.State{step.EnqueuedAsErrorForOrchestration}
	failed.Failure, failed.Server = []byte(`{"message":"declined"}`), 4
	resolved.Success, resolved.By, resolved.Why = true, "ann", "paid in cash"
	resolved.Result, resolved.ElapsedMS = []byte(`{"success":true,"result":null}`), &elapsed
	return []app.AuditRow{resolved, failed}, nil
}

// ExplainTask explains a task of three steps: one failed, one runs, and one waits
// for both; it is paused, and a dead letter.
func (o *Operators) ExplainTask(ctx context.Context, id ident.TaskID) (readiness.Explanation, error) {
	if err := o.Record(ctx, app.ExplainTask, id); err != nil {
		return readiness.Explanation{}, err
	}
	t, err := o.Tasks.GetTask(ctx, id)
	if err != nil {
		return readiness.Explanation{}, err
	}
	return readiness.Explain(&readiness.Facts{Now: Epoch, Task: readiness.TaskFacts{
		State: t.TaskRecord.State, Counters: task.Counters{Total: 3, Failed: 1, Active: 1}, EnteredAt: Epoch.Add(-time.Minute),
		Letter: &readiness.LetterFacts{EntryID: deadletter.ID(id, 1).String(), Reason: "max_retries_exceeded", Since: Epoch.Add(-time.Minute)},
		Pauses: []readiness.Pause{{Kind: "namespace", Subject: "orders", By: "ann", Reason: "stock\ttaking \"now\"", Since: Epoch}},
	}, Steps: []readiness.StepFacts{
		{
			No: 1, Name: "pay", State: step.Error, Attempts: 3, MaxAttempts: 3, Retryable: true, Handler: "pay", Served: true,
			LastErrorType: "declined", LastError: "no\nmoney",
		},
		{
			No: 2, Name: "pick", State: step.InProgress, Attempts: 1, MaxAttempts: 3, Retryable: true, Handler: "pick", Served: true,
			Lease: &readiness.LeaseFacts{Holder: "server-1", Until: Epoch.Add(time.Minute)},
		},
		{No: 3, Name: "ship", State: step.Pending, Parents: []int32{1, 2}, OpenParents: 2, MaxAttempts: 3, Retryable: true, Handler: "ship"},
		{No: 4, Name: "bill", State: step.WaitingForRetry, Attempts: 1, MaxAttempts: 3, Retryable: true, Handler: "bill", WakeAt: Epoch.Add(time.Hour)},
	}}), nil
}

// Pause keeps a pause, unless there is one.
func (o *Operators) Pause(ctx context.Context, p ports.Pause) (ports.Pause, error) {
	if err := o.Record(ctx, pauseOperation(p, true), p); err != nil {
		return p, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := o.paused(p); i >= 0 {
		return o.pauses[i], nil
	}
	p.Since = Epoch
	o.pauses = append(o.pauses, p)
	return p, nil
}

// Unpause forgets a pause.
func (o *Operators) Unpause(ctx context.Context, p ports.Pause) (bool, error) {
	if err := o.Record(ctx, pauseOperation(p, false), p); err != nil {
		return false, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	i := o.paused(p)
	if i >= 0 {
		o.pauses = slices.Delete(o.pauses, i, i+1)
	}
	return i >= 0, nil
}

func (o *Operators) paused(p ports.Pause) int {
	return slices.IndexFunc(o.pauses, func(have ports.Pause) bool {
		return have.Kind == p.Kind && have.Name == p.Name && have.Task == p.Task
	})
}

func pauseOperation(p ports.Pause, hold bool) app.Operation {
	of := map[ports.PauseKind][2]app.Operation{
		ports.PauseTask:      {app.ResumeTask, app.PauseTask},
		ports.PauseTemplate:  {app.ResumeTemplate, app.PauseTemplate},
		ports.PauseNamespace: {app.ResumeNamespace, app.PauseNamespace},
	}[p.Kind]
	if hold {
		return of[1]
	}
	return of[0]
}

// ListPauses returns the pauses.
func (o *Operators) ListPauses(ctx context.Context, limit int) ([]ports.Pause, error) {
	if err := o.Record(ctx, app.ListPauses, limit); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.pauses[:min(limit, len(o.pauses))]), nil
}

// RegisterTemplates reads a template in JSON, and stores nothing.
func (o *Operators) RegisterTemplates(ctx context.Context, text []byte, revise bool) ([]ports.StoredTemplate, error) {
	if err := o.Record(ctx, app.RegisterTemplates, string(text), revise); err != nil {
		return nil, err
	}
	r := reading(text)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return []ports.StoredTemplate{{ID: 1, Revision: 2, Definition: r.Template}}, nil
}

// ValidateTemplates reads a template in JSON; that of version 2.0.0 has a
// registered revision.
func (o *Operators) ValidateTemplates(ctx context.Context, text []byte) (app.TemplateReport, error) {
	if err := o.Record(ctx, app.ValidateTemplates, string(text)); err != nil {
		return app.TemplateReport{}, err
	}
	r := app.TemplateReport{TemplateReading: reading(text)}
	if t := r.Template; t != nil && t.Version == "2.0.0" {
		r.Known = &ports.StoredTemplate{Revision: 3, Definition: t}
	}
	return r, nil
}

func reading(text []byte) ports.TemplateReading {
	t, _, err := template.Read(text)
	if err == nil {
		return ports.TemplateReading{Template: t, Warnings: []ports.TemplateFinding{{Line: 1, Column: 1, Field: "x", Message: "has no effect"}}}
	}
	f := fault.Of(err)
	r := ports.TemplateReading{Problems: []ports.TemplateFinding{{Line: 3, Column: 5, Field: f.Field, Message: f.Message}}}
	for i, d := range f.Details {
		r.Problems = append(r.Problems, ports.TemplateFinding{Line: 4 + i, Column: 1, Field: d.Field, Message: d.Message})
	}
	return r
}

// DisableTemplate keeps what is disabled.
func (o *Operators) DisableTemplate(ctx context.Context, name task.Name, by, why string) error {
	return o.able(ctx, app.DisableTemplate, name, true, name, by, why)
}

// EnableTemplate forgets it.
func (o *Operators) EnableTemplate(ctx context.Context, name task.Name) error {
	return o.able(ctx, app.EnableTemplate, name, false, name)
}

func (o *Operators) able(ctx context.Context, op app.Operation, name task.Name, off bool, args ...any) error {
	if err := o.Record(ctx, op, args...); err != nil {
		return err
	}
	if name.Name != "order" {
		return fault.New(fault.CodeTemplateNotFound, "there is no such template")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.disabled == nil {
		o.disabled = map[task.Name]bool{}
	}
	o.disabled[name] = off
	return nil
}
