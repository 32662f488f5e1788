package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// options say what to measure.
type options struct {
	shapes      []shape
	modes       []string
	rounds      int
	scale       float64 // of tasks, samples and jobs: 1, less when quick
	idleFor     time.Duration
	statements  bool
	profiles    string // how the names of files for CPU profiles begin; empty for none
	databaseURL string
	dataDir     string
}

// scaled returns n times the scale, at least one for each round.
func (o *options) scaled(n int) int { return max(o.rounds, int(float64(n)*o.scale)) }

// bench is one run of the bench.
type bench struct {
	options
	cluster  *cluster
	load     *loadProcess
	meter    meter
	counter  *counter
	progress io.Writer
	log      *slog.Logger
}

// Databases that the bench makes, and drops in the end.
const (
	mainDatabase     = "tasker_bench"
	limitsDatabase   = "tasker_bench_limits"
	riverDatabase    = "tasker_bench_river"
	slotsDatabase    = "tasker_bench_slots"
	plainDatabase    = "tasker_bench_plain"
	burdenedDatabase = "tasker_bench_burdened"
)

var databases = []string{mainDatabase, limitsDatabase, riverDatabase, slotsDatabase, plainDatabase, burdenedDatabase}

// newBench starts what every run needs. Close ends it.
func newBench(ctx context.Context, o options, progress io.Writer) (_ *bench, err error) {
	b := &bench{options: o, counter: newCounter(o.statements), progress: progress}
	b.log = slog.New(slog.NewTextHandler(progress, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if b.cluster, err = openCluster(ctx, o.databaseURL, o.dataDir, b.log); err != nil {
		return nil, err
	}
	b.meter = meter{conn: b.cluster.conn, postmaster: postmasterOf(ctx, b.cluster.conn), counter: b.counter}
	if b.load, err = startLoad(ctx); err != nil {
		return nil, errors.Join(err, b.cluster.close())
	}
	return b, nil
}

// close removes what the bench has made.
func (b *bench) close(ctx context.Context) error {
	b.load.close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	// An interrupt may have closed the connection in the middle of a query.
	err := b.cluster.conn.Ping(ctx)
	if err != nil {
		b.cluster.conn, err = pgx.Connect(ctx, b.cluster.url)
	}
	if err == nil {
		err = b.cluster.drop(ctx, databases...)
	}
	return errors.Join(err, b.cluster.close())
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.progress, format+"\n", args...) }

// key names a series of measurements.
type key struct{ shape, mode string }

// series is what the rounds found for one shape in one mode.
type series struct {
	took             []float64 // milliseconds, of all rounds
	p50              []float64 // of each round
	tasks, steps     []float64 // per second
	sql, tx, wal     []float64 // per step
	server, postgres []float64 // CPU-ms per step
	client           []float64
}

// limitSeries is what the rounds found of the machine's own limits.
type limitSeries struct{ commits1, commits16, jobs, latency []float64 }

// all runs everything and returns the report.
func (b *bench) all(ctx context.Context) (*report, error) {
	began := time.Now()
	r := &report{Machine: b.describe(began)}
	if err := b.measureShapes(ctx, r); err != nil {
		return nil, err
	}
	if err := b.measureSlots(ctx, r); err != nil {
		return nil, err
	}
	if err := b.measureIdle(ctx, r); err != nil {
		return nil, err
	}
	rss, err := residentMiB(ctx)
	if err != nil {
		return nil, err
	}
	r.RSS = rounded(rss)
	r.Machine.Took = rounded(time.Since(began).Seconds())
	r.Targets = judge(r)
	return r, nil
}

func (b *bench) measureShapes(ctx context.Context, r *report) (err error) {
	var urls [3]string
	for i, name := range []string{mainDatabase, limitsDatabase, riverDatabase} {
		if urls[i], err = b.cluster.newDatabase(ctx, name); err != nil {
			return err
		}
	}
	s, err := startServer(ctx, serverConfig{url: urls[0], slots: defaultSlots, counter: b.counter}, b.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	ways := map[string]measurable{inProcess: localTarget{applicationTarget{s.Parts().App}}}
	if s.GRPCAddr != "" {
		ways[overGRPC] = remoteTarget{b.load, s.GRPCAddr}
	} else if slices.Contains(b.modes, overGRPC) {
		b.say("the server has no gRPC door: the mode %s is left out", overGRPC)
	}
	for _, sh := range b.shapes {
		for _, mode := range b.modes {
			if way := ways[mode]; way != nil {
				if _, err := way.inBulk(ctx, sh.name, max(1, min(warmTasks, b.scaled(sh.tasks)/4))); err != nil {
					return err
				}
			}
		}
	}
	var (
		found = map[key]*series{}
		own   limitSeries
	)
	for round := range b.rounds {
		if err := b.limitRound(urls[1], urls[2], &own); err != nil {
			return err
		}
		b.say("round %d of %d: commits %s/s, with 16 clients %s/s; River %s jobs/s, %s ms", round+1, b.rounds,
			last(own.commits1), last(own.commits16), last(own.jobs), last(own.latency))
		for _, sh := range b.shapes {
			for _, mode := range b.modes {
				way := ways[mode]
				if way == nil {
					continue
				}
				k := key{sh.name, mode}
				if found[k] == nil {
					found[k] = &series{}
				}
				if err := b.shapeRound(ctx, way, sh, mode, found[k]); err != nil {
					return err
				}
				b.say("  %-10s %-9s p50 %s ms, %s tasks/s, %s steps/s", sh.name, mode,
					last(found[k].p50), last(found[k].tasks), last(found[k].steps))
			}
		}
	}
	rss, err := residentMiB(ctx)
	r.RSSLoad = rounded(rss)
	b.sum(r, found, &own)
	return err
}

func last(values []float64) string {
	if len(values) == 0 {
		return "–"
	}
	return found(values[len(values)-1])
}

// limitRound measures the machine's own limits once.
func (b *bench) limitRound(limitsURL, riverURL string, own *limitSeries) error {
	for _, l := range []struct {
		into *[]float64
		order
	}{
		{&own.commits1, order{Do: doCommits, URL: limitsURL, N: 1, Limit: b.scale}},
		{&own.commits16, order{Do: doCommits, URL: limitsURL, N: 16, Limit: b.scale}},
		{&own.jobs, order{Do: doRiverBulk, URL: riverURL, N: b.scaled(riverJobs)}},
		{&own.latency, order{Do: doRiverLatency, URL: riverURL, N: b.scaled(riverSamples)}},
	} {
		a, err := b.load.ask(l.order)
		if err != nil {
			return err
		}
		value := a.Rate
		if len(a.Took) > 0 {
			value = median(milliseconds(a.Took))
		}
		*l.into = append(*l.into, value)
	}
	return nil
}

const (
	riverJobs    = 20000
	riverSamples = 100 // in each round
)

// shapeRound measures one shape in one mode once.
func (b *bench) shapeRound(ctx context.Context, way measurable, sh shape, mode string, into *series) error {
	took, err := way.oneAtATime(ctx, sh.name, max(1, b.scaled(sh.samples)/b.rounds))
	if err != nil {
		return err
	}
	ms := milliseconds(took)
	into.took = append(into.took, ms...)
	into.p50 = append(into.p50, median(ms))

	stop, err := b.profiling(sh, mode, len(into.p50)-1)
	if err != nil {
		return err
	}
	before, err := b.meter.read(ctx)
	if err != nil {
		return err
	}
	run, err := way.inBulk(ctx, sh.name, b.scaled(sh.tasks))
	if err != nil {
		return err
	}
	after, err := b.meter.read(ctx)
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	u := after.since(before)
	steps := float64(run.Tasks * sh.steps())
	into.tasks = append(into.tasks, float64(run.Tasks)/run.Total.Seconds())
	into.steps = append(into.steps, steps/run.Total.Seconds())
	into.sql = append(into.sql, float64(u.counted.statements)/steps)
	into.tx = append(into.tx, float64(u.counted.transactions)/steps)
	into.wal = append(into.wal, float64(u.wal)/steps)
	perStep := func(d time.Duration) float64 { return d.Seconds() * 1000 / steps }
	into.server = append(into.server, perStep(u.server))
	if u.known {
		into.postgres = append(into.postgres, perStep(u.postgres))
	}
	if mode == overGRPC {
		into.client = append(into.client, perStep(run.CPU))
	}
	b.breakdown("per step of "+sh.name+" "+mode, u.counted, steps)
	return nil
}

// breakdown prints which statements a run took, if asked for.
func (b *bench) breakdown(what string, c counted, units float64) {
	if c.texts == nil {
		return
	}
	b.say("  statements %s:", what)
	for _, text := range c.busiest() {
		b.say("    %8.4f  %s", float64(c.texts[text])/units, text)
	}
}

// profiling begins a CPU profile of a bulk run, if profiles are wanted.
func (b *bench) profiling(sh shape, mode string, round int) (stop func() error, err error) {
	if b.profiles == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(fmt.Sprintf("%s-%s-%s-%d.pprof", b.profiles, sh.name, mode, round+1))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// sum puts the medians of the rounds into the report.
func (b *bench) sum(r *report, found map[key]*series, own *limitSeries) {
	r.Limits = limits{
		Commits1: rounded(median(own.commits1)), Commits16: rounded(median(own.commits16)),
		RiverJobs: rounded(median(own.jobs)), RiverLatency: rounded(median(own.latency)),
	}
	optional := func(values []float64) *float64 {
		if len(values) == 0 {
			return nil
		}
		m := rounded(median(values))
		return &m
	}
	for _, sh := range b.shapes {
		for _, mode := range b.modes {
			s := found[key{sh.name, mode}]
			if s == nil {
				continue
			}
			r.Shapes = append(r.Shapes, shapeFigures{
				Name: sh.name, Mode: mode,
				Latency: quantiles{
					P50: rounded(median(s.p50)), P95: rounded(quantile(s.took, 0.95)), P99: rounded(quantile(s.took, 0.99)),
				},
				TasksPerSecond: rounded(median(s.tasks)), StepsPerSecond: rounded(median(s.steps)),
				PerStep: perStep{
					SQL: rounded(median(s.sql)), Transactions: rounded(median(s.tx)), WAL: rounded(median(s.wal)),
					Server: rounded(median(s.server)), Postgres: optional(s.postgres), Client: optional(s.client),
				},
				Samples: len(s.took), Tasks: b.scaled(sh.tasks),
				LatencyToRiver: rounded(median(over(s.p50, own.latency))),
				StepsToRiver:   rounded(median(over(s.steps, own.jobs))),
			})
		}
	}
	local, remote := found[key{"diamond4", inProcess}], found[key{"diamond4", overGRPC}]
	if local != nil && remote != nil {
		r.gRPCShare = median(over(remote.tasks, local.tasks))
	}
}

// describe says what this machine is.
func (b *bench) describe(at time.Time) machine {
	m := machine{
		OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(),
		Postgres: b.cluster.settings, At: at.UTC().Truncate(time.Second), Rounds: b.rounds,
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) >= 3 {
			m.Load = strings.Join(fields[:3], " ")
		}
	}
	return m
}
