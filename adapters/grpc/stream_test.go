package grpc_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

type updates = grpc.ServerStreamingClient[taskerv1.TaskStatusUpdate]

func follow(ctx context.Context, t *testing.T, d *door, id string, steps bool) updates {
	t.Helper()
	s, err := taskerv1.NewTaskServiceClient(d.conn).StreamTaskStatus(ctx, &taskerv1.StreamTaskStatusRequest{TaskUuid: id, IncludeSteps: steps})
	require.NoError(t, err)
	return s
}

func next(t *testing.T, s updates) *taskerv1.TaskStatusUpdate {
	t.Helper()
	u, err := s.Recv()
	require.NoError(t, err)
	require.NoError(t, u.GetTimestamp().CheckValid())
	return u
}

func requireEnd(t *testing.T, s updates) {
	t.Helper()
	_, err := s.Recv()
	require.ErrorIs(t, err, io.EOF)
}

var terminal = map[task.State]taskerv1.TaskState{
	task.Complete: taskerv1.TaskState_TASK_STATE_COMPLETE, task.Error: taskerv1.TaskState_TASK_STATE_ERROR,
	task.Cancelled:        taskerv1.TaskState_TASK_STATE_CANCELLED,
	task.ResolvedManually: taskerv1.TaskState_TASK_STATE_RESOLVED_MANUALLY,
}

func TestStreamsEndWithTheTask(t *testing.T) {
	t.Parallel()
	f := newFake()
	d := openPlain(t, f)
	ends := 0
	for _, s := range task.States() {
		if !s.Terminal() {
			continue
		}
		ends++
		id := f.add(task.Pending).ID
		stream := follow(t.Context(), t, d, id.String(), false)
		first := next(t, stream)
		require.True(t, proto.Equal(&taskerv1.TaskStatusUpdate{
			UpdateType: taskerv1.TaskStatusUpdate_UPDATE_TYPE_TASK_STATE_CHANGE, Timestamp: timestamppb.New(epoch),
			TaskState: taskerv1.TaskState_TASK_STATE_PENDING.Enum(),
		}, first), "%v", first)
		f.tell(id, watch.Update{At: epoch, Step: &watch.StepUpdate{No: 1, State: step.InProgress, Dispatch: 2}}) // not asked for
		f.move(id, task.StepsInProcess)
		require.Equal(t, taskerv1.TaskState_TASK_STATE_STEPS_IN_PROCESS, next(t, stream).GetTaskState())
		f.move(id, s)
		require.Equal(t, terminal[s], next(t, stream).GetTaskState())
		requireEnd(t, stream)

		// Whoever asks later is told the same at once.
		stream = follow(t.Context(), t, d, id.String(), false)
		require.Equal(t, terminal[s], next(t, stream).GetTaskState())
		requireEnd(t, stream)
	}
	require.Len(t, terminal, ends)
}

func TestStreamOfUnknownTasks(t *testing.T) {
	t.Parallel()
	d := openPlain(t, newFake())
	_, err := follow(t.Context(), t, d, uuid.NewString(), true).Recv()
	require.Equal(t, codes.NotFound, status.Code(err))
	require.Equal(t, "task_not_found", detailsOf(t, err).info.GetReason())
	_, err = follow(t.Context(), t, d, "zzz", true).Recv()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Equal(t, "task_uuid", detailsOf(t, err).bad.GetFieldViolations()[0].GetField())
}

func TestStreamWithSteps(t *testing.T) {
	t.Parallel()
	f := newFake()
	d := openPlain(t, f)
	id := f.add(task.StepsInProcess).ID
	stream := follow(t.Context(), t, d, id.String(), true)
	require.Equal(t, taskerv1.TaskState_TASK_STATE_STEPS_IN_PROCESS, next(t, stream).GetTaskState())
	// Then the steps that have begun, then what happens to them.
	pay, ship := next(t, stream), next(t, stream)
	require.True(t, proto.Equal(&taskerv1.TaskStatusUpdate{
		UpdateType: taskerv1.TaskStatusUpdate_UPDATE_TYPE_STEP_STATE_CHANGE, Timestamp: timestamppb.New(epoch),
		StepUpdate: &taskerv1.StepUpdate{
			StepUuid: ident.StepRef{Task: id, No: 1}.ID().String(), Name: "pay", State: taskerv1.StepState_STEP_STATE_COMPLETE, Attempt: 1,
		},
	}, pay), "%v", pay)
	require.Equal(t, taskerv1.StepState_STEP_STATE_ENQUEUED, ship.GetStepUpdate().GetState())

	tell := func(u watch.StepUpdate) { f.tell(id, watch.Update{At: epoch, Step: &u}) }
	tell(watch.StepUpdate{No: 1, State: step.InProgress, Dispatch: 1}) // older than what was read
	tell(watch.StepUpdate{No: 2, State: step.InProgress, Dispatch: 1, Attempts: 1})
	tell(watch.StepUpdate{No: 2, State: step.WaitingForRetry, Dispatch: 1, Attempts: 1, Error: "no stock"})
	tell(watch.StepUpdate{No: 2, State: step.WaitingForRetry, Dispatch: 1, Attempts: 1, Error: "no stock"}) // the same
	tell(watch.StepUpdate{No: 2, State: step.Enqueued, Dispatch: 2, Attempts: 1})
	tell(watch.StepUpdate{No: 3, State: step.InProgress, Dispatch: 2, Attempts: 1})
	f.move(id, task.Complete)
	type seen struct {
		name  string
		state taskerv1.StepState
		error string
	}
	var got []seen
	for range 4 {
		u := next(t, stream)
		require.Nil(t, u.TaskState) //nolint:protogetter // presence is the point
		got = append(got, seen{u.GetStepUpdate().GetName(), u.GetStepUpdate().GetState(), u.GetErrorMessage()})
	}
	require.Equal(t, []seen{
		{"ship", taskerv1.StepState_STEP_STATE_IN_PROGRESS, ""},
		{"ship", taskerv1.StepState_STEP_STATE_WAITING_FOR_RETRY, "no stock"},
		{"ship", taskerv1.StepState_STEP_STATE_ENQUEUED, ""},
		{"thank", taskerv1.StepState_STEP_STATE_IN_PROGRESS, ""},
	}, got)
	require.Equal(t, taskerv1.TaskState_TASK_STATE_COMPLETE, next(t, stream).GetTaskState())
	requireEnd(t, stream)

	// Of a task that has ended, the state comes last: many clients leave with it.
	stream = follow(t.Context(), t, d, id.String(), true)
	require.Equal(t, "pay", next(t, stream).GetStepUpdate().GetName())
	require.Equal(t, "ship", next(t, stream).GetStepUpdate().GetName())
	require.Equal(t, taskerv1.TaskState_TASK_STATE_COMPLETE, next(t, stream).GetTaskState())
	requireEnd(t, stream)
}

func TestWatchesEndWhenTheClientLeaves(t *testing.T) {
	t.Parallel()
	f := newFake()
	d := openPlain(t, f)
	ctx, leave := context.WithCancel(t.Context())
	stream := follow(ctx, t, d, f.add(task.Pending).ID.String(), false)
	next(t, stream)
	leave()
	_, err := stream.Recv()
	require.Equal(t, codes.Canceled, status.Code(err))
	select {
	case <-f.left:
	case <-time.After(10 * time.Second):
		require.Fail(t, "the watch goes on")
	}
}
