package bootstrap

import (
	"context"
	"fmt"
	"log/slog"
	"sort"

	"go.uber.org/fx"

	"github.com/tasker-go/tasker/adapters/breaker"
	"github.com/tasker-go/tasker/adapters/jsonschema"
	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/adapters/system"
	"github.com/tasker-go/tasker/adapters/telemetry"
	"github.com/tasker-go/tasker/adapters/templates"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/catalog"
	"github.com/tasker-go/tasker/core/app/dispatch"
	"github.com/tasker-go/tasker/core/app/orchestrate"
	"github.com/tasker-go/tasker/core/app/upkeep"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// modules returns everything, in the order of start. Needed from outside:
// Options, database and a logger.
func modules(cfg *configuration.Config) fx.Option {
	return fx.Options(
		fx.Supply(cfg),
		telemetryModule,
		postgresModule,
		securityModule, storedKeys,
		catalogModule,
		engineModule,
		taskRequestModule, taskBatchModule, stepEnqueuerModule, resultProcessorModule, taskFinalizerModule,
		upkeepModule,
		applicationModule,
		controlModule,
		templatesModule,
		dispatchModule,
		healthModule,
		authModule,
		doorsModule,
		workerModule,
		drainModule,
	)
}

// Parts are what tests and programs that embed the server reach into.
type Parts struct {
	fx.In

	App        *app.Application
	DB         *postgres.DB
	Store      *postgres.Store
	Dispatcher *dispatch.Dispatcher
	Hub        *watch.Hub
	Catalog    *catalog.Catalog
	Breaker    *breaker.UnitOfWork
	Requests   *app.Requests
	Results    *orchestrate.Results
	Doors      doors
}

var telemetryModule = fx.Module("telemetry",
	fx.Provide(func(o Options) *telemetry.Metrics { return telemetry.NewMetrics(o.Version) }),
)

var postgresModule = fx.Module("postgres",
	fx.Provide(
		func(db database, cfg *configuration.Config, o Options) (*postgres.DB, error) {
			pool := cfg.Common.Database.Pool
			return postgres.Open(context.Background(), postgres.Config{
				URL: db.url, MaxConnections: int32(pool.MaxConnections), Description: whoAmI(o.Version),
				IdleTimeout: pool.IdleTimeout, MaxLifetime: pool.MaxLifetime, Tracer: o.Tracer, ClockOffset: o.ClockOffset,
			})
		},
		fx.Annotate(river.NewQueue, fx.As(new(postgres.Queue))),
		postgres.NewStore,
		postgres.NewWire,
		func(s *postgres.Store, cfg *configuration.Config, log *slog.Logger) *breaker.UnitOfWork {
			b := cfg.Common.CircuitBreakers.Components.DatabaseWrites
			return breaker.New(s, breaker.Config{
				Name: "database_writes", FailureRatio: b.FailureRatio, Window: b.Window, OpenFor: b.Timeout,
				MinimumVolume: uint32(b.MinimumVolume), Probes: uint32(b.Probes),
			}, log)
		},
	),
	fx.Invoke(func(lc fx.Lifecycle, db *postgres.DB, s *postgres.Store, b *breaker.UnitOfWork, m *telemetry.Metrics, log *slog.Logger) {
		m.Counts(s, log)
		m.Pools(func() []telemetry.PoolFigures {
			var out []telemetry.PoolFigures
			for _, p := range db.Pools() {
				out = append(out, telemetry.PoolFigures{Name: poolNames[p.Name], Active: p.Active, Idle: p.Idle})
			}
			return out
		})
		m.Gauge("tasker_orchestration_circuit_breaker_state", "0 closed, 1 half open, 2 open.", func() float64 {
			return map[string]float64{"closed": 0, "half_open": 1, "open": 2}[b.State()]
		})
		lc.Append(fx.StartStopHook(db.Start, db.Close))
	}),
)

var catalogModule = fx.Module("catalog",
	fx.Provide(
		func(s *postgres.Store, cfg *configuration.Config) *catalog.Catalog {
			return catalog.New(s, &jsonschema.Schemas{}, cfg.Environment)
		},
	),
)

var engineModule = fx.Module("engine",
	fx.Provide(
		func(s *postgres.Store, log *slog.Logger) *watch.Hub { return watch.New(s, log) },
		func(s *postgres.Store, cfg *configuration.Config, log *slog.Logger) *upkeep.Timers {
			return upkeep.NewTimers(s, cfg.Orchestration.Dispatch.SafetyPollInterval, log)
		},
		func(s *postgres.Store, c *catalog.Catalog, h *watch.Hub, cfg *configuration.Config, log *slog.Logger) *dispatch.Dispatcher {
			return dispatch.New(s, c, h, cfg.Orchestration.Dispatch.SafetyPollInterval, log)
		},
		func(b *breaker.UnitOfWork, c *catalog.Catalog, d *dispatch.Dispatcher, h *watch.Hub, t *upkeep.Timers, m *telemetry.Metrics, cfg *configuration.Config) *orchestrate.Engine {
			rules := plan.Rules{MaxLosses: int32(cfg.Orchestration.Dispatch.MaxLeaseLosses)}
			if backoff := cfg.Common.Backoff; backoff.JitterEnabled {
				rules.Jitter = backoff.JitterMax
			}
			return orchestrate.NewEngine(b, c, d, h, t, m, rules)
		},
	),
)

var upkeepModule = fx.Module("upkeep",
	fx.Invoke(func(lc fx.Lifecycle, down fx.Shutdowner, log *slog.Logger, cfg *configuration.Config, s *postgres.Store,
		wire *postgres.Wire, hub *watch.Hub, timers *upkeep.Timers, d *dispatch.Dispatcher, enqueuer *orchestrate.Enqueuer,
		finalizer *orchestrate.Finalizer, ring *app.KeyRing,
	) {
		leases := cfg.Orchestration.Dispatch
		hub.TellOthers(wire.Follows)
		// A lost lease is noticed within the duration, looking for it included.
		look := min(leases.RecoveryInterval, leases.LeaseDuration/6)
		renewal := &upkeep.Renewal{
			Leases: s, Declared: d.Declared, Changed: d.Changed(), Log: log,
			Lease: leases.LeaseDuration - look, Every: leases.HeartbeatInterval,
		}
		recovery := &upkeep.Recovery{Due: s, Every: look, Log: log}
		chores := &upkeep.Housekeeping{Upkeep: s, Log: log}
		background(lc, down, log, "watchers", hub.Run)
		background(lc, down, log, "timers", func(ctx context.Context) error { return timers.Run(ctx, enqueuer, finalizer) })
		background(lc, down, log, "leases", renewal.Run)
		background(lc, down, log, "recovery", func(ctx context.Context) error { return recovery.Run(ctx, enqueuer) })
		background(lc, down, log, "housekeeping", chores.Run)
		background(lc, down, log, "newswire", func(ctx context.Context) error {
			return wire.Listen(ctx, func(n ports.News) {
				if n.Jobs || n.Lost {
					d.News()
				}
				if n.Waiting || n.Lost {
					timers.In(0)
				}
				if n.Keys || n.Lost {
					ring.News()
				}
				if n.Moved || n.Lost {
					hub.Elsewhere()
				}
				if n.Came || n.Lost {
					hub.Newcomer()
				}
				d.CancelTasks(n.Ended)
				for _, t := range n.Taken {
					d.CancelStep(t.Ref, t.No, dispatch.ErrTaken)
				}
			})
		})
	}),
)

var applicationModule = fx.Module("application",
	fx.Provide(
		fx.Annotate(func() *system.IDs { return &system.IDs{} }, fx.As(new(ports.IDs))),
		func(requests *app.Requests, batches *app.Batches, enqueuer *orchestrate.Enqueuer, finalizer *orchestrate.Finalizer, c *catalog.Catalog,
			s *postgres.Store, hub *watch.Hub, ids ports.IDs, admission ports.Admission, announcer ports.Announcer,
			m *telemetry.Metrics, security *app.Security, cfg *configuration.Config, db *postgres.DB, o Options,
		) *app.Application {
			limits := app.DefaultLimits()
			limits.Context.MaxBytes = cfg.Orchestration.Limits.MaxContextBytes
			limits.Result.MaxBytes = cfg.Orchestration.Limits.MaxResultBytes
			return app.New(app.Parts{
				Security: security,
				Requests: requests, Batches: batches, Enqueuer: enqueuer, Finalizer: finalizer, Catalog: c,
				Reader: templates.Reader{Schemas: &jsonschema.Schemas{}}, Reads: s, Due: s, Pauses: s, Purger: s,
				Letters: s, Resumes: s, Bulk: s, Leases: s, Hub: hub, IDs: ids, Admission: admission, Announcer: announcer, Limits: limits, Swept: m.Swept,
				Thresholds: thresholds(cfg.Orchestration.DLQ.Staleness.Thresholds), Redact: cfg.Orchestration.DLQ.RedactFields,
				Analytics: s, Contexts: s, Pools: func() []app.PoolUse { return poolsInUse(db) },
				Configuration: told(cfg, poolsInUse(db), o.Version),
			})
		},
		func(a *app.Application, s *postgres.Store, enqueuer *orchestrate.Enqueuer, finalizer *orchestrate.Finalizer,
			m *telemetry.Metrics, log *slog.Logger,
		) river.Control {
			return control{a, &upkeep.Reconciler{Due: s, Pauses: s, Enqueuer: enqueuer, Finalizer: finalizer, Healed: m.Healed, Log: log}}
		},
	),
)

// control is what the server's own jobs do.
type control struct {
	*app.Application
	*upkeep.Reconciler
}

func thresholds(t configuration.Thresholds) deadletter.Thresholds {
	return deadletter.Thresholds{
		WaitingForDependencies: t.WaitingForDependencies, WaitingForRetry: t.WaitingForRetry,
		StepsInProcess: t.StepsInProcess, Unserved: t.WorkerUnavailable,
	}
}

// registered are the namespaces of the templates that this program brought.
type registered struct{ namespaces []string }

var templatesModule = fx.Module("templates",
	fx.Provide(func(o Options, cfg *configuration.Config, log *slog.Logger) ([]*template.Template, registered, error) {
		ts, err := loadTemplates(o, cfg, log)
		seen := map[string]bool{}
		var r registered
		for _, t := range ts {
			if !seen[t.Namespace] {
				seen[t.Namespace] = true
				r.namespaces = append(r.namespaces, t.Namespace)
			}
		}
		sort.Strings(r.namespaces)
		return ts, r, err
	}),
	fx.Invoke(func(lc fx.Lifecycle, ts []*template.Template, c *catalog.Catalog, cfg *configuration.Config, log *slog.Logger) {
		lc.Append(fx.StartHook(func(ctx context.Context) error {
			if len(ts) == 0 {
				return nil
			}
			stored, err := c.Register(ctx, ts, cfg.Orchestration.Templates.OnChange == configuration.OnChangeRevise)
			if fault.Is(err, fault.CodeTemplateChanged) {
				err = fmt.Errorf("%w (or set [orchestration.templates] on_change = \"revise\")", err)
			}
			if err != nil {
				return userError{fmt.Errorf("register templates: %w", err)}
			}
			for _, s := range stored {
				d := s.Definition
				log.InfoContext(ctx, "template", "namespace", d.Namespace, "name", d.Name, "version", d.Version, "revision", s.Revision, "steps", len(d.Steps))
			}
			return nil
		}))
	}),
)

// loadTemplates reads the program's own templates and those of the configured
// folder.
func loadTemplates(o Options, cfg *configuration.Config, log *slog.Logger) ([]*template.Template, error) {
	var all []*template.Template
	add := func(ts []*template.Template, warnings templates.Findings, err error) error {
		if err != nil {
			return userError{fmt.Errorf("templates:\n%w", err)}
		}
		for _, w := range warnings {
			log.Warn("template", "warning", w.String())
		}
		all = append(all, ts...)
		return nil
	}
	if o.Templates != nil {
		if err := add(templates.LoadFS(o.Templates)); err != nil {
			return nil, err
		}
	}
	if path := cfg.Orchestration.Templates.Path; path != "" {
		if err := add(templates.Load(path)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

var dispatchModule = fx.Module("dispatch",
	fx.Invoke(func(lc fx.Lifecycle, d *dispatch.Dispatcher, results *orchestrate.Results, enqueuer *orchestrate.Enqueuer,
		ids ports.IDs, m *telemetry.Metrics, cfg *configuration.Config, log *slog.Logger,
	) {
		limits := app.DefaultResultLimits()
		limits.MaxBytes = cfg.Orchestration.Limits.MaxResultBytes
		d.ReportTo(&orchestrate.Reporter{Results: results, Enqueuer: enqueuer, IDs: ids, Limits: limits, Observe: m, Log: log})
		m.Gauge("tasker_steps_running", "Steps that workers of this server run.", func() float64 { return float64(d.Running()) })
		lc.Append(fx.StartStopHook(d.Start, d.Stop))
	}),
)

// defaultSlots is how many handlers run at once unless the program says.
const defaultSlots = 100

var workerModule = fx.Module("worker",
	fx.Invoke(func(lc fx.Lifecycle, o Options, r registered, ts []*template.Template, d *dispatch.Dispatcher, s *postgres.Store, log *slog.Logger) {
		if len(o.Handlers) == 0 {
			return
		}
		for _, missing := range unserved(ts, o.Handlers) {
			log.Warn("this program has no such handler; the step waits until some server has it", "step", missing)
		}
		slots := o.Slots
		if slots == 0 {
			slots = defaultSlots
		}
		lc.Append(fx.StartHook(func() {
			d.Serve(&inProcess{handlers: o.Handlers, reads: s, checkpoints: s}, declared(o.Handlers, r.namespaces), slots)
		}))
	}),
)
