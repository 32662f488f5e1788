package grpc_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	f := newFake()
	conn := openPlain(t, f).conn
	c, o := taskerv1.NewDlqServiceClient(conn), taskerv1.NewOperatorServiceClient(conn)
	tk := f.add(task.BlockedByFailures)
	l := f.AddLetter(tk.ID, deadletter.MaxRetriesExceeded)
	want := `{"dlqEntryUuid":"` + l.ID.String() + `","taskUuid":"` + tk.ID.String() + `","originalState":"blocked_by_failures",
		"dlqReason":"DLQ_REASON_MAX_RETRIES_EXCEEDED","dlqTimestamp":"2026-03-01T10:00:00.123456Z",
		"resolutionStatus":"DLQ_RESOLUTION_STATUS_PENDING","taskSnapshot":{"task_uuid":"x"},"createdAt":"2026-03-01T10:00:00.123456Z",
		"updatedAt":"2026-03-01T10:00:00.123456Z","ordinal":1,"namespace":"orders","name":"order","version":"1.0.0","fingerprint":"00ff"}`
	all, err := c.ListEntries(t.Context(), &taskerv1.ListDlqEntriesRequest{})
	require.NoError(t, err)
	sameJSON(t, `{"entries":[`+want+`]}`, all)
	require.Equal(t, []any{ports.LetterFilter{}, 0, 50}, f.Last().Args)
	one, err := c.GetEntryByTask(t.Context(), &taskerv1.GetDlqEntryByTaskRequest{TaskUuid: tk.ID.String()})
	require.NoError(t, err)
	sameJSON(t, `{"entry":`+want+`}`, one)
	for _, s := range []taskerv1.DlqResolutionStatus{0, 99} { // no filter, as the contract has it
		_, err = c.ListEntries(t.Context(), &taskerv1.ListDlqEntriesRequest{ResolutionStatus: s.Enum()})
		require.NoError(t, err)
		require.Equal(t, ports.LetterFilter{}, f.Last().Args[0])
	}
	_, err = c.ListEntries(t.Context(), &taskerv1.ListDlqEntriesRequest{Reasons: []taskerv1.DlqReason{7}})
	refused(t, err, codes.InvalidArgument, "invalid_field", "reasons")
	_, err = o.ListDeadLetterGroups(t.Context(), &taskerv1.ListDeadLetterGroupsRequest{Filter: &taskerv1.DlqFilter{
		DlqTimestamp: &taskerv1.TimestampRange{End: &timestamppb.Timestamp{Nanos: -1}},
	}})
	refused(t, err, codes.InvalidArgument, "invalid_field", "filter.dlq_timestamp.end")

	done, err := c.UpdateInvestigation(t.Context(), &taskerv1.UpdateDlqInvestigationRequest{
		DlqEntryUuid: l.ID.String(), ResolutionStatus: taskerv1.DlqResolutionStatus_DLQ_RESOLUTION_STATUS_CANCELLED.Enum(),
		ResolutionNotes: proto.String("notes"), ResolvedBy: proto.String("ann"), Metadata: object(t, map[string]any{"n": 1}),
	})
	require.NoError(t, err)
	require.True(t, done.GetSuccess())
	require.Equal(t, []any{l.ID, ports.LetterUpdate{Status: deadletter.Cancelled, Notes: "notes", ResolvedBy: "ann", Metadata: []byte(`{"n":1}`)}}, f.Last().Args)
	_, err = c.UpdateInvestigation(t.Context(), &taskerv1.UpdateDlqInvestigationRequest{DlqEntryUuid: l.ID.String(), ResolutionStatus: taskerv1.DlqResolutionStatus(9).Enum()})
	refused(t, err, codes.InvalidArgument, "invalid_field", "resolution_status")
	_, err = c.UpdateInvestigation(t.Context(), &taskerv1.UpdateDlqInvestigationRequest{DlqEntryUuid: "x"})
	refused(t, err, codes.InvalidArgument, "invalid_uuid", "dlq_entry_uuid")

	filed, err := o.FileDeadLetter(t.Context(), &taskerv1.FileDeadLetterRequest{TaskUuid: tk.ID.String()})
	require.NoError(t, err)
	require.Equal(t, taskerv1.DlqReason_DLQ_REASON_MANUAL_DLQ, filed.GetEntry().GetDlqReason())
	_, err = o.FileDeadLetter(t.Context(), &taskerv1.FileDeadLetterRequest{TaskUuid: tk.ID.String()})
	refused(t, err, codes.AlreadyExists, "dead_letter_open", "")
}

func TestViewsOfDeadLetters(t *testing.T) {
	t.Parallel()
	f := newFake()
	conn := openPlain(t, f).conn
	c, o := taskerv1.NewDlqServiceClient(conn), taskerv1.NewOperatorServiceClient(conn)
	tk := f.add(task.BlockedByFailures)
	l := f.AddLetter(tk.ID, deadletter.PermanentFailure)
	stats, err := c.GetStats(t.Context(), &taskerv1.GetDlqStatsRequest{})
	require.NoError(t, err)
	sameJSON(t, `{"stats":[{"dlqReason":"DLQ_REASON_PERMANENT_FAILURE","totalEntries":"1","pending":"1",
		"oldestEntry":"2026-03-01T10:00:00.123456Z","newestEntry":"2026-03-01T10:00:00.123456Z","avgResolutionTimeMinutes":1.5}]}`, stats)
	queue, err := c.GetInvestigationQueue(t.Context(), &taskerv1.GetDlqInvestigationQueueRequest{Limit: proto.Int32(5)})
	require.NoError(t, err)
	require.Equal(t, []any{5}, f.Last().Args)
	sameJSON(t, `{"entries":[{"dlqEntryUuid":"`+l.ID.String()+`","taskUuid":"`+tk.ID.String()+`","originalState":"blocked_by_failures",
		"dlqReason":"DLQ_REASON_PERMANENT_FAILURE","dlqTimestamp":"2026-03-01T10:00:00.123456Z","minutesInDlq":2.5,"namespaceName":"orders",
		"taskName":"order","currentState":"blocked_by_failures","timeInStateMinutes":3,"priorityScore":502.5}]}`, queue)
	stale, err := c.GetStalenessMonitoring(t.Context(), &taskerv1.GetStalenessMonitoringRequest{})
	require.NoError(t, err)
	require.Equal(t, []any{100}, f.Last().Args)
	sameJSON(t, `{"entries":[{"taskUuid":"01000000-0000-7000-8000-000000000000","namespaceName":"orders","taskName":"order",
		"currentState":"waiting_for_retry","timeInStateMinutes":26,"taskAgeMinutes":60,"stalenessThresholdMinutes":30,
		"healthStatus":"STALENESS_HEALTH_STATUS_WARNING","priority":7}]}`, stale)
	failures, err := o.ListDeadLetterFailures(t.Context(), &taskerv1.ListDeadLetterFailuresRequest{DlqEntryUuid: l.ID.String()})
	require.NoError(t, err)
	sameJSON(t, `{"failures":[{"stepUuid":"`+tk.Steps[0].Ref.ID().String()+`","taskUuid":"`+tk.ID.String()+`","stepName":"pay","dispatch":4,
		"attempt":3,"failedAt":"2026-03-01T10:00:00.123456Z","errorType":"declined","message":"no money","fingerprint":"00ff"}]}`, failures)
	groups, err := o.ListDeadLetterGroups(t.Context(), &taskerv1.ListDeadLetterGroupsRequest{})
	require.NoError(t, err)
	sameJSON(t, `{"groups":[{"fingerprint":"00ff","namespace":"orders","name":"order","version":"1.0.0","stepName":"pay","errorType":"declined",
		"message":"no money","entries":"2","failures":"3","firstFailedAt":"2026-03-01T10:00:00.123456Z","lastFailedAt":"2026-03-01T11:00:00.123456Z"}]}`, groups)
}

func TestResumes(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewOperatorServiceClient(openPlain(t, f).conn)
	tk := f.add(task.BlockedByFailures)
	l := f.AddLetter(tk.ID, deadletter.MaxRetriesExceeded)
	in := &taskerv1.ResumeDeadLetterRequest{DlqEntryUuid: l.ID.String(), Steps: []*taskerv1.ResumeStep{
		{Name: "pay", Action: "resolve", Value: structpb.NewStringValue(`"}`)}, {Name: "ship", Inputs: object(t, map[string]any{"n": 1})},
	}}
	got, err := c.ResumeDeadLetter(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, tk.ID.String(), got.GetTask().GetTaskUuid())
	require.Equal(t, []any{app.ResumeOne{Entry: l.ID, By: "anonymous", Steps: []app.ResumeStep{
		{Name: "pay", Action: "resolve", Value: []byte(`"\"}"`)}, {Name: "ship", Inputs: []byte(`{"n":1}`)},
	}}}, f.Last().Args)
	_, err = c.ResumeDeadLetter(t.Context(), in)
	refused(t, err, codes.FailedPrecondition, "dead_letter_closed", "")
	in.Steps[1].Value = structpb.NewNumberValue(math.NaN())
	_, err = c.ResumeDeadLetter(t.Context(), in)
	require.Equal(t, codes.InvalidArgument, status.Code(err))

	begun, err := c.ResumeDeadLetters(t.Context(), &taskerv1.ResumeDeadLettersRequest{Action: "reset"})
	require.NoError(t, err)
	id := begun.GetResume().GetResumeUuid()
	sameJSON(t, `{"resume":{"resumeUuid":"`+id+`","state":"running","request":{"action":"reset"},"by":"anonymous","matched":"1","resumed":"3",
		"refused":"2","failedAgain":"1","message":"goes on","createdAt":"2026-03-01T10:00:00.123456Z","updatedAt":"2026-03-01T10:00:00.123456Z"}}`, begun)
	dry, err := c.ResumeDeadLetters(t.Context(), &taskerv1.ResumeDeadLettersRequest{DryRun: true})
	require.NoError(t, err)
	require.Empty(t, dry.GetResume().GetResumeUuid())
	list, err := c.ListResumes(t.Context(), &taskerv1.ListResumesRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetResumes(), 1)
	cancelled, err := c.CancelResume(t.Context(), &taskerv1.CancelResumeRequest{ResumeUuid: id})
	require.NoError(t, err)
	require.Equal(t, "cancelled", cancelled.GetResume().GetState())
	_, err = c.GetResume(t.Context(), &taskerv1.GetResumeRequest{ResumeUuid: "x"})
	refused(t, err, codes.NotFound, "resume_not_found", "")
}

// The contract numbers reasons and statuses in the order of the domain.
func TestReasonsAndStatusesAreNumberedAlike(t *testing.T) {
	t.Parallel()
	require.Len(t, taskerv1.DlqReason_name, len(deadletter.Reasons())+1)
	for _, r := range deadletter.Reasons() {
		require.Equal(t, "DLQ_REASON_"+upper(r.String()), taskerv1.DlqReason(r).String())
	}
	require.Len(t, taskerv1.DlqResolutionStatus_name, len(deadletter.Statuses())+1)
	for _, s := range deadletter.Statuses() {
		require.Equal(t, "DLQ_RESOLUTION_STATUS_"+upper(s.String()), taskerv1.DlqResolutionStatus(s).String())
	}
}
