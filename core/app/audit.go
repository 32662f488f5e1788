package app

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
)

// AuditRow is a move of a step that a worker's report or a person caused.
type AuditRow struct {
	ID, Transition    string // UUIDs
	Ref               ident.StepRef
	Name              string
	At                time.Time
	From, To          step.State
	Path              []step.State
	Attempt, Dispatch int32
	Success           bool
	Server            int32
	By, Why           string          // of a person
	Failure           json.RawMessage // nil for none
	Result            json.RawMessage // of the newest row alone: what the step has now
	ElapsedMS         *int32          // likewise
}

// audits is the space of the names that the UUIDs of moves are made in: nothing
// is stored under them.
var audits = uuid.MustParse("0d3f6ad2-5f1c-5c6e-8d7e-3c2f5a9b1e60")

// StepAudit returns what workers reported of a step and what people did to it,
// the newest first. Faults: task_not_found, step_not_found, step_of_another_task.
func (a *Application) StepAudit(ctx context.Context, id ident.TaskID, stepID ident.StepID) ([]AuditRow, error) {
	s, err := a.GetStep(ctx, id, stepID)
	if err != nil {
		return nil, err
	}
	moves, err := a.Reads.StepHistory(ctx, s.Ref)
	if err != nil {
		return nil, err
	}
	rows := []AuditRow{}
	for i, m := range moves {
		reported := slices.Contains(m.Path, step.EnqueuedForOrchestration) || slices.Contains(m.Path, step.EnqueuedAsErrorForOrchestration)
		if !reported && m.By == "" {
			continue
		}
		name := func(kind string) string {
			return uuid.NewSHA1(audits, []byte(kind+"/"+stepID.String()+"/"+strconv.Itoa(i))).String() //nolint:forbidigo // derived: the same every time
		}
		rows = append(rows, AuditRow{
			ID: name("audit"), Transition: name("transition"), Ref: s.Ref, Name: s.Name, At: m.At, From: m.From, To: m.To, Path: m.Path,
			Attempt: m.Attempt, Dispatch: m.Dispatch, Success: m.To.Satisfies(), Server: m.Server, By: m.By, Why: m.Why, Failure: m.Failure,
		})
	}
	slices.Reverse(rows)
	if len(rows) > 0 && rows[0].To == s.StepRecord.State {
		rows[0].Result = s.Result
		if elapsed := s.ElapsedMS; elapsed > 0 {
			rows[0].ElapsedMS = &elapsed
		}
	}
	return rows, nil
}
