package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// maxTries is how often a unit of work is tried that meets others.
const maxTries = 8

// Run implements ports.UnitOfWork. Units of work take turns; decide must not use
// the store.
func (s *Store) Run(ctx context.Context, scope ports.Scope, decide func(*plan.Snapshot) (ports.Writes, error)) (ports.ClaimReply, error) {
	for try := 1; ; try++ {
		reply, err := s.runOnce(ctx, scope, decide)
		if !errors.Is(err, ErrConflict) || try == maxTries {
			return reply, err
		}
	}
}

func (s *Store) runOnce(ctx context.Context, scope ports.Scope, decide func(*plan.Snapshot) (ports.Writes, error)) (ports.ClaimReply, error) {
	if err := ctx.Err(); err != nil {
		return ports.ClaimReply{}, err
	}
	if err := s.at(Begin); err != nil {
		return ports.ClaimReply{}, err
	}
	reply, err := s.locked(scope, decide)
	if err == nil {
		err = s.at(Committed)
	}
	if err != nil {
		return ports.ClaimReply{}, err
	}
	return reply, nil
}

func (s *Store) locked(scope ports.Scope, decide func(*plan.Snapshot) (ports.Writes, error)) (reply ports.ClaimReply, err error) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	x := &transaction{db: s.db, server: s.server, now: s.db.now()}
	committed := false
	defer func() {
		if !committed { // an error, or a panic of decide
			x.rollback()
		}
	}()
	snap := x.load(scope)
	writes, err := decide(snap)
	if err != nil || (writes.Empty() && writes.Claim.Empty()) {
		return ports.ClaimReply{}, err
	}
	if err := x.write(writes.Decision); err != nil {
		return ports.ClaimReply{}, err
	}
	if !writes.Claim.Empty() {
		if reply, err = x.claim(writes.Claim); err != nil {
			return ports.ClaimReply{}, err
		}
	}
	if err := s.db.interfere(Decided); err != nil {
		return ports.ClaimReply{}, err
	}
	committed = true
	return reply, nil
}

// transaction changes the maps and remembers how to take it back.
type transaction struct {
	db     *Database
	server int32
	now    time.Time
	undo   []func()
}

func (x *transaction) rollback() {
	for i := len(x.undo) - 1; i >= 0; i-- {
		x.undo[i]()
	}
}

// set stores v under k, until the transaction is rolled back.
func set[K comparable, V any](x *transaction, m map[K]V, k K, v V) {
	before, had := m[k]
	x.undo = append(x.undo, func() {
		if had {
			m[k] = before
		} else {
			delete(m, k)
		}
	})
	m[k] = v
}

// unset removes k, until the transaction is rolled back.
func unset[K comparable, V any](x *transaction, m map[K]V, k K) {
	if before, had := m[k]; had {
		x.undo = append(x.undo, func() { m[k] = before })
		delete(m, k)
	}
}

func (x *transaction) load(scope ports.Scope) *plan.Snapshot {
	db := x.db
	snap := &plan.Snapshot{
		Now: x.now, Tasks: map[ident.TaskID]plan.Task{}, Steps: map[ident.StepRef]plan.Step{}, Whole: map[ident.TaskID]bool{},
	}
	if len(scope.Identities) > 0 {
		snap.Taken = map[plan.Identity]ident.TaskID{}
	}
	mine := map[plan.Identity]bool{}
	for _, c := range scope.Identities {
		switch holder, held := db.identities[c.Identity]; {
		case !held:
			set(x, db.identities, c.Identity, c.Task)
			mine[c.Identity] = true
		case holder == c.Task:
			// The task's own, from a transaction of unknown outcome: whoever asks
			// for the same in this batch is judged by the planner.
			mine[c.Identity] = true
		case !mine[c.Identity]:
			snap.Taken[c.Identity] = holder
		}
	}
	if len(scope.Probes) > 0 {
		snap.Stored = map[ident.TaskID]bool{}
	}
	for _, id := range scope.Probes {
		if _, ok := db.tasks[id]; ok {
			snap.Stored[id] = true
		}
	}
	for _, ref := range scope.Steps {
		x.see(snap, ref)
		for _, no := range snap.Steps[ref].Children {
			x.see(snap, ident.StepRef{Task: ref.Task, No: no})
		}
	}
	for _, id := range scope.Tasks {
		snap.Whole[id] = true
		if row, ok := db.tasks[id]; ok {
			snap.Tasks[id] = row.plan()
		}
		for _, s := range db.stepsOf(id) {
			x.see(snap, s.Ref)
		}
	}
	return snap
}

// see puts a step and its task into the snapshot.
func (x *transaction) see(snap *plan.Snapshot, ref ident.StepRef) {
	if t, ok := x.db.tasks[ref.Task]; ok {
		snap.Tasks[ref.Task] = t.plan()
	}
	if s, ok := x.db.steps[ref]; ok {
		snap.Steps[ref] = plan.Step{
			Ref: ref, Def: s.def, State: s.state, OpenParents: s.openParents, Attempts: s.attempts,
			Dispatch: s.dispatch, Losses: s.losses, Children: append([]int32(nil), s.children...),
		}
	}
}

func (r taskRow) plan() plan.Task {
	return plan.Task{
		ID: r.ID, Template: r.Template, Namespace: r.Definition.Namespace, State: r.state, Priority: r.Priority,
		Counters: r.counters, EnteredAt: r.entered, WakeAt: r.wakeAt, Deadline: r.deadline,
		Letters: r.letters, LetterOpen: r.letterOpen, LetterStale: r.letterStale,
	}
}

func (x *transaction) write(d plan.Decision) error {
	for i := range d.Created {
		if err := x.create(&d.Created[i]); err != nil {
			return err
		}
	}
	for i := range d.Steps {
		if err := x.writeStep(&d.Steps[i]); err != nil {
			return err
		}
	}
	for i := range d.Tasks {
		if err := x.writeTask(&d.Tasks[i]); err != nil {
			return err
		}
	}
	for i := range d.Letters {
		x.writeLetter(&d.Letters[i])
	}
	for _, j := range d.Jobs {
		x.enqueue(j)
	}
	for _, j := range d.Dropped {
		x.drop(j)
	}
	return nil
}

func (x *transaction) create(t *plan.NewTask) error {
	id := t.Task.ID
	if _, exists := x.db.tasks[id]; exists {
		return fmt.Errorf("task %s exists already", id)
	}
	row := taskRow{Submission: t.Submission, state: t.State, counters: t.Counters, created: x.now, updated: x.now,
		entered: x.now, wakeAt: t.WakeAt, deadline: t.Task.Deadline}
	row.ID, row.Template, row.Priority = id, t.Task.Template, t.Task.Priority
	if row.RequestedAt.IsZero() {
		row.RequestedAt = x.now
	}
	if err := row.check(); err != nil {
		return err
	}
	set(x, x.db.tasks, id, row)
	if t.State != task.Pending {
		x.recordTask(id, task.Pending, t.State, t.Path, "", "")
	}
	for _, s := range t.Steps {
		ref := ident.StepRef{Task: id, No: s.No}
		made := stepRow{
			def: s.Def, name: s.Name, state: s.State, dispatch: s.Dispatch, openParents: s.OpenParents,
			maxAttempts: s.MaxAttempts, parents: s.Parents, children: s.Children, created: x.now, updated: x.now,
		}
		if err := made.check(ref); err != nil {
			return err
		}
		set(x, x.db.steps, ref, made)
		if s.State != step.Pending {
			x.recordStep(ref, made, step.Pending, nil, nil, "", "")
		}
	}
	return nil
}

func (x *transaction) writeStep(c *plan.StepChange) error {
	row, ok := x.db.steps[c.Ref]
	if !ok || row.state != c.From || row.dispatch != c.Live {
		return fmt.Errorf("step %s is not in %s for dispatch %d: %w", c.Ref, c.From, c.Live, ErrConflict)
	}
	row.state, row.dispatch, row.openParents = c.State, c.Dispatch, c.OpenParents
	row.attempts, row.losses, row.wakeAt, row.owner, row.updated = c.Attempts, c.Losses, c.WakeAt, 0, x.now
	switch {
	case c.State == c.From: // and so it was completed when it was
	case c.State.Settled():
		row.completed = x.now
	default:
		row.completed = time.Time{}
	}
	if c.Inputs != nil {
		row.inputs = c.Inputs
	}
	if c.State == step.Complete || c.Inputs != nil {
		row.checkpoint = nil
	}
	if c.Value != nil {
		row.value = c.Value
	}
	var failure json.RawMessage
	if c.Failure != nil {
		raw, err := json.Marshal(c.Failure)
		if err != nil {
			return fmt.Errorf("failure of step %s: %w", c.Ref, err)
		}
		failure = raw
		row.failure, row.failed = raw, x.now
	}
	if c.Elapsed > 0 {
		row.elapsed = int32(min(c.Elapsed.Milliseconds(), 1<<31-1)) //nolint:gosec // G115: clamped
	}
	if err := row.check(c.Ref); err != nil {
		return err
	}
	set(x, x.db.steps, c.Ref, row)
	if c.Moved() {
		x.recordStep(c.Ref, row, c.From, c.Path, failure, c.By, c.Why)
	}
	return nil
}

func (x *transaction) writeTask(c *plan.TaskChange) error {
	row, ok := x.db.tasks[c.ID]
	if !ok || row.state != c.From {
		return fmt.Errorf("task %s is not in %s: %w", c.ID, c.From, ErrConflict)
	}
	if c.Moved() {
		row.entered = x.now
	}
	row.state, row.updated, row.completed = c.State, x.now, time.Time{}
	row.wakeAt, row.deadline = c.WakeAt, c.Deadline
	row.letters, row.letterOpen, row.letterStale = c.Letters, c.LetterOpen, c.LetterStale
	total := row.counters.Total
	row.counters = c.Counters
	row.counters.Total = total
	if c.State.Terminal() {
		row.completed = x.now
	}
	if err := row.check(); err != nil {
		return err
	}
	set(x, x.db.tasks, c.ID, row)
	if c.Moved() {
		x.recordTask(c.ID, c.From, c.State, c.Path, c.By, c.Why)
	}
	return nil
}

// check holds a task to what the schema's constraints say.
func (r taskRow) check() error {
	c := r.counters
	if r.state.Passing() || r.state == 0 {
		return fmt.Errorf("task %s cannot rest in %s", r.ID, r.state)
	}
	if c.Open < 0 || c.Open > c.Total || c.Active < 0 || c.Retrying < 0 || c.Failed < 0 || c.Active+c.Retrying+c.Failed > c.Open {
		return fmt.Errorf("task %s cannot have the counters %+v", r.ID, c)
	}
	return nil
}

// check does the same for a step.
func (r stepRow) check(ref ident.StepRef) error {
	switch {
	case r.state.Passing() || r.state == 0:
		return fmt.Errorf("step %s cannot rest in %s", ref, r.state)
	case ref.No < 1 || r.openParents < 0 || r.attempts < 0 || r.dispatch < 0 || r.losses < 0:
		return fmt.Errorf("step %s cannot have the numbers %+v", ref, r)
	case (r.state == step.InProgress) != (r.owner != 0):
		return fmt.Errorf("step %s in %s, leased by %d: a lease is for a step in progress", ref, r.state, r.owner)
	case !r.wakeAt.IsZero() && r.state != step.WaitingForRetry:
		return fmt.Errorf("step %s in %s cannot wake up", ref, r.state)
	default:
		return nil
	}
}

func (x *transaction) recordTask(id ident.TaskID, from, to task.State, path []task.State, by, why string) {
	set(x, x.db.taskLog, id, append(x.db.taskLog[id], TaskTransition{
		At: x.now, Server: x.server, From: from, To: to, Path: path, By: by, Why: why,
	}))
}

func (x *transaction) recordStep(ref ident.StepRef, row stepRow, from step.State, path []step.State, failure json.RawMessage, by, why string) {
	set(x, x.db.stepLog, ref.Task, append(x.db.stepLog[ref.Task], StepTransition{
		Ref: ref, At: x.now, Server: x.server, Dispatch: row.dispatch, Attempt: row.attempts,
		From: from, To: row.state, Path: path, Failure: failure, By: by, Why: why,
	}))
}
