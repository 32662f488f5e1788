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
	"github.com/tasker-go/tasker/test/parity/doortest"
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
	pay := &taskerv1.StepUpdate{StepUuid: ident.StepRef{Task: id, No: 1}.ID().String(), Name: "pay"}
	update := func(kind taskerv1.TaskStatusUpdate_UpdateType, s taskerv1.TaskState, message string) *taskerv1.TaskStatusUpdate {
		u := &taskerv1.TaskStatusUpdate{UpdateType: kind, Timestamp: timestamppb.New(doortest.Epoch), TaskState: s.Enum()}
		if message != "" {
			u.ErrorMessage = &message
		}
		return u
	}
	stepped := func(s taskerv1.StepState, attempt int32, message string) *taskerv1.TaskStatusUpdate {
		u := update(taskerv1.TaskStatusUpdate_UPDATE_TYPE_STEP_STATE_CHANGE, 0, message)
		u.TaskState, u.StepUpdate = nil, proto.CloneOf(pay)
		u.StepUpdate.State, u.StepUpdate.Attempt = s, attempt
		return u
	}
	for _, want := range []*taskerv1.TaskStatusUpdate{
		update(taskerv1.TaskStatusUpdate_UPDATE_TYPE_TASK_STATE_CHANGE, taskerv1.TaskState_TASK_STATE_STEPS_IN_PROCESS, ""),
		stepped(taskerv1.StepState_STEP_STATE_ENQUEUED, 0, ""),
		stepped(taskerv1.StepState_STEP_STATE_IN_PROGRESS, 1, ""),
		stepped(taskerv1.StepState_STEP_STATE_ERROR, 1, "no funds"),
		update(taskerv1.TaskStatusUpdate_UPDATE_TYPE_TASK_ERROR, taskerv1.TaskState_TASK_STATE_ERROR, "no funds"),
	} {
		got := next(t, stream)
		require.True(t, proto.Equal(want, got), "%v", got)
	}
	requireEnd(t, stream)

	// Steps that are not asked for are left out, where it goes on as well.
	after := "1-2-3"
	stream, err := taskerv1.NewTaskServiceClient(d.conn).StreamTaskStatus(t.Context(),
		&taskerv1.StreamTaskStatusRequest{TaskUuid: id.String(), After: &after})
	require.NoError(t, err)
	require.Equal(t, taskerv1.TaskState_TASK_STATE_STEPS_IN_PROCESS, next(t, stream).GetTaskState())
	require.Equal(t, taskerv1.TaskState_TASK_STATE_ERROR, next(t, stream).GetTaskState())
	requireEnd(t, stream)
	require.Equal(t, []any{id, after}, f.Last().Args)
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
