package client

import (
	"context"
	"fmt"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
)

func (r *rpc) listTemplates(ctx context.Context, namespace string) (TemplateList, error) {
	return ask(ctx, r, r.templates.ListTemplates, &taskerv1.ListTemplatesRequest{Namespace: given(namespace)},
		func(out *taskerv1.ListTemplatesResponse) TemplateList {
			return TemplateList{
				Total: int(out.GetTotalCount()),
				Namespaces: each(out.GetNamespaces(), func(n *taskerv1.NamespaceSummary) NamespaceSummary {
					return NamespaceSummary{Name: n.GetName(), Description: n.GetDescription(), Templates: int(n.GetTemplateCount())}
				}),
				Templates: each(out.GetTemplates(), func(t *taskerv1.TemplateSummary) TemplateSummary {
					return TemplateSummary{
						Name: t.GetName(), Namespace: t.GetNamespace(), Version: t.GetVersion(), Description: t.GetDescription(),
						Steps: int(t.GetStepCount()),
					}
				}),
			}
		})
}

func (r *rpc) getTemplate(ctx context.Context, namespace, name, version string) (Template, error) {
	return ask(ctx, r, r.templates.GetTemplate, &taskerv1.GetTemplateRequest{Namespace: namespace, Name: name, Version: version},
		func(out *taskerv1.GetTemplateResponse) Template {
			t := out.GetTemplate()
			return Template{
				Name: t.GetName(), Namespace: t.GetNamespace(), Version: t.GetVersion(), Description: t.GetDescription(),
				Steps: each(t.GetSteps(), func(s *taskerv1.StepDefinition) TemplateStep {
					return TemplateStep{
						Name: s.GetName(), Description: s.GetDescription(), Retryable: s.GetDefaultRetryable(),
						MaxAttempts: int(s.GetDefaultMaxAttempts()),
					}
				}),
			}
		})
}

func revisionOf(t *taskerv1.TemplateRevision) TemplateRevision {
	return TemplateRevision{
		Namespace: t.GetNamespace(), Name: t.GetName(), Version: t.GetVersion(), Revision: int(t.GetRevision()),
		Changed: t.GetChanged(), Steps: int(t.GetSteps()), ContentHash: t.GetContentHash(),
	}
}

func (r *rpc) registerTemplate(ctx context.Context, text string, revise bool) ([]TemplateRevision, error) {
	return ask(ctx, r, r.operators.RegisterTemplates, &taskerv1.RegisterTemplatesRequest{Text: text, Revise: revise},
		func(out *taskerv1.RegisterTemplatesResponse) []TemplateRevision {
			return each(out.GetTemplates(), revisionOf)
		})
}

func (r *rpc) validateTemplate(ctx context.Context, text string) (TemplateReport, error) {
	return ask(ctx, r, r.operators.ValidateTemplates, &taskerv1.ValidateTemplatesRequest{Text: text},
		func(out *taskerv1.ValidateTemplatesResponse) TemplateReport {
			return TemplateReport{
				Valid: out.GetValid(), Problems: each(out.GetProblems(), findingOf), Warnings: each(out.GetWarnings(), findingOf),
				Templates: each(out.GetTemplates(), revisionOf),
			}
		})
}

func findingOf(p *taskerv1.TemplateProblem) TemplateProblem {
	return TemplateProblem{Line: int(p.GetLine()), Column: int(p.GetColumn()), Field: p.GetField(), Message: p.GetMessage()}
}

func (s DeadLetterStatus) number() *taskerv1.DlqResolutionStatus {
	return given(number[taskerv1.DlqResolutionStatus](taskerv1.DlqResolutionStatus_value, "DLQ_RESOLUTION_STATUS_", string(s)))
}

func (r DeadLetterReason) number() taskerv1.DlqReason {
	return number[taskerv1.DlqReason](taskerv1.DlqReason_value, "DLQ_REASON_", string(r))
}

func letterOf(l *taskerv1.DlqEntry) DeadLetter {
	return DeadLetter{
		ID: l.GetDlqEntryUuid(), TaskID: l.GetTaskUuid(), OriginalState: TaskState(l.GetOriginalState()),
		Reason: DeadLetterReason(lower(l.GetDlqReason().String(), "DLQ_REASON_")), At: timeOf(l.GetDlqTimestamp()),
		Status:     DeadLetterStatus(lower(l.GetResolutionStatus().String(), "DLQ_RESOLUTION_STATUS_")),
		ResolvedAt: timeOf(l.GetResolutionTimestamp()), Notes: l.GetResolutionNotes(), ResolvedBy: l.GetResolvedBy(),
		Snapshot: jsonOf(l.GetTaskSnapshot()), Metadata: jsonOf(l.GetMetadata()), CreatedAt: timeOf(l.GetCreatedAt()),
		UpdatedAt: timeOf(l.GetUpdatedAt()), Ordinal: int(l.GetOrdinal()), Namespace: l.GetNamespace(), Name: l.GetName(),
		Version: l.GetVersion(), Fingerprint: l.GetFingerprint(),
	}
}

func (r *rpc) listDeadLetters(ctx context.Context, f *DeadLetterFilter, offset, limit int) ([]DeadLetter, error) {
	from, size := int32(min(offset, 1<<30)), int32(min(limit, 1<<30)) //nolint:gosec // G115: bounded
	return ask(ctx, r, r.letters.ListEntries, &taskerv1.ListDlqEntriesRequest{
		ResolutionStatus: f.Status.number(), Limit: &size, Offset: &from, Reasons: each(f.Reasons, DeadLetterReason.number),
		Namespace: given(f.Namespace), Name: given(f.Name), Version: given(f.Version), Fingerprint: given(f.Fingerprint),
		DlqTimestamp: span(f.From, f.Until),
	}, func(out *taskerv1.ListDlqEntriesResponse) []DeadLetter { return each(out.GetEntries(), letterOf) })
}

func (r *rpc) getDeadLetter(ctx context.Context, task string) (DeadLetter, error) {
	return ask(ctx, r, r.letters.GetEntryByTask, &taskerv1.GetDlqEntryByTaskRequest{TaskUuid: task},
		func(out *taskerv1.GetDlqEntryByTaskResponse) DeadLetter { return letterOf(out.GetEntry()) })
}

func (r *rpc) updateDeadLetter(ctx context.Context, id string, u *DeadLetterUpdate) error {
	metadata, err := object("metadata", u.Metadata)
	if err != nil {
		return err
	}
	_, err = ask(ctx, r, r.letters.UpdateInvestigation, &taskerv1.UpdateDlqInvestigationRequest{
		DlqEntryUuid: id, ResolutionStatus: u.Status.number(), ResolutionNotes: given(u.Notes), ResolvedBy: given(u.ResolvedBy),
		Metadata: metadata,
	}, func(*taskerv1.UpdateDlqInvestigationResponse) none { return none{} })
	return err
}

func (r *rpc) resumeDeadLetter(ctx context.Context, id string, resume *Resume) (Task, error) {
	in := &taskerv1.ResumeDeadLetterRequest{
		DlqEntryUuid: id, Action: string(resume.Action), Reason: given(resume.Reason), By: given(resume.By),
	}
	for i, s := range resume.Steps {
		one := &taskerv1.ResumeStep{Name: s.Name, Action: string(s.Action)}
		var err error
		if one.Value, err = value(fmt.Sprintf("steps[%d].value", i), s.Value); err != nil {
			return Task{}, err
		}
		if one.Inputs, err = object(fmt.Sprintf("steps[%d].inputs", i), s.Inputs); err != nil {
			return Task{}, err
		}
		in.Steps = append(in.Steps, one)
	}
	return ask(ctx, r, r.operators.ResumeDeadLetter, in,
		func(out *taskerv1.ResumeDeadLetterResponse) Task { return taskOf(out.GetTask()) })
}

func resumeOf(b *taskerv1.BulkResume) ResumeOperation {
	return ResumeOperation{
		ID: b.GetResumeUuid(), State: b.GetState(), By: b.GetBy(), Reason: b.GetReason(), Matched: int(b.GetMatched()),
		Resumed: int(b.GetResumed()), Refused: int(b.GetRefused()), FailedAgain: int(b.GetFailedAgain()), Message: b.GetMessage(),
		CreatedAt: timeOf(b.GetCreatedAt()), UpdatedAt: timeOf(b.GetUpdatedAt()),
	}
}

func (r *rpc) resumeDeadLetters(ctx context.Context, b *BulkResume) (ResumeOperation, error) {
	f := &b.Filter
	limit := int32(min(b.Limit, 1<<30)) //nolint:gosec // G115: bounded
	return ask(ctx, r, r.operators.ResumeDeadLetters, &taskerv1.ResumeDeadLettersRequest{
		Filter: &taskerv1.DlqFilter{
			ResolutionStatus: f.Status.number(), Reasons: each(f.Reasons, DeadLetterReason.number), Namespace: given(f.Namespace),
			Name: given(f.Name), Version: given(f.Version), Fingerprint: given(f.Fingerprint), DlqTimestamp: span(f.From, f.Until),
		},
		Action: string(b.Action), DryRun: b.DryRun, Rate: given(b.Rate), CanaryPercent: given(b.CanaryPercent),
		StopPercent: given(b.StopPercent), Limit: given(limit), Reason: given(b.Reason), By: given(b.By),
	}, func(out *taskerv1.ResumeDeadLettersResponse) ResumeOperation { return resumeOf(out.GetResume()) })
}

func (r *rpc) getResume(ctx context.Context, id string) (ResumeOperation, error) {
	return ask(ctx, r, r.operators.GetResume, &taskerv1.GetResumeRequest{ResumeUuid: id},
		func(out *taskerv1.GetResumeResponse) ResumeOperation { return resumeOf(out.GetResume()) })
}

func (r *rpc) cancelResume(ctx context.Context, id string, s Said) (ResumeOperation, error) {
	return ask(ctx, r, r.operators.CancelResume,
		&taskerv1.CancelResumeRequest{ResumeUuid: id, Reason: given(s.Reason), By: given(s.By)},
		func(out *taskerv1.CancelResumeResponse) ResumeOperation { return resumeOf(out.GetResume()) })
}

func (r *rpc) ready(ctx context.Context) error {
	_, err := ask(ctx, r, r.healths.CheckReadiness, &taskerv1.ReadinessRequest{},
		func(*taskerv1.ReadinessResponse) none { return none{} })
	return err
}

func (r *rpc) health(ctx context.Context) (Health, error) {
	return ask(ctx, r, r.healths.CheckDetailedHealth, &taskerv1.DetailedHealthRequest{}, func(out *taskerv1.DetailedHealthResponse) Health {
		i, c := out.GetInfo(), out.GetChecks()
		h := Health{Status: out.GetStatus(), Checks: map[string]HealthCheck{}, Info: HealthInfo{
			Version: i.GetVersion(), Environment: i.GetEnvironment(), OperationalState: i.GetOperationalState(),
			CircuitBreakerState: i.GetCircuitBreakerState(),
		}}
		for name, check := range map[string]*taskerv1.HealthCheck{
			"web_database": c.GetWebDatabase(), "orchestration_database": c.GetOrchestrationDatabase(),
			"circuit_breaker": c.GetCircuitBreaker(), "orchestration_system": c.GetOrchestrationSystem(),
			"command_processor": c.GetCommandProcessor(), "pool_utilization": c.GetPoolUtilization(),
			"queue_depth": c.GetQueueDepth(), "channel_saturation": c.GetChannelSaturation(),
		} {
			if check != nil {
				h.Checks[name] = HealthCheck{Status: check.GetStatus(), Message: check.GetMessage(), DurationMS: int64(check.GetDurationMs())} //nolint:gosec // G115: a time
			}
		}
		return h
	})
}
