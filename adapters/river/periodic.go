package river

import (
	"context"
	"time"

	riverqueue "github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// SweepArgs are the arguments of the periodic job that looks for tasks that
// stand still.
type SweepArgs struct {
	Version int `json:"v"`
}

// Kind implements River's JobArgs.
func (SweepArgs) Kind() string { return "staleness_sweep" }

// ReconcileArgs are the arguments of the periodic job that moves what should
// have moved by itself.
type ReconcileArgs struct {
	Version int `json:"v"`
}

// Kind implements River's JobArgs.
func (ReconcileArgs) Kind() string { return "reconcile" }

// periodic is how periodic jobs are inserted: one of a kind at a time, in the
// whole database. A failed one is not tried again, the next one is due soon.
func periodic() *riverqueue.InsertOpts {
	return &riverqueue.InsertOpts{
		Queue: ControlQueue, Priority: urgent, MaxAttempts: 1,
		UniqueOpts: riverqueue.UniqueOpts{ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning,
			rivertype.JobStateRetryable, rivertype.JobStateScheduled,
		}},
	}
}

// periodicJobs are inserted by the leader: once when it becomes that, then at
// their intervals. An interval of zero is never.
func periodicJobs(sweep, reconcile time.Duration) []*riverqueue.PeriodicJob {
	var jobs []*riverqueue.PeriodicJob
	add := func(args riverqueue.JobArgs, every time.Duration) {
		if every <= 0 {
			return
		}
		jobs = append(jobs, riverqueue.NewPeriodicJob(riverqueue.PeriodicInterval(every),
			func() (riverqueue.JobArgs, *riverqueue.InsertOpts) { return args, periodic() },
			&riverqueue.PeriodicJobOpts{ID: args.Kind(), RunOnStart: true}))
	}
	add(SweepArgs{Version: argsVersion}, sweep)
	add(ReconcileArgs{Version: argsVersion}, reconcile)
	return jobs
}

type sweeper struct {
	riverqueue.WorkerDefaults[SweepArgs]
	control Control
}

// Work implements River's Worker.
func (w *sweeper) Work(ctx context.Context, job *riverqueue.Job[SweepArgs]) error {
	if err := readable(job.Args.Version); err != nil {
		return err
	}
	return w.control.SweepStaleness(ctx)
}

type reconciler struct {
	riverqueue.WorkerDefaults[ReconcileArgs]
	control Control
}

// Work implements River's Worker.
func (w *reconciler) Work(ctx context.Context, job *riverqueue.Job[ReconcileArgs]) error {
	if err := readable(job.Args.Version); err != nil {
		return err
	}
	return w.control.Reconcile(ctx)
}
