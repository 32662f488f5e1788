package memory

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.TaskHistory = (*Store)(nil)

// Moves implements ports.TaskHistory.
func (s *Store) Moves(ctx context.Context, of []ports.MovesSince) (map[ident.TaskID]ports.Moves, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	out := make(map[ident.TaskID]ports.Moves, len(of))
	for _, w := range of {
		row, ok := s.db.tasks[w.Task]
		if !ok {
			continue
		}
		m := ports.Moves{CreatedAt: row.created, State: row.state, Counters: row.counters, Names: map[int32]string{}}
		if w.At.IsZero() {
			for _, r := range s.db.stepsOf(w.Task) {
				m.Names[r.Ref.No] = r.Name
			}
		}
		for _, t := range s.db.taskLog[w.Task] {
			if !t.At.Before(w.At) {
				m.Moves = append(m.Moves, ports.Move{At: t.At, State: t.To})
			}
		}
		for _, t := range s.db.stepLog[w.Task] {
			if t.At.Before(w.At) {
				continue
			}
			move := ports.Move{At: t.At, No: t.Ref.No, Step: t.To, Dispatch: t.Dispatch, Attempt: t.Attempt}
			var f step.Failure
			if t.Failure != nil && json.Unmarshal(t.Failure, &f) == nil {
				move.Error = f.Message
			}
			m.Names[t.Ref.No] = s.db.steps[t.Ref].name
			m.Moves = append(m.Moves, move)
		}
		slices.SortStableFunc(m.Moves, func(a, b ports.Move) int { return a.At.Compare(b.At) })
		out[w.Task] = m
	}
	return out, nil
}
