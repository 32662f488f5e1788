// Package worker is how Go programs write the steps of workflows: handlers by
// name, typed where that helps. The server runs them in its own process through
// package tasker; they never see the database.
//
// A handler runs at least once for each dispatch of its step: after a crash it
// may run again. Use Step.Key to make outside effects idempotent.
package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Handler does the work of a step. What it returns is stored as the step's
// result, as JSON, and offered to the steps that depend on it. An error is a
// failure: retried as the template says, unless it is Permanent. The context
// ends when the step's time is up, its task is cancelled, or the server gives
// up waiting at shutdown.
type Handler interface {
	Handle(ctx context.Context, s *Step) (any, error)
}

// Func is a Handler.
type Func func(ctx context.Context, s *Step) (any, error)

// Handle implements Handler.
func (f Func) Handle(ctx context.Context, s *Step) (any, error) { return f(ctx, s) }

// Typed returns a handler whose input is the task's context, decoded into In.
// A context that does not fit is a permanent failure.
func Typed[In, Out any](f func(ctx context.Context, in In, s *Step) (Out, error)) Handler {
	return Func(func(ctx context.Context, s *Step) (any, error) {
		var in In
		if err := s.Input(&in); err != nil {
			return nil, err
		}
		return f(ctx, in, s)
	})
}

// Handlers are handlers by the name that templates call them by
// (handler.callable).
type Handlers map[string]Handler

// Task is the task that a step belongs to.
type Task struct {
	ID            string // UUID
	Namespace     string
	Name          string // of the template
	Version       string
	CorrelationID string
	Priority      int
}

// Step is one dispatch of a step. It belongs to its handler: it is not safe for
// concurrent use.
type Step struct {
	Task        Task
	ID          string // UUID
	Name        string
	Handler     string // the name it was called by
	Attempt     int    // counted from 1
	MaxAttempts int

	context json.RawMessage
	init    json.RawMessage
	parents map[string]json.RawMessage
	fetch   Fetch

	checkpoint json.RawMessage // the newest that was saved
	save       Save
}

// Fetch gets the results of steps of the same task by name; steps without one
// are left out.
type Fetch func(ctx context.Context, names ...string) (map[string]json.RawMessage, error)

// Inputs are the documents that come with a step.
type Inputs struct {
	Context        json.RawMessage            // of the task
	Initialization json.RawMessage            // handler.initialization of the template; nil for none
	Parents        map[string]json.RawMessage // results of direct parents that came along
	Fetch          Fetch                      // for the others
	Checkpoint     json.RawMessage            // what an earlier attempt saved last; nil for none
	Save           Save                       // for checkpoints
}

// NewStep completes a step with its inputs. Programs need it only in tests of
// their handlers; Fetch may be nil there, and without Save checkpoints are kept
// in the step alone.
func NewStep(s Step, in Inputs) *Step {
	s.context, s.init, s.parents, s.fetch = in.Context, in.Initialization, in.Parents, in.Fetch
	s.checkpoint, s.save = in.Checkpoint, in.Save
	return &s
}

// Key is the same for every attempt of this step, and for no other step: an
// idempotency key for what the handler does outside.
func (s *Step) Key() string { return s.ID }

// RawInput returns the task's context as it was given.
func (s *Step) RawInput() json.RawMessage { return s.context }

// Input decodes the task's context into v.
func (s *Step) Input(v any) error {
	if err := json.Unmarshal(s.context, v); err != nil {
		return Permanent(fmt.Errorf("the task's context does not fit: %w", err))
	}
	return nil
}

// Settings decodes handler.initialization into v; without one v stays as it is.
func (s *Step) Settings(v any) error {
	if len(s.init) == 0 {
		return nil
	}
	if err := json.Unmarshal(s.init, v); err != nil {
		return Permanent(fmt.Errorf("handler.initialization does not fit: %w", err))
	}
	return nil
}

// Result decodes what another step of the task returned: any step that this one
// depends on, directly or through others. Results of direct parents usually
// come along with the step; others are fetched.
func (s *Step) Result(ctx context.Context, name string, v any) error {
	raw, ok := s.parents[name]
	if !ok {
		if s.fetch == nil {
			return Permanent(fmt.Errorf("step %s: %w", name, ErrNoResult))
		}
		fetched, err := s.fetch(ctx, name)
		if err != nil {
			return fmt.Errorf("fetch the result of step %s: %w", name, err)
		}
		if raw, ok = fetched[name]; !ok {
			return Permanent(fmt.Errorf("step %s: %w", name, ErrNoResult))
		}
		if s.parents == nil {
			s.parents = map[string]json.RawMessage{}
		}
		s.parents[name] = raw
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return Permanent(fmt.Errorf("the result of step %s does not fit: %w", name, err))
	}
	return nil
}

// ErrNoResult says that a step has no result: it is unknown in this task, or
// not complete.
var ErrNoResult = errors.New("it has no result")

// ResultOf is Step.Result for one type.
func ResultOf[T any](ctx context.Context, s *Step, name string) (T, error) {
	var v T
	err := s.Result(ctx, name, &v)
	return v, err
}
