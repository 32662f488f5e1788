package doortest

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

const orderDoc = `{"name":"order","namespace_name":"orders","version":"1.0.0",
	"steps":[{"name":"pay","handler":{"callable":"pay"}},
	         {"name":"ship","handler":{"callable":"ship"},"dependencies":["pay"],"retry":{"max_attempts":5,"retryable":false}}]}`

// GetTaskSummary returns a task with the template of everything and its newest
// dead letter.
func (o *Operators) GetTaskSummary(ctx context.Context, id ident.TaskID) (app.Summary, error) {
	if err := o.Record(ctx, app.GetTaskSummary, id); err != nil {
		return app.Summary{}, err
	}
	t, err := o.Tasks.GetTask(ctx, id)
	if err != nil {
		return app.Summary{}, err
	}
	s := app.Summary{Task: t}
	if s.Template, _, err = template.Read([]byte(orderDoc)); err != nil {
		return app.Summary{}, err
	}
	l, err := o.find(func(l ports.Letter) bool { return l.Task == id }, func(*ports.Letter) {})
	if err == nil {
		s.Letter = &l
	} else if !fault.Is(err, fault.CodeDeadLetterNotFound) {
		return app.Summary{}, err
	}
	return s, nil
}

// GetTaskContext returns the context of a task, and results of its steps.
func (o *Operators) GetTaskContext(ctx context.Context, id ident.TaskID) (app.TaskContext, error) {
	if err := o.Record(ctx, app.GetTaskContext, id); err != nil {
		return app.TaskContext{}, err
	}
	if _, err := o.Tasks.GetTask(ctx, id); err != nil {
		return app.TaskContext{}, err
	}
	return app.TaskContext{
		Inputs:  json.RawMessage(`{"order": 7, "pay": "to be replaced"}`),
		Outputs: map[string]json.RawMessage{"pay": json.RawMessage(`[1, "two"]`)},
		Omitted: []string{"ship"},
	}, nil
}

// PerformanceMetrics returns some figures.
func (o *Operators) PerformanceMetrics(ctx context.Context, hours int64) (app.Performance, error) {
	if hours < 0 {
		return app.Performance{}, fault.In("hours", fault.CodeInvalidField, "hours is %d", hours)
	}
	return app.Performance{
		Tally: ports.Tally{
			From: Epoch.Add(-24 * time.Hour), Now: Epoch, Sampled: true, Tasks: 48, Steps: 96, Completed: 36, Failed: 6,
			TaskDuration: 1500 * time.Millisecond, StepDuration: 250 * time.Millisecond,
		},
		Active: 3, CompletionRate: 75, ErrorRate: 12.5, TasksPerHour: 2, StepsPerHour: 4, HealthScore: 0.857,
	}, o.Record(ctx, app.GetPerformance, hours)
}

// BottleneckAnalysis returns a step and a template.
func (o *Operators) BottleneckAnalysis(ctx context.Context, limit, minExecutions int64) (app.Bottlenecks, error) {
	if limit < 0 {
		return app.Bottlenecks{}, fault.In("limit", fault.CodeInvalidField, "limit is %d", limit)
	}
	return app.Bottlenecks{
		SlowReport: ports.SlowReport{
			Steps: []ports.SlowStep{{Template: Order, Step: "pay", Average: 1500 * time.Millisecond, Longest: 2 * time.Second, Runs: 8, Failed: 2, LastAt: Epoch}},
			Tasks: []ports.SlowTask{{Template: Order, Average: 3 * time.Second, Longest: 4 * time.Second, Runs: 3, AverageSteps: 2, Failed: 1, FailedSteps: 2, LastAt: Epoch}},
		},
		PoolUse: 0.25, TaskStates: map[string]int64{"complete": 2, "error": 1}, StepStates: map[string]int64{"complete": 4, "error": 2},
		Tasks: 3, Steps: 6, Recommendations: []string{"look at pay"},
	}, o.Record(ctx, app.GetBottlenecks, limit, minExecutions)
}

// GetConfig returns settings.
func (o *Operators) GetConfig(ctx context.Context) (app.Configuration, error) {
	return app.Configuration{
		At: Epoch, Environment: "test", Version: "1.2.3",
		Auth:     app.AuthFacts{Enabled: true, VerificationMethod: "none", APIKeyHeader: "X-API-Key", APIKeys: 2, Strict: true},
		Breaker:  app.BreakerFacts{Failures: 5, Probes: 2, OpenFor: 30 * time.Second},
		PoolSize: 12, MaxConnections: 20, DeploymentMode: app.DeploymentHybrid, Backend: app.BackendRiver, Queues: []string{"tasker_control"},
	}, o.Record(ctx, app.GetConfig)
}

var _ app.ReportOperations = (*Operators)(nil)
