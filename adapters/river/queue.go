// Package river is the job queue: River's tables, in the schema of everything
// else. River fills the queue by its public contract (a job of ours is a row
// that River's own insert would have written) and the claim empties it; River's
// own producer is not asked, since its slots are fixed per queue and process
// and a step goes only where a worker with a free slot has declared its handler.
package river

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

var (
	//go:embed insert_jobs.sql
	sqlInsertJobs string
	//go:embed drop_jobs.sql
	sqlDropJobs string
	//go:embed claim.sql
	sqlClaim string
	// sqlClaimShort is the claim while nothing is paused.
	sqlClaimShort = whenPaused.ReplaceAllLiteralString(sqlClaim, "")
)

var whenPaused = regexp.MustCompile(`(?s) *-- when paused\n.*?-- end\n`)

// Queue puts ready steps into River's queue and takes them out. It is safe for
// concurrent use.
type Queue struct {
	names names
	now   func() time.Time
	// paused says which form of the claim is asked: it follows what the claims
	// themselves find, and need not be right.
	paused atomic.Bool
}

// NewQueue returns the queue.
func NewQueue() *Queue { return &Queue{now: time.Now} }

// Enqueue queues the one statement that inserts the jobs.
func (q *Queue) Enqueue(b *pgx.Batch, jobs []plan.Job) {
	n := len(jobs)
	tasks := make([]ident.TaskID, n)
	nos, dispatches := make([]int32, n), make([]int32, n)
	priorities := make([]int16, n)
	queues := make([]string, n)
	for i, j := range jobs {
		tasks[i], nos[i], dispatches[i] = j.Ref.Task, j.Ref.No, j.Dispatch
		priorities[i], queues[i] = priority(j.Priority), q.names.of(j.Queue)
	}
	b.Queue(sqlInsertJobs, q.now().UTC(), StepArgs{}.Kind(), tasks, nos, dispatches, priorities, queues)
}

// Drop queues the one statement that removes the jobs.
func (q *Queue) Drop(b *pgx.Batch, jobs []plan.Job) {
	var queues []string
	keys := make([]string, len(jobs))
	for i, j := range jobs {
		keys[i] = fmt.Sprintf("%s/%d/%d", j.Ref.Task, j.Ref.No, j.Dispatch)
		if name := q.names.of(j.Queue); !slices.Contains(queues, name) {
			queues = append(queues, name)
		}
	}
	b.Queue(sqlDropJobs, queues, StepArgs{}.Kind(), keys)
}

// Announce queues the jobs that announce dead letters.
func (q *Queue) Announce(b *pgx.Batch, letters []deadletter.EntryID) { QueueAnnouncements(b, letters) }

// QueueResume queues the job that carries a bulk resume out.
func (q *Queue) QueueResume(b *pgx.Batch, id uuid.UUID) { QueueResume(b, id) }

// Name returns the name of a queue in River's tables.
func (q *Queue) Name(of plan.Queue) string { return q.names.of(of) }

// Kind returns the kind of a step's job.
func (q *Queue) Kind() string { return StepArgs{}.Kind() }

// Claim queues the claim; reply is filled when the pipeline is read.
func (q *Queue) Claim(b *pgx.Batch, r ports.ClaimRequest, server int32, clockOffset time.Duration, reply *ports.ClaimReply) {
	queues, namespaces := make([]string, len(r.Queues)), make([]string, len(r.Queues))
	limits := make([]int32, len(r.Limits))
	for i := range r.Queues {
		queues[i], limits[i] = q.names.of(r.Queues[i]), int32(r.Limits[i]) //nolint:gosec // G115: a number of slots
		namespaces[i] = r.Queues[i].Namespace
	}
	paused := q.paused.Load()
	sql := sqlClaimShort
	if paused {
		sql = sqlClaim
	}
	b.Queue(sql, queues, limits, server, clockOffset, namespaces, paused).Query(func(rows pgx.Rows) error {
		reply.Steps, reply.Again = reply.Steps[:0], false
		reply.Taken = make([]int, len(queues))
		defer rows.Close()
		for rows.Next() {
			other, err := scanClaimed(rows, reply)
			if err != nil {
				return err
			}
			if other {
				// Nothing was looked at: whatever was asked for may be there.
				q.paused.Store(!paused)
				reply.Again = true
				copy(reply.Taken, r.Limits)
			}
		}
		return rows.Err()
	})
}

// scanClaimed reads a row, and reports whether it asks for the other form.
func scanClaimed(rows pgx.Rows, reply *ports.ClaimReply) (other bool, err error) {
	var (
		place              int64
		id                 *ident.TaskID
		no, def            *int32
		dispatch, attempts *int32
		name               *string
		template           *ident.TemplateID
		context            *string
		correlation        *uuid.UUID
		taskPriority       *int32
		whole              *bool
		numbers            []int32
		names              []string
		results            []*string
		inputs, checkpoint *string
		at                 *time.Time
	)
	err = rows.Scan(&place, &id, &no, &def, &dispatch, &attempts, &name, &template, &context, &correlation,
		&taskPriority, &whole, &numbers, &names, &results, &inputs, &checkpoint, &at)
	if err != nil || place == 0 {
		return place == 0, err
	}
	reply.Taken[place-1]++
	if id == nil {
		return false, nil // a job that was only looked at
	}
	s := ports.ClaimedStep{
		Ref: ident.StepRef{Task: *id, No: *no}, Queue: int(place - 1), Dispatch: *dispatch, Attempt: *attempts, At: at.UTC(),
		Def: *def, Template: *template, Name: *name, Context: json.RawMessage(*context),
		CorrelationID: *correlation, Priority: *taskPriority, Whole: *whole,
	}
	if inputs != nil {
		s.Inputs = json.RawMessage(*inputs)
	}
	if checkpoint != nil {
		s.Checkpoint = json.RawMessage(*checkpoint)
	}
	for i, parent := range numbers {
		p := ports.StepResult{No: parent, Name: names[i]}
		if results[i] != nil {
			p.Value = json.RawMessage(*results[i])
		}
		s.Parents = append(s.Parents, p)
	}
	reply.Steps = append(reply.Steps, s)
	return false, nil
}

// priority maps a task's priority, where larger runs sooner, to River's, where
// 1 runs first and 4 last.
func priority(p int32) int16 {
	switch {
	case p >= 50:
		return 1
	case p > 0:
		return 2
	case p == 0:
		return 3
	default:
		return 4
	}
}

// StepArgs are the arguments of a step's job: which dispatch it stands for, and
// nothing of its input.
type StepArgs struct {
	TaskID   ident.TaskID `json:"task_id"`
	StepNo   int32        `json:"step_no"`
	Dispatch int32        `json:"dispatch_no"`
}

// Kind implements River's JobArgs.
func (StepArgs) Kind() string { return "tasker_step" }

// QueueName returns the name of a queue in River's tables.
func QueueName(q plan.Queue) string { return strings.Clone(encode(q)) }
