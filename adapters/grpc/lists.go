package grpc

import (
	"context"
	"fmt"
	"math"

	"github.com/google/uuid"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// ListTasks implements taskerv1.TaskServiceServer.
func (d *tasks) ListTasks(ctx context.Context, in *taskerv1.ListTasksRequest) (*taskerv1.ListTasksResponse, error) {
	f, err := filter(in)
	if err != nil {
		return nil, err
	}
	p, err := pageOf(in)
	if err != nil {
		return nil, err
	}
	number, known := uint32(1), app.Page{Total: -1}
	if text := in.GetCursor(); text != "" {
		if p.Skip != 0 {
			return nil, fault.In("pagination.offset", fault.CodeInvalidField, "give cursor or pagination.offset, not both")
		}
		c, err := app.ParseCursor(text, f, p)
		if err != nil {
			return nil, err
		}
		p.After, p.Total = c.After, ports.NoTotal
		number, known = c.Page, app.Page{Total: c.Total, AtLeast: c.AtLeast}
	}
	page, err := d.service.ListTasks(ctx, f, p)
	if err != nil {
		return nil, err
	}
	if in.GetCursor() == "" {
		known = page
	}
	out := &taskerv1.ListTasksResponse{Tasks: make([]*taskerv1.Task, len(page.Tasks)), Pagination: &taskerv1.PaginationResponse{
		Total: known.Total, Count: int32(len(page.Tasks)), Offset: in.GetPagination().GetOffset(), HasMore: !page.Next.IsZero(), //nolint:gosec // G115: at most MaxPage
	}, TotalIsEstimate: known.AtLeast}
	for i := range page.Tasks {
		out.Tasks[i] = toTask(&page.Tasks[i])
	}
	if !page.Next.IsZero() {
		number = min(number, math.MaxUint32-1) + 1
		out.NextCursor = app.Cursor{After: page.Next, Page: number, Total: known.Total, AtLeast: known.AtLeast}.Text(f, p)
	}
	return out, nil
}

func pageOf(in *taskerv1.ListTasksRequest) (ports.TaskPage, error) {
	const defaultLimit = 50
	p := ports.TaskPage{Limit: defaultLimit, Skip: int(in.GetPagination().GetOffset())}
	if in.GetPagination() != nil && in.GetPagination().Limit != nil {
		p.Limit = int(in.GetPagination().GetLimit())
	}
	if p.Limit < 1 || p.Limit > app.MaxPage {
		return p, fault.In("pagination.limit", fault.CodeInvalidField, "pagination.limit is %d, want 1 to %d", p.Limit, app.MaxPage)
	}
	if p.Skip < 0 {
		return p, fault.In("pagination.offset", fault.CodeInvalidField, "pagination.offset is %d, want 0 or more", p.Skip)
	}
	switch in.GetTotal() {
	case "", "estimate":
		p.Total = ports.CheapTotal
	case "exact":
		p.Total = ports.ExactTotal
	case "none":
		p.Total = ports.NoTotal
	default:
		return p, fault.In("total", fault.CodeInvalidField, "total is none of exact, estimate, none")
	}
	switch in.GetSort().GetField() {
	case "", "created_at":
		p.Order = ports.ByCreation
	case "updated_at":
		p.Order = ports.ByUpdate
	case "completed_at":
		p.Order = ports.ByCompletion
	default:
		return p, fault.In("sort.field", fault.CodeInvalidField, "tasks are listed by created_at, updated_at or completed_at")
	}
	switch in.GetSort().GetDirection() {
	case taskerv1.SortDirection_SORT_DIRECTION_UNSPECIFIED, taskerv1.SortDirection_SORT_DIRECTION_DESC:
	case taskerv1.SortDirection_SORT_DIRECTION_ASC:
		p.Ascending = true
	default:
		return p, fault.In("sort.direction", fault.CodeInvalidField, "sort.direction is neither SORT_DIRECTION_DESC nor SORT_DIRECTION_ASC")
	}
	return p, nil
}

func filter(in *taskerv1.ListTasksRequest) (ports.TaskFilter, error) {
	f := ports.TaskFilter{
		Namespace: in.GetNamespace(), Name: in.GetName(), Version: in.GetVersion(), Initiator: in.GetInitiator(),
		SourceSystem: in.GetSourceSystem(), Tags: in.GetTags(), Error: in.GetError(),
	}
	for i, s := range in.GetStates() {
		state, known := fromTaskState(s)
		if !known {
			return f, fault.In(fmt.Sprintf("states[%d]", i), fault.CodeInvalidState, "states[%d] is %d, which is not the state of a task", i, int32(s))
		}
		f.States = append(f.States, state)
	}
	if text := in.GetCorrelationId(); text != "" {
		id, err := uuid.Parse(text)
		if err != nil {
			return f, fault.In("correlation_id", fault.CodeInvalidUUID, "correlation_id is not a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057")
		}
		f.CorrelationID = uuid.NullUUID{UUID: id, Valid: true}
	}
	if err := spanOf("created_at", in.GetCreatedAt(), &f.From, &f.Until); err != nil {
		return f, err
	}
	if err := spanOf("updated_at", in.GetUpdatedAt(), &f.UpdatedFrom, &f.UpdatedUntil); err != nil {
		return f, err
	}
	return f, spanOf("completed_at", in.GetCompletedAt(), &f.CompletedFrom, &f.CompletedUntil)
}
