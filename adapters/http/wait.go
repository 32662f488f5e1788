package http

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
)

// WaitQuery asks for an answer that waits.
type WaitQuery struct {
	Wait  string `query:"wait" doc:"Answer once the task has ended, after so long at the latest: 30s, or a number of seconds. The answer is the task as it stands then." example:"30s"`
	Until string `query:"until" doc:"With wait: answer too once the task is in one of these states, with commas between." example:"steps_in_process,blocked_by_failures"`
}

// wait reads how long is waited, and for which states.
func (q *WaitQuery) wait(longest time.Duration) (time.Duration, []task.State, error) {
	if q.Wait == "" {
		if q.Until != "" {
			return 0, nil, fault.In("until", fault.CodeInvalidField, "until is for requests with wait")
		}
		return 0, nil, nil
	}
	d, err := time.ParseDuration(q.Wait)
	if err != nil {
		var seconds float64
		if seconds, err = strconv.ParseFloat(q.Wait, 64); err == nil {
			d = app.Seconds(seconds)
		}
	}
	if err != nil || d < 0 || d > longest {
		return 0, nil, fault.In("wait", fault.CodeInvalidField, "wait is not 0s to %s: give a time such as 30s", longest)
	}
	var until []task.State
	for word := range strings.SplitSeq(q.Until, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		s, err := task.ParseState(word)
		if err != nil || s.Passing() {
			return 0, nil, fault.In("until", fault.CodeInvalidState, "until names what is not a state that tasks rest in")
		}
		until = append(until, s)
	}
	return d, until, nil
}

// await waits for a task, beyond the time that other requests have.
func (a *api) await(ctx context.Context, s Service, id ident.TaskID, longest time.Duration, until []task.State) (app.Task, error) {
	ctx, cancel := patient(ctx, longest+a.cfg.RequestTimeout)
	defer cancel()
	return s.AwaitTask(ctx, id, longest, until)
}

// patient returns a context for a request that may take long: it ends with the
// client, or after the time given; 0 for never.
func patient(ctx context.Context, longest time.Duration) (context.Context, context.CancelFunc) {
	c := callOf(ctx)
	if c == nil || c.client == nil {
		return context.WithCancel(ctx)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	left := context.AfterFunc(c.client, cancel)
	// Where a deadline cannot be set there is none, as in tests.
	_ = c.connection.SetReadDeadline(time.Time{})
	if longest == 0 {
		return ctx, func() { left(); cancel() }
	}
	_ = c.connection.SetWriteDeadline(time.Now().Add(longest + answerTime))
	ctx, timeout := context.WithTimeout(ctx, longest)
	return ctx, func() { left(); timeout(); cancel() }
}
