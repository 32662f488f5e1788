package bootstrap

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/tasker-go/tasker/adapters/telemetry"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/actor"
	"github.com/tasker-go/tasker/core/app/orchestrate"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
)

// Names of the actors, in metrics and logs.
const (
	taskRequestActor     = "task_request"
	taskBatchActor       = "task_batch"
	stepEnqueuerActor    = "step_enqueuer"
	resultProcessorActor = "result_processor"
	taskFinalizerActor   = "task_finalizer"
)

// callerPatience is how long a caller's message outlasts an outage: then the
// caller is told, rather than left to its own time limit.
const callerPatience = 5 * time.Second

var taskRequestModule = fx.Module(taskRequestActor,
	fx.Provide(func(e *orchestrate.Engine, cfg *configuration.Config, m *telemetry.Metrics, log *slog.Logger) *app.Requests {
		c := actorConfig(taskRequestActor, cfg, cfg.Orchestration.Actors.TaskRequestChannelSize)
		c.Patience = callerPatience
		return actor.New(c, &orchestrate.TaskRequest{Engine: e}, sizeOfSubmission, m, log)
	}),
	fx.Invoke(running[*app.Requests]),
)

// Batches are large, and each is a transaction: few of them wait.
const batchMailbox = 16

var taskBatchModule = fx.Module(taskBatchActor,
	fx.Provide(func(e *orchestrate.Engine, cfg *configuration.Config, m *telemetry.Metrics, log *slog.Logger) *app.Batches {
		c := actorConfig(taskBatchActor, cfg, batchMailbox)
		c.Patience, c.MaxBatch = callerPatience, 1
		return actor.New(c, &orchestrate.TaskBatch{TaskRequest: orchestrate.TaskRequest{Engine: e}}, sizeOfBatch, m, log)
	}),
	fx.Invoke(running[*app.Batches]),
)

func sizeOfBatch(subs []plan.Submission) int {
	size := 0
	for i := range subs {
		size += sizeOfSubmission(subs[i])
	}
	return size
}

var stepEnqueuerModule = fx.Module(stepEnqueuerActor,
	fx.Provide(func(e *orchestrate.Engine, cfg *configuration.Config, m *telemetry.Metrics, log *slog.Logger) *orchestrate.Enqueuer {
		c := actorConfig(stepEnqueuerActor, cfg, cfg.Orchestration.Actors.StepEnqueuerChannelSize)
		return actor.New(c, &orchestrate.StepEnqueuer{Engine: e}, sizeOfWake, m, log)
	}),
	fx.Invoke(running[*orchestrate.Enqueuer]),
)

var resultProcessorModule = fx.Module(resultProcessorActor,
	fx.Provide(func(e *orchestrate.Engine, cfg *configuration.Config, m *telemetry.Metrics, log *slog.Logger) *orchestrate.Results {
		c := actorConfig(resultProcessorActor, cfg, cfg.Orchestration.Actors.ResultProcessorChannelSize)
		c.Loops = cfg.Orchestration.Actors.ResultProcessorLoops
		return actor.New(c, &orchestrate.ResultProcessor{Engine: e}, func(r step.Result) int { return 64 + len(r.Value) }, m, log)
	}),
	fx.Invoke(running[*orchestrate.Results]),
)

var taskFinalizerModule = fx.Module(taskFinalizerActor,
	fx.Provide(func(e *orchestrate.Engine, cfg *configuration.Config, m *telemetry.Metrics, log *slog.Logger) *orchestrate.Finalizer {
		c := actorConfig(taskFinalizerActor, cfg, cfg.Orchestration.Actors.TaskFinalizerChannelSize)
		c.Patience = callerPatience
		// All steps of an ending task are read and written: few tasks at a time.
		c.MaxBatch = min(c.MaxBatch, 16)
		return actor.New(c, &orchestrate.TaskFinalizer{Engine: e}, func(plan.Ending) int { return 64 }, m, log)
	}),
	fx.Invoke(running[*orchestrate.Finalizer]),
)

func actorConfig(name string, cfg *configuration.Config, capacity int) actor.Config {
	a := cfg.Orchestration.Actors
	return actor.Config{Name: name, Capacity: capacity, MaxBatch: a.MaxBatchMessages, MaxBytes: a.MaxBatchBytes, Loops: 1}
}

func sizeOfWake(w plan.Wake) int {
	size := 64 + len(w.Why)
	if w.Order != nil {
		for i := range w.Order.Steps {
			size += len(w.Order.Steps[i].Value) + len(w.Order.Steps[i].Inputs)
		}
	}
	return size
}

func sizeOfSubmission(s plan.Submission) int {
	return 256 + len(s.Context) + len(s.Options) + 64*len(s.Definition.Steps)
}

// started is an actor as the lifecycle sees it.
type started interface {
	telemetry.Mailbox
	Start()
	Stop(ctx context.Context) error
}

func running[A started](lc fx.Lifecycle, a A, m *telemetry.Metrics) {
	m.Mailboxes(a)
	lc.Append(fx.StartStopHook(a.Start, a.Stop))
}
