package http

import (
	"context"
	"time"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// PerformanceMetrics is how the tasks of a period have done.
type PerformanceMetrics struct {
	TotalTasks                 int64     `json:"total_tasks" doc:"Made in the period."`
	ActiveTasks                int64     `json:"active_tasks" doc:"Of any age: not ended, and not blocked by failures."`
	CompletedTasks             int64     `json:"completed_tasks" doc:"Of the period, in state complete."`
	FailedTasks                int64     `json:"failed_tasks" doc:"Of the period, in state error or blocked_by_failures."`
	CompletionRate             decimal   `json:"completion_rate" doc:"Per cent of the period's tasks, 0 to 100."`
	ErrorRate                  decimal   `json:"error_rate" doc:"Per cent of the period's tasks, 0 to 100."`
	AverageTaskDurationSeconds decimal   `json:"average_task_duration_seconds" doc:"Of completed tasks, from start to end."`
	AverageStepDurationSeconds decimal   `json:"average_step_duration_seconds" doc:"Of the attempts that settled steps."`
	TasksPerHour               int64     `json:"tasks_per_hour" doc:"Made, by the hour of the period."`
	StepsPerHour               int64     `json:"steps_per_hour" doc:"Of those tasks."`
	SystemHealthScore          decimal   `json:"system_health_score" doc:"Of the tasks of the last hour that ended, the share that completed, 0 to 1."`
	AnalysisPeriodStart        time.Time `json:"analysis_period_start"`
	CalculatedAt               time.Time `json:"calculated_at"`
	Sampled                    bool      `json:"sampled" doc:"There were too many tasks to read them all: numbers are estimates, means are those of a sample."`
}

// SlowStepInfo is a step of a template over its runs.
type SlowStepInfo struct {
	NamespaceName          string     `json:"namespace_name"`
	TaskName               string     `json:"task_name" doc:"Name of the template."`
	Version                string     `json:"version"`
	StepName               string     `json:"step_name"`
	AverageDurationSeconds decimal    `json:"average_duration_seconds"`
	MaxDurationSeconds     decimal    `json:"max_duration_seconds"`
	ExecutionCount         int64      `json:"execution_count"`
	ErrorCount             int64      `json:"error_count"`
	ErrorRate              decimal    `json:"error_rate" doc:"Share of the runs that failed, 0 to 1."`
	LastExecutedAt         *time.Time `json:"last_executed_at"`
}

// SlowTaskInfo is a template over its tasks.
type SlowTaskInfo struct {
	NamespaceName          string     `json:"namespace_name"`
	TaskName               string     `json:"task_name" doc:"Name of the template."`
	Version                string     `json:"version"`
	AverageDurationSeconds decimal    `json:"average_duration_seconds"`
	MaxDurationSeconds     decimal    `json:"max_duration_seconds"`
	ExecutionCount         int64      `json:"execution_count" doc:"Tasks that have ended, well or badly."`
	AverageStepCount       decimal    `json:"average_step_count"`
	ErrorCount             int64      `json:"error_count" doc:"Failed steps of those tasks."`
	ErrorRate              decimal    `json:"error_rate" doc:"Share of those tasks that failed, 0 to 1."`
	LastExecutedAt         *time.Time `json:"last_executed_at"`
}

// ResourceUtilization is how busy the system is.
type ResourceUtilization struct {
	DatabasePoolUtilization decimal          `json:"database_pool_utilization" doc:"Share of the open connections that are in use, 0 to 1."`
	SystemHealth            map[string]int64 `json:"system_health" doc:"Of any age: <state>_tasks and <state>_steps for every state, total_tasks and total_steps."`
}

// BottleneckAnalysis is what is slow, and what may help.
type BottleneckAnalysis struct {
	SlowSteps           []SlowStepInfo      `json:"slow_steps" nullable:"false" doc:"Slowest first."`
	SlowTasks           []SlowTaskInfo      `json:"slow_tasks" nullable:"false" doc:"Slowest first."`
	ResourceUtilization ResourceUtilization `json:"resource_utilization"`
	Recommendations     []string            `json:"recommendations" nullable:"false"`
	Sampled             bool                `json:"sampled" doc:"There were too many tasks to read them all: the lists are of a sample."`
}

type performanceInput struct {
	Hours int64 `query:"hours" minimum:"0" maximum:"8784" default:"24" doc:"Length of the period; 0 for the last hour."`
}

type bottlenecksInput struct {
	Limit         int64 `query:"limit" minimum:"0" maximum:"1000" default:"10" doc:"Most rows of each list."`
	MinExecutions int64 `query:"min_executions" minimum:"0" maximum:"1000000" default:"5" doc:"What ran less often is left out."`
}

func registerAnalytics(a *api, s Service) {
	register(a, app.GetPerformance, func(ctx context.Context, in *performanceInput) (*read[PerformanceMetrics], error) {
		p, err := s.PerformanceMetrics(ctx, in.Hours)
		if err != nil {
			return nil, err
		}
		return &read[PerformanceMetrics]{Body: performanceMetrics(&p)}, nil
	})
	register(a, app.GetBottlenecks, func(ctx context.Context, in *bottlenecksInput) (*read[BottleneckAnalysis], error) {
		b, err := s.BottleneckAnalysis(ctx, in.Limit, in.MinExecutions)
		if err != nil {
			return nil, err
		}
		return &read[BottleneckAnalysis]{Body: bottleneckAnalysis(&b)}, nil
	})
}

func performanceMetrics(p *app.Performance) PerformanceMetrics {
	return PerformanceMetrics{
		TotalTasks: p.Tasks, ActiveTasks: p.Active, CompletedTasks: p.Completed, FailedTasks: p.Failed,
		CompletionRate: decimal(p.CompletionRate), ErrorRate: decimal(p.ErrorRate),
		AverageTaskDurationSeconds: decimal(app.Seconds3(p.TaskDuration)), AverageStepDurationSeconds: decimal(app.Seconds3(p.StepDuration)),
		TasksPerHour: p.TasksPerHour, StepsPerHour: p.StepsPerHour, SystemHealthScore: decimal(p.HealthScore),
		AnalysisPeriodStart: p.From.UTC(), CalculatedAt: p.Now.UTC(), Sampled: p.Sampled,
	}
}

func bottleneckAnalysis(b *app.Bottlenecks) BottleneckAnalysis {
	out := BottleneckAnalysis{
		SlowSteps: make([]SlowStepInfo, len(b.SlowReport.Steps)), SlowTasks: make([]SlowTaskInfo, len(b.SlowReport.Tasks)),
		ResourceUtilization: ResourceUtilization{DatabasePoolUtilization: decimal(b.PoolUse), SystemHealth: systemHealth(b)},
		Recommendations:     b.Recommendations, Sampled: b.Sampled,
	}
	for i := range out.SlowSteps {
		out.SlowSteps[i] = slowStepInfo(&b.SlowReport.Steps[i])
	}
	for i := range out.SlowTasks {
		out.SlowTasks[i] = slowTaskInfo(&b.SlowReport.Tasks[i])
	}
	return out
}

func slowStepInfo(s *ports.SlowStep) SlowStepInfo {
	return SlowStepInfo{
		NamespaceName: s.Template.Namespace, TaskName: s.Template.Name, Version: s.Template.Version, StepName: s.Step,
		AverageDurationSeconds: decimal(app.Seconds3(s.Average)), MaxDurationSeconds: decimal(app.Seconds3(s.Longest)),
		ExecutionCount: s.Runs, ErrorCount: s.Failed, ErrorRate: decimal(app.Rounded(s.ErrorRate(), 4)), LastExecutedAt: when(s.LastAt),
	}
}

func slowTaskInfo(t *ports.SlowTask) SlowTaskInfo {
	return SlowTaskInfo{
		NamespaceName: t.Template.Namespace, TaskName: t.Template.Name, Version: t.Template.Version,
		AverageDurationSeconds: decimal(app.Seconds3(t.Average)), MaxDurationSeconds: decimal(app.Seconds3(t.Longest)),
		ExecutionCount: t.Runs, AverageStepCount: decimal(app.Rounded(t.AverageSteps, 2)), ErrorCount: t.FailedSteps,
		ErrorRate: decimal(app.Rounded(t.ErrorRate(), 4)), LastExecutedAt: when(t.LastAt),
	}
}

// systemHealth has every state, also those in which there is nothing.
func systemHealth(b *app.Bottlenecks) map[string]int64 {
	out := map[string]int64{"total_tasks": b.Tasks, "total_steps": b.Steps}
	for _, s := range task.States() {
		out[s.String()+"_tasks"] = b.TaskStates[s.String()]
	}
	for _, s := range step.States() {
		out[s.String()+"_steps"] = b.StepStates[s.String()]
	}
	return out
}
