package grpc_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/test/parity/doortest"
)

// sameJSON compares a message with its JSON.
func sameJSON(t *testing.T, want string, got proto.Message) {
	t.Helper()
	raw, err := protojson.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, want, string(raw))
}

// refused checks what a call was refused with, and of which field.
func refused(t *testing.T, err error, code codes.Code, reason, field string) {
	t.Helper()
	require.Equal(t, code, status.Code(err), "%v", err)
	told := detailsOf(t, err)
	require.Equal(t, reason, told.info.GetReason())
	if field != "" {
		require.Equal(t, field, told.bad.GetFieldViolations()[0].GetField())
	}
}

func TestActionsOnTasks(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewOperatorServiceClient(open(t, f, healthy, slog.DiscardHandler, keys...).conn)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-api-key", "all")
	id := f.add(task.BlockedByFailures).ID
	for op, act := range map[app.Operation]func(context.Context, *taskerv1.TaskActionRequest, ...grpc.CallOption) (*taskerv1.TaskActionResponse, error){
		app.GiveUpTask: c.GiveUpTask, app.ResolveTask: c.ResolveTask, app.RetryTask: c.RetryTask,
	} {
		got, err := act(ctx, &taskerv1.TaskActionRequest{TaskUuid: id.String(), Reason: proto.String("late")})
		require.NoError(t, err)
		require.Equal(t, id.String(), got.GetTask().GetTaskUuid())
		require.NotEqual(t, taskerv1.TaskState_TASK_STATE_BLOCKED_BY_FAILURES, got.GetTask().GetState())
		require.Equal(t, doortest.Call{Op: op, Args: []any{id, "operator", "late"}}, f.Last())
		_, err = act(ctx, &taskerv1.TaskActionRequest{TaskUuid: id.String(), By: proto.String("bob")})
		require.NoError(t, err)
		require.Equal(t, []any{id, "bob", ""}, f.Last().Args)
		_, err = act(ctx, &taskerv1.TaskActionRequest{})
		refused(t, err, codes.InvalidArgument, "invalid_uuid", "task_uuid")
	}
	running := f.add(task.StepsInProcess).ID.String()
	_, err := c.GiveUpTask(ctx, &taskerv1.TaskActionRequest{TaskUuid: running})
	refused(t, err, codes.FailedPrecondition, "task_not_blocked", "")
	_, err = c.PurgeTask(ctx, &taskerv1.PurgeTaskRequest{TaskUuid: running})
	refused(t, err, codes.FailedPrecondition, "task_not_finished", "")
	_, err = c.PurgeTask(ctx, &taskerv1.PurgeTaskRequest{TaskUuid: f.add(task.Complete).ID.String()})
	require.NoError(t, err)
}

func TestResolveStep(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewStepServiceClient(openPlain(t, f).conn)
	tk := f.add(task.BlockedByFailures)
	sid := tk.Steps[0].Ref.ID()
	const (
		reset    = taskerv1.StepManualActionType_STEP_MANUAL_ACTION_TYPE_RESET_FOR_RETRY
		resolve  = taskerv1.StepManualActionType_STEP_MANUAL_ACTION_TYPE_RESOLVE_MANUALLY
		complete = taskerv1.StepManualActionType_STEP_MANUAL_ACTION_TYPE_COMPLETE_MANUALLY
	)
	doc := object(t, map[string]any{"n": 5})
	for _, w := range []struct {
		in   *taskerv1.ResolveStepRequest
		want app.StepAction
	}{
		{&taskerv1.ResolveStepRequest{ActionType: reset, PerformedBy: "bob", Reason: "r", Inputs: doc}, app.StepAction{Action: plan.ResetForRetry, By: "bob", Why: "r", Inputs: []byte(`{"n":5}`)}},
		{&taskerv1.ResolveStepRequest{ActionType: reset}, app.StepAction{Action: plan.ResetForRetry, By: "anonymous"}},
		{&taskerv1.ResolveStepRequest{ActionType: resolve, Result: doc}, app.StepAction{Action: plan.ResolveManually, By: "anonymous"}},
		{&taskerv1.ResolveStepRequest{ActionType: complete, Result: doc, Metadata: doc}, app.StepAction{
			Action: plan.CompleteManually, By: "anonymous", Value: []byte(`{"n":5}`), Metadata: []byte(`{"n":5}`),
		}},
	} {
		w.in.TaskUuid, w.in.StepUuid, w.want.Task, w.want.Step = tk.ID.String(), sid.String(), tk.ID, sid
		got, err := c.ResolveStep(t.Context(), w.in)
		require.NoError(t, err)
		require.Equal(t, taskerv1.StepState_STEP_STATE_RESOLVED_MANUALLY, got.GetStep().GetState())
		require.Equal(t, doortest.Call{Op: app.ResolveStep, Args: []any{w.want}}, f.Last())
	}
	nan := &structpb.Struct{Fields: map[string]*structpb.Value{"x": structpb.NewNumberValue(math.NaN())}}
	for field, in := range map[string]*taskerv1.ResolveStepRequest{
		"action_type": {}, "result": {ActionType: complete}, "inputs": {ActionType: complete, Result: doc, Inputs: doc},
		"result.x": {ActionType: complete, Result: nan}, "metadata.x": {ActionType: complete, Result: doc, Metadata: nan},
		"inputs.x": {ActionType: reset, Inputs: nan},
	} {
		in.TaskUuid, in.StepUuid = tk.ID.String(), sid.String()
		_, err := c.ResolveStep(t.Context(), in)
		refused(t, err, codes.InvalidArgument, "invalid_field", field)
	}
	_, err := c.ResolveStep(t.Context(), &taskerv1.ResolveStepRequest{TaskUuid: tk.ID.String(), StepUuid: "x", ActionType: resolve})
	refused(t, err, codes.InvalidArgument, "invalid_uuid", "step_uuid")
}

func TestAudit(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewStepServiceClient(openPlain(t, f).conn)
	tk := f.add(task.BlockedByFailures)
	sid := tk.Steps[0].Ref.ID().String()
	got, err := c.GetStepAudit(t.Context(), &taskerv1.GetStepAuditRequest{TaskUuid: tk.ID.String(), StepUuid: sid})
	require.NoError(t, err)
	sameJSON(t, `{"auditRecords":[{"auditUuid":"02000000-0000-4000-8000-000000000000","stepUuid":"`+sid+`",
		"transitionUuid":"66000000-0000-4000-8000-000000000000","taskUuid":"`+tk.ID.String()+`","recordedAt":"2026-03-01T10:00:02.123456Z",
		"success":true,"executionTimeMs":"12","result":{"success":true,"result":null},"stepName":"pay","fromState":"STEP_STATE_ERROR",
		"toState":"STEP_STATE_RESOLVED_MANUALLY","attempt":3,"dispatch":3,"by":"ann","reason":"paid in cash"},
		{"auditUuid":"01000000-0000-4000-8000-000000000000","stepUuid":"`+sid+`","transitionUuid":"65000000-0000-4000-8000-000000000000",
		"taskUuid":"`+tk.ID.String()+`","recordedAt":"2026-03-01T10:00:01.123456Z","stepName":"pay","fromState":"STEP_STATE_IN_PROGRESS",
		"toState":"STEP_STATE_ERROR","path":["STEP_STATE_ENQUEUED_AS_ERROR_FOR_ORCHESTRATION"],"attempt":3,"dispatch":3,"server":4,
		"error":{"message":"declined"}}]}`, got)
}

func TestPausesAndTemplates(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewOperatorServiceClient(openPlain(t, f).conn)
	id := f.add(task.StepsInProcess).ID.String()
	paused, err := c.PauseTask(t.Context(), &taskerv1.PauseTaskRequest{TaskUuid: id, Reason: proto.String("why")})
	require.NoError(t, err)
	sameJSON(t, `{"pause":{"kind":"task","taskUuid":"`+id+`","by":"anonymous","reason":"why","since":"2026-03-01T10:00:00.123456Z"}}`, paused)
	_, err = c.PauseTemplate(t.Context(), &taskerv1.TemplateActionRequest{Namespace: "orders", Name: "order", Version: "1.0.0"})
	require.NoError(t, err)
	_, err = c.PauseNamespace(t.Context(), &taskerv1.PauseNamespaceRequest{Namespace: "orders"})
	require.NoError(t, err)
	all, err := c.ListPauses(t.Context(), &taskerv1.ListPausesRequest{})
	require.NoError(t, err)
	require.Len(t, all.GetPauses(), 3)
	require.Equal(t, []any{100}, f.Last().Args)
	require.Equal(t, "1.0.0", all.GetPauses()[1].GetVersion())
	for _, want := range []bool{true, false} {
		got, err := c.ResumeNamespace(t.Context(), &taskerv1.PauseNamespaceRequest{Namespace: "orders"})
		require.NoError(t, err)
		require.Equal(t, want, got.GetResumed())
	}

	const text = `{"name":"order","namespace_name":"orders","version":"2.0.0","steps":[{"name":"pay","handler":{"callable":"pay"}}]}`
	stored, err := c.RegisterTemplates(t.Context(), &taskerv1.RegisterTemplatesRequest{Text: text, Revise: true})
	require.NoError(t, err)
	require.Equal(t, []any{text, true}, f.Last().Args)
	require.EqualValues(t, 2, stored.GetTemplates()[0].GetRevision())
	require.Len(t, stored.GetTemplates()[0].GetContentHash(), 64)
	_, err = c.RegisterTemplates(t.Context(), &taskerv1.RegisterTemplatesRequest{Text: "{}"})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Equal(t, "invalid_template", detailsOf(t, err).info.GetReason())
	report, err := c.ValidateTemplates(t.Context(), &taskerv1.ValidateTemplatesRequest{Text: text})
	require.NoError(t, err)
	require.True(t, report.GetValid())
	require.EqualValues(t, 3, report.GetTemplates()[0].GetRevision())
	require.False(t, report.GetTemplates()[0].GetChanged())
	require.True(t, proto.Equal(&taskerv1.TemplateProblem{Line: 1, Column: 1, Field: "x", Message: "has no effect"}, report.GetWarnings()[0]))
	report, err = c.ValidateTemplates(t.Context(), &taskerv1.ValidateTemplatesRequest{Text: "{}"})
	require.NoError(t, err)
	require.False(t, report.GetValid())
	require.EqualValues(t, 3, report.GetProblems()[0].GetLine())
	_, err = c.DisableTemplate(t.Context(), &taskerv1.TemplateActionRequest{Name: "none"})
	refused(t, err, codes.NotFound, "template_not_found", "")
	_, err = c.EnableTemplate(t.Context(), &taskerv1.TemplateActionRequest{Namespace: "orders", Name: "order", Version: "1.0.0"})
	require.NoError(t, err)
}

// explained asks for an explanation and returns its messages.
func explained(t testing.TB, s *door, id ident.TaskID) ([]*taskerv1.ExplainTaskResponse, error) {
	t.Helper()
	stream, err := taskerv1.NewOperatorServiceClient(s.conn).ExplainTask(t.Context(), &taskerv1.ExplainTaskRequest{TaskUuid: id.String()})
	require.NoError(t, err)
	var all []*taskerv1.ExplainTaskResponse
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, m)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	f := newFake()
	d := openPlain(t, f)
	id := f.add(task.StepsInProcess).ID
	all, err := explained(t, d, id)
	require.NoError(t, err)
	require.Len(t, all, 1)
	known, err := f.ExplainTask(t.Context(), id)
	require.NoError(t, err)
	whole := all[0].GetTask()
	require.Equal(t, id.String(), whole.GetTaskUuid())
	require.Equal(t, known.Sentence, whole.GetExplanation().GetSentence())
	require.Equal(t, "max_retries_exceeded", whole.GetDeadLetter().GetReason())
	require.Len(t, whole.GetCriticalPath(), 2)
	require.Len(t, all[0].GetSteps(), 4)
	uuid := func(no int32) string { return ident.StepRef{Task: id, No: no}.ID().String() }
	for i, s := range all[0].GetSteps() {
		want := known.Steps[i]
		require.Equal(t, uuid(want.No), s.GetStepUuid())
		require.Equal(t, "STEP_STATE_"+upper(want.State.String()), s.GetState().String())
		require.Equal(t, string(want.Code), s.GetExplanation().GetCode())
		require.Equal(t, want.Sentence, s.GetExplanation().GetSentence())
		require.Equal(t, want.Unblock, s.GetExplanation().GetUnblock())
		require.Len(t, s.GetExplanation().GetAlso(), len(want.Also))
		require.Len(t, s.GetExplanation().GetActions(), len(want.Actions))
		require.Len(t, s.GetExplanation().GetInstead(), len(want.Instead))
		require.Len(t, s.GetWaitingFor(), len(want.WaitingFor))
	}
	steps := all[0].GetSteps()
	require.Equal(t, uuid(1), steps[0].GetExplanation().GetActions()[0].GetStepUuid())
	require.NotNil(t, steps[0].GetDeadLetteredAt())
	require.Equal(t, "no\nmoney", steps[0].GetLastError())
	require.Equal(t, "server-1", steps[1].GetLeaseHolder())
	require.True(t, doortest.Epoch.Add(time.Minute).Equal(steps[1].GetLeaseUntil().AsTime()))
	require.Equal(t, "pick", steps[2].GetWaitingFor()[1].GetName())
	require.True(t, doortest.Epoch.Add(time.Hour).Equal(steps[3].GetRetryAt().AsTime()))
	require.Equal(t, "orders", steps[3].GetPauses()[0].GetSubject())

	_, err = explained(t, d, ident.TaskID{1, 6: 0x70, 8: 0x80})
	refused(t, err, codes.NotFound, "task_not_found", "")
}

// large is an application whose tasks have more steps than a message takes.
type large struct{ *fake }

func (large) ExplainTask(context.Context, ident.TaskID) (readiness.Explanation, error) {
	f := readiness.Facts{Now: doortest.Epoch, Task: readiness.TaskFacts{State: task.StepsInProcess, Counters: task.Counters{Total: 10_000}}}
	for no := int32(1); no <= 10_000; no++ {
		s := readiness.StepFacts{No: no, Name: "reserve_stock", State: step.Enqueued, MaxAttempts: 3, Handler: "reserve_stock", Served: true}
		if no > 100 {
			s.State, s.Parents, s.OpenParents = step.Pending, []int32{no - 100}, 1
		}
		f.Steps = append(f.Steps, s)
	}
	return readiness.Explain(&f), nil
}

func TestExplainOfALargeTaskFitsIntoMessages(t *testing.T) {
	t.Parallel()
	all, err := explained(t, openPlain(t, large{newFake()}), ident.TaskID{6: 0x70, 8: 0x80})
	require.NoError(t, err)
	steps := 0
	for i, m := range all {
		require.Equal(t, i == 0, m.GetTask() != nil)
		require.Less(t, proto.Size(m), config.MaxMessageBytes)
		steps += len(m.GetSteps())
	}
	require.Equal(t, 10_000, steps)
}
