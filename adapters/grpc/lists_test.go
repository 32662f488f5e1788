package grpc_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

func TestListTasksPages(t *testing.T) {
	t.Parallel()
	f := newFake()
	for range 60 {
		f.add(task.Complete)
	}
	c := taskerv1.NewTaskServiceClient(openPlain(t, f).conn)
	for name, w := range map[string]struct {
		page *taskerv1.PaginationRequest
		want *taskerv1.PaginationResponse
	}{
		"default":     {nil, &taskerv1.PaginationResponse{Total: 60, Count: 50, HasMore: true}},
		"offset only": {&taskerv1.PaginationRequest{Offset: proto.Int32(15)}, &taskerv1.PaginationResponse{Total: 60, Count: 45, Offset: 15}},
		"not a multiple of the limit": {
			&taskerv1.PaginationRequest{Limit: proto.Int32(10), Offset: proto.Int32(15)},
			&taskerv1.PaginationResponse{Total: 60, Count: 10, Offset: 15, HasMore: true},
		},
		"exactly the rest": {
			&taskerv1.PaginationRequest{Limit: proto.Int32(10), Offset: proto.Int32(50)},
			&taskerv1.PaginationResponse{Total: 60, Count: 10, Offset: 50},
		},
		"beyond the end": {
			&taskerv1.PaginationRequest{Limit: proto.Int32(100), Offset: proto.Int32(1000)},
			&taskerv1.PaginationResponse{Total: 60, Offset: 1000},
		},
	} {
		got, err := c.ListTasks(t.Context(), &taskerv1.ListTasksRequest{Pagination: w.page})
		require.NoError(t, err, name)
		require.Equal(t, w.want.GetHasMore(), got.GetNextCursor() != "", name)
		require.True(t, proto.Equal(w.want, got.GetPagination()), "%s: %v", name, got.GetPagination())
		require.Len(t, got.GetTasks(), int(w.want.GetCount()), name)
	}
}

func TestListTasksFilters(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.add(task.Error)
	f.add(task.Complete)
	c := taskerv1.NewTaskServiceClient(openPlain(t, f).conn)
	got, err := c.ListTasks(t.Context(), &taskerv1.ListTasksRequest{
		Namespace: proto.String("orders"), Name: proto.String("order"), Initiator: proto.String("shop"), Tags: []string{"a", "b"},
		States:    []taskerv1.TaskState{taskerv1.TaskState_TASK_STATE_ERROR, taskerv1.TaskState_TASK_STATE_CANCELLED},
		CreatedAt: &taskerv1.TimestampRange{Start: timestamppb.New(epoch), End: timestamppb.New(epoch.Add(time.Hour))},
		Sort:      &taskerv1.SortSpec{Field: "updated_at", Direction: taskerv1.SortDirection_SORT_DIRECTION_ASC},
		Version:   proto.String("1.0.0"), SourceSystem: proto.String("web"), Error: proto.String("timeout"), Total: "exact",
		CorrelationId: proto.String("0d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e"),
		UpdatedAt:     &taskerv1.TimestampRange{Start: timestamppb.New(epoch.Add(time.Minute))},
		CompletedAt:   &taskerv1.TimestampRange{End: timestamppb.New(epoch.Add(2 * time.Minute))},
	})
	require.NoError(t, err)
	require.Len(t, got.GetTasks(), 1)
	require.Equal(t, taskerv1.TaskState_TASK_STATE_ERROR, got.GetTasks()[0].GetState())
	require.Equal(t, ports.TaskFilter{
		Namespace: "orders", Name: "order", Version: "1.0.0", Initiator: "shop", SourceSystem: "web", Tags: []string{"a", "b"},
		States: []task.State{task.Error, task.Cancelled}, Error: "timeout",
		CorrelationID: uuid.NullUUID{UUID: uuid.MustParse("0d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e"), Valid: true},
		From:          epoch, Until: epoch.Add(time.Hour), UpdatedFrom: epoch.Add(time.Minute), CompletedUntil: epoch.Add(2 * time.Minute),
	}, f.filter)
	require.Equal(t, ports.TaskPage{Order: ports.ByUpdate, Ascending: true, Limit: 50, Total: ports.ExactTotal}, f.page)
}

func TestListTasksFollowsItsCursor(t *testing.T) {
	t.Parallel()
	f := newFake()
	for range 7 {
		f.add(task.Complete)
	}
	c := taskerv1.NewTaskServiceClient(openPlain(t, f).conn)
	in := &taskerv1.ListTasksRequest{Pagination: &taskerv1.PaginationRequest{Limit: proto.Int32(3)}}
	var seen []string
	for {
		got, err := c.ListTasks(t.Context(), in)
		require.NoError(t, err)
		require.EqualValues(t, 7, got.GetPagination().GetTotal(), "as counted for the first page")
		for _, one := range got.GetTasks() {
			seen = append(seen, one.GetTaskUuid())
		}
		if in.Cursor = got.GetNextCursor(); in.GetCursor() == "" {
			break
		}
		for _, other := range []*taskerv1.ListTasksRequest{
			{Cursor: in.GetCursor(), Namespace: proto.String("another")},
			{Cursor: in.GetCursor(), Sort: &taskerv1.SortSpec{Direction: taskerv1.SortDirection_SORT_DIRECTION_ASC}},
			{Cursor: "!"},
		} {
			_, err := c.ListTasks(t.Context(), other)
			require.Equal(t, codes.InvalidArgument, status.Code(err))
			require.Equal(t, "invalid_cursor", detailsOf(t, err).info.GetReason())
		}
	}
	require.Len(t, seen, 7)
	for i, id := range seen {
		require.Equal(t, f.tasks[6-i].ID.String(), id, "newest first, each once")
	}
}

func TestListTasksWithoutATotal(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.add(task.Complete)
	c := taskerv1.NewTaskServiceClient(openPlain(t, f).conn)
	got, err := c.ListTasks(t.Context(), &taskerv1.ListTasksRequest{Total: "none"})
	require.NoError(t, err)
	require.EqualValues(t, -1, got.GetPagination().GetTotal())
	_, err = c.ListTasks(t.Context(), &taskerv1.ListTasksRequest{Total: "some"})
	require.Equal(t, "invalid_field", detailsOf(t, err).info.GetReason())
}
