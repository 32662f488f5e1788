package http

import (
	"context"
	"time"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// DlqEntry is a dead letter.
type DlqEntry struct {
	DlqEntryUUID        string     `json:"dlq_entry_uuid" format:"uuid"`
	TaskUUID            string     `json:"task_uuid" format:"uuid"`
	OriginalState       string     `json:"original_state" doc:"State of the task when it became a dead letter."`
	DlqReason           string     `json:"dlq_reason" enum:"StalenessTimeout,MaxRetriesExceeded,DependencyCycleDetected,WorkerUnavailable,ManualDlq,PermanentFailure"`
	DlqTimestamp        time.Time  `json:"dlq_timestamp"`
	ResolutionStatus    string     `json:"resolution_status" enum:"Pending,ManuallyResolved,PermanentlyFailed,Cancelled"`
	ResolutionTimestamp *time.Time `json:"resolution_timestamp"`
	ResolutionNotes     *string    `json:"resolution_notes"`
	ResolvedBy          *string    `json:"resolved_by"`
	TaskSnapshot        document   `json:"task_snapshot" doc:"The task and its steps as they were then."`
	Metadata            anyJSON    `json:"metadata"`
	CreatedAt           time.Time  `json:"created_at"`
	UpdatedAt           time.Time  `json:"updated_at"`
	Ordinal             int32      `json:"ordinal" doc:"Which dead letter of the task it is, counted from 1."`
	Namespace           string     `json:"namespace"`
	Name                string     `json:"name" doc:"Of the template."`
	Version             string     `json:"version"`
	Fingerprint         *string    `json:"fingerprint" doc:"Of the first failure; null for none."`
}

// UpdateDlqBody documents what an investigation notes.
type UpdateDlqBody struct {
	ResolutionStatus *string `json:"resolution_status,omitempty" nullable:"true" enum:"Pending,ManuallyResolved,PermanentlyFailed,Cancelled" doc:"In snake_case, too."`
	ResolutionNotes  *string `json:"resolution_notes,omitempty" nullable:"true"`
	ResolvedBy       *string `json:"resolved_by,omitempty" nullable:"true" maxLength:"255"`
	Metadata         anyJSON `json:"metadata,omitempty" doc:"Replaces what was noted before."`
}

// UpdatedDlqResponse confirms an update.
type UpdatedDlqResponse struct {
	Success      bool   `json:"success" doc:"Always true: a failure is an error."`
	Message      string `json:"message"`
	DlqEntryUUID string `json:"dlq_entry_uuid" format:"uuid"`
}

// LetterQuery selects dead letters.
type LetterQuery struct {
	ResolutionStatus string `query:"resolution_status" doc:"Pending, ManuallyResolved, PermanentlyFailed or Cancelled; in snake_case, too."`
	Reason           string `query:"reason" doc:"One or several, with commas between; in snake_case, too."`
	Namespace        string `query:"namespace"`
	Name             string `query:"name" doc:"Of the template."`
	Version          string `query:"version" doc:"Of the template."`
	Fingerprint      string `query:"fingerprint" doc:"Some failure has it."`
	From             string `query:"from" doc:"Not older; a time."`
	Until            string `query:"until" doc:"Older; a time."`
}

type lettersInput struct {
	LetterQuery
	Limit  int `query:"limit" minimum:"1" maximum:"1000" default:"50"`
	Offset int `query:"offset" minimum:"0" default:"0"`
}

type letterTaskInput struct {
	TaskUUID string `path:"task_uuid" format:"uuid" doc:"The task."`
}

type fileInput struct {
	TaskUUID string `path:"task_uuid" format:"uuid" doc:"The task."`
	RawBody  []byte `contentType:"application/json"`
}

type letterInput struct {
	DlqEntryUUID string `path:"dlq_entry_uuid" format:"uuid" doc:"The dead letter."`
	RawBody      []byte `contentType:"application/json"`
}

func registerDeadLetters(a *api, s Service) {
	register(a, app.ListDeadLetters, func(ctx context.Context, in *lettersInput) (*list[DlqEntry], error) {
		f, err := in.filter()
		if err != nil {
			return nil, err
		}
		all, err := s.ListDeadLetters(ctx, f, in.Offset, in.Limit)
		return listed(all, err, dlqEntry)
	})
	register(a, app.GetDeadLetter, func(ctx context.Context, in *letterTaskInput) (*read[DlqEntry], error) {
		id, err := taskIDIn("task_uuid", in.TaskUUID)
		if err != nil {
			return nil, err
		}
		l, err := s.GetDeadLetter(ctx, id)
		if err != nil {
			return nil, err
		}
		return &read[DlqEntry]{Body: dlqEntry(&l)}, nil
	})
	register(a, app.FileDeadLetter, func(ctx context.Context, in *fileInput) (*acted[DlqEntry], error) {
		id, err := taskIDIn("task_uuid", in.TaskUUID)
		if err != nil {
			return nil, err
		}
		words, unknown, err := readSaid(ctx, in.RawBody)
		if err != nil {
			return nil, err
		}
		l, err := s.FileDeadLetter(ctx, id, words.by, words.why)
		if err != nil {
			return nil, err
		}
		return &acted[DlqEntry]{UnknownFields: unknownNames(unknown), Body: dlqEntry(&l)}, nil
	})
	register(a, app.UpdateDeadLetter, func(ctx context.Context, in *letterInput) (*acted[UpdatedDlqResponse], error) {
		return updateLetter(ctx, s, in)
	})
	registerLetterViews(a, s)
}

func updateLetter(ctx context.Context, s Service, in *letterInput) (*acted[UpdatedDlqResponse], error) {
	id, err := entryID(in.DlqEntryUUID)
	if err != nil {
		return nil, err
	}
	var u ports.LetterUpdate
	unknown, err := readObject(in.RawBody, fields{
		"resolution_status": word(&u.Status, deadletter.ParseStatus), "resolution_notes": text(&u.Notes),
		"resolved_by": text(&u.ResolvedBy), "metadata": asIs(&u.Metadata),
	})
	if err != nil {
		return nil, err
	}
	l, err := s.UpdateDeadLetter(ctx, id, u)
	if err != nil {
		return nil, err
	}
	return &acted[UpdatedDlqResponse]{UnknownFields: unknownNames(unknown), Body: UpdatedDlqResponse{
		Success: true, Message: "the investigation is updated", DlqEntryUUID: l.ID.String(),
	}}, nil
}

// listed makes an answer of many, unless something went wrong.
func listed[T, B any](all []T, err error, of func(*T) B) (*list[B], error) {
	if err != nil {
		return nil, err
	}
	out := &list[B]{Body: make([]B, len(all))}
	for i := range all {
		out.Body[i] = of(&all[i])
	}
	return out, nil
}

func dlqEntry(l *ports.Letter) DlqEntry {
	return DlqEntry{
		DlqEntryUUID: l.ID.String(), TaskUUID: l.Task.String(), OriginalState: l.OriginalState.String(),
		DlqReason: deadletter.Pascal(l.Reason.String()), DlqTimestamp: l.At.UTC(),
		ResolutionStatus: deadletter.Pascal(l.Status.String()), ResolutionTimestamp: when(l.ResolvedAt),
		ResolutionNotes: given(l.Notes), ResolvedBy: given(l.ResolvedBy), TaskSnapshot: document(l.Snapshot),
		Metadata: anyJSON(l.Metadata), CreatedAt: l.CreatedAt.UTC(), UpdatedAt: l.UpdatedAt.UTC(), Ordinal: l.Ordinal,
		Namespace: l.Name.Namespace, Name: l.Name.Name, Version: l.Name.Version, Fingerprint: given(l.Fingerprint),
	}
}

func entryID(text string) (deadletter.EntryID, error) {
	id, err := deadletter.ParseID(text)
	if err != nil {
		return id, fault.In("dlq_entry_uuid", fault.CodeInvalidUUID, "dlq_entry_uuid is %s", err)
	}
	return id, nil
}
