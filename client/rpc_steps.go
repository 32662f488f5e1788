package client

import (
	"context"
	"errors"
	"io"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
)

func stepStateOf(s taskerv1.StepState) StepState { return StepState(lower(s.String(), "STEP_STATE_")) }

func stepOf(s *taskerv1.Step) Step {
	return Step{
		StepStatus: StepStatus{
			ID: s.GetStepUuid(), TaskID: s.GetTaskUuid(), Name: s.GetName(), State: stepStateOf(s.GetState()),
			DependenciesSatisfied: s.GetDependenciesSatisfied(), RetryEligible: s.GetRetryEligible(),
			ReadyForExecution: s.GetReadyForExecution(), TotalParents: int(s.GetTotalParents()),
			CompletedParents: int(s.GetCompletedParents()), Attempts: int(s.GetAttempts()), MaxAttempts: int(s.GetMaxAttempts()),
			LastFailureAt: timeOf(s.GetLastFailureAt()), NextRetryAt: timeOf(s.GetNextRetryAt()),
			LastAttemptedAt: timeOf(s.GetLastAttemptedAt()),
		},
		CreatedAt: timeOf(s.GetCreatedAt()), UpdatedAt: timeOf(s.GetUpdatedAt()), CompletedAt: timeOf(s.GetCompletedAt()),
		Results: jsonOf(s.GetResults()),
	}
}

func (r *rpc) listSteps(ctx context.Context, task string) ([]Step, error) {
	return ask(ctx, r, r.steps.ListSteps, &taskerv1.ListStepsRequest{TaskUuid: task},
		func(out *taskerv1.ListStepsResponse) []Step { return each(out.GetSteps(), stepOf) })
}

func (r *rpc) getStep(ctx context.Context, task, step string) (Step, error) {
	return ask(ctx, r, r.steps.GetStep, &taskerv1.GetStepRequest{TaskUuid: task, StepUuid: step},
		func(out *taskerv1.GetStepResponse) Step { return stepOf(out.GetStep()) })
}

func (r *rpc) actOnStep(ctx context.Context, task, step string, a *StepAction) (Step, error) {
	in := &taskerv1.ResolveStepRequest{
		TaskUuid: task, StepUuid: step, PerformedBy: a.By, Reason: a.Reason,
		ActionType: number[taskerv1.StepManualActionType](taskerv1.StepManualActionType_value, "STEP_MANUAL_ACTION_TYPE_", string(a.Kind)),
	}
	var err error
	if in.Result, err = object("result", a.Result); err != nil {
		return Step{}, err
	}
	if in.Metadata, err = object("metadata", a.Metadata); err != nil {
		return Step{}, err
	}
	if in.Inputs, err = object("inputs", a.Inputs); err != nil {
		return Step{}, err
	}
	return ask(ctx, r, r.steps.ResolveStep, in, func(out *taskerv1.ResolveStepResponse) Step { return stepOf(out.GetStep()) })
}

func (r *rpc) stepAudit(ctx context.Context, task, step string) ([]AuditRow, error) {
	return ask(ctx, r, r.steps.GetStepAudit, &taskerv1.GetStepAuditRequest{TaskUuid: task, StepUuid: step},
		func(out *taskerv1.GetStepAuditResponse) []AuditRow {
			return each(out.GetAuditRecords(), func(a *taskerv1.StepAuditRecord) AuditRow {
				row := AuditRow{
					ID: a.GetAuditUuid(), StepID: a.GetStepUuid(), TransitionID: a.GetTransitionUuid(), TaskID: a.GetTaskUuid(),
					RecordedAt: timeOf(a.GetRecordedAt()), Success: a.GetSuccess(), ExecutionTimeMS: a.GetExecutionTimeMs(),
					Result: jsonOf(a.GetResult()), StepName: a.GetStepName(), FromState: stepStateOf(a.GetFromState()),
					ToState: stepStateOf(a.GetToState()), Attempt: int(a.GetAttempt()), Dispatch: int(a.GetDispatch()),
					Server: int(a.GetServer()), By: a.GetBy(), Reason: a.GetReason(), Error: jsonOf(a.GetError()),
				}
				if len(a.GetPath()) > 0 {
					row.Path = each(a.GetPath(), stepStateOf)
				}
				return row
			})
		})
}

// explainTask puts together what comes in several messages.
func (r *rpc) explainTask(ctx context.Context, id string) (Explanation, error) {
	ctx, err := r.with(ctx)
	if err != nil {
		return Explanation{}, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stream, err := r.operators.ExplainTask(ctx, &taskerv1.ExplainTaskRequest{TaskUuid: id})
	if err != nil {
		return Explanation{}, ofStatus(ctx, err, nil)
	}
	out := Explanation{CriticalPath: []WhyStep{}, Steps: []StepExplanation{}}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return Explanation{}, ofStatus(ctx, err, nil)
		}
		if t := part.GetTask(); t != nil {
			out.TaskID, out.Why = t.GetTaskUuid(), whyOf(t.GetExplanation())
			if l := t.GetDeadLetter(); l != nil {
				out.DeadLetter = &WhyLetter{ID: l.GetDlqEntryUuid(), Reason: l.GetReason(), Since: timeOf(l.GetSince())}
			}
			out.CriticalPath = append(out.CriticalPath, each(t.GetCriticalPath(), whyStep)...)
		}
		out.Steps = append(out.Steps, each(part.GetSteps(), whyOfStep)...)
	}
}

func whyStep(s *taskerv1.ExplanationStep) WhyStep {
	return WhyStep{ID: s.GetStepUuid(), Name: s.GetName()}
}

func whyPause(p *taskerv1.ExplanationPause) WhyPause {
	return WhyPause{Kind: p.GetKind(), Subject: p.GetSubject(), By: p.GetBy(), Reason: p.GetReason(), Since: timeOf(p.GetSince())}
}

func whyOf(e *taskerv1.Explanation) Why {
	return Why{
		Code: e.GetCode(), Sentence: e.GetSentence(), Unblock: e.GetUnblock(), Also: e.GetAlso(),
		Actions: some(e.GetActions(), whyAction), Instead: some(e.GetInstead(), whyAction),
	}
}

// some is each, but nil for none.
func some[In, Out any](all []In, of func(In) Out) []Out {
	if len(all) == 0 {
		return nil
	}
	return each(all, of)
}

func whyAction(a *taskerv1.ExplanationAction) WhyAction {
	out := WhyAction{Kind: a.GetKind(), StepID: a.GetStepUuid(), Handler: a.GetHandler(), Until: timeOf(a.GetUntil())}
	if p := a.GetPause(); p != nil {
		pause := whyPause(p)
		out.Pause = &pause
	}
	return out
}

func whyOfStep(s *taskerv1.StepExplanation) StepExplanation {
	return StepExplanation{
		WhyStep: WhyStep{ID: s.GetStepUuid(), Name: s.GetName()}, State: stepStateOf(s.GetState()), Why: whyOf(s.GetExplanation()),
		WaitingFor: some(s.GetWaitingFor(), whyStep), Attempt: int(s.GetAttempt()), MaxAttempts: int(s.GetMaxAttempts()),
		RetryAt: timeOf(s.GetRetryAt()), LeaseHolder: s.GetLeaseHolder(), LeaseUntil: timeOf(s.GetLeaseUntil()),
		Pauses: some(s.GetPauses(), whyPause), Handler: s.GetHandler(), LastErrorType: s.GetLastErrorType(),
		LastError: s.GetLastError(), DeadLetteredAt: timeOf(s.GetDeadLetteredAt()),
	}
}
