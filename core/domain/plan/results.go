package plan

import (
	"fmt"
	"time"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/template"
)

// AfterResults applies what workers report. It returns the decision, and what
// became of each result.
func AfterResults(snap *Snapshot, defs Definitions, rules Rules, results []step.Result) (Decision, []step.Verdict, error) {
	d := newDraft(snap, defs, rules)
	verdicts := make([]step.Verdict, len(results))
	for i, r := range results {
		v, err := d.result(r)
		if err != nil {
			return Decision{}, nil, err
		}
		verdicts[i] = v
	}
	out, err := d.decide()
	return out, verdicts, err
}

func (d *draft) result(r step.Result) (step.Verdict, error) {
	known, ok := d.peek(r.Ref)
	if !ok || known.Dispatch != r.Dispatch {
		return step.Stale, nil
	}
	if known.State != step.InProgress {
		return late(known.State, r), nil
	}
	t, c := d.task(r.Ref.Task), d.step(r.Ref)
	if t == nil {
		return 0, fmt.Errorf("step %s: its task is missing from the snapshot", r.Ref)
	}
	c.Elapsed = r.Elapsed
	if r.Failure != nil {
		return step.Applied, d.failed(t, c, r)
	}
	c.Value = r.Value
	if err := d.move(t, c, step.EnqueueForOrchestration, step.Finish); err != nil {
		return 0, err
	}
	return step.Applied, d.satisfy(t, c)
}

// late judges a result for a dispatch that is live no more: the same thing
// said twice is harmless, anything else is stale.
func late(s step.State, r step.Result) step.Verdict {
	switch {
	case r.Failure == nil && s == step.Complete,
		r.Failure != nil && (s == step.WaitingForRetry || s == step.Error):
		return step.Duplicate
	default:
		return step.Stale
	}
}

func (d *draft) failed(t *TaskChange, c *StepChange, r step.Result) error {
	policy := PolicyOf(d.defs(t.Template).Step(c.Def), d.rules)
	c.Failure = r.Failure
	retryable := step.Classify(*r.Failure, c.Attempts).Retryable
	if !retryable || !policy.Again(c.Attempts) {
		reason := deadletter.PermanentFailure
		if retryable && policy.Retryable {
			reason = deadletter.MaxRetriesExceeded
		}
		return d.ruin(t, c, reason, step.EnqueueAsErrorForOrchestration, step.Fail)
	}
	c.WakeAt = d.snap.Now.Add(policy.Wait(*r.Failure, c.Attempts, r.Chance))
	return d.move(t, c, step.EnqueueAsErrorForOrchestration, step.WaitForRetry)
}

// PolicyOf returns the retry policy of a step's definition.
func PolicyOf(def *template.Step, rules Rules) step.Policy {
	jitter := rules.Jitter
	if def.Retry.Jitter != nil {
		jitter = *def.Retry.Jitter
	}
	return step.Policy{
		Retryable:   def.Retry.Retryable,
		MaxAttempts: int32(def.Retry.MaxAttempts), //nolint:gosec // G115: validated to at most 100
		Backoff:     step.Backoff(def.Retry.Backoff),
		Base:        time.Duration(def.Retry.BackoffBaseMS) * time.Millisecond,
		Max:         time.Duration(def.Retry.MaxBackoffMS) * time.Millisecond,
		Jitter:      jitter,
	}
}
