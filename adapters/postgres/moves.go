package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

//go:embed sql/task_moves.sql
var sqlTaskMoves string

var _ ports.TaskHistory = (*Store)(nil)

// What a row of the query is about, where it is not a step that moved.
const (
	aboutStanding = -1
	aboutTask     = 0
)

// Moves implements ports.TaskHistory in one statement.
func (s *Store) Moves(ctx context.Context, of []ports.MovesSince) (map[ident.TaskID]ports.Moves, error) {
	ids, since := make([]ident.TaskID, len(of)), make([]*time.Time, len(of))
	for i := range of {
		ids[i], since[i] = of[i].Task, instant(of[i].At)
	}
	out := make(map[ident.TaskID]ports.Moves, len(of))
	rows, err := s.reads.Query(ctx, sqlTaskMoves, ids, since)
	if err != nil {
		return nil, translate(fmt.Errorf("read the history of tasks: %w", err))
	}
	var (
		id                    ident.TaskID
		no, dispatch, attempt int32
		active, retry, failed int32
		at                    *time.Time
		state, message, name  *string
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &no, &at, &state, &dispatch, &attempt, &active, &retry, &failed, &message, &name}, func() (err error) {
		m := out[id]
		if m.Names == nil {
			m.Names = map[int32]string{}
		}
		switch {
		case at == nil:
			m.Names[no] = *name
		case no == aboutStanding:
			m.CreatedAt = at.UTC()
			m.Counters = task.Counters{Total: dispatch, Open: attempt, Active: active, Retrying: retry, Failed: failed}
			m.State, err = task.ParseState(*state)
		case no == aboutTask:
			move := ports.Move{At: at.UTC()}
			move.State, err = task.ParseState(*state)
			m.Moves = append(m.Moves, move)
		default:
			move := ports.Move{At: at.UTC(), No: no, Dispatch: dispatch, Attempt: attempt}
			if message != nil {
				move.Error = *message
			}
			m.Names[no] = *name
			move.Step, err = step.ParseState(*state)
			m.Moves = append(m.Moves, move)
		}
		out[id] = m
		return err
	})
	if err != nil {
		return nil, translate(fmt.Errorf("read the history of tasks: %w", err))
	}
	for id, m := range out {
		if m.State == 0 {
			delete(out, id) // purged: what is left of its history does not count
			continue
		}
		slices.SortStableFunc(m.Moves, func(a, b ports.Move) int { return a.At.Compare(b.At) })
	}
	return out, nil
}
