package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// load begins a transaction and reads what scope names, in one round trip.
func (s *Store) load(ctx context.Context, conn *pgxpool.Conn, scope ports.Scope) (*plan.Snapshot, error) {
	snap := &plan.Snapshot{
		Tasks: make(map[ident.TaskID]plan.Task, len(scope.Tasks)+len(scope.Steps)),
		Steps: make(map[ident.StepRef]plan.Step, 2*len(scope.Steps)),
	}
	var b pgx.Batch
	b.Queue(sqlBegin)
	if len(scope.Identities) > 0 {
		queueIdentities(&b, scope.Identities, snap)
	}
	if len(scope.Probes) > 0 {
		snap.Stored = make(map[ident.TaskID]bool)
		b.Queue(sqlProbeTasks, scope.Probes).Query(func(rows pgx.Rows) error {
			var id ident.TaskID
			_, err := pgx.ForEachRow(rows, []any{&id}, func() error { snap.Stored[id] = true; return nil })
			return err
		})
	}
	if ids := lockOrder(scope); len(ids) > 0 {
		b.Queue(sqlLockTasks, ids).Query(func(rows pgx.Rows) error { return scanTasks(rows, snap.Tasks) })
	}
	if len(scope.Steps) > 0 {
		tasks, nos := splitRefs(scope.Steps)
		b.Queue(sqlReadNeighbourhood, tasks, nos).Query(func(rows pgx.Rows) error { return scanSteps(rows, snap.Steps) })
	}
	if len(scope.Tasks) > 0 {
		snap.Whole = make(map[ident.TaskID]bool, len(scope.Tasks))
		for _, id := range scope.Tasks {
			snap.Whole[id] = true
		}
		b.Queue(sqlLockAllSteps, scope.Tasks).Query(func(rows pgx.Rows) error { return scanSteps(rows, snap.Steps) })
	}
	b.Queue(sqlClock, s.offset.get()).QueryRow(func(row pgx.Row) error {
		var now time.Time
		err := row.Scan(&now)
		snap.Now = now.UTC()
		return err
	})
	if err := conn.SendBatch(ctx, &b).Close(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return snap, nil
}

// queueIdentities claims identities in their order, so that two servers which
// claim the same ones cannot wait for each other.
func queueIdentities(b *pgx.Batch, claims []ports.IdentityClaim, snap *plan.Snapshot) {
	sorted := slices.Clone(claims)
	// Stable: of two that want the same one, the first has it.
	slices.SortStableFunc(sorted, func(a, b ports.IdentityClaim) int { return bytes.Compare(a.Identity[:], b.Identity[:]) })
	sorted = slices.CompactFunc(sorted, func(a, b ports.IdentityClaim) bool { return a.Identity == b.Identity })
	identities := make([][]byte, len(sorted))
	tasks := make([]ident.TaskID, len(sorted))
	wanted := make(map[plan.Identity]ident.TaskID, len(sorted))
	for i, c := range sorted {
		identities[i], tasks[i] = sorted[i].Identity[:], c.Task
		wanted[c.Identity] = c.Task
	}
	snap.Taken = make(map[plan.Identity]ident.TaskID)
	b.Queue(sqlClaimIdentities, identities, tasks)
	b.Queue(sqlHeldIdentities, identities).Query(func(rows pgx.Rows) error {
		var (
			raw    []byte
			holder ident.TaskID
		)
		_, err := pgx.ForEachRow(rows, []any{&raw, &holder}, func() error {
			if id := plan.Identity(raw); wanted[id] != holder {
				snap.Taken[id] = holder
			}
			return nil
		})
		return err
	})
}

// lockOrder returns the tasks to lock, each once, by id.
func lockOrder(scope ports.Scope) []ident.TaskID {
	ids := slices.Clone(scope.Tasks)
	for _, ref := range scope.Steps {
		ids = append(ids, ref.Task)
	}
	slices.SortFunc(ids, func(a, b ident.TaskID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}

func splitRefs(refs []ident.StepRef) ([]ident.TaskID, []int32) {
	tasks := make([]ident.TaskID, len(refs))
	nos := make([]int32, len(refs))
	for i, ref := range refs {
		tasks[i], nos[i] = ref.Task, ref.No
	}
	return tasks, nos
}

func scanTasks(rows pgx.Rows, into map[ident.TaskID]plan.Task) error {
	var (
		t              plan.Task
		state          string
		entered        time.Time
		wake, deadline *time.Time
	)
	_, err := pgx.ForEachRow(rows, []any{
		&t.ID, &t.Template, &t.Namespace, &state, &t.Priority, &t.Total, &t.Open, &t.Active, &t.Retrying, &t.Failed,
		&entered, &wake, &deadline, &t.Letters, &t.LetterOpen, &t.LetterStale,
	}, func() (err error) {
		t.EnteredAt, t.WakeAt, t.Deadline = entered.UTC(), moment(wake), moment(deadline)
		t.State, err = task.ParseState(state)
		into[t.ID] = t
		return err
	})
	return err
}

func scanSteps(rows pgx.Rows, into map[ident.StepRef]plan.Step) error {
	defer rows.Close()
	for rows.Next() {
		var (
			s     plan.Step
			state string
		)
		err := rows.Scan(&s.Ref.Task, &s.Ref.No, &s.Def, &state, &s.OpenParents, &s.Attempts, &s.Dispatch, &s.Losses, &s.Children)
		if err != nil {
			return err
		}
		if s.State, err = step.ParseState(state); err != nil {
			return err
		}
		into[s.Ref] = s
	}
	return rows.Err()
}
