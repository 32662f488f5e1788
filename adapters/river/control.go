package river

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	riverqueue "github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/tasker-go/tasker/core/domain/deadletter"
)

// Control is what the server's own jobs do. All of it may be called again after
// it was done, by this server or another: a job runs at least once. A call ends
// when its context does, at most jobTimeout after it began.
type Control interface {
	// AnnounceDeadLetter tells the world of a dead letter.
	AnnounceDeadLetter(ctx context.Context, id deadletter.EntryID) error
	// ContinueResume does a slice of a bulk resume, of a few seconds at most. It
	// is called again after wait when there is more to do.
	ContinueResume(ctx context.Context, id uuid.UUID) (again bool, wait time.Duration, err error)
	// SweepStaleness looks for tasks that stand still.
	SweepStaleness(ctx context.Context) error
	// Reconcile moves what should have moved by itself.
	Reconcile(ctx context.Context) error
}

// readable refuses arguments of a newer server; the job is tried again later,
// by then perhaps on one that knows them.
func readable(version int) error {
	if version < 1 || version > argsVersion {
		return fmt.Errorf("the job's arguments have form %d, and this server reads 1 to %d", version, argsVersion)
	}
	return nil
}

type announcer struct {
	riverqueue.WorkerDefaults[AnnounceArgs]
	control Control
}

// Work implements River's Worker.
func (w *announcer) Work(ctx context.Context, job *riverqueue.Job[AnnounceArgs]) error {
	if err := readable(job.Args.Version); err != nil {
		return err
	}
	return w.control.AnnounceDeadLetter(ctx, job.Args.Entry)
}

const (
	// turn is how long one job carries a resume on before it hands over to
	// another, so that the resume moves to another server when this one stops.
	turn = 20 * time.Second
	// longWait is a wait that is left to River, whose scheduler is that exact.
	longWait = 5 * time.Second
)

type resumer struct {
	riverqueue.WorkerDefaults[ResumeArgs]
	control  Control
	pool     *pgxpool.Pool
	stopping <-chan struct{}
}

// Work implements River's Worker.
func (w *resumer) Work(ctx context.Context, job *riverqueue.Job[ResumeArgs]) error {
	if err := readable(job.Args.Version); err != nil {
		return err
	}
	for began := time.Now(); ; {
		again, wait, err := w.control.ContinueResume(ctx, job.Args.Resume)
		switch {
		case err != nil:
			return err
		case !again:
			return nil
		case wait > longWait:
			return riverqueue.JobSnooze(wait)
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
			if time.Since(began) >= turn {
				return w.handOver(ctx, job)
			}
		case <-w.stopping:
			pause.Stop()
			return w.handOver(ctx, job)
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// handOver ends the job and inserts its successor, which starts at once: a
// snoozed job would wait for the next poll.
func (w *resumer) handOver(ctx context.Context, job *riverqueue.Job[ResumeArgs]) error {
	return pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		if _, err := riverqueue.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job); err != nil {
			return err
		}
		var b pgx.Batch
		QueueResume(&b, job.Args.Resume)
		return tx.SendBatch(ctx, &b).Close()
	})
}

// waits is how long failed jobs wait: doubling from the first wait to the
// longest, and a tenth more or less, so that what failed together does not
// return together.
type waits struct{ first, longest time.Duration }

// NextRetry implements River's ClientRetryPolicy.
func (w waits) NextRetry(job *rivertype.JobRow) time.Time {
	failures := len(job.Errors) + 1 // this one is not among them yet
	wait := w.longest
	if failures < 30 {
		wait = min(w.longest, w.first<<(failures-1))
	}
	spread := 0.9 + 0.2*rand.Float64() //nolint:gosec // G404: no secret
	return time.Now().UTC().Add(time.Duration(float64(wait) * spread))
}

// failures logs what jobs say when they fail.
type failures struct{ log *slog.Logger }

// HandleError implements River's ErrorHandler.
func (f failures) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *riverqueue.ErrorHandlerResult {
	level, message := slog.LevelWarn, "a control job failed; it is tried again"
	if job.Attempt >= job.MaxAttempts {
		level, message = slog.LevelError, "a control job failed for the last time"
	}
	f.log.Log(ctx, level, message, jobKeys(job, "error", err)...)
	return nil
}

// HandlePanic implements River's ErrorHandler.
func (f failures) HandlePanic(ctx context.Context, job *rivertype.JobRow, panicked any, trace string) *riverqueue.ErrorHandlerResult {
	f.log.ErrorContext(ctx, "a control job panicked", jobKeys(job, "panic", panicked, "trace", trace)...)
	return nil
}

func jobKeys(job *rivertype.JobRow, more ...any) []any {
	return append([]any{"kind", job.Kind, "job", job.ID, "args", string(job.EncodedArgs), "attempt", job.Attempt, "of", job.MaxAttempts}, more...)
}
