package grpc

import (
	"context"
	"math"
	"time"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

type letters struct {
	taskerv1.UnimplementedDlqServiceServer
	service Service
}

// The enumerations of the contract number reasons and statuses in the order of
// the domain's; a test walks them.
func dlqReason(r deadletter.Reason) taskerv1.DlqReason { return taskerv1.DlqReason(r) }
func dlqStatus(s deadletter.Status) taskerv1.DlqResolutionStatus {
	return taskerv1.DlqResolutionStatus(s)
}

// statusOfLetter reads a status; what the contract does not name is none.
func statusOfLetter(s taskerv1.DlqResolutionStatus) deadletter.Status {
	if _, known := taskerv1.DlqResolutionStatus_name[int32(s)]; !known {
		return 0
	}
	return deadletter.Status(s) //nolint:gosec // G115: one of four
}

func entryID(text string) (deadletter.EntryID, error) {
	id, err := deadletter.ParseID(text)
	if err != nil {
		return id, fault.In("dlq_entry_uuid", fault.CodeInvalidUUID, "dlq_entry_uuid is %s", err)
	}
	return id, nil
}

// letterFilter is what requests that select dead letters have in common.
type letterFilter interface {
	GetResolutionStatus() taskerv1.DlqResolutionStatus
	GetReasons() []taskerv1.DlqReason
	GetNamespace() string
	GetName() string
	GetVersion() string
	GetFingerprint() string
	GetDlqTimestamp() *taskerv1.TimestampRange
}

func filterOf(prefix string, in letterFilter) (ports.LetterFilter, error) {
	f := ports.LetterFilter{
		Status: statusOfLetter(in.GetResolutionStatus()), Namespace: in.GetNamespace(), Name: in.GetName(), Version: in.GetVersion(),
		Fingerprint: in.GetFingerprint(),
	}
	for _, r := range in.GetReasons() {
		if _, known := taskerv1.DlqReason_name[int32(r)]; !known || r == taskerv1.DlqReason_DLQ_REASON_UNSPECIFIED {
			return f, fault.In(prefix+"reasons", fault.CodeInvalidField, "%sreasons has %d, which is no reason of a dead letter", prefix, r)
		}
		f.Reasons = append(f.Reasons, deadletter.Reason(r)) //nolint:gosec // G115: one of six
	}
	return f, spanOf(prefix+"dlq_timestamp", in.GetDlqTimestamp(), &f.From, &f.Until)
}

// ListEntries implements taskerv1.DlqServiceServer.
func (d *letters) ListEntries(ctx context.Context, in *taskerv1.ListDlqEntriesRequest) (*taskerv1.ListDlqEntriesResponse, error) {
	f, err := filterOf("", in)
	if err != nil {
		return nil, err
	}
	all, err := d.service.ListDeadLetters(ctx, f, int(in.GetOffset()), limitOf(in.Limit, defaultLetters)) //nolint:protogetter // absent is not 0
	if err != nil {
		return nil, err
	}
	return &taskerv1.ListDlqEntriesResponse{Entries: each(all, toEntry)}, nil
}

// GetEntryByTask implements taskerv1.DlqServiceServer.
func (d *letters) GetEntryByTask(ctx context.Context, in *taskerv1.GetDlqEntryByTaskRequest) (*taskerv1.GetDlqEntryByTaskResponse, error) {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return nil, err
	}
	l, err := d.service.GetDeadLetter(ctx, id)
	if err != nil {
		return nil, err
	}
	return &taskerv1.GetDlqEntryByTaskResponse{Entry: toEntry(&l)}, nil
}

// UpdateInvestigation implements taskerv1.DlqServiceServer.
func (d *letters) UpdateInvestigation(
	ctx context.Context, in *taskerv1.UpdateDlqInvestigationRequest,
) (*taskerv1.UpdateDlqInvestigationResponse, error) {
	id, err := entryID(in.GetDlqEntryUuid())
	if err != nil {
		return nil, err
	}
	u := ports.LetterUpdate{Status: statusOfLetter(in.GetResolutionStatus()), Notes: in.GetResolutionNotes(), ResolvedBy: in.GetResolvedBy()}
	if u.Status == 0 && in.GetResolutionStatus() != taskerv1.DlqResolutionStatus_DLQ_RESOLUTION_STATUS_UNSPECIFIED {
		return nil, fault.In("resolution_status", fault.CodeInvalidField, "resolution_status is %d, which is no status of a dead letter", in.GetResolutionStatus())
	}
	if u.Metadata, err = document("metadata", in.GetMetadata()); err != nil {
		return nil, err
	}
	l, err := d.service.UpdateDeadLetter(ctx, id, u)
	if err != nil {
		return nil, err
	}
	return &taskerv1.UpdateDlqInvestigationResponse{Success: true, Message: "the investigation is updated", DlqEntryUuid: l.ID.String()}, nil
}

// GetStats implements taskerv1.DlqServiceServer.
func (d *letters) GetStats(ctx context.Context, _ *taskerv1.GetDlqStatsRequest) (*taskerv1.GetDlqStatsResponse, error) {
	all, err := d.service.DeadLetterStats(ctx)
	if err != nil {
		return nil, err
	}
	return &taskerv1.GetDlqStatsResponse{Stats: each(all, toStats)}, nil
}

// GetInvestigationQueue implements taskerv1.DlqServiceServer.
func (d *letters) GetInvestigationQueue(
	ctx context.Context, in *taskerv1.GetDlqInvestigationQueueRequest,
) (*taskerv1.GetDlqInvestigationQueueResponse, error) {
	all, err := d.service.InvestigationQueue(ctx, limitOf(in.Limit, defaultRows)) //nolint:protogetter // absent is not 0
	if err != nil {
		return nil, err
	}
	return &taskerv1.GetDlqInvestigationQueueResponse{Entries: each(all, toInvestigation)}, nil
}

// GetStalenessMonitoring implements taskerv1.DlqServiceServer.
func (d *letters) GetStalenessMonitoring(
	ctx context.Context, in *taskerv1.GetStalenessMonitoringRequest,
) (*taskerv1.GetStalenessMonitoringResponse, error) {
	all, err := d.service.Staleness(ctx, limitOf(in.Limit, defaultRows)) //nolint:protogetter // absent is not 0
	if err != nil {
		return nil, err
	}
	return &taskerv1.GetStalenessMonitoringResponse{Entries: each(all, toStale)}, nil
}

func toEntry(l *ports.Letter) *taskerv1.DlqEntry {
	return &taskerv1.DlqEntry{
		DlqEntryUuid: l.ID.String(), TaskUuid: l.Task.String(), OriginalState: l.OriginalState.String(), DlqReason: dlqReason(l.Reason),
		DlqTimestamp: instant(l.At), ResolutionStatus: dlqStatus(l.Status), ResolutionTimestamp: instant(l.ResolvedAt),
		ResolutionNotes: given(l.Notes), ResolvedBy: given(l.ResolvedBy), TaskSnapshot: object(l.Snapshot), Metadata: object(l.Metadata),
		CreatedAt: instant(l.CreatedAt), UpdatedAt: instant(l.UpdatedAt), Ordinal: l.Ordinal, Namespace: l.Name.Namespace,
		Name: l.Name.Name, Version: l.Name.Version, Fingerprint: given(l.Fingerprint),
	}
}

func toStats(s *ports.LetterStat) *taskerv1.DlqStats {
	return &taskerv1.DlqStats{
		DlqReason: dlqReason(s.Reason), TotalEntries: s.Total, Pending: s.Pending, ManuallyResolved: s.Resolved,
		PermanentFailures: s.Failed, Cancelled: s.Cancelled, OldestEntry: instant(s.Oldest), NewestEntry: instant(s.Newest),
		AvgResolutionTimeMinutes: &s.AverageMinutes,
	}
}

func toInvestigation(i *ports.Investigation) *taskerv1.DlqInvestigationQueueEntry {
	state := i.CurrentState.String()
	return &taskerv1.DlqInvestigationQueueEntry{
		DlqEntryUuid: i.ID.String(), TaskUuid: i.Task.String(), OriginalState: i.OriginalState.String(), DlqReason: dlqReason(i.Reason),
		DlqTimestamp: instant(i.At), MinutesInDlq: i.MinutesInDLQ, NamespaceName: given(i.Name.Namespace), TaskName: given(i.Name.Name),
		CurrentState: &state, TimeInStateMinutes: &i.StateMinutes, PriorityScore: i.PriorityScore,
	}
}

var staleness = map[deadletter.Health]taskerv1.StalenessHealthStatus{
	deadletter.Healthy: taskerv1.StalenessHealthStatus_STALENESS_HEALTH_STATUS_HEALTHY,
	deadletter.Warning: taskerv1.StalenessHealthStatus_STALENESS_HEALTH_STATUS_WARNING,
	deadletter.Stale:   taskerv1.StalenessHealthStatus_STALENESS_HEALTH_STATUS_STALE,
}

func toStale(t *app.StaleTask) *taskerv1.StalenessMonitoringEntry {
	return &taskerv1.StalenessMonitoringEntry{
		TaskUuid: t.ID.String(), NamespaceName: given(t.Name.Namespace), TaskName: given(t.Name.Name), CurrentState: t.State.String(),
		TimeInStateMinutes: minutes(t.Now.Sub(t.EnteredAt)), TaskAgeMinutes: minutes(t.Now.Sub(t.CreatedAt)),
		StalenessThresholdMinutes: minutes(t.Threshold), HealthStatus: staleness[t.Health], Priority: t.Priority,
	}
}

// minutes rounds to the nearest one.
func minutes(d time.Duration) int32 { return int32(min(math.Round(d.Minutes()), math.MaxInt32)) }
