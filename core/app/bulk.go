package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// What is done to many tasks.
const (
	bulkCancel = "cancel"
	bulkRetry  = "retry"
)

// BulkRequest asks for the same to be done to all tasks that a filter selects.
type BulkRequest struct {
	Filter  ports.TaskFilter
	By, Why string
	DryRun  bool    // only count
	Limit   int     // tasks in all, at most, the oldest first; 0 for all
	Rate    float64 // tasks a second, at most; 0 for as fast as it goes
}

// bulkRequest is a BulkRequest as it is stored and shown.
type bulkRequest struct {
	Filter bulkFilter `json:"filter"`
	Limit  int        `json:"limit,omitempty"`
	Rate   float64    `json:"rate,omitempty"`
}

// bulkFilter is a filter under the names that lists have for it.
type bulkFilter struct {
	Namespace       string        `json:"namespace,omitempty"`
	Name            string        `json:"name,omitempty"`
	Version         string        `json:"version,omitempty"`
	Status          []string      `json:"status,omitempty"`
	Initiator       string        `json:"initiator,omitempty"`
	SourceSystem    string        `json:"source_system,omitempty"`
	Tags            []string      `json:"tags,omitempty"`
	CorrelationID   uuid.NullUUID `json:"correlation_id,omitzero"`
	Error           string        `json:"error,omitempty"`
	CreatedAfter    time.Time     `json:"created_after,omitzero"`
	CreatedBefore   time.Time     `json:"created_before,omitzero"`
	UpdatedAfter    time.Time     `json:"updated_after,omitzero"`
	UpdatedBefore   time.Time     `json:"updated_before,omitzero"`
	CompletedAfter  time.Time     `json:"completed_after,omitzero"`
	CompletedBefore time.Time     `json:"completed_before,omitzero"`
}

func storedTaskFilter(f ports.TaskFilter) bulkFilter {
	out := bulkFilter{
		Namespace: f.Namespace, Name: f.Name, Version: f.Version, Initiator: f.Initiator, SourceSystem: f.SourceSystem, Tags: f.Tags,
		CorrelationID: f.CorrelationID, Error: f.Error, CreatedAfter: f.From, CreatedBefore: f.Until, UpdatedAfter: f.UpdatedFrom,
		UpdatedBefore: f.UpdatedUntil, CompletedAfter: f.CompletedFrom, CompletedBefore: f.CompletedUntil,
	}
	for _, s := range f.States {
		out.Status = append(out.Status, s.String())
	}
	return out
}

func (f bulkFilter) filter() (ports.TaskFilter, error) {
	out := ports.TaskFilter{
		Namespace: f.Namespace, Name: f.Name, Version: f.Version, Initiator: f.Initiator, SourceSystem: f.SourceSystem, Tags: f.Tags,
		CorrelationID: f.CorrelationID, Error: f.Error, From: f.CreatedAfter, Until: f.CreatedBefore, UpdatedFrom: f.UpdatedAfter,
		UpdatedUntil: f.UpdatedBefore, CompletedFrom: f.CompletedAfter, CompletedUntil: f.CompletedBefore,
	}
	for _, name := range f.Status {
		s, err := task.ParseState(name)
		if err != nil {
			return out, err
		}
		out.States = append(out.States, s)
	}
	return out, nil
}

// eligible reports whether tasks in a state can be cancelled, or retried.
func eligible(action string, s task.State) bool {
	switch {
	case s.Passing():
		return false
	case action == bulkCancel:
		return !s.Terminal()
	default: // failed steps may be among others that run
		return s == task.Error || !s.Terminal() && s != task.Pending
	}
}

func (r *BulkRequest) check(action string) error {
	if err := checkWho(r.By, r.Why); err != nil {
		return err
	}
	if !(r.Rate >= 0 && r.Rate <= 1e6) {
		return fault.In("rate", fault.CodeInvalidField, "rate is %v tasks a second, want 0 (no limit) to 1000000", r.Rate)
	}
	if r.Limit < 0 {
		return fault.In("limit", fault.CodeInvalidField, "limit is %d, want 0 (no limit) or more", r.Limit)
	}
	if err := CheckFilter(r.Filter); err != nil {
		return err
	}
	states := r.Filter.States
	if len(states) == 0 {
		states = task.States()
		if action == bulkRetry { // those in which some step has failed, as a rule
			states = []task.State{task.BlockedByFailures, task.Error}
		}
	}
	r.Filter.States = nil
	for _, s := range states {
		if eligible(action, s) && !slices.Contains(r.Filter.States, s) {
			r.Filter.States = append(r.Filter.States, s)
		}
	}
	if len(r.Filter.States) == 0 {
		return fault.In("filter.status", fault.CodeInvalidField, "no task in these states can be %s", map[string]string{
			bulkCancel: "cancelled: they have ended", bulkRetry: "retried: they have not started, or have ended otherwise than in error",
		}[action])
	}
	return nil
}

// CancelTasks begins to cancel the tasks that a filter selects, the oldest
// first, and returns how that stands; it goes on by itself. Tasks created after
// it has begun are not among them. A dry run returns how many there are and does
// nothing. The fault is invalid_field.
func (a *Application) CancelTasks(ctx context.Context, r BulkRequest) (ports.BulkOperation, error) {
	return a.beginBulk(ctx, bulkCancel, r)
}

// RetryTasks does the same, and runs all failed steps of the tasks again. Where
// the filter names no states, the tasks are those that are blocked by failures
// or have ended in error.
func (a *Application) RetryTasks(ctx context.Context, r BulkRequest) (ports.BulkOperation, error) {
	return a.beginBulk(ctx, bulkRetry, r)
}

func (a *Application) beginBulk(ctx context.Context, action string, r BulkRequest) (ports.BulkOperation, error) {
	noteChange(ctx, targetBulk, action, r.Why)
	if err := r.check(action); err != nil {
		return ports.BulkOperation{}, err
	}
	raw, err := json.Marshal(bulkRequest{Filter: storedTaskFilter(r.Filter), Limit: r.Limit, Rate: r.Rate})
	if err != nil {
		return ports.BulkOperation{}, fmt.Errorf("a bulk operation: %w", err)
	}
	out := ports.BulkOperation{ID: a.IDs.UUID(), Action: action, Request: raw, By: r.By, Reason: r.Why, State: ports.BulkRunning}
	out.Within = withinOf(ctx)
	r.Filter.Within = out.Within
	list, err := a.Reads.Tasks(ctx, r.Filter, ports.TaskPage{Limit: 1, Total: ports.CheapTotal})
	if err != nil {
		return ports.BulkOperation{}, err
	}
	out.Matched, out.AtLeast = int(list.Total), list.AtLeast
	if r.Limit > 0 && out.Matched >= r.Limit {
		out.Matched, out.AtLeast = r.Limit, false
	}
	if r.DryRun {
		noteChange(ctx, targetBulk, action+" (dry run)", r.Why)
		out.ID, out.State = uuid.UUID{}, ""
		out.Message = fmt.Sprintf("dry run: %d tasks are selected; nothing was changed", out.Matched)
		return out, nil
	}
	noteChange(ctx, targetBulk, out.ID.String(), r.Why)
	if err := a.Bulk.BeginBulk(ctx, out); err != nil {
		return ports.BulkOperation{}, err
	}
	return a.Bulk.Bulk(ctx, out.ID)
}

// GetBulkOperation returns how a bulk operation stands. Faults: invalid_uuid,
// operation_not_found.
func (a *Application) GetBulkOperation(ctx context.Context, id string) (ports.BulkOperation, error) {
	u, err := uuid.Parse(id)
	if err != nil {
		return ports.BulkOperation{}, fault.In("operation_uuid", fault.CodeInvalidUUID, "operation_uuid is %s", ident.ErrMalformed)
	}
	b, err := a.Bulk.Bulk(ctx, u)
	if err != nil {
		return b, err
	}
	who := PrincipalOf(ctx)
	if who.Scoped() && (b.Within == nil || slices.ContainsFunc(b.Within, func(n string) bool { return !who.Within(n) })) {
		return ports.BulkOperation{}, fault.New(fault.CodeOperationNotFound, "there is no bulk operation %s", u)
	}
	return b, nil
}

// ListBulkOperations returns the newest bulk operations.
func (a *Application) ListBulkOperations(ctx context.Context, limit int) ([]ports.BulkOperation, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	return a.Bulk.ListBulk(ctx, withinOf(ctx), limit)
}

// CancelBulkOperation ends a bulk operation where it stands: what was done stays
// done, the batch that is under way is finished. Faults: invalid_uuid,
// operation_not_found, illegal_transition when it has ended.
func (a *Application) CancelBulkOperation(ctx context.Context, id, by, why string) (ports.BulkOperation, error) {
	noteChange(ctx, targetBulk, id, why)
	if err := checkWho(by, why); err != nil {
		return ports.BulkOperation{}, err
	}
	b, err := a.GetBulkOperation(ctx, id)
	if err != nil {
		return b, err
	}
	b.State, b.Message = ports.BulkCancelled, "cancelled"
	if by != "" {
		b.Message += " by " + by
	}
	if why != "" {
		b.Message += ": " + why
	}
	saved, err := a.Bulk.SaveBulk(ctx, b)
	if err != nil {
		return b, err
	}
	if b, err = a.Bulk.Bulk(ctx, b.ID); err == nil && !saved {
		err = fault.New(fault.CodeIllegalTransition, "the operation is %s already and cannot be cancelled", b.State).With("state", string(b.State))
	}
	return b, err
}

// bulkSlice is a part of the work of a bulk operation.
type bulkSlice struct {
	*Application
	at     ports.BulkOperation
	asked  bulkRequest
	filter ports.TaskFilter
	why    string
}

// ContinueBulk does a part of a bulk operation, of some seconds. It is called
// again, after wait, while again is true; after an error it is called again from
// where it was. A task may then be met again: what was done to it is not done
// twice, for it is in another state.
func (a *Application) ContinueBulk(ctx context.Context, id uuid.UUID) (again bool, wait time.Duration, err error) {
	at, err := a.Bulk.Bulk(ctx, id)
	if fault.Is(err, fault.CodeOperationNotFound) {
		return false, 0, nil
	}
	if err != nil || at.State != ports.BulkRunning {
		return false, 0, err
	}
	s := &bulkSlice{Application: a, at: at, why: strings.TrimSpace(fmt.Sprintf("%s (bulk operation %s)", at.Reason, id))}
	if err := json.Unmarshal(at.Request, &s.asked); err != nil {
		return false, 0, fmt.Errorf("the request of bulk operation %s: %w", id, err)
	}
	if s.filter, err = s.asked.Filter.filter(); err != nil {
		return false, 0, fmt.Errorf("the filter of bulk operation %s: %w", id, err)
	}
	s.filter.Within = at.Within
	if s.filter.Until.IsZero() || s.filter.Until.After(at.CreatedAt) {
		s.filter.Until = at.CreatedAt
	}
	return s.run(ctx)
}

func (s *bulkSlice) run(ctx context.Context) (again bool, wait time.Duration, err error) {
	ends := time.Now().Add(sliceTime) //nolint:forbidigo // measures work
	for {
		began := time.Now() //nolint:forbidigo // keeps the rate
		n, more, err := s.batch(ctx)
		if err != nil || !more {
			return false, 0, err
		}
		wait = time.Since(began) //nolint:forbidigo // other work is done meanwhile: as long a rest as the batch took
		if s.asked.Rate > 0 {
			wait = time.Duration(float64(n)/s.asked.Rate*float64(time.Second)) - time.Since(began) //nolint:forbidigo // as above
		}
		if left := time.Until(ends); left <= wait || left <= 0 { //nolint:forbidigo // measures work
			return true, max(0, wait), nil
		}
		if err := rest(ctx, wait); err != nil {
			return true, 0, err
		}
	}
}

// batch does the next tasks, and reports how many they were and whether there
// may be more.
func (s *bulkSlice) batch(ctx context.Context) (n int, more bool, err error) {
	size := resumeBatch
	if s.asked.Rate > 0 {
		size = min(size, max(1, int(s.asked.Rate)))
	}
	if s.asked.Limit > 0 {
		size = min(size, s.asked.Limit-s.at.Done-s.at.Refused)
	}
	if size <= 0 {
		return 0, false, s.complete(ctx)
	}
	list, err := s.Reads.Tasks(ctx, s.filter, ports.TaskPage{Ascending: true, After: ports.TaskMark{ID: s.at.After}, Limit: size})
	if err != nil {
		return 0, false, err
	}
	outcomes, err := s.send(ctx, list.Tasks)
	if err != nil {
		return 0, false, err
	}
	for i, o := range outcomes {
		err := o.err
		if err == nil {
			err = refusal(o.refusal, list.Tasks[i].ID, map[string]string{bulkCancel: "cancelled", bulkRetry: "retried"}[s.at.Action])
		}
		switch {
		case err == nil:
			s.at.Done++
		case passing(err):
			return 0, false, err
		default:
			s.at.Refused++
			if s.at.Message == "" {
				s.at.Message = fmt.Sprintf("some were refused, the first of them %s: %s", list.Tasks[i].ID, fault.Of(err).Message)
			}
		}
	}
	if list.Next.IsZero() {
		return len(outcomes), false, s.complete(ctx)
	}
	s.at.After = list.Next.ID
	more, err = s.Bulk.SaveBulk(ctx, s.at)
	return len(outcomes), more, err
}

// send hands all tasks to an actor before it waits, so that they share
// transactions.
func (s *bulkSlice) send(ctx context.Context, tasks []ports.TaskRecord) ([]outcome, error) {
	out := make([]outcome, len(tasks))
	answers := make(chan struct{}, len(tasks))
	sent := 0
	var failed error
	for i := range tasks {
		answered := func(r plan.Refusal, err error) {
			out[i] = outcome{r, err}
			answers <- struct{}{}
		}
		id := tasks[i].ID
		if s.at.Action == bulkCancel {
			failed = s.Finalizer.Send(ctx, plan.Ending{Task: id, End: plan.CancelTask, By: s.at.By, Why: s.why}, answered)
		} else {
			failed = s.Enqueuer.Send(ctx, plan.Wake{
				Ref: ident.StepRef{Task: id}, Cause: plan.Ordered, By: s.at.By, Why: s.why, Order: &plan.Order{Failed: plan.ResetForRetry},
			}, answered)
		}
		if failed != nil {
			break
		}
		sent++
	}
	for range sent {
		select {
		case <-answers:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return out, failed
}

func (s *bulkSlice) complete(ctx context.Context) error {
	s.at.State = ports.BulkComplete
	_, err := s.Bulk.SaveBulk(ctx, s.at)
	return err
}
