package client

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Event is a change of a task, or of one of its steps.
type Event struct {
	ID     string // where to go on: see WatchOptions.After
	TaskID string
	At     time.Time
	State  TaskState   // of the task; empty when a step changed
	Step   *StepChange // nil when the task changed
	Error  string      // of a step that failed, and of the task that stands still or ends for it
}

// StepChange is the change of a step.
type StepChange struct {
	ID      string
	Name    string
	State   StepState
	Attempt int // counted from 1, once a worker has begun
}

// beginning is an id before the first event of every task.
const beginning = "0-0-0"

// WatchTask follows a task: every change of it and of its steps, in order, after
// the event with the given id, or from its creation when that is empty. It ends
// with the task. A connection that is cut is made again, and goes on where it
// was: nothing is told twice or left out. It gives up, with the last error, after
// as many attempts in a row as other calls have.
func (c *Client) WatchTask(ctx context.Context, id, after string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := watch{id: id, after: after, yield: yield}
		if w.after == "" {
			w.after = beginning
		}
		for failed := 0; ; {
			w.told = false
			err := c.t.watchTask(ctx, id, w.after, w.tell)
			if errors.Is(err, errStop) || errors.Is(err, errEnded) || (err == nil && w.last.Ended()) {
				return
			}
			if w.told {
				failed = 0
			}
			failed++
			var e *Error
			if err == nil { // a server that stops ends its streams
				e = &Error{Kind: Unavailable, Code: ErrUnreachable, Message: "the stream ended before the task did"}
				err = e
			}
			if !errors.As(err, &e) || !e.Retryable() || ctx.Err() != nil || failed >= c.retry.attempts || !sleep(ctx, c.retry.wait(failed, e.RetryAfter)) {
				if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
					err = ofContext(ctx.Err())
				}
				yield(Event{}, err)
				return
			}
		}
	}
}

var (
	errStop  = errors.New("nobody listens any more")
	errEnded = errors.New("the task has ended")
)

type watch struct {
	id, after string
	last      TaskState
	yield     func(Event, error) bool
	told      bool
}

func (w *watch) tell(e Event) error {
	e.TaskID = w.id
	w.told = true
	if e.ID != "" {
		w.after = e.ID
	}
	if !w.yield(e, nil) {
		return errStop
	}
	if e.State != "" { // a task in error may go on
		w.last = e.State
	}
	return nil
}
