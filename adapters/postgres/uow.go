package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

// Queue puts the jobs of ready steps into a pipeline, and takes steps out of
// their queues in one. The job queue lives in the same database, but is another
// adapter's affair.
type Queue interface {
	// Enqueue queues what makes the jobs visible to claims.
	Enqueue(b *pgx.Batch, jobs []plan.Job)
	// Drop queues what removes jobs of dispatches that are live no more.
	Drop(b *pgx.Batch, jobs []plan.Job)
	// Announce queues the jobs that announce dead letters.
	Announce(b *pgx.Batch, letters []deadletter.EntryID)
	// QueueResume queues the job that carries out a bulk resume.
	QueueResume(b *pgx.Batch, id uuid.UUID)
	// Kind is the kind of a step's job.
	Kind() string
	// Name is what the queue is called in the database.
	Name(q plan.Queue) string
	// Claim queues the claim; reply is filled when the pipeline is read.
	Claim(b *pgx.Batch, r ports.ClaimRequest, server int32, clockOffset time.Duration, reply *ports.ClaimReply)
}

// Store implements the ports that change tasks and steps.
type Store struct {
	*DB
	queue Queue
}

var (
	_ ports.UnitOfWork = (*Store)(nil)
	_ ports.StepQueue  = (*Store)(nil)
)

// NewStore returns the store over a database and a job queue.
func NewStore(db *DB, queue Queue) *Store { return &Store{DB: db, queue: queue} }

// maxTries is how often a transaction is tried that meets others.
const maxTries = 8

// Run implements ports.UnitOfWork in two round trips: one that begins, claims,
// locks and reads, and one that writes and commits.
func (s *Store) Run(ctx context.Context, scope ports.Scope, decide func(*plan.Snapshot) (ports.Writes, error)) (ports.ClaimReply, error) {
	for try := 1; ; try++ {
		reply, err := s.runOnce(ctx, scope, decide)
		if err == nil {
			return reply, nil
		}
		if !repeatable(err) || try == maxTries {
			return ports.ClaimReply{}, translate(err)
		}
		// The other transaction is over in a moment; meet it at another one.
		wait := time.NewTimer(time.Duration(rand.Int64N(int64(try) * int64(5*time.Millisecond)))) //nolint:gosec // G404: spreads retries
		select {
		case <-ctx.Done():
			wait.Stop()
			return ports.ClaimReply{}, ctx.Err()
		case <-wait.C:
		}
	}
}

func (s *Store) runOnce(ctx context.Context, scope ports.Scope, decide func(*plan.Snapshot) (ports.Writes, error)) (ports.ClaimReply, error) {
	conn, err := s.hot.Acquire(ctx)
	if err != nil {
		return ports.ClaimReply{}, fmt.Errorf("acquire a connection: %w", err)
	}
	defer conn.Release()
	snap, err := s.load(ctx, conn, scope)
	if err != nil {
		rollback(ctx, conn)
		return ports.ClaimReply{}, err
	}
	writes, err := decide(snap)
	if err != nil || (writes.Empty() && writes.Claim.Empty()) {
		rollback(ctx, conn)
		return ports.ClaimReply{}, err
	}
	var reply ports.ClaimReply
	if err := s.store(ctx, conn, snap, writes, &reply); err != nil {
		rollback(ctx, conn)
		return ports.ClaimReply{}, err
	}
	return reply, nil
}

// rollback leaves a connection as it was taken. One on which that fails is
// closed when it is released, which rolls back too.
func rollback(ctx context.Context, conn *pgxpool.Conn) {
	if conn.Conn().PgConn().TxStatus() != 'I' {
		_, _ = conn.Exec(context.WithoutCancel(ctx), "rollback")
	}
}

func (s *Store) store(ctx context.Context, conn *pgxpool.Conn, snap *plan.Snapshot, w ports.Writes, reply *ports.ClaimReply) error {
	server := instanceOf(conn.Conn())
	out := &writer{now: snap.Now, server: server}
	out.create(w.Created)
	out.steps(w.Steps)
	out.tasks(w.Tasks)
	out.deltas(snap, w.Decision)
	opened := out.letters(w.Letters)
	if len(w.Jobs) > 0 {
		s.queue.Enqueue(&out.Batch, w.Jobs)
	}
	if len(w.Dropped) > 0 {
		s.queue.Drop(&out.Batch, w.Dropped)
	}
	if len(opened) > 0 {
		s.queue.Announce(&out.Batch, opened)
	}
	if news := newsOf(server, w.Decision, s.interest.holds()); news != "" {
		out.Queue(sqlNotify, news)
	}
	if !w.Claim.Empty() {
		s.queue.Claim(&out.Batch, w.Claim, server, s.offset.get(), reply)
	}
	out.Queue(sqlCommit)
	if err := conn.SendBatch(ctx, &out.Batch).Close(); err != nil {
		if !w.Claim.Empty() {
			s.doubt(server, err)
		}
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// doubt sees to a claim that failed. Where the line was cut it may have taken
// steps all the same, and nobody would ever run them: they are leased to a
// server that lives. So this one leaves its number, and with it all leases that
// it holds; they are found like those of a server that is gone, and what runs
// under them runs again.
func (s *Store) doubt(server int32, err error) {
	if _, answered := errors.AsType[*pgconn.PgError](err); answered && !outage(err) {
		return
	}
	if s.instance.forsake(server) {
		s.hot.Reset()
	}
}

// Claim implements ports.StepQueue in one round trip: a single statement is a
// transaction of its own. Where it must be asked in another way, since something
// is paused now or not any more, it is asked again.
func (s *Store) Claim(ctx context.Context, r ports.ClaimRequest) (ports.ClaimReply, error) {
	conn, err := s.hot.Acquire(ctx)
	if err != nil {
		return ports.ClaimReply{}, translate(fmt.Errorf("acquire a connection: %w", err))
	}
	defer conn.Release()
	server := instanceOf(conn.Conn())
	for {
		var (
			b     pgx.Batch
			reply ports.ClaimReply
		)
		s.queue.Claim(&b, r, server, s.offset.get(), &reply)
		if s.interest.holds() {
			b.Queue(sqlNotify, newsOfClaim(server))
		}
		if err := conn.SendBatch(ctx, &b).Close(); err != nil {
			s.doubt(server, err)
			return ports.ClaimReply{}, translate(fmt.Errorf("claim: %w", err))
		}
		if !reply.Again {
			return reply, nil
		}
	}
}
