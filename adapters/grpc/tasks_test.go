package grpc_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

func object(t testing.TB, members map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(members)
	require.NoError(t, err)
	return s
}

func TestCreateTaskHonoursEveryField(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewTaskServiceClient(openPlain(t, f).conn)
	correlation, parent := uuid.NewString(), uuid.NewString()
	given := object(t, map[string]any{"n": 5, "ratio": 0.5, "none": nil, "list": []any{1, "two", true}})
	got, err := c.CreateTask(t.Context(), &taskerv1.CreateTaskRequest{
		Name: "order", Namespace: "orders", Version: "1.0.0", Context: given, CorrelationId: &correlation,
		ParentCorrelationId: &parent, Initiator: proto.String("shop"), SourceSystem: proto.String("web"),
		Reason: proto.String("bought"), Priority: proto.Int32(-7), Tags: []string{"a", "b"}, IdempotencyKey: proto.String("k"),
		StartAt: timestamppb.New(epoch), Deadline: timestamppb.New(epoch.Add(time.Hour)), OnDuplicate: proto.String("reject"),
	})
	require.NoError(t, err)
	require.Equal(t, app.CreateRequest{
		Name: "order", Namespace: "orders", Version: "1.0.0",
		Context:   []byte(`{"list":[1,"two",true],"n":5,"none":null,"ratio":0.5}`),
		Initiator: "shop", SourceSystem: "web", Reason: "bought", Tags: []string{"a", "b"}, Priority: -7,
		CorrelationID: correlation, ParentCorrelationID: parent, IdempotencyKey: "k", StartAt: epoch, Deadline: epoch.Add(time.Hour),
		OnDuplicate: "reject",
	}, f.last)
	require.True(t, epoch.Equal(got.GetTask().GetStartAt().AsTime()))
	require.True(t, epoch.Add(time.Hour).Equal(got.GetTask().GetDeadline().AsTime()))
	require.True(t, proto.Equal(given, got.GetTask().GetContext()))
	require.Equal(t, parent, got.GetTask().GetParentCorrelationId())
	require.EqualValues(t, -7, got.GetTask().GetPriority())
	require.Nil(t, got.GetBackpressure())
}

func TestCreateTaskWithTheLeast(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewTaskServiceClient(openPlain(t, f).conn)
	got, err := c.CreateTask(t.Context(), &taskerv1.CreateTaskRequest{Name: "order", Namespace: "orders", Version: "1.0.0"})
	require.NoError(t, err)
	require.Equal(t, app.CreateRequest{Name: "order", Namespace: "orders", Version: "1.0.0", Initiator: "grpc"}, f.last)
	require.NotNil(t, got.GetTask().GetContext())
	require.Empty(t, got.GetTask().GetContext().GetFields())
	require.False(t, got.GetExisted())
	require.Nil(t, got.GetTask().GetStartAt())
	again, err := c.CreateTask(t.Context(), &taskerv1.CreateTaskRequest{
		Name: "order", Namespace: "orders", Version: "1.0.0", OnDuplicate: proto.String("return"),
	})
	require.NoError(t, err)
	require.True(t, again.GetExisted())
	require.Equal(t, got.GetTask().GetTaskUuid(), again.GetTask().GetTaskUuid())
	require.Nil(t, got.GetTask().ParentCorrelationId) //nolint:protogetter // presence is the point
	require.Nil(t, got.GetTask().GetCompletedAt())
}

func TestGetTask(t *testing.T) {
	t.Parallel()
	f := newFake()
	id := f.add(task.Complete).ID.String()
	c := taskerv1.NewTaskServiceClient(openPlain(t, f).conn)
	got, err := c.GetTask(t.Context(), &taskerv1.GetTaskRequest{TaskUuid: id})
	require.NoError(t, err)
	require.Empty(t, got.GetSteps())
	require.Nil(t, got.GetContext())
	want := &taskerv1.Task{
		TaskUuid: id, Name: "order", Namespace: "orders", Version: "1.0.0", State: taskerv1.TaskState_TASK_STATE_COMPLETE,
		CreatedAt: timestamppb.New(epoch), UpdatedAt: timestamppb.New(epoch), CompletedAt: timestamppb.New(epoch.Add(time.Minute)),
		Context: object(t, map[string]any{"a": 1}), Initiator: "system", SourceSystem: "tasker-core", Reason: "Task requested",
		Priority: proto.Int32(0), CorrelationId: "00000000-0000-4000-8000-000000000000",
		TotalSteps: 3, PendingSteps: 1, CompletedSteps: 1, ExecutionStatus: "processing", RecommendedAction: "wait_for_completion",
		HealthStatus: "healthy", CompletionPercentage: 33.33,
	}
	require.True(t, proto.Equal(want, got.GetTask()), "%v", got.GetTask())

	got, err = c.GetTask(t.Context(), &taskerv1.GetTaskRequest{TaskUuid: "{" + id + "}", IncludeSteps: true, IncludeContext: true})
	require.NoError(t, err)
	require.Len(t, got.GetSteps(), 3)
	require.True(t, proto.Equal(want.GetContext(), got.GetContext().GetMerged()))
	require.True(t, proto.Equal(want.GetContext(), got.GetContext().GetInputs()))
	require.NotNil(t, got.GetContext().GetOutputs())
}

func TestSteps(t *testing.T) {
	t.Parallel()
	f := newFake()
	id := f.add(task.StepsInProcess).ID
	c := taskerv1.NewStepServiceClient(openPlain(t, f).conn)
	all, err := c.ListSteps(t.Context(), &taskerv1.ListStepsRequest{TaskUuid: id.String()})
	require.NoError(t, err)
	require.True(t, proto.Equal(&taskerv1.PaginationResponse{Total: 3, Count: 3}, all.GetPagination()))
	want := &taskerv1.Step{
		StepUuid: ident.StepRef{Task: id, No: 1}.ID().String(), TaskUuid: id.String(), Name: "pay",
		State: taskerv1.StepState_STEP_STATE_COMPLETE, CreatedAt: timestamppb.New(epoch), UpdatedAt: timestamppb.New(epoch),
		CompletedAt: timestamppb.New(epoch), LastAttemptedAt: timestamppb.New(epoch), DependenciesSatisfied: true,
		RetryEligible: true, Attempts: 1, MaxAttempts: 3,
		Results: object(t, map[string]any{"success": true, "result": map[string]any{"n": 5}}),
	}
	require.True(t, proto.Equal(want, all.GetSteps()[0]), "%v", all.GetSteps()[0])
	thank := all.GetSteps()[2]
	require.EqualValues(t, 2, thank.GetTotalParents())
	require.EqualValues(t, 1, thank.GetCompletedParents())
	require.False(t, thank.GetDependenciesSatisfied())
	require.Nil(t, thank.GetResults())

	one, err := c.GetStep(t.Context(), &taskerv1.GetStepRequest{TaskUuid: id.String(), StepUuid: want.GetStepUuid()})
	require.NoError(t, err)
	require.True(t, proto.Equal(want, one.GetStep()))
}

func TestWhatRequestsMayNotSay(t *testing.T) {
	t.Parallel()
	f := newFake()
	conn := openPlain(t, f).conn
	tasks, steps := taskerv1.NewTaskServiceClient(conn), taskerv1.NewStepServiceClient(conn)
	list := func(in *taskerv1.ListTasksRequest) error {
		_, err := tasks.ListTasks(t.Context(), in)
		return err
	}
	page := func(limit, offset int32) error {
		return list(&taskerv1.ListTasksRequest{Pagination: &taskerv1.PaginationRequest{Limit: &limit, Offset: &offset}})
	}
	sort := func(field string, d taskerv1.SortDirection) error {
		return list(&taskerv1.ListTasksRequest{Sort: &taskerv1.SortSpec{Field: field, Direction: d}})
	}
	id := f.add(task.Complete).ID.String()
	_, badTask := tasks.GetTask(t.Context(), &taskerv1.GetTaskRequest{TaskUuid: "zzz"})
	_, badCancel := tasks.CancelTask(t.Context(), &taskerv1.CancelTaskRequest{})
	_, badSteps := steps.ListSteps(t.Context(), &taskerv1.ListStepsRequest{TaskUuid: "1"})
	_, badStep := steps.GetStep(t.Context(), &taskerv1.GetStepRequest{TaskUuid: id, StepUuid: "1"})
	broken := &timestamppb.Timestamp{Nanos: -1}
	for name, c := range map[string]struct {
		err           error
		field, reason string
	}{
		"limit of zero":   {page(0, 0), "pagination.limit", "invalid_field"},
		"limit too large": {page(101, 0), "pagination.limit", "invalid_field"},
		"negative limit":  {page(-1, 0), "pagination.limit", "invalid_field"},
		"negative offset": {page(1, -1), "pagination.offset", "invalid_field"},
		"no direction":    {sort("", 9), "sort.direction", "invalid_field"},
		"another order":   {sort("name", 0), "sort.field", "invalid_field"},
		"no state":        {list(&taskerv1.ListTasksRequest{States: []taskerv1.TaskState{1, 0}}), "states[1]", "invalid_state"},
		"unknown state":   {list(&taskerv1.ListTasksRequest{States: []taskerv1.TaskState{13}}), "states[0]", "invalid_state"},
		"broken start":    {list(&taskerv1.ListTasksRequest{CreatedAt: &taskerv1.TimestampRange{Start: broken}}), "created_at.start", "invalid_field"},
		"broken end":      {list(&taskerv1.ListTasksRequest{CreatedAt: &taskerv1.TimestampRange{End: broken}}), "created_at.end", "invalid_field"},
		"task":            {badTask, "task_uuid", "invalid_uuid"},
		"task to cancel":  {badCancel, "task_uuid", "invalid_uuid"},
		"task of steps":   {badSteps, "task_uuid", "invalid_uuid"},
		"step":            {badStep, "step_uuid", "invalid_uuid"},
	} {
		require.Equal(t, codes.InvalidArgument, status.Code(c.err), name)
		told := detailsOf(t, c.err)
		require.Equal(t, c.reason, told.info.GetReason(), name)
		require.Len(t, told.bad.GetFieldViolations(), 1, name)
		require.Equal(t, c.field, told.bad.GetFieldViolations()[0].GetField(), name)
		require.NotEmpty(t, told.bad.GetFieldViolations()[0].GetDescription(), name)
	}
}

func TestCancelTask(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewTaskServiceClient(openPlain(t, f).conn)
	running := f.add(task.StepsInProcess).ID.String()
	got, err := c.CancelTask(t.Context(), &taskerv1.CancelTaskRequest{TaskUuid: running, Reason: proto.String("changed my mind")})
	require.NoError(t, err)
	require.True(t, got.GetSuccess())
	require.Equal(t, taskerv1.TaskState_TASK_STATE_CANCELLED, got.GetTask().GetState())
	require.Nil(t, got.Message) //nolint:protogetter // presence is the point
	require.Equal(t, "anonymous", f.by)

	// In the contract, a task that has ended is no error.
	got, err = c.CancelTask(t.Context(), &taskerv1.CancelTaskRequest{TaskUuid: running})
	require.NoError(t, err)
	require.False(t, got.GetSuccess())
	require.Nil(t, got.GetTask())
	require.Contains(t, got.GetMessage(), "cancelled")

	_, err = c.CancelTask(t.Context(), &taskerv1.CancelTaskRequest{TaskUuid: uuid.NewString()})
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	c := taskerv1.NewTemplateServiceClient(openPlain(t, newFake()).conn)
	all, err := c.ListTemplates(t.Context(), &taskerv1.ListTemplatesRequest{Namespace: proto.String("orders")})
	require.NoError(t, err)
	require.True(t, proto.Equal(&taskerv1.ListTemplatesResponse{
		Namespaces: []*taskerv1.NamespaceSummary{{Name: "billing", TemplateCount: 1}, {Name: "orders", TemplateCount: 1}},
		Templates: []*taskerv1.TemplateSummary{{
			Name: "order", Namespace: "orders", Version: "1.0.0", Description: proto.String("Orders"), StepCount: 2,
		}},
		TotalCount: 2,
	}, all), "%v", all)

	one, err := c.GetTemplate(t.Context(), &taskerv1.GetTemplateRequest{Namespace: "orders", Name: "order", Version: "1.0.0"})
	require.NoError(t, err)
	require.Equal(t, "order", one.GetTemplate().GetConfiguration().GetFields()["name"].GetStringValue())
	require.Len(t, one.GetTemplate().GetSteps(), 2)
	require.True(t, proto.Equal(&taskerv1.StepDefinition{Name: "ship", DefaultMaxAttempts: 5}, one.GetTemplate().GetSteps()[1]))
	require.True(t, one.GetTemplate().GetSteps()[0].GetDefaultRetryable())

	_, err = c.GetTemplate(t.Context(), &taskerv1.GetTemplateRequest{Namespace: "orders", Name: "order", Version: "2.0.0"})
	require.Equal(t, codes.NotFound, status.Code(err))
}

// The contract numbers the states in the order of the domain.
func TestStatesAreNumberedAlike(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewTaskServiceClient(openPlain(t, f).conn)
	require.Len(t, taskerv1.TaskState_name, len(task.States())+1)
	for _, s := range task.States() {
		id := f.add(s).ID.String()
		got, err := c.GetTask(t.Context(), &taskerv1.GetTaskRequest{TaskUuid: id})
		require.NoError(t, err)
		require.Equal(t, "TASK_STATE_"+upper(s.String()), got.GetTask().GetState().String())
		list, err := c.ListTasks(t.Context(), &taskerv1.ListTasksRequest{States: []taskerv1.TaskState{got.GetTask().GetState()}})
		require.NoError(t, err)
		require.Equal(t, []task.State{s}, f.filter.States)
		require.Len(t, list.GetTasks(), 1)
	}
	require.Len(t, taskerv1.StepState_name, len(step.States())+1)
	added := f.add(task.Complete)
	for _, s := range step.States() {
		added.Steps[0].StepRecord.State = s
		got, err := c.GetTask(t.Context(), &taskerv1.GetTaskRequest{TaskUuid: added.ID.String(), IncludeSteps: true})
		require.NoError(t, err)
		require.Equal(t, "STEP_STATE_"+upper(s.String()), got.GetSteps()[0].GetState().String())
	}
}
