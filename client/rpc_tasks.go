package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
)

func taskOf(t *taskerv1.Task) Task {
	return Task{
		ID: t.GetTaskUuid(), Name: t.GetName(), Namespace: t.GetNamespace(), Version: t.GetVersion(),
		State: taskStateOf(t.GetState()), CreatedAt: timeOf(t.GetCreatedAt()), UpdatedAt: timeOf(t.GetUpdatedAt()),
		CompletedAt: timeOf(t.GetCompletedAt()), StartAt: timeOf(t.GetStartAt()), Deadline: timeOf(t.GetDeadline()),
		Context: jsonOf(t.GetContext()), Initiator: t.GetInitiator(), SourceSystem: t.GetSourceSystem(), Reason: t.GetReason(),
		Priority: t.GetPriority(), Tags: t.GetTags(), CorrelationID: t.GetCorrelationId(),
		ParentCorrelationID: t.GetParentCorrelationId(), TotalSteps: int(t.GetTotalSteps()), PendingSteps: int(t.GetPendingSteps()),
		InProgressSteps: int(t.GetInProgressSteps()), CompletedSteps: int(t.GetCompletedSteps()),
		FailedSteps: int(t.GetFailedSteps()), ReadySteps: int(t.GetReadySteps()), ExecutionStatus: t.GetExecutionStatus(),
		RecommendedAction: t.GetRecommendedAction(), HealthStatus: t.GetHealthStatus(), CompletionPercentage: t.GetCompletionPercentage(),
	}
}

func taskStateOf(s taskerv1.TaskState) TaskState { return TaskState(lower(s.String(), "TASK_STATE_")) }

func (s TaskState) number() taskerv1.TaskState {
	return number[taskerv1.TaskState](taskerv1.TaskState_value, "TASK_STATE_", string(s))
}

func (t *NewTask) message() (*taskerv1.CreateTaskRequest, error) {
	input, err := object("context", t.Context)
	if err != nil {
		return nil, err
	}
	return &taskerv1.CreateTaskRequest{
		Name: t.Name, Namespace: t.Namespace, Version: t.Version, Context: input, CorrelationId: given(t.CorrelationID),
		Initiator: given(t.Initiator), SourceSystem: given(t.SourceSystem), Reason: given(t.Reason), Priority: given(t.Priority),
		Tags: t.Tags, ParentCorrelationId: given(t.ParentCorrelationID), IdempotencyKey: given(t.IdempotencyKey),
		StartAt: stampOf(t.StartAt), Deadline: stampOf(t.Deadline), OnDuplicate: given(string(t.OnDuplicate)),
		DelaySeconds: given(t.Delay.Seconds()),
	}, nil
}

func (r *rpc) createTask(ctx context.Context, t *NewTask) (Task, error) {
	in, err := t.message()
	if err != nil {
		return Task{}, err
	}
	return ask(ctx, r, r.tasks.CreateTask, in, func(out *taskerv1.CreateTaskResponse) Task {
		made := taskOf(out.GetTask())
		made.Existed = out.GetExisted()
		return made
	})
}

var batchModes = map[BatchMode]taskerv1.CreateTasksRequest_Mode{
	"": taskerv1.CreateTasksRequest_MODE_UNSPECIFIED, Each: taskerv1.CreateTasksRequest_MODE_EACH,
	AllOrNothing: taskerv1.CreateTasksRequest_MODE_ALL_OR_NOTHING,
}

func (r *rpc) createTasks(ctx context.Context, all []NewTask, mode BatchMode) (Batch, error) {
	number, known := batchModes[mode]
	if !known {
		number = -1
	}
	in := &taskerv1.CreateTasksRequest{Tasks: make([]*taskerv1.CreateTaskRequest, len(all)), Mode: number}
	for i := range all {
		var err error
		if in.Tasks[i], err = all[i].message(); err != nil {
			var e *Error
			if errors.As(err, &e) {
				e.Field = fmt.Sprintf("tasks[%d].%s", i, e.Field)
			}
			return Batch{}, err
		}
	}
	return ask(ctx, r, r.batches.CreateTasks, in, func(out *taskerv1.CreateTasksResponse) Batch {
		return Batch{
			Created: int(out.GetCreated()), Existing: int(out.GetExisting()), Refused: int(out.GetRefused()),
			Items: each(out.GetItems(), func(i *taskerv1.CreateTasksItem) BatchItem {
				item := BatchItem{Status: i.GetStatus(), TaskID: i.GetTaskUuid(), State: taskStateOf(i.GetState())}
				if i.GetCode() != "" {
					item.Err = refusal(Code(i.GetCode()), i.GetMessage(), i.GetField())
				}
				return item
			}),
		}
	})
}

func (r *rpc) getTask(ctx context.Context, id string) (Task, error) {
	return ask(ctx, r, r.tasks.GetTask, &taskerv1.GetTaskRequest{TaskUuid: id, IncludeSteps: true},
		func(out *taskerv1.GetTaskResponse) Task {
			t := taskOf(out.GetTask())
			t.Steps = each(out.GetSteps(), func(s *taskerv1.Step) StepStatus { return stepOf(s).StepStatus })
			return t
		})
}

func (r *rpc) awaitTask(ctx context.Context, id string, until []TaskState) (Task, error) {
	watching, err := r.with(ctx)
	if err != nil {
		return Task{}, err
	}
	watching, stop := context.WithCancel(watching)
	defer stop()
	stream, err := r.tasks.StreamTaskStatus(watching, &taskerv1.StreamTaskStatusRequest{TaskUuid: id})
	if err != nil {
		return Task{}, ofStatus(ctx, err, nil)
	}
	for {
		u, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return r.getTask(ctx, id)
		}
		if err != nil {
			return Task{}, ofStatus(ctx, err, nil)
		}
		if s := taskStateOf(u.GetTaskState()); s.Ended() || slices.Contains(until, s) {
			return r.getTask(ctx, id)
		}
	}
}

// watchTask returns errEnded when the stream has ended with the task.
func (r *rpc) watchTask(ctx context.Context, id, after string, tell func(Event) error) error {
	ctx, err := r.with(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stream, err := r.tasks.StreamTaskStatus(ctx, &taskerv1.StreamTaskStatusRequest{TaskUuid: id, IncludeSteps: true, After: &after})
	if err != nil {
		return ofStatus(ctx, err, nil)
	}
	for {
		u, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errEnded
		}
		if err != nil {
			return ofStatus(ctx, err, nil)
		}
		e := Event{ID: u.GetEventId(), At: timeOf(u.GetTimestamp()), Error: u.GetErrorMessage()}
		if s := u.GetStepUpdate(); s != nil {
			e.Step = &StepChange{ID: s.GetStepUuid(), Name: s.GetName(), State: stepStateOf(s.GetState()), Attempt: int(s.GetAttempt())}
		} else {
			e.State = taskStateOf(u.GetTaskState())
		}
		if err := tell(e); err != nil {
			return err
		}
	}
}

func span(from, until time.Time) *taskerv1.TimestampRange {
	if from.IsZero() && until.IsZero() {
		return nil
	}
	return &taskerv1.TimestampRange{Start: stampOf(from), End: stampOf(until)}
}

func (f *TaskFilter) message() *taskerv1.ListTasksRequest {
	return &taskerv1.ListTasksRequest{
		Namespace: given(f.Namespace), Name: given(f.Name), Version: given(f.Version), States: each(f.States, TaskState.number),
		Initiator: given(f.Initiator), SourceSystem: given(f.SourceSystem), Tags: f.Tags, CorrelationId: given(f.CorrelationID),
		Error: given(f.Error), CreatedAt: span(f.CreatedAfter, f.CreatedBefore), UpdatedAt: span(f.UpdatedAfter, f.UpdatedBefore),
		CompletedAt: span(f.CompletedAfter, f.CompletedBefore),
	}
}

func (r *rpc) listTasks(ctx context.Context, q *TaskQuery, cursor string) (TaskPage, error) {
	in := q.message()
	limit := int32(min(q.perPage(), 1<<30)) //nolint:gosec // G115: bounded
	in.Pagination = &taskerv1.PaginationRequest{Limit: &limit}
	in.Cursor, in.Total = cursor, string(q.Total)
	in.Sort = &taskerv1.SortSpec{Field: q.Sort}
	if q.Ascending {
		in.Sort.Direction = taskerv1.SortDirection_SORT_DIRECTION_ASC
	}
	return ask(ctx, r, r.tasks.ListTasks, in, func(out *taskerv1.ListTasksResponse) TaskPage {
		return TaskPage{
			Tasks: each(out.GetTasks(), taskOf), Total: out.GetPagination().GetTotal(), TotalIsEstimate: out.GetTotalIsEstimate(),
			Next: out.GetNextCursor(),
		}
	})
}

// cancelTask reads the answer of the contract, in which a task that has ended is
// no error.
func (r *rpc) cancelTask(ctx context.Context, id, reason string) (Task, error) {
	out, err := ask(ctx, r, r.tasks.CancelTask, &taskerv1.CancelTaskRequest{TaskUuid: id, Reason: given(reason)},
		func(out *taskerv1.CancelTaskResponse) *taskerv1.CancelTaskResponse { return out })
	if err != nil {
		return Task{}, err
	}
	if !out.GetSuccess() {
		return Task{}, &Error{Kind: Refused, Code: ErrTaskFinished, Message: out.GetMessage(), Meta: map[string]string{}}
	}
	return taskOf(out.GetTask()), nil
}

func (r *rpc) actOnTask(ctx context.Context, act taskAct, id string, s Said) (Task, error) {
	call := r.operators.RetryTask
	switch act {
	case giveUp:
		call = r.operators.GiveUpTask
	case resolve:
		call = r.operators.ResolveTask
	case retry, cancel:
	}
	return ask(ctx, r, call, &taskerv1.TaskActionRequest{TaskUuid: id, Reason: given(s.Reason), By: given(s.By)},
		func(out *taskerv1.TaskActionResponse) Task { return taskOf(out.GetTask()) })
}

func (r *rpc) pauseTask(ctx context.Context, id string, s Said) (Pause, error) {
	return ask(ctx, r, r.operators.PauseTask, &taskerv1.PauseTaskRequest{TaskUuid: id, Reason: given(s.Reason), By: given(s.By)},
		func(out *taskerv1.PauseResponse) Pause {
			p := out.GetPause()
			return Pause{
				Kind: p.GetKind(), Namespace: p.GetNamespace(), Name: p.GetName(), Version: p.GetVersion(), TaskID: p.GetTaskUuid(),
				By: p.GetBy(), Reason: p.GetReason(), Since: timeOf(p.GetSince()),
			}
		})
}

func (r *rpc) resumeTask(ctx context.Context, id string, s Said) (bool, error) {
	return ask(ctx, r, r.operators.ResumeTask, &taskerv1.PauseTaskRequest{TaskUuid: id, Reason: given(s.Reason), By: given(s.By)},
		(*taskerv1.ResumeResponse).GetResumed)
}

func (b *Bulk) message() *taskerv1.BulkRequest {
	return &taskerv1.BulkRequest{
		Filter: b.Filter.message(), DryRun: b.DryRun, Limit: int32(min(b.Limit, 1<<30)), Rate: b.Rate, Reason: b.Reason, By: b.By, //nolint:gosec // G115: bounded
	}
}

func bulkOf(out *taskerv1.BulkResponse) BulkOperation {
	b := out.GetOperation()
	return BulkOperation{
		ID: b.GetOperationUuid(), Action: b.GetAction(), State: b.GetState(), By: b.GetBy(), Reason: b.GetReason(),
		Matched: int(b.GetMatched()), MatchedIsEstimate: b.GetMatchedIsEstimate(), Done: int(b.GetDone()), Refused: int(b.GetRefused()),
		Message: b.GetMessage(), CreatedAt: timeOf(b.GetCreatedAt()), UpdatedAt: timeOf(b.GetUpdatedAt()),
	}
}

func (r *rpc) doBulk(ctx context.Context, act taskAct, b *Bulk) (BulkOperation, error) {
	call := r.batches.CancelTasks
	if act == retry {
		call = r.batches.RetryTasks
	}
	return ask(ctx, r, call, b.message(), bulkOf)
}

func (r *rpc) getBulk(ctx context.Context, id string) (BulkOperation, error) {
	return ask(ctx, r, r.batches.GetBulkOperation, &taskerv1.GetBulkOperationRequest{OperationUuid: id}, bulkOf)
}

func (r *rpc) cancelBulk(ctx context.Context, id string, s Said) (BulkOperation, error) {
	return ask(ctx, r, r.batches.CancelBulkOperation,
		&taskerv1.CancelBulkOperationRequest{OperationUuid: id, Reason: s.Reason, By: s.By}, bulkOf)
}
