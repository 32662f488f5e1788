package grpc

import (
	"context"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

type operators struct {
	taskerv1.UnimplementedOperatorServiceServer
	service Service
}

// actor returns who acts: by, else whose credentials they are.
func actor(ctx context.Context, by string) string {
	if by == "" {
		return app.PrincipalOf(ctx).Subject
	}
	return by
}

func taskAction(
	ctx context.Context, in *taskerv1.TaskActionRequest, act func(context.Context, ident.TaskID, string, string) (app.Task, error),
) (*taskerv1.TaskActionResponse, error) {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return nil, err
	}
	t, err := act(ctx, id, actor(ctx, in.GetBy()), in.GetReason())
	if err != nil {
		return nil, err
	}
	return &taskerv1.TaskActionResponse{Task: toTask(&t)}, nil
}

// GiveUpTask implements taskerv1.OperatorServiceServer.
func (d *operators) GiveUpTask(ctx context.Context, in *taskerv1.TaskActionRequest) (*taskerv1.TaskActionResponse, error) {
	return taskAction(ctx, in, d.service.GiveUpTask)
}

// ResolveTask implements taskerv1.OperatorServiceServer.
func (d *operators) ResolveTask(ctx context.Context, in *taskerv1.TaskActionRequest) (*taskerv1.TaskActionResponse, error) {
	return taskAction(ctx, in, d.service.ResolveTask)
}

// RetryTask implements taskerv1.OperatorServiceServer.
func (d *operators) RetryTask(ctx context.Context, in *taskerv1.TaskActionRequest) (*taskerv1.TaskActionResponse, error) {
	return taskAction(ctx, in, d.service.RetryTask)
}

// PurgeTask implements taskerv1.OperatorServiceServer.
func (d *operators) PurgeTask(ctx context.Context, in *taskerv1.PurgeTaskRequest) (*taskerv1.PurgeTaskResponse, error) {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return nil, err
	}
	return &taskerv1.PurgeTaskResponse{}, d.service.PurgeTask(ctx, id)
}

func (d *operators) pause(ctx context.Context, p ports.Pause) (*taskerv1.PauseResponse, error) {
	p.By = actor(ctx, p.By)
	p, err := d.service.Pause(ctx, p)
	if err != nil {
		return nil, err
	}
	return &taskerv1.PauseResponse{Pause: toPause(&p)}, nil
}

func (d *operators) unpause(ctx context.Context, p ports.Pause) (*taskerv1.ResumeResponse, error) {
	p.By = actor(ctx, p.By)
	was, err := d.service.Unpause(ctx, p)
	if err != nil {
		return nil, err
	}
	return &taskerv1.ResumeResponse{Resumed: was}, nil
}

func pauseOfTask(in *taskerv1.PauseTaskRequest) (ports.Pause, error) {
	id, err := taskID(in.GetTaskUuid())
	return ports.Pause{Kind: ports.PauseTask, Task: id, By: in.GetBy(), Why: in.GetReason()}, err
}

func pauseOfTemplate(in *taskerv1.TemplateActionRequest) ports.Pause {
	return ports.Pause{Kind: ports.PauseTemplate, Name: templateName(in), By: in.GetBy(), Why: in.GetReason()}
}

func pauseOfNamespace(in *taskerv1.PauseNamespaceRequest) ports.Pause {
	return ports.Pause{Kind: ports.PauseNamespace, Name: task.Name{Namespace: in.GetNamespace()}, By: in.GetBy(), Why: in.GetReason()}
}

// PauseTask implements taskerv1.OperatorServiceServer.
func (d *operators) PauseTask(ctx context.Context, in *taskerv1.PauseTaskRequest) (*taskerv1.PauseResponse, error) {
	p, err := pauseOfTask(in)
	if err != nil {
		return nil, err
	}
	return d.pause(ctx, p)
}

// ResumeTask implements taskerv1.OperatorServiceServer.
func (d *operators) ResumeTask(ctx context.Context, in *taskerv1.PauseTaskRequest) (*taskerv1.ResumeResponse, error) {
	p, err := pauseOfTask(in)
	if err != nil {
		return nil, err
	}
	return d.unpause(ctx, p)
}

// PauseTemplate implements taskerv1.OperatorServiceServer.
func (d *operators) PauseTemplate(ctx context.Context, in *taskerv1.TemplateActionRequest) (*taskerv1.PauseResponse, error) {
	return d.pause(ctx, pauseOfTemplate(in))
}

// ResumeTemplate implements taskerv1.OperatorServiceServer.
func (d *operators) ResumeTemplate(ctx context.Context, in *taskerv1.TemplateActionRequest) (*taskerv1.ResumeResponse, error) {
	return d.unpause(ctx, pauseOfTemplate(in))
}

// PauseNamespace implements taskerv1.OperatorServiceServer.
func (d *operators) PauseNamespace(ctx context.Context, in *taskerv1.PauseNamespaceRequest) (*taskerv1.PauseResponse, error) {
	return d.pause(ctx, pauseOfNamespace(in))
}

// ResumeNamespace implements taskerv1.OperatorServiceServer.
func (d *operators) ResumeNamespace(ctx context.Context, in *taskerv1.PauseNamespaceRequest) (*taskerv1.ResumeResponse, error) {
	return d.unpause(ctx, pauseOfNamespace(in))
}

// ListPauses implements taskerv1.OperatorServiceServer.
func (d *operators) ListPauses(ctx context.Context, in *taskerv1.ListPausesRequest) (*taskerv1.ListPausesResponse, error) {
	all, err := d.service.ListPauses(ctx, limitOf(in.Limit, defaultRows)) //nolint:protogetter // absent is not 0
	if err != nil {
		return nil, err
	}
	return &taskerv1.ListPausesResponse{Pauses: each(all, toPause)}, nil
}

// Rows of a list, unless the request says.
const (
	defaultRows    = 100
	defaultLetters = 50
)

func limitOf(given *int32, otherwise int) int {
	if given == nil {
		return otherwise
	}
	return int(*given)
}

// each converts all items.
func each[T, P any](all []T, of func(*T) P) []P {
	out := make([]P, len(all))
	for i := range all {
		out[i] = of(&all[i])
	}
	return out
}

func toPause(p *ports.Pause) *taskerv1.Pause {
	out := &taskerv1.Pause{
		Kind: string(p.Kind), Namespace: given(p.Name.Namespace), Name: given(p.Name.Name), Version: given(p.Name.Version),
		By: p.By, Reason: p.Why, Since: instant(p.Since),
	}
	if !p.Task.IsZero() {
		id := p.Task.String()
		out.TaskUuid = &id
	}
	return out
}
