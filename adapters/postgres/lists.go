package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/adapters/postgres/internal/dbsqlc"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// selection is a filter in the terms of the tables.
type selection struct {
	// everywhere selects from all namespaces and states. Else those listed are
	// selected from; an empty list, which is not nil, selects none.
	everywhere bool
	namespaces []string
	states     []string
	templates  []int64 // nil for all

	before, since ident.TaskID // bounds of the ids, since included

	initiator, source string
	tags              []string   // nil for any
	from, until       *time.Time // until excluded
}

// Tasks implements ports.TaskReads. Tasks created at From are in, those created
// at Until are not.
func (s *Store) Tasks(ctx context.Context, f ports.TaskFilter, p ports.TaskPage) ([]ports.TaskRecord, int64, error) {
	var (
		tasks []ports.TaskRecord
		total = int64(-1)
	)
	err := s.snapshot(ctx, beginList, func(q *dbsqlc.Queries) error {
		sel, err := s.selectionOf(ctx, q, f)
		if err != nil {
			return fmt.Errorf("find the templates to list tasks of: %w", err)
		}
		if p.Total {
			if total, err = count(ctx, q, f, sel); err != nil {
				return fmt.Errorf("count tasks: %w", err)
			}
		}
		if !p.Before.IsZero() && bytes.Compare(p.Before[:], sel.before[:]) < 0 {
			sel.before = p.Before
		}
		ids, err := page(ctx, q, sel, int64(p.Skip), int64(p.Limit))
		if err != nil {
			return fmt.Errorf("find a page of tasks: %w", err)
		}
		if tasks, err = tasksByID(ctx, q, uuids(ids)); err != nil {
			return fmt.Errorf("read a page of tasks: %w", err)
		}
		if err := countSteps(ctx, q, tasks); err != nil {
			return fmt.Errorf("count steps: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return tasks, total, nil
}

// selectionOf finds the templates that the filter speaks of: the index of tasks
// begins with the namespace, and a task knows its template by number.
func (s *Store) selectionOf(ctx context.Context, q *dbsqlc.Queries, f ports.TaskFilter) (selection, error) {
	sel := selection{
		initiator: f.Initiator, source: f.SourceSystem, before: lastID,
		everywhere: f.Namespace == "" && f.Name == "" && f.Version == "" && len(f.States) == 0,
	}
	if len(f.Tags) > 0 {
		sel.tags = f.Tags
	}
	if !f.From.IsZero() {
		sel.from, sel.since = &f.From, firstID(f.From.Add(-s.offset.get()-clocksApart))
	}
	if !f.Until.IsZero() {
		sel.until, sel.before = &f.Until, firstID(f.Until.Add(-s.offset.get()+clocksApart))
	}
	if sel.everywhere {
		return sel, nil
	}
	rows, err := q.TemplatesNamed(ctx, dbsqlc.TemplatesNamedParams{Namespace: f.Namespace, Name: f.Name, Version: f.Version})
	if err != nil {
		return selection{}, err
	}
	sel.templates, sel.namespaces = make([]int64, len(rows)), make([]string, len(rows))
	for i, row := range rows {
		sel.templates[i], sel.namespaces[i] = int64(row.TemplateID), row.Namespace
	}
	slices.Sort(sel.namespaces)
	sel.namespaces = slices.Compact(sel.namespaces)
	if f.Name == "" && f.Version == "" {
		sel.templates = nil // the namespaces say it
	}
	for _, state := range task.States() {
		if len(f.States) == 0 && !state.Passing() || slices.Contains(f.States, state) {
			sel.states = append(sel.states, state.String())
		}
	}
	return sel, nil
}

func page(ctx context.Context, q *dbsqlc.Queries, sel selection, skip, limit int64) ([]ident.TaskID, error) {
	if sel.everywhere {
		return q.NewestTasks(ctx, dbsqlc.NewestTasksParams{
			Before: sel.before, Since: sel.since, Initiator: sel.initiator, SourceSystem: sel.source, Tags: sel.tags,
			CreatedFrom: sel.from, CreatedUntil: sel.until, Skip: skip, PageSize: limit,
		})
	}
	return q.NewestTasksByState(ctx, dbsqlc.NewestTasksByStateParams{
		Namespaces: sel.namespaces, States: sel.states, Templates: sel.templates,
		Before: sel.before, Since: sel.since, Initiator: sel.initiator, SourceSystem: sel.source, Tags: sel.tags,
		CreatedFrom: sel.from, CreatedUntil: sel.until, Reach: skip + limit, Skip: skip, PageSize: limit,
	})
}

// count returns how many tasks are selected. Where only templates and states
// are asked for, the numbers that are kept per template and state know.
func count(ctx context.Context, q *dbsqlc.Queries, f ports.TaskFilter, sel selection) (int64, error) {
	if sel.initiator == "" && sel.source == "" && sel.tags == nil && sel.from == nil && sel.until == nil {
		return q.SumTasks(ctx, dbsqlc.SumTasksParams{
			Namespace: f.Namespace, Name: f.Name, Version: f.Version, States: sel.states,
		})
	}
	return q.CountTasks(ctx, dbsqlc.CountTasksParams{
		Namespaces: sel.namespaces, States: sel.states, Templates: sel.templates,
		Before: sel.before, Since: sel.since, Initiator: sel.initiator, SourceSystem: sel.source, Tags: sel.tags,
		CreatedFrom: sel.from, CreatedUntil: sel.until,
	})
}

func countSteps(ctx context.Context, q *dbsqlc.Queries, tasks []ports.TaskRecord) error {
	byID := make(map[ident.TaskID]*ports.TaskRecord, len(tasks))
	ids := make([]uuid.UUID, len(tasks))
	for i := range tasks {
		byID[tasks[i].ID], ids[i] = &tasks[i], uuid.UUID(tasks[i].ID)
	}
	rows, err := q.StepCounts(ctx, ids)
	if err != nil {
		return err
	}
	for _, row := range rows {
		t := byID[row.TaskID]
		t.PendingSteps, t.InProgressSteps, t.CompletedSteps = row.Pending, row.InProgress, row.Completed
	}
	return nil
}

// clocksApart is more than a server's clock, which the ids of tasks hold, can
// differ from the database's, which says when tasks were created. It lets the
// ids bound a search by time; the creation times then decide.
const clocksApart = 24 * time.Hour

// firstID returns the smallest id of a moment, as tasker.partition_bound does.
func firstID(at time.Time) ident.TaskID {
	var id ident.TaskID
	ms := uint64(min(max(0, at.UnixMilli()), 1<<48-1))
	binary.BigEndian.PutUint64(id[:8], ms<<16)
	return id
}

// lastID is larger than any id that is made.
var lastID = ident.TaskID{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
