package river

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	riverqueue "github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// ClientConfig says where the control jobs are and how often the periodic ones
// are due.
type ClientConfig struct {
	URL            string
	Schema         string
	SweepEvery     time.Duration // 0 for never
	ReconcileEvery time.Duration // 0 for never
	Tracer         pgx.QueryTracer
	Log            *slog.Logger
}

const (
	// jobTimeout bounds one run of a control job.
	jobTimeout = 30 * time.Second
	// rescueAfter is when a running job's server counts as gone.
	rescueAfter = 90 * time.Second
	// pollEvery is how late a job can be when its notification was lost.
	pollEvery = 30 * time.Second
	// firstWait is a failed job's first; more than the five seconds up to which
	// River lets a job wait for the next poll.
	firstWait = 10 * time.Second
	// jobsAtOnce is how many control jobs this server works at the same time; most
	// of an announcement is waiting for an answer.
	jobsAtOnce = 10
	// connections are those for River's own statements: fetching, completing and
	// leading. One more listens.
	connections = 3
	// keepCompleted and keepFailed are how long ended jobs can be looked at. They
	// lie in the table of the steps' jobs, which is best small.
	keepCompleted = 5 * time.Minute
	keepFailed    = 24 * time.Hour
	// hardStop bounds a stop whose time is over.
	hardStop = 2 * time.Second
)

// dropped are the indexes that our migrations remove from River's table.
var dropped = []string{"river_job_args_index", "river_job_metadata_index"}

// Client works the control jobs of the server with River's own client: those of
// the control queue, never those of steps. Of all clients on a database one
// leads: it inserts the periodic jobs, and tidies up.
type Client struct {
	river    *riverqueue.Client[pgx.Tx]
	pool     *pgxpool.Pool
	stopping chan struct{}
	stop     sync.Once
}

// NewClient returns a client that has not connected yet.
func NewClient(ctx context.Context, cfg ClientConfig, control Control) (*Client, error) {
	conns, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("control jobs: database url: %w", err)
	}
	conns.MaxConns, conns.MinConns = connections+1, 0 // the listener's is taken out of the pool
	conns.ConnConfig.ConnectTimeout = 5 * time.Second
	conns.ConnConfig.Tracer = cfg.Tracer
	for k, v := range map[string]string{"application_name": "tasker control", "jit": "off", "idle_in_transaction_session_timeout": "15s"} {
		conns.ConnConfig.RuntimeParams[k] = v
	}
	pool, err := pgxpool.NewWithConfig(ctx, conns)
	if err != nil {
		return nil, fmt.Errorf("control jobs: %w", err)
	}
	c := &Client{pool: pool, stopping: make(chan struct{})}
	c.river, err = riverqueue.NewClient(riverpgxv5.New(pool), c.config(cfg, control))
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("control jobs: %w", err)
	}
	return c, nil
}

func (c *Client) config(cfg ClientConfig, control Control) *riverqueue.Config {
	workers := riverqueue.NewWorkers()
	riverqueue.AddWorker(workers, &announcer{control: control})
	riverqueue.AddWorker(workers, &resumer{control: control, pool: c.pool, stopping: c.stopping})
	riverqueue.AddWorker(workers, &sweeper{control: control})
	riverqueue.AddWorker(workers, &reconciler{control: control})
	indexes := slices.DeleteFunc(riverqueue.ReindexerIndexNamesDefault(), func(name string) bool {
		return slices.Contains(dropped, name)
	})
	return &riverqueue.Config{
		Schema:                      cfg.Schema,
		Queues:                      map[string]riverqueue.QueueConfig{ControlQueue: {MaxWorkers: jobsAtOnce}},
		Workers:                     workers,
		PeriodicJobs:                periodicJobs(cfg.SweepEvery, cfg.ReconcileEvery),
		SkipUnknownJobCheck:         true,
		FetchPollInterval:           pollEvery,
		JobTimeout:                  jobTimeout,
		RescueStuckJobsAfter:        rescueAfter,
		RetryPolicy:                 waits{first: firstWait, longest: time.Hour},
		CompletedJobRetentionPeriod: keepCompleted,
		CancelledJobRetentionPeriod: keepFailed,
		DiscardedJobRetentionPeriod: keepFailed,
		ReindexerIndexNames:         indexes,
		ErrorHandler:                failures{cfg.Log},
		Logger:                      slog.New(&quieter{cfg.Log.With("part", "control jobs").Handler()}),
	}
}

// Start connects and begins to work jobs. It returns at once; ctx bounds
// starting alone.
func (c *Client) Start(ctx context.Context) error {
	if err := c.pool.Ping(ctx); err != nil {
		return fmt.Errorf("control jobs: connect: %w", err)
	}
	// The jobs' contexts derive from this one.
	if err := c.river.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("control jobs: start: %w", err)
	}
	return nil
}

// Stop takes no more jobs, lets those that run end until ctx does, then cancels
// them; they run again elsewhere. It may be called twice, and before Start.
func (c *Client) Stop(ctx context.Context) error {
	var err error
	c.stop.Do(func() {
		close(c.stopping)
		if err = c.river.Stop(ctx); err != nil {
			hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), hardStop)
			defer cancel()
			err = c.river.StopAndCancel(hard)
		}
		if err == nil { // else a job still holds a connection, and closing would wait for it
			c.pool.Close()
		}
	})
	if err != nil {
		return fmt.Errorf("control jobs: stop: %w", err)
	}
	return nil
}

// quieter demotes what River thinks worth telling, such as how many jobs it has
// done.
type quieter struct{ slog.Handler }

// Enabled implements slog.Handler.
func (q *quieter) Enabled(ctx context.Context, level slog.Level) bool {
	return q.Handler.Enabled(ctx, demoted(level))
}

// Handle implements slog.Handler.
func (q *quieter) Handle(ctx context.Context, r slog.Record) error {
	r.Level = demoted(r.Level)
	return q.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (q *quieter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &quieter{q.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (q *quieter) WithGroup(name string) slog.Handler { return &quieter{q.Handler.WithGroup(name)} }

func demoted(level slog.Level) slog.Level {
	if level < slog.LevelWarn {
		return slog.LevelDebug
	}
	return level
}
