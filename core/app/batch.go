package app

import (
	"context"
	"fmt"

	"github.com/tasker-go/tasker/core/app/actor"
	"github.com/tasker-go/tasker/core/app/orchestrate"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
)

// Bounds of a batch.
const (
	// MaxBatch is how many tasks are created in one call.
	MaxBatch = 1000
	// MaxBatchSteps is how many steps the tasks of a batch have that is created
	// in one transaction: it holds up others.
	MaxBatchSteps = 50_000
	// maxBatchFaults is how many of the tasks that are to blame are named.
	maxBatchFaults = 100
)

// Batches is the actor that creates batches of which all is done, or nothing.
type Batches = actor.Actor[[]plan.Submission, orchestrate.AdmittedTogether]

// BatchItem is what became of one task of a batch.
type BatchItem struct {
	ID      ident.TaskID
	State   task.State // zero when it existed
	Existed bool       // its identity was there: this is the task that has it
	Refused *fault.Error
}

// CreateTasks creates many tasks, in one round of work. Together means all of
// them or none, in one transaction: then a fault of one is the fault of the
// whole, and says which. Else each has its own outcome: created, existing or
// refused. Faults: invalid_field, too_many_steps, and, when they are created
// together, those of CreateTask; mailbox_full and what Admission refuses with.
func (a *Application) CreateTasks(ctx context.Context, all []CreateRequest, together bool) ([]BatchItem, error) {
	if len(all) == 0 || len(all) > MaxBatch {
		return nil, fault.In("tasks", fault.CodeInvalidField, "%d tasks, want 1 to %d", len(all), MaxBatch)
	}
	items := make([]BatchItem, len(all))
	subs := make([]plan.Submission, 0, len(all))
	index := make([]int, 0, len(all)) // of each submission in all
	steps := 0
	for i, r := range all {
		s, err := a.submission(ctx, r)
		if err != nil {
			f := fault.Of(err)
			if f.Kind == fault.Internal || f.Kind == fault.Unavailable || ctx.Err() != nil {
				return nil, err
			}
			items[i].Refused = f
			continue
		}
		subs, index = append(subs, s), append(index, i)
		steps += len(s.Definition.Steps)
	}
	if together && len(subs) < len(all) {
		return nil, blame(items)
	}
	if together && steps > MaxBatchSteps {
		return nil, fault.In("tasks", fault.CodeExpansionTooLarge,
			"the tasks have %d steps, and %d can be created together: split them up, or create each on its own", steps, MaxBatchSteps)
	}
	if err := a.Admission.Admit(ctx); err != nil {
		return nil, err
	}
	var err error
	if together {
		err = a.createTogether(ctx, all, subs, items)
	} else {
		err = a.createEach(ctx, subs, index, all, items)
	}
	return items, err
}

// blame says which tasks keep a batch from being created.
func blame(items []BatchItem) error {
	var whole *fault.Error
	for i := range items {
		f := items[i].Refused
		if f == nil {
			continue
		}
		at := fmt.Sprintf("tasks[%d]", i)
		if whole == nil {
			copied := *f
			whole = &copied
			whole.Field, whole.Details = within(at, f.Field), nil
			whole.Message = fmt.Sprintf("nothing was created: %s: %s", at, f.Message)
		}
		if len(whole.Details) >= maxBatchFaults {
			break
		}
		if len(f.Details) == 0 {
			whole.Details = append(whole.Details, fault.Detail{Field: within(at, f.Field), Message: f.Message})
		}
		for _, d := range f.Details {
			whole.Details = append(whole.Details, fault.Detail{Field: within(at, d.Field), Message: d.Message})
		}
	}
	return whole
}

func within(at, field string) string {
	if field == "" {
		return at
	}
	return at + "." + field
}

func taskExists(id ident.TaskID) *fault.Error {
	return fault.New(fault.CodeTaskExists,
		"a task with this identity already exists: %s; vary the context or give an idempotency_key of its own", id).
		With("task_uuid", id.String())
}

func (a *Application) createTogether(ctx context.Context, all []CreateRequest, subs []plan.Submission, items []BatchItem) error {
	for i := range subs {
		subs[i].MustBeNew = all[i].OnDuplicate != OnDuplicateReturn
	}
	got, err := a.Batches.Ask(ctx, subs)
	if err != nil {
		return err
	}
	for i, t := range got.Tasks {
		items[i] = outcomeOf(&subs[i], t)
		if got.Refused && t.Existing != (ident.TaskID{}) && subs[i].MustBeNew {
			items[i].Refused = taskExists(t.Existing)
		}
	}
	if got.Refused {
		return blame(items)
	}
	return nil
}

// createEach hands all submissions to the actor before it waits: they share
// transactions.
func (a *Application) createEach(ctx context.Context, subs []plan.Submission, index []int, all []CreateRequest, items []BatchItem) error {
	if a.Requests.Depth() >= a.Requests.Capacity() {
		_, err := a.Requests.Ask(ctx, subs[0]) // it counts this, and says for how long not
		if err != nil {
			return err
		}
	}
	type answer struct {
		of  int
		got orchestrate.Admitted
		err error
	}
	answers := make(chan answer, len(subs))
	sent := 0
	var failed error
	for n := range subs {
		if failed = a.Requests.Send(ctx, subs[n], func(got orchestrate.Admitted, err error) { answers <- answer{n, got, err} }); failed != nil {
			break
		}
		sent++
	}
	for n := sent; n < len(subs); n++ {
		items[index[n]].Refused = fault.Of(failed)
	}
	for range sent {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-answers:
			i := index[r.of]
			switch {
			case r.err != nil:
				items[i].Refused = fault.Of(r.err)
			case !r.got.Existing.IsZero() && all[i].OnDuplicate != OnDuplicateReturn:
				items[i].Refused = taskExists(r.got.Existing)
			default:
				items[i] = outcomeOf(&subs[r.of], r.got)
			}
		}
	}
	return nil
}

func outcomeOf(s *plan.Submission, got orchestrate.Admitted) BatchItem {
	switch {
	case !got.Existing.IsZero():
		return BatchItem{ID: got.Existing, Existed: true}
	case got.Task == nil: // a commit of unknown outcome that had succeeded
		return BatchItem{ID: s.ID, State: task.StepsInProcess}
	default:
		return BatchItem{ID: s.ID, State: got.Task.State}
	}
}

// Status is what became of it in a word: created, existing or refused.
func (i *BatchItem) Status() string {
	switch {
	case i.Refused != nil:
		return "refused"
	case i.Existed:
		return "existing"
	default:
		return "created"
	}
}
