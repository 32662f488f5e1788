// Package app is the application: the operations that both doors call, over the
// actors and the read side. A door decodes, asks here, and encodes; what is
// right or wrong about a request is decided here or in the domain.
package app

import (
	"context"
	"time"

	"github.com/tasker-go/tasker/core/app/actor"
	"github.com/tasker-go/tasker/core/app/catalog"
	"github.com/tasker-go/tasker/core/app/orchestrate"
	"github.com/tasker-go/tasker/core/app/upkeep"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// The actors, by what they take and answer.
type (
	Requests  = actor.Actor[plan.Submission, orchestrate.Admitted]
	Enqueuer  = orchestrate.Enqueuer
	Finalizer = orchestrate.Finalizer
)

// Limits bound what callers send.
type Limits struct {
	Context jsondoc.Limits
	Result  jsondoc.Limits
}

// DefaultLimits returns the limits that hold when nothing else is configured.
func DefaultLimits() Limits {
	return Limits{Context: jsondoc.ContextLimits(), Result: jsondoc.ResultLimits()}
}

// DefaultResultLimits returns the same for what handlers report.
func DefaultResultLimits() jsondoc.Limits { return jsondoc.ResultLimits() }

// Parts is what the application is made of.
type Parts struct {
	*Security

	Requests   *Requests
	Batches    *Batches
	Bulk       ports.BulkOperations
	Enqueuer   *Enqueuer
	Finalizer  *Finalizer
	Catalog    *catalog.Catalog
	Reader     ports.TemplateReader
	Reads      ports.TaskReads
	Pauses     ports.Pauses
	Purger     ports.Purger
	Letters    ports.Letters
	Resumes    ports.Resumes
	Announcer  ports.Announcer
	Due        ports.DueStore
	Swept      func(upkeep.Swept) // counts what a sweep for stale tasks found; may be nil
	Leases     ports.Leases
	Hub        *watch.Hub
	IDs        ports.IDs
	Admission  ports.Admission
	Limits     Limits
	Thresholds deadletter.Thresholds
	Redact     []string // names of fields that snapshots do not show

	Analytics     ports.Analytics
	Contexts      ports.TaskContexts
	Pools         func() []PoolUse // how busy connections are
	Configuration Configuration    // what GetConfig tells
}

// Application is safe for concurrent use.
type Application struct {
	Parts

	performance answers[int64, Performance]
	bottlenecks answers[ports.Slowest, Bottlenecks]
}

// New returns the application.
func New(p Parts) *Application { return &Application{Parts: p} }

// GetTask returns a task with its steps, or a fault task_not_found.
func (a *Application) GetTask(ctx context.Context, id ident.TaskID) (Task, error) {
	record, steps, err := a.Reads.Task(ctx, id)
	if err == nil && !PrincipalOf(ctx).Within(record.Namespace) {
		err = TaskNotFound(id)
	}
	if err != nil {
		return Task{}, err
	}
	noteNamespace(ctx, record.Namespace) // of the task that was changed, where one was
	if err := a.Catalog.Ensure(ctx, []ident.TemplateID{record.Template}); err != nil {
		return Task{}, err
	}
	return view(a.Catalog, record, steps, time.Now()), nil //nolint:forbidigo // readiness as of the answer
}

// TaskNotFound is the fault for a task that does not exist.
func TaskNotFound(id ident.TaskID) *fault.Error {
	return fault.New(fault.CodeTaskNotFound, "there is no task %s", id)
}

// ListSteps returns the steps of a task, or a fault task_not_found.
func (a *Application) ListSteps(ctx context.Context, id ident.TaskID) ([]Step, error) {
	t, err := a.GetTask(ctx, id)
	return t.Steps, err
}

// GetStep returns a step of a task. Faults: task_not_found, step_not_found,
// step_of_another_task.
func (a *Application) GetStep(ctx context.Context, id ident.TaskID, stepID ident.StepID) (Step, error) {
	ref := ident.Ref(stepID)
	if ref.Task != id {
		return Step{}, fault.In("step_uuid", fault.CodeStepElsewhere, "step %s is not of task %s", stepID, id)
	}
	steps, err := a.ListSteps(ctx, id)
	if err != nil {
		return Step{}, err
	}
	for _, s := range steps {
		if s.Ref == ref {
			return s, nil
		}
	}
	return Step{}, fault.New(fault.CodeStepNotFound, "task %s has no step %s", id, stepID)
}

// ListTemplates returns the newest revision of every version in a namespace, or
// in all of them.
func (a *Application) ListTemplates(ctx context.Context, namespace string) ([]ports.StoredTemplate, error) {
	if err := jsondoc.CheckText("namespace", namespace, maxName); err != nil {
		return nil, err
	}
	all, err := a.Catalog.List(ctx, namespace)
	return visibleTemplates(ctx, all), err
}

// GetTemplate returns the newest revision of a version, or a fault
// template_not_found.
func (a *Application) GetTemplate(ctx context.Context, name task.Name) (ports.StoredTemplate, error) {
	for field, value := range map[string]string{"namespace": name.Namespace, "name": name.Name, "version": name.Version} {
		if err := jsondoc.CheckText(field, value, maxName); err != nil {
			return ports.StoredTemplate{}, err
		}
	}
	if err := reachTemplate(ctx, name); err != nil {
		return ports.StoredTemplate{}, err
	}
	return a.Catalog.Newest(ctx, name)
}

// WatchTask calls tell with the task's present state, then with every change,
// until the task ends, ctx ends, or tell returns an error. A task that does not
// exist is a fault task_not_found.
func (a *Application) WatchTask(ctx context.Context, id ident.TaskID, tell func(watch.Update) error) error {
	if err := a.reach(ctx, id); err != nil {
		return err
	}
	w, state := a.Hub.Watch(id)
	defer w.Close()
	if state == 0 {
		states, err := a.Reads.States(ctx, []ident.TaskID{id})
		if err != nil {
			return err
		}
		var known bool
		if state, known = states[id]; !known {
			return TaskNotFound(id)
		}
		w.Seen(state)
	}
	if err := tell(watch.Update{At: time.Now().UTC(), State: state}); err != nil || state.Terminal() { //nolint:forbidigo // when it was seen
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case u := <-w.Updates:
			if err := tell(u); err != nil || u.State.Terminal() {
				return err
			}
		}
	}
}

// WaitTask waits until the task has ended and returns the state in which it did.
func (a *Application) WaitTask(ctx context.Context, id ident.TaskID) (task.State, error) {
	var last task.State
	err := a.WatchTask(ctx, id, func(u watch.Update) error {
		if u.State != 0 {
			last = u.State
		}
		return nil
	})
	return last, err
}
