package grpc

import (
	"context"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/ports"
)

type analytics struct {
	taskerv1.UnimplementedAnalyticsServiceServer
	service Service
}

// GetPerformanceMetrics implements taskerv1.AnalyticsServiceServer.
func (d *analytics) GetPerformanceMetrics(ctx context.Context, in *taskerv1.GetPerformanceMetricsRequest) (*taskerv1.GetPerformanceMetricsResponse, error) {
	hours := int64(app.DefaultHours)
	if in.Hours != nil {
		hours = int64(in.GetHours())
	}
	p, err := d.service.PerformanceMetrics(ctx, hours)
	if err != nil {
		return nil, err
	}
	return &taskerv1.GetPerformanceMetricsResponse{
		TotalTasks: p.Tasks, ActiveTasks: p.Active, CompletedTasks: p.Completed, FailedTasks: p.Failed,
		CompletionRate: p.CompletionRate, ErrorRate: p.ErrorRate,
		AverageTaskDurationSeconds: app.Seconds3(p.TaskDuration), AverageStepDurationSeconds: app.Seconds3(p.StepDuration),
		TasksPerHour: p.TasksPerHour, StepsPerHour: p.StepsPerHour, SystemHealthScore: p.HealthScore,
		AnalysisPeriodStart: stamp(p.From), CalculatedAt: stamp(p.Now), Sampled: p.Sampled,
	}, nil
}

// GetBottleneckAnalysis implements taskerv1.AnalyticsServiceServer.
func (d *analytics) GetBottleneckAnalysis(ctx context.Context, in *taskerv1.GetBottleneckAnalysisRequest) (*taskerv1.GetBottleneckAnalysisResponse, error) {
	limit, least := int64(app.DefaultBottlenecks), int64(app.DefaultMinExecutions)
	if in.Limit != nil {
		limit = int64(in.GetLimit())
	}
	if in.MinExecutions != nil {
		least = int64(in.GetMinExecutions())
	}
	b, err := d.service.BottleneckAnalysis(ctx, limit, least)
	if err != nil {
		return nil, err
	}
	return &taskerv1.GetBottleneckAnalysisResponse{
		SlowSteps: each(b.SlowReport.Steps, slowStep), SlowTasks: each(b.SlowReport.Tasks, slowTask),
		ResourceUtilization: &taskerv1.ResourceUtilization{
			DatabasePoolUtilization: b.PoolUse, SystemHealth: systemHealth(&b),
		},
		Recommendations: b.Recommendations, Sampled: b.Sampled,
	}, nil
}

func slowStep(s *ports.SlowStep) *taskerv1.SlowStepInfo {
	last := stamp(s.LastAt)
	return &taskerv1.SlowStepInfo{
		NamespaceName: s.Template.Namespace, TaskName: s.Template.Name, Version: s.Template.Version, StepName: s.Step,
		AverageDurationSeconds: app.Seconds3(s.Average), MaxDurationSeconds: app.Seconds3(s.Longest),
		ExecutionCount: s.Runs, ErrorCount: s.Failed, ErrorRate: app.Rounded(s.ErrorRate(), 4), LastExecutedAt: &last,
	}
}

func slowTask(t *ports.SlowTask) *taskerv1.SlowTaskInfo {
	last := stamp(t.LastAt)
	return &taskerv1.SlowTaskInfo{
		NamespaceName: t.Template.Namespace, TaskName: t.Template.Name, Version: t.Template.Version,
		AverageDurationSeconds: app.Seconds3(t.Average), MaxDurationSeconds: app.Seconds3(t.Longest),
		ExecutionCount: t.Runs, AverageStepCount: app.Rounded(t.AverageSteps, 2), ErrorCount: t.FailedSteps,
		ErrorRate: app.Rounded(t.ErrorRate(), 4), LastExecutedAt: &last,
	}
}

func systemHealth(b *app.Bottlenecks) *taskerv1.SystemHealthCounts {
	t, s := b.TaskStates, b.StepStates
	return &taskerv1.SystemHealthCounts{
		PendingTasks: t["pending"], InitializingTasks: t["initializing"], EnqueuingStepsTasks: t["enqueuing_steps"],
		StepsInProcessTasks: t["steps_in_process"], EvaluatingResultsTasks: t["evaluating_results"],
		WaitingForDependenciesTasks: t["waiting_for_dependencies"], WaitingForRetryTasks: t["waiting_for_retry"],
		BlockedByFailuresTasks: t["blocked_by_failures"], CompleteTasks: t["complete"], ErrorTasks: t["error"],
		CancelledTasks: t["cancelled"], ResolvedManuallyTasks: t["resolved_manually"], TotalTasks: b.Tasks,
		PendingSteps: s["pending"], EnqueuedSteps: s["enqueued"], InProgressSteps: s["in_progress"],
		EnqueuedForOrchestrationSteps:        s["enqueued_for_orchestration"],
		EnqueuedAsErrorForOrchestrationSteps: s["enqueued_as_error_for_orchestration"],
		WaitingForRetrySteps:                 s["waiting_for_retry"], CompleteSteps: s["complete"], ErrorSteps: s["error"],
		CancelledSteps: s["cancelled"], ResolvedManuallySteps: s["resolved_manually"], TotalSteps: b.Steps,
	}
}
