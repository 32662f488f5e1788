package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/ident"
)

// TaskEvent is the data of an event. A task has state, a step the fields from
// step_uuid on.
type TaskEvent struct {
	TaskUUID string    `json:"task_uuid" format:"uuid"`
	At       time.Time `json:"at"`
	State    string    `json:"state" doc:"The new state, of the task or of the step."`
	StepUUID string    `json:"step_uuid,omitempty" format:"uuid"`
	Name     string    `json:"name,omitempty" doc:"Of the step."`
	Attempt  int32     `json:"attempt,omitempty" doc:"Counted from 1, once a worker has begun."`
	Error    string    `json:"error,omitempty" doc:"Of a step that failed, and of a task that is blocked by it or has ended for it."`
}

type eventsInput struct {
	UUID  string `path:"uuid" format:"uuid" doc:"The task."`
	Last  string `header:"Last-Event-ID" doc:"The id of the last event that was received: the stream goes on after it."`
	After string `query:"after" doc:"The same, for those who cannot set a header."`
}

type eventsOutput struct{ Body func(huma.Context) }

// heartbeat is how often a silent stream shows that it lives.
const heartbeat = 15 * time.Second

func registerEvents(a *api, s Service) {
	register(a, app.WatchTask, func(ctx context.Context, in *eventsInput) (*eventsOutput, error) {
		id, err := taskID(in.UUID)
		if err != nil {
			return nil, err
		}
		f, err := s.FollowTask(ctx, id, or(in.Last, in.After))
		if err != nil {
			return nil, err
		}
		return &eventsOutput{Body: func(hctx huma.Context) {
			defer f.Close()
			_, w := humago.Unwrap(hctx)
			if f.Ended() { // tells an EventSource not to come back
				w.WriteHeader(http.StatusNoContent)
				return
			}
			ctx, cancel := patient(ctx, 0)
			defer cancel()
			h := w.Header()
			h.Set("Content-Type", "text/event-stream")
			h.Set("X-Accel-Buffering", "no")
			w.WriteHeader(http.StatusOK)
			streamEvents(ctx, &eventWriter{w: w, connection: http.NewResponseController(w), task: id}, f)
		}}, nil
	})
}

// streamEvents writes events until the task has ended, the client is gone, or
// the server stops.
func streamEvents(ctx context.Context, w *eventWriter, f app.TaskEvents) {
	w.buffer.WriteString("retry: 1000\n\n")
	if w.flush() != nil {
		return
	}
	for {
		waiting, cancel := context.WithTimeout(ctx, heartbeat)
		events, ended, err := f.Next(waiting)
		cancel()
		switch {
		case err == nil:
			for i := range events {
				w.add(&events[i])
			}
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			w.buffer.WriteString(": still here\n\n")
		default: // the client comes back, and goes on after what it has
			return
		}
		if w.flush() != nil || ended {
			return
		}
	}
}

// eventWriter writes server-sent events.
type eventWriter struct {
	w          http.ResponseWriter
	connection *http.ResponseController
	task       ident.TaskID
	buffer     bytes.Buffer
}

func (w *eventWriter) add(e *watch.Event) {
	kind, data := "task", TaskEvent{TaskUUID: w.task.String(), At: e.At.UTC(), State: e.State.String(), Error: e.Error}
	if e.No != 0 {
		kind, data.State, data.Name, data.Attempt = "step", e.Step.String(), e.Name, e.Attempt
		data.StepUUID = ident.StepRef{Task: w.task, No: e.No}.ID().String()
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return // plain fields always marshal
	}
	fmt.Fprintf(&w.buffer, "id: %s\nevent: %s\ndata: %s\n\n", e.ID(), kind, raw)
}

// flush sends what was added; a client that does not take it in time is cut off.
func (w *eventWriter) flush() error {
	_ = w.connection.SetWriteDeadline(time.Now().Add(answerTime)) // where none can be set there is none
	if _, err := w.w.Write(w.buffer.Bytes()); err != nil {
		return err
	}
	w.buffer.Reset()
	return w.connection.Flush()
}
