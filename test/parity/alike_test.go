package parity

import (
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	grpcapi "github.com/tasker-go/tasker/adapters/grpc"
	httpapi "github.com/tasker-go/tasker/adapters/http"
	_ "github.com/tasker-go/tasker/api/taskerv1" // its descriptors
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
	"github.com/tasker-go/tasker/test/parity/doortest"
)

// request is one thing to ask for, as both doors spell it. In it {task}, {step},
// {entry} and {resume} stand for ids.
type request struct{ query, body, rpc string }

// requests has every operation that both doors offer. Requests over gRPC are in
// the JSON of their messages.
var requests = map[app.Operation]request{
	app.CreateTask: {
		body: `{"name":"order","namespace":"orders","version":"1.0.0","context":{"a":1},"initiator":"i","source_system":"s","reason":"r",
			"tags":["t"],"priority":3,"correlation_id":"0d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e","parent_correlation_id":"1d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e",
			"idempotency_key":"k","start_at":"2026-03-01T10:00:00Z","deadline":"2026-03-02T10:00:00Z","on_duplicate":"return"}`,
		rpc: `{"name":"order","namespace":"orders","version":"1.0.0","context":{"a":1},"initiator":"i","source_system":"s","reason":"r",
			"tags":["t"],"priority":3,"correlation_id":"0d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e","parent_correlation_id":"1d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e",
			"idempotency_key":"k","start_at":"2026-03-01T10:00:00Z","deadline":"2026-03-02T10:00:00Z","on_duplicate":"return"}`,
	},
	app.GetTask: {rpc: `{"task_uuid":"{task}"}`},
	app.ListTasks: {
		query: "?namespace=n&name=m&version=v&initiator=i&source_system=s&status=error,cancelled&tags=a&tags=b&error=x" +
			"&correlation_id=0d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e&created_after=2026-03-01T10:00:00Z&updated_before=2026-03-02T10:00:00Z" +
			"&completed_after=2026-03-01T10:00:00Z&sort=updated_at&direction=asc&total=exact&per_page=7",
		rpc: `{"namespace":"n","name":"m","version":"v","initiator":"i","source_system":"s","states":["TASK_STATE_ERROR","TASK_STATE_CANCELLED"],
			"tags":["a","b"],"error":"x","correlation_id":"0d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e","created_at":{"start":"2026-03-01T10:00:00Z"},
			"updated_at":{"end":"2026-03-02T10:00:00Z"},"completed_at":{"start":"2026-03-01T10:00:00Z"},
			"sort":{"field":"updated_at","direction":"SORT_DIRECTION_ASC"},"total":"exact","pagination":{"limit":7}}`,
	},
	app.CancelTask:   {query: "?reason=r", rpc: `{"task_uuid":"{task}","reason":"r"}`},
	app.ExplainTask:  {rpc: `{"task_uuid":"{task}"}`},
	app.GiveUpTask:   {body: `{"reason":"r","by":"b"}`, rpc: `{"task_uuid":"{task}","reason":"r","by":"b"}`},
	app.ResolveTask:  {rpc: `{"task_uuid":"{task}"}`},
	app.RetryTask:    {body: `{"reason":"r"}`, rpc: `{"task_uuid":"{task}","reason":"r"}`},
	app.ListSteps:    {rpc: `{"task_uuid":"{task}"}`},
	app.GetStep:      {rpc: `{"task_uuid":"{task}","step_uuid":"{step}"}`},
	app.GetStepAudit: {rpc: `{"task_uuid":"{task}","step_uuid":"{step}"}`},
	app.ResolveStep: {
		body: `{"action_type":"complete_manually","completion_data":{"result":{"a":1},"metadata":{"b":2}},"reason":"r","completed_by":"b"}`,
		rpc: `{"task_uuid":"{task}","step_uuid":"{step}","action_type":"STEP_MANUAL_ACTION_TYPE_COMPLETE_MANUALLY","result":{"a":1},
			"metadata":{"b":2},"reason":"r","performed_by":"b"}`,
	},
	app.PauseTask:         {body: `{"reason":"r"}`, rpc: `{"task_uuid":"{task}","reason":"r"}`},
	app.ResumeTask:        {rpc: `{"task_uuid":"{task}"}`},
	app.PauseTemplate:     {rpc: `{"namespace":"orders","name":"order","version":"1.0.0"}`},
	app.ResumeTemplate:    {body: `{"by":"b"}`, rpc: `{"namespace":"orders","name":"order","version":"1.0.0","by":"b"}`},
	app.PauseNamespace:    {rpc: `{"namespace":"orders"}`},
	app.ResumeNamespace:   {rpc: `{"namespace":"orders"}`},
	app.ListPauses:        {rpc: `{}`},
	app.ListTemplates:     {rpc: `{}`},
	app.GetTemplate:       {rpc: `{"namespace":"orders","name":"order","version":"1.0.0"}`},
	app.RegisterTemplates: {query: "?revise=true", body: templateText, rpc: `{"revise":true,"text":` + strconv.Quote(templateText) + `}`},
	app.ValidateTemplates: {body: templateText, rpc: `{"text":` + strconv.Quote(templateText) + `}`},
	app.DisableTemplate:   {body: `{"reason":"r"}`, rpc: `{"namespace":"orders","name":"order","version":"1.0.0","reason":"r"}`},
	app.EnableTemplate:    {rpc: `{"namespace":"orders","name":"order","version":"1.0.0"}`},
	app.ListDeadLetters: {
		query: "?resolution_status=Pending&reason=ManualDlq,PermanentFailure&namespace=n&name=m&version=v&fingerprint=f" +
			"&from=2026-03-01T10:00:00Z&until=2026-03-02T10:00:00Z&offset=3",
		rpc: `{"resolution_status":"DLQ_RESOLUTION_STATUS_PENDING","reasons":["DLQ_REASON_MANUAL_DLQ","DLQ_REASON_PERMANENT_FAILURE"],
			"namespace":"n","name":"m","version":"v","fingerprint":"f",
			"dlq_timestamp":{"start":"2026-03-01T10:00:00Z","end":"2026-03-02T10:00:00Z"},"offset":3}`,
	},
	app.GetDeadLetter: {rpc: `{"task_uuid":"{task}"}`},
	app.UpdateDeadLetter: {
		body: `{"resolution_status":"Cancelled","resolution_notes":"n","resolved_by":"b","metadata":{"a":1}}`,
		rpc: `{"dlq_entry_uuid":"{entry}","resolution_status":"DLQ_RESOLUTION_STATUS_CANCELLED","resolution_notes":"n","resolved_by":"b",
			"metadata":{"a":1}}`,
	},
	app.FileDeadLetter:         {body: `{"reason":"r"}`, rpc: `{"task_uuid":"{task}","reason":"r"}`},
	app.ListDeadLetterFailures: {query: "?limit=7", rpc: `{"dlq_entry_uuid":"{entry}","limit":7}`},
	app.ListDeadLetterGroups:   {query: "?reason=ManualDlq", rpc: `{"filter":{"reasons":["DLQ_REASON_MANUAL_DLQ"]}}`},
	app.GetDeadLetterStats:     {rpc: `{}`},
	app.GetInvestigationQueue:  {rpc: `{}`},
	app.GetStaleness:           {query: "?limit=7", rpc: `{"limit":7}`},
	app.ResumeDeadLetter: {
		body: `{"action":"skip","steps":[{"name":"pay","action":"reset","inputs":{"a":1}},{"name":"ship","action":"resolve","value":"x"}],"reason":"r"}`,
		rpc: `{"dlq_entry_uuid":"{entry}","action":"skip","steps":[{"name":"pay","action":"reset","inputs":{"a":1}},
			{"name":"ship","action":"resolve","value":"x"}],"reason":"r"}`,
	},
	app.ResumeDeadLetters: {
		body: `{"filter":{"namespace":"n","reason":"ManualDlq"},"action":"reset","dry_run":true,"rate":2.5,"canary_percent":1,
			"stop_percent":50,"limit":9,"reason":"r","by":"b"}`,
		rpc: `{"filter":{"namespace":"n","reasons":["DLQ_REASON_MANUAL_DLQ"]},"action":"reset","dry_run":true,"rate":2.5,"canary_percent":1,
			"stop_percent":50,"limit":9,"reason":"r","by":"b"}`,
	},
	app.WatchTask: {query: "?after=1-2-3", rpc: `{"task_uuid":"{task}","include_steps":true,"after":"1-2-3"}`},
	app.CreateTasks: {
		body: `{"mode":"all_or_nothing","tasks":[{"name":"order","namespace":"orders","version":"1","context":{"a":1},"initiator":"i",
			"delay_seconds":2},{"name":"n","namespace":"s","version":"2","initiator":"i","on_duplicate":"return","context":{}}]}`,
		rpc: `{"mode":"MODE_ALL_OR_NOTHING","tasks":[{"name":"order","namespace":"orders","version":"1","context":{"a":1},"initiator":"i",
			"delay_seconds":2},{"name":"n","namespace":"s","version":"2","initiator":"i","on_duplicate":"return","context":{}}]}`,
	},
	app.CancelTasks: {
		body: `{"filter":{"namespace":"n","status":["error","cancelled"],"tags":"t","created_before":"2026-03-02T10:00:00Z"},"dry_run":true,
			"limit":5,"rate":2.5,"reason":"r","by":"b"}`,
		rpc: `{"filter":{"namespace":"n","states":["TASK_STATE_ERROR","TASK_STATE_CANCELLED"],"tags":["t"],
			"created_at":{"end":"2026-03-02T10:00:00Z"}},"dry_run":true,"limit":5,"rate":2.5,"reason":"r","by":"b"}`,
	},
	app.RetryTasks:          {body: `{"filter":{"error":"x"}}`, rpc: `{"filter":{"error":"x"}}`},
	app.ListBulkOperations:  {query: "?limit=7", rpc: `{"limit":7}`},
	app.GetBulkOperation:    {rpc: `{"operation_uuid":"{operation}"}`},
	app.CancelBulkOperation: {query: "?reason=r", rpc: `{"operation_uuid":"{operation}","reason":"r"}`},
	app.ListResumes:         {query: "?limit=7", rpc: `{"limit":7}`},
	app.GetResume:           {rpc: `{"resume_uuid":"{resume}"}`},
	app.CancelResume:        {query: "?reason=r", rpc: `{"resume_uuid":"{resume}","reason":"r"}`},
	app.PurgeTask:           {rpc: `{"task_uuid":"{task}"}`},

	app.GetTaskSummary: {rpc: `{"task_uuid":"{task}"}`},
	app.GetTaskContext: {rpc: `{"task_uuid":"{task}"}`},
	app.GetPerformance: {query: "?hours=7", rpc: `{"hours":7}`},
	app.GetBottlenecks: {query: "?min_executions=3", rpc: `{"min_executions":3}`},
	app.GetConfig:      {rpc: `{}`},
	app.CreateKey: {
		body: `{"name":"shop","permissions":["tasks:read"],"roles":["viewer"],"namespaces":["orders"],"expires_at":"2099-03-01T10:00:00Z"}`,
		rpc:  `{"name":"shop","permissions":["tasks:read"],"roles":["viewer"],"namespaces":["orders"],"expires_at":"2099-03-01T10:00:00Z"}`,
	},
	app.ListKeys:  {rpc: `{}`},
	app.GetKey:    {rpc: `{"key_id":"abc"}`},
	app.RotateKey: {body: `{"grace_seconds":60}`, rpc: `{"key_id":"abc","grace_seconds":60}`},
	app.RevokeKey: {query: "?reason=r", rpc: `{"key_id":"abc","reason":"r"}`},
	app.ListAudit: {
		query: "?principal=shop&operation=CancelTask&target=t&from=2026-03-01T10:00:00Z&until=2026-03-02T10:00:00Z&cursor=1&limit=7",
		rpc: `{"principal":"shop","operation":"CancelTask","target":"t","from":"2026-03-01T10:00:00Z","until":"2026-03-02T10:00:00Z",
			"cursor":"1","limit":7}`,
	},
}

// What is the same to ask for reaches the application as the same, by whatever
// door.
func TestBothDoorsAskTheSame(t *testing.T) {
	t.Parallel()
	for op, permission := range app.Operations() {
		if permission == access.Public || onlyGRPC[op] != "" {
			require.NotContains(t, requests, op)
			continue
		}
		require.Contains(t, requests, op, "a request of %s is missing here", op)
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			var seen [2]doortest.Call
			for door := range seen {
				a := newApplication()
				if op == app.PurgeTask {
					a.task.TaskRecord.State = task.Complete
				}
				if op == app.FileDeadLetter { // of which there is no open one
					_, err := a.UpdateDeadLetter(t.Context(), deadletter.ID(a.task.ID, 1), ports.LetterUpdate{Status: deadletter.Cancelled})
					require.NoError(t, err)
				}
				resume, err := a.ResumeDeadLetters(t.Context(), app.ResumeMany{})
				require.NoError(t, err)
				names := strings.NewReplacer(
					"{task}", a.task.ID.String(), "{uuid}", a.task.ID.String(), "{task_uuid}", a.task.ID.String(),
					"{step}", a.task.Steps[0].Ref.ID().String(), "{step_uuid}", a.task.Steps[0].Ref.ID().String(),
					"{entry}", deadletter.ID(a.task.ID, 1).String(), "{dlq_entry_uuid}", deadletter.ID(a.task.ID, 1).String(),
					"{resume}", resume.ID.String(), "{resume_uuid}", resume.ID.String(),
					"{operation}", doortest.Operation.ID.String(), "{operation_uuid}", doortest.Operation.ID.String(),
					"{key_id}", doortest.Key.ID, "{namespace}", "orders", "{name}", "order", "{version}", "1.0.0",
				)
				r := requests[op]
				if door == 0 {
					method, path, _ := strings.Cut(httpapi.Routes()[op], " ")
					ask(t, openREST(t, a), method, names.Replace(path)+r.query, r.body)
				} else {
					call(t, openGRPC(t, a), op, names.Replace(r.rpc))
				}
				seen[door] = a.Last()
			}
			require.Equal(t, op, seen[0].Op)
			require.Equal(t, seen[0], seen[1])
		})
	}
	require.Subset(t, slices.Collect(maps.Keys(app.Operations())), slices.Collect(maps.Keys(requests)))
}

// call calls the method of an operation, and reads all of its answer.
func call(t *testing.T, conn *grpc.ClientConn, op app.Operation, body string) {
	t.Helper()
	for method, of := range grpcapi.Methods() {
		if of != op {
			continue
		}
		name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
		require.NoError(t, err)
		desc := found.(protoreflect.MethodDescriptor)
		in, out := message(t, desc.Input()), message(t, desc.Output())
		require.NoError(t, protojson.Unmarshal([]byte(body), in))
		if !desc.IsStreamingServer() {
			require.NoError(t, conn.Invoke(t.Context(), method, in, out))
			return
		}
		stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, method)
		require.NoError(t, err)
		require.NoError(t, stream.SendMsg(in))
		require.NoError(t, stream.CloseSend())
		for err == nil {
			err = stream.RecvMsg(out)
		}
		require.ErrorIs(t, err, io.EOF)
		return
	}
	require.Fail(t, "no method", "%s", op)
}

func message(t *testing.T, d protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	require.NoError(t, err)
	return kind.New().Interface()
}
