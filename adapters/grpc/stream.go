package grpc

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// StreamTaskStatus implements taskerv1.TaskServiceServer. Changes are pushed
// from the commits that make them. The present state comes first, with the
// steps that have begun when steps are asked for; the stream ends after the
// state in which the task ends.
func (d *tasks) StreamTaskStatus(in *taskerv1.StreamTaskStatusRequest, out grpc.ServerStreamingServer[taskerv1.TaskStatusUpdate]) error {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return err
	}
	s := &statusStream{out: out, task: id}
	first := true
	return d.service.WatchTask(out.Context(), id, func(u watch.Update) error {
		if first && in.GetIncludeSteps() {
			t, err := d.service.GetTask(out.Context(), id)
			if err != nil {
				return err
			}
			if err := s.begin(&t, u); err != nil {
				return err
			}
			first = false
			return nil
		}
		first = false
		switch {
		case u.State != 0:
			return s.state(u)
		case in.GetIncludeSteps():
			return s.step(u)
		default:
			return nil
		}
	})
}

// statusStream remembers what was said of each step, so that an update that was
// on its way while the steps were read is not told twice.
type statusStream struct {
	out   grpc.ServerStreamingServer[taskerv1.TaskStatusUpdate]
	task  ident.TaskID
	last  task.State
	steps map[int32]known
}

type known struct {
	name     string
	dispatch int32
	state    step.State
}

func (s *statusStream) begin(t *app.Task, u watch.Update) error {
	s.steps = make(map[int32]known, len(t.Steps))
	if !u.State.Terminal() {
		if err := s.state(u); err != nil {
			return err
		}
	}
	for i := range t.Steps {
		r := &t.Steps[i].StepRecord
		s.steps[r.Ref.No] = known{name: r.Name}
		if r.State == step.Pending {
			continue
		}
		now := watch.StepUpdate{No: r.Ref.No, State: r.State, Dispatch: r.Dispatch, Attempts: r.Attempts}
		if err := s.step(watch.Update{At: r.UpdatedAt, Step: &now}); err != nil {
			return err
		}
	}
	if u.State.Terminal() {
		return s.state(u) // last, for the stream ends with it
	}
	return nil
}

func (s *statusStream) state(u watch.Update) error {
	if u.State == s.last {
		return nil
	}
	s.last = u.State
	state := taskState(u.State)
	return s.out.Send(&taskerv1.TaskStatusUpdate{
		UpdateType: taskerv1.TaskStatusUpdate_UPDATE_TYPE_TASK_STATE_CHANGE, Timestamp: timestamppb.New(u.At), TaskState: &state,
	})
}

func (s *statusStream) step(u watch.Update) error {
	was := s.steps[u.Step.No]
	if was.state != 0 && !u.Step.After(was.dispatch, was.state) {
		return nil
	}
	s.steps[u.Step.No] = known{name: was.name, dispatch: u.Step.Dispatch, state: u.Step.State}
	msg := &taskerv1.TaskStatusUpdate{
		UpdateType: taskerv1.TaskStatusUpdate_UPDATE_TYPE_STEP_STATE_CHANGE, Timestamp: timestamppb.New(u.At),
		StepUpdate: &taskerv1.StepUpdate{
			StepUuid: ident.StepRef{Task: s.task, No: u.Step.No}.ID().String(), Name: was.name,
			State: stepState(u.Step.State), Attempt: u.Step.Attempts,
		},
	}
	if u.Step.Error != "" {
		msg.ErrorMessage = &u.Step.Error
	}
	return s.out.Send(msg)
}
