package grpc

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/structpb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/ports"
)

// FileDeadLetter implements taskerv1.OperatorServiceServer.
func (d *operators) FileDeadLetter(ctx context.Context, in *taskerv1.FileDeadLetterRequest) (*taskerv1.FileDeadLetterResponse, error) {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return nil, err
	}
	l, err := d.service.FileDeadLetter(ctx, id, actor(ctx, in.GetBy()), in.GetReason())
	if err != nil {
		return nil, err
	}
	return &taskerv1.FileDeadLetterResponse{Entry: toEntry(&l)}, nil
}

// ListDeadLetterFailures implements taskerv1.OperatorServiceServer.
func (d *operators) ListDeadLetterFailures(
	ctx context.Context, in *taskerv1.ListDeadLetterFailuresRequest,
) (*taskerv1.ListDeadLetterFailuresResponse, error) {
	id, err := entryID(in.GetDlqEntryUuid())
	if err != nil {
		return nil, err
	}
	all, err := d.service.DeadLetterFailures(ctx, id, limitOf(in.Limit, defaultRows)) //nolint:protogetter // absent is not 0
	if err != nil {
		return nil, err
	}
	return &taskerv1.ListDeadLetterFailuresResponse{Failures: each(all, toFailure)}, nil
}

// ListDeadLetterGroups implements taskerv1.OperatorServiceServer.
func (d *operators) ListDeadLetterGroups(
	ctx context.Context, in *taskerv1.ListDeadLetterGroupsRequest,
) (*taskerv1.ListDeadLetterGroupsResponse, error) {
	f, err := filterOf("filter.", in.GetFilter())
	if err != nil {
		return nil, err
	}
	all, err := d.service.DeadLetterGroups(ctx, f, limitOf(in.Limit, defaultRows)) //nolint:protogetter // absent is not 0
	if err != nil {
		return nil, err
	}
	return &taskerv1.ListDeadLetterGroupsResponse{Groups: each(all, toGroup)}, nil
}

// ResumeDeadLetter implements taskerv1.OperatorServiceServer.
func (d *operators) ResumeDeadLetter(ctx context.Context, in *taskerv1.ResumeDeadLetterRequest) (*taskerv1.ResumeDeadLetterResponse, error) {
	id, err := entryID(in.GetDlqEntryUuid())
	if err != nil {
		return nil, err
	}
	r := app.ResumeOne{Entry: id, Action: in.GetAction(), By: actor(ctx, in.GetBy()), Why: in.GetReason()}
	for i, s := range in.GetSteps() {
		one := app.ResumeStep{Name: s.GetName(), Action: s.GetAction()}
		if one.Value, err = value(fmt.Sprintf("steps[%d].value", i), s.GetValue()); err != nil {
			return nil, err
		}
		if one.Inputs, err = document(fmt.Sprintf("steps[%d].inputs", i), s.GetInputs()); err != nil {
			return nil, err
		}
		r.Steps = append(r.Steps, one)
	}
	t, err := d.service.ResumeDeadLetter(ctx, r)
	if err != nil {
		return nil, err
	}
	return &taskerv1.ResumeDeadLetterResponse{Task: toTask(&t)}, nil
}

// ResumeDeadLetters implements taskerv1.OperatorServiceServer.
func (d *operators) ResumeDeadLetters(ctx context.Context, in *taskerv1.ResumeDeadLettersRequest) (*taskerv1.ResumeDeadLettersResponse, error) {
	f, err := filterOf("filter.", in.GetFilter())
	if err != nil {
		return nil, err
	}
	b, err := d.service.ResumeDeadLetters(ctx, app.ResumeMany{
		Filter: f, Action: in.GetAction(), By: actor(ctx, in.GetBy()), Why: in.GetReason(), DryRun: in.GetDryRun(), Rate: in.GetRate(),
		CanaryPercent: in.GetCanaryPercent(), StopPercent: in.GetStopPercent(), Limit: int(in.GetLimit()),
	})
	if err != nil {
		return nil, err
	}
	return &taskerv1.ResumeDeadLettersResponse{Resume: toResume(&b)}, nil
}

// ListResumes implements taskerv1.OperatorServiceServer.
func (d *operators) ListResumes(ctx context.Context, in *taskerv1.ListResumesRequest) (*taskerv1.ListResumesResponse, error) {
	all, err := d.service.ListResumes(ctx, limitOf(in.Limit, defaultRows)) //nolint:protogetter // absent is not 0
	if err != nil {
		return nil, err
	}
	return &taskerv1.ListResumesResponse{Resumes: each(all, toResume)}, nil
}

// GetResume implements taskerv1.OperatorServiceServer.
func (d *operators) GetResume(ctx context.Context, in *taskerv1.GetResumeRequest) (*taskerv1.GetResumeResponse, error) {
	b, err := d.service.GetResume(ctx, in.GetResumeUuid())
	if err != nil {
		return nil, err
	}
	return &taskerv1.GetResumeResponse{Resume: toResume(&b)}, nil
}

// CancelResume implements taskerv1.OperatorServiceServer.
func (d *operators) CancelResume(ctx context.Context, in *taskerv1.CancelResumeRequest) (*taskerv1.CancelResumeResponse, error) {
	b, err := d.service.CancelResume(ctx, in.GetResumeUuid(), actor(ctx, in.GetBy()), in.GetReason())
	if err != nil {
		return nil, err
	}
	return &taskerv1.CancelResumeResponse{Resume: toResume(&b)}, nil
}

// value returns a Value as the text of JSON; nil for none.
func value(field string, v *structpb.Value) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	wrapped, err := document(field, &structpb.Struct{Fields: map[string]*structpb.Value{"": v}})
	if err != nil {
		return nil, err
	}
	return wrapped[len(`{"":`) : len(wrapped)-len(`}`)], nil
}

func toFailure(f *ports.LetterFailure) *taskerv1.DeadLetterFailure {
	return &taskerv1.DeadLetterFailure{
		StepUuid: f.Ref.ID().String(), TaskUuid: f.Ref.Task.String(), StepName: f.Name, Dispatch: f.Dispatch, Attempt: f.Attempt,
		FailedAt: instant(f.At), ErrorType: f.Type, Message: f.Message, Fingerprint: f.Fingerprint,
	}
}

func toGroup(g *ports.LetterGroup) *taskerv1.DeadLetterGroup {
	return &taskerv1.DeadLetterGroup{
		Fingerprint: g.Fingerprint, Namespace: g.Name.Namespace, Name: g.Name.Name, Version: g.Name.Version, StepName: g.Step,
		ErrorType: g.Type, Message: g.Message, Entries: g.Letters, Failures: g.Failures,
		FirstFailedAt: instant(g.First), LastFailedAt: instant(g.Last),
	}
}

func toResume(b *ports.BulkResume) *taskerv1.BulkResume {
	out := &taskerv1.BulkResume{
		State: string(b.State), Request: object(b.Request), By: b.By, Reason: b.Reason, Matched: int64(b.Matched),
		Resumed: int64(b.Resumed), Refused: int64(b.Refused), FailedAgain: int64(b.FailedAgain), Message: b.Message,
		CreatedAt: instant(b.CreatedAt), UpdatedAt: instant(b.UpdatedAt),
	}
	if b.ID != uuid.Nil {
		out.ResumeUuid = b.ID.String()
	}
	return out
}
