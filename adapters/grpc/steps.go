package grpc

import (
	"context"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
)

type steps struct {
	taskerv1.UnimplementedStepServiceServer
	service Service
}

// GetStep implements taskerv1.StepServiceServer.
func (d *steps) GetStep(ctx context.Context, in *taskerv1.GetStepRequest) (*taskerv1.GetStepResponse, error) {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return nil, err
	}
	sid, err := stepID(in.GetStepUuid())
	if err != nil {
		return nil, err
	}
	s, err := d.service.GetStep(ctx, id, sid)
	if err != nil {
		return nil, err
	}
	return &taskerv1.GetStepResponse{Step: toStep(&s)}, nil
}

// ListSteps implements taskerv1.StepServiceServer.
func (d *steps) ListSteps(ctx context.Context, in *taskerv1.ListStepsRequest) (*taskerv1.ListStepsResponse, error) {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return nil, err
	}
	all, err := d.service.ListSteps(ctx, id)
	if err != nil {
		return nil, err
	}
	n := int32(len(all)) //nolint:gosec // G115: at most MaxSteps
	return &taskerv1.ListStepsResponse{
		Steps: toSteps(all), Pagination: &taskerv1.PaginationResponse{Total: int64(n), Count: n},
	}, nil
}
