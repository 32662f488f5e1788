package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"golang.org/x/sync/errgroup"
)

// commitRate returns how many transactions per second the database commits that
// insert one row each, from so many clients.
func commitRate(ctx context.Context, url string, clients int, length time.Duration) (float64, error) {
	var done atomic.Int64
	conns := make([]*pgx.Conn, clients)
	for i := range conns {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return 0, err
		}
		defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is left to be done
		conns[i] = conn
	}
	if _, err := conns[0].Exec(ctx, "create table if not exists commits (n bigint, note text)"); err != nil {
		return 0, err
	}
	began := time.Now()
	g, groupCtx := errgroup.WithContext(ctx)
	for _, conn := range conns {
		g.Go(func() error {
			for n := 0; time.Since(began) < length; n++ {
				if _, err := conn.Exec(groupCtx, "insert into commits values ($1, 'a row of a usual length')", n); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	err := g.Wait()
	took := time.Since(began)
	_, truncErr := conns[0].Exec(ctx, "truncate commits")
	return float64(done.Load()) / took.Seconds(), errors.Join(err, truncErr)
}

// noopArgs is a job that does nothing, but for saying that it runs when it is
// timed.
type noopArgs struct {
	Timed bool `json:"timed"`
}

// Kind implements river.JobArgs.
func (noopArgs) Kind() string { return "noop" }

// River's settings here are the fastest that were found: its default of one
// fetch in 100 ms bounds latency and rate. See docs/benchmarks.md.
const (
	riverFetchCooldown = 2 * time.Millisecond
	riverPollInterval  = 100 * time.Millisecond
	riverWorkers       = 2000
)

// riverClient works no-op jobs with River as it comes.
type riverClient struct {
	pool      *pgxpool.Pool
	client    *river.Client[pgx.Tx]
	runs      chan struct{}       // a timed job has begun
	completed <-chan *river.Event // a job has been stored as completed
}

// openRiver makes River's tables in an empty database and starts a client.
func openRiver(ctx context.Context, url string) (*riverClient, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	r := &riverClient{pool: pool, runs: make(chan struct{}, 1)}
	if err := r.start(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("river: %w", err)
	}
	return r, nil
}

func (r *riverClient) start(ctx context.Context) error {
	quiet := slog.New(slog.DiscardHandler)
	migrator, err := rivermigrate.New(riverpgxv5.New(r.pool), &rivermigrate.Config{Logger: quiet})
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(_ context.Context, job *river.Job[noopArgs]) error {
		if job.Args.Timed {
			r.runs <- struct{}{}
		}
		return nil
	}))
	r.client, err = river.NewClient(riverpgxv5.New(r.pool), &river.Config{
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: riverWorkers}},
		Workers:       workers,
		FetchCooldown: riverFetchCooldown, FetchPollInterval: riverPollInterval,
		JobTimeout: -1, Logger: quiet,
	})
	if err != nil {
		return err
	}
	r.completed, _ = r.client.SubscribeConfig(&river.SubscribeConfig{
		Kinds: []river.EventKind{river.EventKindJobCompleted}, ChanSize: 1 << 16,
	})
	return r.client.Start(ctx)
}

func (r *riverClient) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = r.client.StopAndCancel(ctx) // the data are thrown away
	r.pool.Close()
}

// riverBatch is how many jobs one insert brings.
const riverBatch = 1000

// rate returns how many jobs per second are inserted and worked, both at the same
// time, until River has stored the last as completed.
func (r *riverClient) rate(ctx context.Context, n int) (float64, error) {
	// Bloat of an earlier round must not count.
	if _, err := r.pool.Exec(ctx, "truncate river_job"); err != nil {
		return 0, err
	}
	began := time.Now()
	for from := 0; from < n; from += riverBatch {
		batch := make([]river.InsertManyParams, min(riverBatch, n-from))
		for i := range batch {
			batch[i].Args = noopArgs{}
		}
		if _, err := r.client.InsertManyFast(ctx, batch); err != nil {
			return 0, err
		}
	}
	if err := r.complete(ctx, n); err != nil {
		return 0, err
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// complete waits until n jobs have been stored as completed.
func (r *riverClient) complete(ctx context.Context, n int) error {
	for range n {
		select {
		case <-r.completed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// latency returns, for n jobs one at a time, the time from the call that begins
// the inserting transaction to the start of the job.
func (r *riverClient) latency(ctx context.Context, n int) ([]time.Duration, error) {
	took := make([]time.Duration, n)
	// River sends no notification, and looks for no job, within the cooldown
	// after the last: one waits it out, so that only the way of the job is timed.
	rest := time.NewTicker(3 * riverFetchCooldown)
	defer rest.Stop()
	for i := range took {
		select {
		case <-rest.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		began := time.Now()
		if err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
			_, err := r.client.InsertTx(ctx, tx, noopArgs{Timed: true}, nil)
			return err
		}); err != nil {
			return nil, err
		}
		select {
		case <-r.runs:
			took[i] = time.Since(began)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return took, r.complete(ctx, n)
}
