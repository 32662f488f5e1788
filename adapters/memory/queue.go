package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// What travels along with a claimed step, as in the claim of the database.
const (
	parentsAlong = 32
	bytesAlong   = 8192
)

type job struct {
	ref      ident.StepRef
	dispatch int32
	class    int
	no       int64 // in the order of insertion
}

func (a job) compare(b job) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.no, b.no))
}

// class maps a task's priority to the four that the job queue knows; 1 runs
// first.
func class(priority int32) int {
	switch {
	case priority >= 50:
		return 1
	case priority > 0:
		return 2
	case priority == 0:
		return 3
	default:
		return 4
	}
}

func (x *transaction) enqueue(j plan.Job) {
	x.db.inserted++
	made := job{ref: j.Ref, dispatch: j.Dispatch, class: class(j.Priority), no: x.db.inserted}
	waiting := x.db.jobs[j.Queue]
	at, _ := slices.BinarySearchFunc(waiting, made, job.compare)
	// A new array: a rollback has the old one.
	set(x, x.db.jobs, j.Queue, slices.Insert(slices.Clone(waiting), at, made))
}

// drop removes the job of a dispatch that is not live any more.
func (x *transaction) drop(j plan.Job) {
	same := func(w job) bool { return w.ref == j.Ref && w.dispatch == j.Dispatch }
	set(x, x.db.jobs, j.Queue, slices.DeleteFunc(slices.Clone(x.db.jobs[j.Queue]), same))
	for w := range x.db.aside {
		if same(w) {
			unset(x, x.db.aside, w)
		}
	}
}

// Claim implements ports.StepQueue.
func (s *Store) Claim(ctx context.Context, r ports.ClaimRequest) (ports.ClaimReply, error) {
	if err := ctx.Err(); err != nil {
		return ports.ClaimReply{}, err
	}
	if err := s.at(Claiming); err != nil {
		return ports.ClaimReply{}, err
	}
	reply, err := s.claim(r)
	if err == nil {
		err = s.at(Claimed)
	}
	if err != nil {
		return ports.ClaimReply{}, err
	}
	return reply, nil
}

func (s *Store) claim(r ports.ClaimRequest) (ports.ClaimReply, error) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	x := &transaction{db: s.db, server: s.server, now: s.db.now()}
	reply, err := x.claim(r)
	if err != nil {
		x.rollback()
	}
	return reply, err
}

func (x *transaction) claim(r ports.ClaimRequest) (ports.ClaimReply, error) {
	if len(r.Limits) != len(r.Queues) {
		return ports.ClaimReply{}, errors.New("a claim needs a limit for each queue")
	}
	reply := ports.ClaimReply{Taken: make([]int, len(r.Queues))}
	for i, q := range r.Queues {
		if x.db.pauses[pauseKey{kind: ports.PauseNamespace, name: task.Name{Namespace: q.Namespace}}] != (ports.Pause{}) {
			continue
		}
		waiting := x.db.jobs[q]
		n := min(r.Limits[i], len(waiting))
		if n == 0 {
			continue
		}
		reply.Taken[i] = n
		for _, j := range waiting[:n] {
			if x.db.held(j.ref.Task) {
				set(x, x.db.aside, j, q)
				continue
			}
			row := x.db.steps[j.ref]
			if row.state != step.Enqueued || row.dispatch != j.dispatch {
				continue // a dispatch that is not live any more
			}
			row.state, row.owner = step.InProgress, x.server
			row.attempts++
			row.attempted, row.updated = x.now, x.now
			set(x, x.db.steps, j.ref, row)
			x.recordStep(j.ref, row, step.Enqueued, nil, nil, "", "")
			reply.Steps = append(reply.Steps, x.claimed(i, j.ref, row))
		}
		set(x, x.db.jobs, q, slices.Clone(waiting[n:]))
	}
	return reply, nil
}

func (x *transaction) claimed(queue int, ref ident.StepRef, row stepRow) ports.ClaimedStep {
	t := x.db.tasks[ref.Task]
	c := ports.ClaimedStep{
		Ref: ref, Queue: queue, Dispatch: row.dispatch, Attempt: row.attempts, At: row.attempted, Def: row.def, Template: t.Template,
		Name: row.name, Context: t.Context, CorrelationID: t.CorrelationID, Priority: t.Priority, Whole: true,
		Inputs: row.inputs, Checkpoint: row.checkpoint,
	}
	if len(row.parents) > parentsAlong {
		c.Whole = false
		return c
	}
	for _, no := range row.parents {
		p := x.db.steps[ident.StepRef{Task: ref.Task, No: no}]
		r := ports.StepResult{No: no, Name: p.name, Value: p.value}
		if len(p.value) > bytesAlong {
			r.Value, c.Whole = nil, false
		}
		c.Parents = append(c.Parents, r)
	}
	return c
}

// Due implements ports.DueStore.
func (s *Store) Due(ctx context.Context, limit int, grace time.Duration) (ports.Due, error) {
	due := ports.Due{Next: -1}
	if err := s.reading(ctx); err != nil {
		return due, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	all := s.db.waiting()
	now := s.db.now()
	for i, w := range all {
		switch {
		case i == limit:
			due.Next = 0
			return due, nil
		case w.at.After(now):
			due.Next = w.at.Sub(now)
			return due, nil
		case now.Sub(w.at) > grace:
			due.Overdue++
		}
		if i == 0 {
			due.Earliest = w.at
		}
		if w.ends {
			due.Endings = append(due.Endings, plan.Ending{Task: w.Ref.Task, End: plan.DeadlinePassed, Why: "its deadline has passed: " + w.at.Format(time.RFC3339)})
		} else {
			due.Wakes = append(due.Wakes, w.Wake)
		}
	}
	return due, nil
}

// waiting is what moves by itself, and when.
type waiting struct {
	at   time.Time
	ends bool
	plan.Wake
}

// waiting returns all that waits for a time, the earliest first. The caller holds
// the lock.
func (db *Database) waiting() []waiting {
	var all []waiting
	for ref, row := range db.steps {
		if !row.wakeAt.IsZero() {
			all = append(all, waiting{at: row.wakeAt, Wake: plan.Wake{Ref: ref, Dispatch: row.dispatch, Cause: plan.RetryDue}})
		}
	}
	for id, row := range db.tasks {
		if !row.wakeAt.IsZero() {
			all = append(all, waiting{
				at: row.wakeAt, ends: row.state != task.Pending, Wake: plan.Wake{Ref: ident.StepRef{Task: id}, Cause: plan.StartDue},
			})
		}
	}
	slices.SortFunc(all, func(a, b waiting) int {
		return cmp.Or(a.at.Compare(b.at), plan.CompareRefs(a.Ref, b.Ref))
	})
	return all
}

// LostLeases implements ports.DueStore.
func (s *Store) LostLeases(ctx context.Context, limit int) ([]plan.Wake, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	var lost []plan.Wake
	for ref, row := range s.db.steps {
		if row.owner != 0 && row.owner != s.server && s.db.lapsed(row.owner) {
			lost = append(lost, plan.Wake{
				Ref: ref, Dispatch: row.dispatch, Cause: plan.LeaseLost, Why: fmt.Sprintf("server %d is gone", row.owner),
			})
		}
	}
	slices.SortFunc(lost, func(a, b plan.Wake) int { return plan.CompareRefs(a.Ref, b.Ref) })
	return lost[:min(limit, len(lost))], nil
}

func (s *Store) reading(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.at(Reading)
}
