package http

import (
	"context"
	"time"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// PauseResponse is what somebody holds back.
type PauseResponse struct {
	Kind      string    `json:"kind" enum:"namespace,template,task"`
	Namespace *string   `json:"namespace" doc:"Null for a task."`
	Name      *string   `json:"name" doc:"Of the template; null for others."`
	Version   *string   `json:"version" doc:"Of the template; null for others."`
	TaskUUID  *string   `json:"task_uuid" format:"uuid" doc:"Null for others."`
	By        string    `json:"by"`
	Reason    string    `json:"reason"`
	Since     time.Time `json:"since"`
}

// ResumedResponse says whether anything was held back.
type ResumedResponse struct {
	Resumed bool `json:"resumed" doc:"There was a pause, and it has ended."`
}

type templateActionInput struct {
	Namespace string `path:"namespace"`
	Name      string `path:"name"`
	Version   string `path:"version"`
	RawBody   []byte `contentType:"application/json"`
}

func (in *templateActionInput) template() task.Name {
	return task.Name{Namespace: in.Namespace, Name: in.Name, Version: in.Version}
}

type namespaceActionInput struct {
	Namespace string `path:"namespace"`
	RawBody   []byte `contentType:"application/json"`
}

type limitInput struct {
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func registerPauses(a *api, s Service) {
	registerPause(a, s, app.PauseTask, app.ResumeTask, func(in *taskActionInput) (ports.Pause, []byte, error) {
		id, err := taskID(in.UUID)
		return ports.Pause{Kind: ports.PauseTask, Task: id}, in.RawBody, err
	})
	registerPause(a, s, app.PauseTemplate, app.ResumeTemplate, func(in *templateActionInput) (ports.Pause, []byte, error) {
		return ports.Pause{Kind: ports.PauseTemplate, Name: in.template()}, in.RawBody, nil
	})
	registerPause(a, s, app.PauseNamespace, app.ResumeNamespace, func(in *namespaceActionInput) (ports.Pause, []byte, error) {
		return ports.Pause{Kind: ports.PauseNamespace, Name: task.Name{Namespace: in.Namespace}}, in.RawBody, nil
	})
	register(a, app.ListPauses, func(ctx context.Context, in *limitInput) (*list[PauseResponse], error) {
		all, err := s.ListPauses(ctx, in.Limit)
		return listed(all, err, pauseResponse)
	})
}

// registerPause adds the two routes of what can be paused.
func registerPause[I any](a *api, s Service, hold, release app.Operation, read func(*I) (ports.Pause, []byte, error)) {
	pauseOf := func(ctx context.Context, in *I) (ports.Pause, []string, error) {
		p, body, err := read(in)
		if err != nil {
			return p, nil, err
		}
		words, unknown, err := readSaid(ctx, body)
		p.By, p.Why = words.by, words.why
		return p, unknown, err
	}
	register(a, hold, func(ctx context.Context, in *I) (*acted[PauseResponse], error) {
		p, unknown, err := pauseOf(ctx, in)
		if err != nil {
			return nil, err
		}
		if p, err = s.Pause(ctx, p); err != nil {
			return nil, err
		}
		return &acted[PauseResponse]{UnknownFields: unknownNames(unknown), Body: pauseResponse(&p)}, nil
	})
	register(a, release, func(ctx context.Context, in *I) (*acted[ResumedResponse], error) {
		p, unknown, err := pauseOf(ctx, in)
		if err != nil {
			return nil, err
		}
		was, err := s.Unpause(ctx, p)
		if err != nil {
			return nil, err
		}
		return &acted[ResumedResponse]{UnknownFields: unknownNames(unknown), Body: ResumedResponse{Resumed: was}}, nil
	})
}

func pauseResponse(p *ports.Pause) PauseResponse {
	r := PauseResponse{
		Kind: string(p.Kind), Namespace: given(p.Name.Namespace), Name: given(p.Name.Name), Version: given(p.Name.Version),
		By: p.By, Reason: p.Why, Since: p.Since.UTC(),
	}
	if !p.Task.IsZero() {
		id := p.Task.String()
		r.TaskUUID = &id
	}
	return r
}
