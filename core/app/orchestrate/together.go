package orchestrate

import (
	"context"
	"errors"
	"fmt"

	"github.com/tasker-go/tasker/core/app/actor"
	"github.com/tasker-go/tasker/core/domain/plan"
)

// TaskBatch turns batches of submissions into tasks: of each batch all, or
// none. Its actor takes one message at a time, so that a batch is a transaction.
type TaskBatch struct{ TaskRequest }

// AdmittedTogether is the answer to a batch of submissions.
type AdmittedTogether struct {
	Tasks []Admitted // what became of each; of those that were refused, what would have
	// Refused is set when a submission that must be new is not: then nothing was
	// stored.
	Refused bool
}

// errNotNew rolls a batch back.
var errNotNew = errors.New("a task that must be new exists")

// Handle implements actor.Handler.
func (a *TaskBatch) Handle(ctx context.Context, b actor.Batch[[]plan.Submission]) ([]AdmittedTogether, error) {
	if len(b.Messages) != 1 {
		return nil, fmt.Errorf("%d batches in one transaction", len(b.Messages))
	}
	subs := b.Messages[0]
	var out AdmittedTogether
	err := a.run(ctx, b.Part, scopeOf(subs, b.Again), func(snap *plan.Snapshot) (plan.Decision, error) {
		d, became, err := plan.AfterSubmissions(snap, subs, &a.blueprints)
		if err != nil {
			return d, err
		}
		out = AdmittedTogether{Tasks: admitted(d, became, snap.Now)}
		for i := range became {
			if out.Refused = !became[i].Existing.IsZero() && subs[i].MustBeNew; out.Refused {
				return plan.Decision{}, errNotNew
			}
		}
		return d, nil
	})
	if errors.Is(err, errNotNew) {
		return []AdmittedTogether{out}, nil
	}
	return []AdmittedTogether{out}, err
}
