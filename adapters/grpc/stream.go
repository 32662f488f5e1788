package grpc

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
)

// StreamTaskStatus implements taskerv1.TaskServiceServer. Changes are pushed
// from the commits that make them. The present state comes first, with the
// steps that have begun when steps are asked for; or, after an update that was
// received before, what was missed. The stream ends after the state in which
// the task ends.
func (d *tasks) StreamTaskStatus(in *taskerv1.StreamTaskStatusRequest, out grpc.ServerStreamingServer[taskerv1.TaskStatusUpdate]) error {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return err
	}
	s := &statusStream{out: out, task: id, steps: in.GetIncludeSteps(), ids: in.GetIncludeSteps() || in.GetAfter() != ""}
	if s.ids {
		return d.follow(s, in.GetAfter())
	}
	return d.service.WatchTask(out.Context(), id, func(u watch.Update) error {
		if u.State == 0 || u.State == s.last {
			return nil
		}
		s.last = u.State
		return s.send(&watch.Event{At: u.At, State: u.State})
	})
}

func (d *tasks) follow(s *statusStream, after string) error {
	ctx := s.out.Context()
	f, err := d.service.FollowTask(ctx, s.task, after)
	if err != nil {
		return err
	}
	defer f.Close()
	get := f.Next
	if after == "" {
		get = f.Standing
	}
	for {
		events, ended, err := get(ctx)
		if err != nil {
			return err
		}
		for i := range events {
			if err := s.send(&events[i]); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
		get = f.Next
	}
}

type statusStream struct {
	out        grpc.ServerStreamingServer[taskerv1.TaskStatusUpdate]
	task       ident.TaskID
	steps, ids bool
	last       task.State
}

func (s *statusStream) send(e *watch.Event) error {
	msg := &taskerv1.TaskStatusUpdate{Timestamp: timestamppb.New(e.At)}
	switch {
	case e.No != 0 && !s.steps:
		return nil
	case e.No != 0:
		msg.UpdateType = taskerv1.TaskStatusUpdate_UPDATE_TYPE_STEP_STATE_CHANGE
		msg.StepUpdate = &taskerv1.StepUpdate{
			StepUuid: ident.StepRef{Task: s.task, No: e.No}.ID().String(), Name: e.Name, State: stepState(e.Step), Attempt: e.Attempt,
		}
	default:
		state := taskState(e.State)
		msg.UpdateType, msg.TaskState = updateType(e.State), &state
	}
	if e.Error != "" {
		msg.ErrorMessage = &e.Error
	}
	if id := e.ID(); s.ids && id != "" {
		msg.EventId = &id
	}
	return s.out.Send(msg)
}

// updateType is what the contract calls the change of a task to a state.
func updateType(s task.State) taskerv1.TaskStatusUpdate_UpdateType {
	switch s {
	case task.Complete:
		return taskerv1.TaskStatusUpdate_UPDATE_TYPE_TASK_COMPLETE
	case task.Error:
		return taskerv1.TaskStatusUpdate_UPDATE_TYPE_TASK_ERROR
	default:
		return taskerv1.TaskStatusUpdate_UPDATE_TYPE_TASK_STATE_CHANGE
	}
}
