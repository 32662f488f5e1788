package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// Summary is a task on one page: with its template and its newest dead letter.
type Summary struct {
	Task
	Template *template.Template
	Letter   *ports.Letter // nil for none
}

// GetTaskSummary returns a task on one page, or a fault task_not_found.
func (a *Application) GetTaskSummary(ctx context.Context, id ident.TaskID) (Summary, error) {
	t, err := a.GetTask(ctx, id)
	if err != nil {
		return Summary{}, err
	}
	s := Summary{Task: t, Template: a.Catalog.Definition(t.TaskRecord.Template)}
	switch l, err := a.Letters.LetterOf(ctx, id); {
	case fault.Is(err, fault.CodeDeadLetterNotFound):
	case err != nil:
		return Summary{}, err
	default:
		s.Letter = &l
	}
	return s, nil
}

// LastFailure returns why the step's last attempt failed; nil for none, and for
// a step that is done in spite of it.
func (s *Step) LastFailure() *step.Failure {
	if s.Failure == nil || s.StepRecord.State.Satisfies() {
		return nil
	}
	var f step.Failure
	if json.Unmarshal(s.Failure, &f) != nil {
		return nil // it is written by us alone
	}
	return &f
}

// TaskContext is what a task works on.
type TaskContext struct {
	Inputs  json.RawMessage            // what it was made with
	Outputs map[string]json.RawMessage // results of its finished steps, by name
	// Omitted are finished steps whose results there was no room for, in the
	// order of the steps: each can be read by itself.
	Omitted []string
}

// maxOutputs is how many bytes of results a task's context shows.
const maxOutputs = 512 << 10

// GetTaskContext returns what a task was made with and what its finished steps
// returned, or a fault task_not_found. Results come in the order of the steps,
// as many as there is room for.
func (a *Application) GetTaskContext(ctx context.Context, id ident.TaskID) (TaskContext, error) {
	stored, err := a.Contexts.TaskContext(ctx, id, maxOutputs)
	if err != nil {
		return TaskContext{}, err
	}
	if !PrincipalOf(ctx).Within(stored.Namespace) {
		return TaskContext{}, TaskNotFound(id)
	}
	c := TaskContext{Inputs: stored.Inputs, Outputs: map[string]json.RawMessage{}}
	room := maxOutputs
	for _, o := range stored.Outputs {
		// In storage it may have been smaller than it is as text.
		if room -= len(o.Value); o.Value == nil || room < 0 {
			room = -1
			c.Omitted = append(c.Omitted, o.Name)
			continue
		}
		c.Outputs[o.Name] = o.Value
	}
	return c, nil
}

// Merged returns the inputs with the outputs laid over them.
func (c *TaskContext) Merged() (map[string]json.RawMessage, error) {
	all := map[string]json.RawMessage{}
	if len(c.Inputs) > 0 {
		if err := json.Unmarshal(c.Inputs, &all); err != nil {
			return nil, fmt.Errorf("context of a task: %w", err)
		}
	}
	for name, value := range c.Outputs {
		all[name] = value
	}
	return all, nil
}
