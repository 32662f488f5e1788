package http

import (
	"context"
	"math"
	"time"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/ports"
)

// DlqFailure is a step that failed for good.
type DlqFailure struct {
	StepUUID    string    `json:"step_uuid" format:"uuid"`
	TaskUUID    string    `json:"task_uuid" format:"uuid"`
	StepName    string    `json:"step_name"`
	Dispatch    int32     `json:"dispatch"`
	Attempt     int32     `json:"attempt"`
	FailedAt    time.Time `json:"failed_at"`
	ErrorType   string    `json:"error_type"`
	Message     string    `json:"message"`
	Fingerprint string    `json:"fingerprint" doc:"The same for failures that are alike."`
}

// DlqGroup is the failures that are alike.
type DlqGroup struct {
	Fingerprint   string    `json:"fingerprint"`
	Namespace     string    `json:"namespace"`
	Name          string    `json:"name" doc:"Of the template."`
	Version       string    `json:"version"`
	StepName      string    `json:"step_name"`
	ErrorType     string    `json:"error_type"`
	Message       string    `json:"message" doc:"Of the newest."`
	Entries       int64     `json:"entries" doc:"Dead letters that hold such a failure."`
	Failures      int64     `json:"failures"`
	FirstFailedAt time.Time `json:"first_failed_at"`
	LastFailedAt  time.Time `json:"last_failed_at"`
}

// DlqStats is how many dead letters have a reason.
type DlqStats struct {
	DlqReason                string     `json:"dlq_reason"`
	TotalEntries             int64      `json:"total_entries"`
	Pending                  int64      `json:"pending"`
	ManuallyResolved         int64      `json:"manually_resolved"`
	PermanentFailures        int64      `json:"permanent_failures"`
	Cancelled                int64      `json:"cancelled"`
	OldestEntry              *time.Time `json:"oldest_entry"`
	NewestEntry              *time.Time `json:"newest_entry"`
	AvgResolutionTimeMinutes *float64   `json:"avg_resolution_time_minutes" doc:"Open ones count up to now."`
}

// DlqInvestigation is an open dead letter with its urgency.
type DlqInvestigation struct {
	DlqEntryUUID       string    `json:"dlq_entry_uuid" format:"uuid"`
	TaskUUID           string    `json:"task_uuid" format:"uuid"`
	OriginalState      string    `json:"original_state"`
	DlqReason          string    `json:"dlq_reason"`
	DlqTimestamp       time.Time `json:"dlq_timestamp"`
	MinutesInDLQ       float64   `json:"minutes_in_dlq"`
	NamespaceName      *string   `json:"namespace_name"`
	TaskName           *string   `json:"task_name"`
	CurrentState       *string   `json:"current_state"`
	TimeInStateMinutes *int32    `json:"time_in_state_minutes"`
	PriorityScore      float64   `json:"priority_score" doc:"Weight of the reason, and minutes as a dead letter."`
}

// StaleTaskResponse is an open task and how long it has been in its state.
type StaleTaskResponse struct {
	TaskUUID                  string  `json:"task_uuid" format:"uuid"`
	NamespaceName             *string `json:"namespace_name"`
	TaskName                  *string `json:"task_name"`
	CurrentState              string  `json:"current_state"`
	TimeInStateMinutes        int64   `json:"time_in_state_minutes"`
	TaskAgeMinutes            int64   `json:"task_age_minutes"`
	StalenessThresholdMinutes int64   `json:"staleness_threshold_minutes" doc:"0 for none."`
	HealthStatus              string  `json:"health_status" enum:"healthy,warning,stale"`
	Priority                  int32   `json:"priority"`
}

type failuresInput struct {
	DlqEntryUUID string `path:"dlq_entry_uuid" format:"uuid" doc:"The dead letter."`
	Limit        int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type groupsInput struct {
	LetterQuery
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func registerLetterViews(a *api, s Service) {
	register(a, app.ListDeadLetterFailures, func(ctx context.Context, in *failuresInput) (*list[DlqFailure], error) {
		id, err := entryID(in.DlqEntryUUID)
		if err != nil {
			return nil, err
		}
		all, err := s.DeadLetterFailures(ctx, id, in.Limit)
		return listed(all, err, dlqFailure)
	})
	register(a, app.ListDeadLetterGroups, func(ctx context.Context, in *groupsInput) (*list[DlqGroup], error) {
		f, err := in.filter()
		if err != nil {
			return nil, err
		}
		all, err := s.DeadLetterGroups(ctx, f, in.Limit)
		return listed(all, err, dlqGroup)
	})
	register(a, app.GetDeadLetterStats, func(ctx context.Context, _ *struct{}) (*list[DlqStats], error) {
		all, err := s.DeadLetterStats(ctx)
		return listed(all, err, dlqStats)
	})
	register(a, app.GetInvestigationQueue, func(ctx context.Context, in *limitInput) (*list[DlqInvestigation], error) {
		all, err := s.InvestigationQueue(ctx, in.Limit)
		return listed(all, err, dlqInvestigation)
	})
	register(a, app.GetStaleness, func(ctx context.Context, in *limitInput) (*list[StaleTaskResponse], error) {
		all, err := s.Staleness(ctx, in.Limit)
		return listed(all, err, staleTask)
	})
}

func dlqFailure(f *ports.LetterFailure) DlqFailure {
	return DlqFailure{
		StepUUID: f.Ref.ID().String(), TaskUUID: f.Ref.Task.String(), StepName: f.Name, Dispatch: f.Dispatch, Attempt: f.Attempt,
		FailedAt: f.At.UTC(), ErrorType: f.Type, Message: f.Message, Fingerprint: f.Fingerprint,
	}
}

func dlqGroup(g *ports.LetterGroup) DlqGroup {
	return DlqGroup{
		Fingerprint: g.Fingerprint, Namespace: g.Name.Namespace, Name: g.Name.Name, Version: g.Name.Version, StepName: g.Step,
		ErrorType: g.Type, Message: g.Message, Entries: g.Letters, Failures: g.Failures,
		FirstFailedAt: g.First.UTC(), LastFailedAt: g.Last.UTC(),
	}
}

func dlqStats(s *ports.LetterStat) DlqStats {
	return DlqStats{
		DlqReason: deadletter.Pascal(s.Reason.String()), TotalEntries: s.Total, Pending: s.Pending, ManuallyResolved: s.Resolved,
		PermanentFailures: s.Failed, Cancelled: s.Cancelled, OldestEntry: when(s.Oldest), NewestEntry: when(s.Newest),
		AvgResolutionTimeMinutes: &s.AverageMinutes,
	}
}

func dlqInvestigation(i *ports.Investigation) DlqInvestigation {
	state := i.CurrentState.String()
	return DlqInvestigation{
		DlqEntryUUID: i.ID.String(), TaskUUID: i.Task.String(), OriginalState: i.OriginalState.String(),
		DlqReason: deadletter.Pascal(i.Reason.String()), DlqTimestamp: i.At.UTC(), MinutesInDLQ: i.MinutesInDLQ,
		NamespaceName: given(i.Name.Namespace), TaskName: given(i.Name.Name), CurrentState: &state,
		TimeInStateMinutes: &i.StateMinutes, PriorityScore: i.PriorityScore,
	}
}

func staleTask(t *app.StaleTask) StaleTaskResponse {
	return StaleTaskResponse{
		TaskUUID: t.ID.String(), NamespaceName: given(t.Name.Namespace), TaskName: given(t.Name.Name), CurrentState: t.State.String(),
		TimeInStateMinutes: minutes(t.Now.Sub(t.EnteredAt)), TaskAgeMinutes: minutes(t.Now.Sub(t.CreatedAt)),
		StalenessThresholdMinutes: minutes(t.Threshold), HealthStatus: string(t.Health), Priority: t.Priority,
	}
}

// minutes rounds to the nearest one.
func minutes(d time.Duration) int64 { return int64(math.Round(d.Minutes())) }
