package http

import (
	"context"

	"github.com/tasker-go/tasker/core/app"
)

type stepInput struct {
	UUID     string `path:"uuid" format:"uuid" doc:"The task."`
	StepUUID string `path:"step_uuid" format:"uuid" doc:"The step."`
}

type stepOutput struct{ Body StepResponse }

type stepsOutput struct {
	Body []StepResponse `nullable:"false"`
}

func registerSteps(a *api, s Service) {
	register(a, app.ListSteps, func(ctx context.Context, in *taskInput) (*stepsOutput, error) {
		id, err := taskID(in.UUID)
		if err != nil {
			return nil, err
		}
		steps, err := s.ListSteps(ctx, id)
		if err != nil {
			return nil, err
		}
		out := &stepsOutput{Body: make([]StepResponse, len(steps))}
		for i := range steps {
			out.Body[i] = stepResponse(&steps[i])
		}
		return out, nil
	})
	register(a, app.GetStep, func(ctx context.Context, in *stepInput) (*stepOutput, error) {
		id, stepID, err := stepOf(in.UUID, in.StepUUID)
		if err != nil {
			return nil, err
		}
		found, err := s.GetStep(ctx, id, stepID)
		if err != nil {
			return nil, err
		}
		return &stepOutput{Body: stepResponse(&found)}, nil
	})
}
