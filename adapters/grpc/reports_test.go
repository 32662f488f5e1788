package grpc_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

func TestSummary(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewTaskServiceClient(openPlain(t, f).conn)
	tk := f.add(task.BlockedByFailures)
	tk.Steps[1].StepRecord.State = step.Error
	tk.Steps[1].Failure = []byte(`{"message":"no","error_type":"Declined","retryable":true,"status_code":402}`)
	got, err := c.GetTaskSummary(t.Context(), &taskerv1.GetTaskSummaryRequest{TaskUuid: tk.ID.String()})
	require.NoError(t, err)
	require.Equal(t, "blocked_by_failures", got.GetTask().GetStatus())
	require.Nil(t, got.GetSteps()[0].GetError())
	sameJSON(t, `{"errorType":"Declined","retryable":true,"statusCode":402}`, got.GetSteps()[1].GetError())
	sameJSON(t, `{"steps":[{"name":"pay","stepType":"standard","handler":"pay","retryable":true,"maxAttempts":3},
		{"name":"ship","stepType":"standard","handler":"ship","dependencies":["pay"],"maxAttempts":5}]}`, got.GetTemplate())
	sameJSON(t, `{}`, got.GetDlq())
	sameJSON(t, `{"task":"/v1/tasks/`+tk.ID.String()+`","steps":"/v1/tasks/`+tk.ID.String()+`/workflow_steps","dlq":"/v1/dlq"}`, got.GetLinks())

	f.AddLetter(tk.ID, deadletter.MaxRetriesExceeded)
	got, err = c.GetTaskSummary(t.Context(), &taskerv1.GetTaskSummaryRequest{TaskUuid: tk.ID.String()})
	require.NoError(t, err)
	sameJSON(t, `{"inDlq":true,"dlqReason":"max_retries_exceeded","resolutionStatus":"pending"}`, got.GetDlq())
	_, err = c.GetTaskSummary(t.Context(), &taskerv1.GetTaskSummaryRequest{TaskUuid: "x"})
	refused(t, err, codes.InvalidArgument, "invalid_uuid", "task_uuid")
}

func TestContext(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewTaskServiceClient(openPlain(t, f).conn)
	tk := f.add(task.StepsInProcess)
	got, err := c.GetTaskContext(t.Context(), &taskerv1.GetTaskContextRequest{TaskUuid: tk.ID.String()})
	require.NoError(t, err)
	sameJSON(t, `{"context":{"inputs":{"order":7,"pay":"to be replaced"},"outputs":{"pay":[1,"two"]},"merged":{"order":7,"pay":[1,"two"]},
		"omittedOutputs":["ship"]}}`, got)
	_, err = c.GetTaskContext(t.Context(), &taskerv1.GetTaskContextRequest{TaskUuid: "0d9a5e5c-26a5-7a6a-9c0c-1f9c4a400000"})
	require.Error(t, err)
}

func TestAnalytics(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewAnalyticsServiceClient(openPlain(t, f).conn)
	p, err := c.GetPerformanceMetrics(t.Context(), &taskerv1.GetPerformanceMetricsRequest{})
	require.NoError(t, err)
	sameJSON(t, `{"totalTasks":"48","activeTasks":"3","completedTasks":"36","failedTasks":"6","completionRate":75,"errorRate":12.5,
		"averageTaskDurationSeconds":1.5,"averageStepDurationSeconds":0.25,"tasksPerHour":"2","stepsPerHour":"4","systemHealthScore":0.857,
		"analysisPeriodStart":"2026-02-28T10:00:00.123456Z","calculatedAt":"2026-03-01T10:00:00.123456Z","sampled":true}`, p)
	require.Equal(t, []any{int64(app.DefaultHours)}, f.Last().Args)
	_, err = c.GetPerformanceMetrics(t.Context(), &taskerv1.GetPerformanceMetricsRequest{Hours: proto.Int32(0)})
	require.NoError(t, err)
	require.Equal(t, []any{int64(0)}, f.Last().Args, "nothing is another thing than 0")
	_, err = c.GetPerformanceMetrics(t.Context(), &taskerv1.GetPerformanceMetricsRequest{Hours: proto.Int32(-1)})
	refused(t, err, codes.InvalidArgument, "invalid_field", "hours")

	b, err := c.GetBottleneckAnalysis(t.Context(), &taskerv1.GetBottleneckAnalysisRequest{})
	require.NoError(t, err)
	require.Equal(t, []any{int64(app.DefaultBottlenecks), int64(app.DefaultMinExecutions)}, f.Last().Args)
	sameJSON(t, `{"slowSteps":[{"namespaceName":"orders","taskName":"order","version":"1.0.0","stepName":"pay","averageDurationSeconds":1.5,
		"maxDurationSeconds":2,"executionCount":"8","errorCount":"2","errorRate":0.25,"lastExecutedAt":"2026-03-01T10:00:00.123456Z"}],
		"slowTasks":[{"namespaceName":"orders","taskName":"order","version":"1.0.0","averageDurationSeconds":3,"maxDurationSeconds":4,
		"executionCount":"3","averageStepCount":2,"errorCount":"2","errorRate":0.3333,"lastExecutedAt":"2026-03-01T10:00:00.123456Z"}],
		"resourceUtilization":{"databasePoolUtilization":0.25,"systemHealth":{"completeTasks":"2","errorTasks":"1","totalTasks":"3",
		"completeSteps":"4","errorSteps":"2","totalSteps":"6"}},"recommendations":["look at pay"]}`, b)
	_, err = c.GetBottleneckAnalysis(t.Context(), &taskerv1.GetBottleneckAnalysisRequest{Limit: proto.Int32(-1)})
	refused(t, err, codes.InvalidArgument, "invalid_field", "limit")
}

func TestConfig(t *testing.T) {
	t.Parallel()
	got, err := taskerv1.NewConfigServiceClient(openPlain(t, newFake()).conn).GetConfig(t.Context(), &taskerv1.GetConfigRequest{})
	require.NoError(t, err)
	sameJSON(t, `{"metadata":{"timestamp":"2026-03-01T10:00:00.123456Z","environment":"test","version":"1.2.3"},
		"auth":{"enabled":true,"verificationMethod":"none","apiKeyHeader":"X-API-Key","apiKeyCount":2,"strictValidation":true},
		"circuitBreakers":{"enabled":true,"failureThreshold":5,"timeoutSeconds":30,"successThreshold":2},
		"databasePools":{"webApiPoolSize":12,"webApiMaxConnections":20},"deploymentMode":"Hybrid",
		"messaging":{"backend":"river","queues":["tasker_control"]}}`, got)
}

// Clients of the original put the whole completion into result.
func TestACompletionInOnePiece(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewStepServiceClient(openPlain(t, f).conn)
	tk := f.add(task.BlockedByFailures)
	note := map[string]any{"by": "hand"}
	for name, w := range map[string]struct {
		result, metadata map[string]any
		value, noted     string
	}{
		"both":             {map[string]any{"result": map[string]any{"n": 5}, "metadata": note}, nil, `{"n":5}`, `{"by":"hand"}`},
		"no object":        {map[string]any{"result": 5, "metadata": note}, nil, `5`, `{"by":"hand"}`},
		"no metadata":      {map[string]any{"result": []any{1}, "metadata": nil}, nil, `[1]`, ``},
		"a third member":   {map[string]any{"result": 1, "metadata": note, "more": 1}, nil, `{"metadata":{"by":"hand"},"more":1,"result":1}`, ``},
		"another member":   {map[string]any{"result": 1, "meta": note}, nil, `{"meta":{"by":"hand"},"result":1}`, ``},
		"metadata besides": {map[string]any{"result": 1, "metadata": note}, map[string]any{"m": 1}, `{"metadata":{"by":"hand"},"result":1}`, `{"m":1}`},
	} {
		in := &taskerv1.ResolveStepRequest{
			TaskUuid: tk.ID.String(), StepUuid: tk.Steps[0].Ref.ID().String(), Result: object(t, w.result),
			ActionType: taskerv1.StepManualActionType_STEP_MANUAL_ACTION_TYPE_COMPLETE_MANUALLY,
		}
		if w.metadata != nil {
			in.Metadata = object(t, w.metadata)
		}
		_, err := c.ResolveStep(t.Context(), in)
		require.NoError(t, err, name)
		act := f.Last().Args[0].(app.StepAction)
		require.Equal(t, plan.CompleteManually, act.Action)
		require.JSONEq(t, w.value, string(act.Value), name)
		require.Equal(t, w.noted, string(act.Metadata), name)
	}
}
