package bootstrap

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
	"github.com/tasker-go/tasker/worker"
)

// inProcess runs steps by handlers of this program.
type inProcess struct {
	handlers worker.Handlers
	reads    ports.TaskReads

	checkpoints ports.Checkpoints
}

var _ ports.Runner = (*inProcess)(nil)

// Run implements ports.Runner.
func (p *inProcess) Run(ctx context.Context, a ports.Assignment, report func(step.Result), done func()) {
	go func() {
		defer done()
		limit := time.Duration(a.Limit) * time.Second
		worker.Run(ctx, p.handlers[a.Queue.Handler], p.step(a), limit, func(o worker.Outcome) {
			report(step.Result{Ref: a.Ref, Dispatch: a.Dispatch, Value: o.Value, Failure: o.Failure, Elapsed: o.Elapsed})
		})
	}()
}

func (p *inProcess) step(a ports.Assignment) *worker.Step {
	parents := make(map[string]json.RawMessage, len(a.Parents))
	for _, r := range a.Parents {
		if r.Value != nil {
			parents[r.Name] = r.Value
		}
	}
	return worker.NewStep(worker.Step{
		Task: worker.Task{
			ID: a.Ref.Task.String(), Namespace: a.Task.Namespace, Name: a.Task.Name, Version: a.Task.Version,
			CorrelationID: a.CorrelationID.String(), Priority: int(a.Priority),
		},
		ID: a.Ref.ID().String(), Name: a.Name, Handler: a.Queue.Handler,
		Attempt: int(a.Attempt), MaxAttempts: int(a.Max),
	}, worker.Inputs{
		Context: a.Context, Initialization: a.Init, Parents: parents, Checkpoint: a.Checkpoint,
		Save: func(ctx context.Context, checkpoint json.RawMessage) error {
			live, err := p.checkpoints.SaveCheckpoint(ctx, a.Ref, a.Dispatch, checkpoint)
			if err == nil && !live {
				err = worker.ErrLost
			}
			return err
		},
		Fetch: func(ctx context.Context, names ...string) (map[string]json.RawMessage, error) {
			found, err := p.reads.Results(ctx, a.Ref.Task, names)
			if err != nil {
				return nil, err
			}
			byName := make(map[string]json.RawMessage, len(found))
			for _, r := range found {
				byName[r.Name] = r.Value
			}
			return byName, nil
		},
	})
}

// unserved names the steps of templates whose handler is not there.
func unserved(ts []*template.Template, handlers worker.Handlers) []string {
	var missing []string
	for _, t := range ts {
		for i := range t.Steps {
			if s := &t.Steps[i]; handlers[s.Handler.Callable] == nil {
				missing = append(missing, t.Namespace+"/"+t.Name+"/"+t.Version+": "+s.Name+" ("+s.Handler.Callable+")")
			}
		}
	}
	return missing
}

// declared lists the queues that handlers serve: each by its name in every
// namespace that this program brings templates for.
func declared(handlers worker.Handlers, namespaces []string) []plan.Queue {
	var queues []plan.Queue
	for _, ns := range namespaces {
		for name := range handlers {
			queues = append(queues, plan.Queue{Namespace: ns, Handler: name})
		}
	}
	return queues
}
