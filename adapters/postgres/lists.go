package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/adapters/postgres/internal/dbsqlc"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// How much is looked at for a page where no index answers the filter. A task
// whose neighbours are looked at too is read in half a microsecond or so.
const (
	listBudget  = 20_000
	countBudget = 10_000
	fewAtOnce   = 5_000 // are looked up and put in order
)

// beginTasks begins a list of tasks. Legs are read in the order of an index: how
// many rows there are is not known where the namespace comes from a join, and a
// guess that is too low has all of them fetched and sorted for one page.
const beginTasks = beginList + "; set local enable_bitmapscan = off; set local enable_sort = off"

// Tasks implements ports.TaskReads. docs/decisions/0016-lists.md says how tasks
// are found.
func (s *Store) Tasks(ctx context.Context, f ports.TaskFilter, p ports.TaskPage) (ports.TaskList, error) {
	list := ports.TaskList{Total: -1}
	err := translate(pgx.BeginTxFunc(ctx, s.reads, pgx.TxOptions{BeginQuery: beginTasks}, func(tx pgx.Tx) error {
		l := lister{tx: tx, q: dbsqlc.New(tx), filter: f, page: p, offset: s.offset.get()}
		found, err := l.list(ctx, &list)
		if err != nil {
			return err
		}
		ids := make([]uuid.UUID, len(found))
		place := make(map[ident.TaskID]int, len(found))
		for i, m := range found {
			ids[i], place[m.ID] = uuid.UUID(m.ID), i
		}
		if list.Tasks, err = tasksByID(ctx, l.q, ids); err != nil {
			return fmt.Errorf("read a page of tasks: %w", err)
		}
		slices.SortFunc(list.Tasks, func(a, b ports.TaskRecord) int { return place[a.ID] - place[b.ID] })
		if err := countSteps(ctx, l.q, list.Tasks); err != nil {
			return fmt.Errorf("count steps: %w", err)
		}
		return nil
	}))
	if err != nil {
		return ports.TaskList{}, err
	}
	return list, nil
}

// lister finds a page in one transaction.
type lister struct {
	tx     pgx.Tx
	q      *dbsqlc.Queries
	filter ports.TaskFilter
	page   ports.TaskPage
	offset time.Duration // between the servers' clocks and the one that tasks are stored by

	// The filter in terms of the tables: templates are known to tasks by number.
	templates  []int64 // nil for all
	namespaces []string
	states     []string
	since      ident.TaskID // included
	before     ident.TaskID // not included
}

// list returns the places of a page, and tells what is known of the list.
func (l *lister) list(ctx context.Context, out *ports.TaskList) ([]ports.TaskMark, error) {
	if err := l.resolve(ctx); err != nil {
		return nil, fmt.Errorf("find the templates to list tasks of: %w", err)
	}
	p := l.page
	kept := l.kept()
	switch {
	case p.Total == ports.NoTotal:
	case kept:
		var err error
		if out.Total, err = l.sum(ctx); err != nil {
			return nil, fmt.Errorf("count tasks: %w", err)
		}
	case p.Total == ports.ExactTotal:
		if err := l.tx.QueryRow(ctx, sqlCountTasks, append(l.selection(), p.Order == ports.ByCompletion)...).Scan(&out.Total); err != nil {
			return nil, fmt.Errorf("count tasks: %w", err)
		}
	case p.Total == ports.CheapTotal:
	}
	search, err := l.search(ctx)
	if err != nil {
		return nil, fmt.Errorf("find a page of tasks: %w", err)
	}
	want := p.Skip + p.Limit + 1
	done, err := search.run(ctx, want, l.budget(listBudget))
	if err != nil {
		return nil, fmt.Errorf("find a page of tasks: %w", err)
	}
	found, rest := search.settled(), search.rest()
	if p.Total == ports.CheapTotal && !kept && p.After.IsZero() {
		if !done {
			if done, err = search.run(ctx, 1<<62, l.budget(countBudget)); err != nil {
				return nil, fmt.Errorf("count tasks: %w", err)
			}
		}
		out.Total, out.AtLeast = int64(len(search.settled())), !done
	} else if p.Total == ports.CheapTotal && !kept {
		out.Total, out.AtLeast = int64(len(found)), true // of a list that was not read from its beginning
	}
	found = found[min(p.Skip, len(found)):]
	switch {
	case len(found) > p.Limit:
		found = found[:p.Limit]
		if out.Next = p.After; p.Limit > 0 {
			out.Next = found[p.Limit-1]
		}
	case !rest.IsZero():
		out.Next = rest
	}
	return found, nil
}

// budget is how many tasks may be looked at.
func (l *lister) budget(usual int) int {
	switch b := l.page.Budget; {
	case b < 0 || l.page.Skip > 0: // pages that are asked for by number have all to be the same size
		return 1 << 62
	case b > 0:
		return b
	case l.filter.Error != "":
		return usual / 2 // failures are read with each
	default:
		return usual
	}
}

// kept tells whether the numbers that are kept per template and state know how
// many tasks there are.
func (l *lister) kept() bool {
	f := l.filter
	return l.plain() && f.Initiator == "" && f.SourceSystem == "" && len(f.Tags) == 0 && !f.CorrelationID.Valid && f.Error == ""
}

// plain tells that the filter says nothing of times.
func (l *lister) plain() bool {
	f := l.filter
	return f.From.IsZero() && f.Until.IsZero() && f.UpdatedFrom.IsZero() && f.UpdatedUntil.IsZero() &&
		f.CompletedFrom.IsZero() && f.CompletedUntil.IsZero()
}

// sum adds up those numbers.
func (l *lister) sum(ctx context.Context) (int64, error) {
	if l.filter.Within != nil && len(l.namespaces) == 0 {
		return 0, nil
	}
	n := int64(0)
	states := l.states
	if l.page.Order == ports.ByCompletion {
		if states = l.statesAmong(task.State.Terminal); len(states) == 0 {
			return 0, nil
		}
	}
	namespaces := []string{l.filter.Namespace}
	if l.filter.Within != nil {
		namespaces = l.namespaces
	}
	for _, ns := range namespaces {
		one, err := l.q.SumTasks(ctx, dbsqlc.SumTasksParams{
			Namespace: ns, Name: l.filter.Name, Version: l.filter.Version, States: states,
		})
		if err != nil {
			return 0, err
		}
		n += one
	}
	return n, nil
}

// everywhere tells that tasks of all namespaces and states are wanted.
func (l *lister) everywhere() bool {
	f := l.filter
	return f.Namespace == "" && f.Within == nil && f.Name == "" && f.Version == "" && len(f.States) == 0
}

// resolve puts the filter in terms of the tables.
func (l *lister) resolve(ctx context.Context) error {
	f := l.filter
	l.before = lastID
	// A task is created by the database's clock after its id was made by the
	// server's, so its id bounds the time, and its time the id.
	if !f.From.IsZero() {
		l.since = firstID(f.From.Add(-l.offset - idsBehind))
	}
	for _, until := range []time.Time{f.Until, f.UpdatedUntil, f.CompletedUntil} {
		if !until.IsZero() {
			if id := firstID(until.Add(-l.offset + idsAhead)); bytes.Compare(id[:], l.before[:]) < 0 {
				l.before = id
			}
		}
	}
	rows, err := l.q.TemplatesNamed(ctx, dbsqlc.TemplatesNamedParams{Namespace: f.Namespace, Name: f.Name, Version: f.Version})
	if err != nil {
		return err
	}
	l.namespaces, l.templates = []string{}, []int64{}
	for _, row := range rows {
		if f.Within == nil || slices.Contains(f.Within, row.Namespace) {
			l.templates, l.namespaces = append(l.templates, int64(row.TemplateID)), append(l.namespaces, row.Namespace)
		}
	}
	slices.Sort(l.namespaces)
	l.namespaces = slices.Compact(l.namespaces)
	if f.Name == "" && f.Version == "" {
		l.templates = nil // the namespaces say it
	}
	for _, state := range task.States() {
		if len(f.States) == 0 && !state.Passing() || slices.Contains(f.States, state) {
			l.states = append(l.states, state.String())
		}
	}
	return nil
}

// statesAmong returns those states that are wanted.
func (l *lister) statesAmong(fits func(task.State) bool) []string {
	var out []string
	for _, s := range task.States() {
		if fits(s) && slices.Contains(l.states, s.String()) {
			out = append(out, s.String())
		}
	}
	return out
}

// selection is the filter as the arguments $1 to $16.
func (l *lister) selection() []any {
	f := l.filter
	var namespaces, states, tags []string
	if !l.everywhere() {
		namespaces = l.namespaces
	}
	if len(f.States) > 0 {
		states = l.states
	}
	if len(f.Tags) > 0 {
		tags = f.Tags
	}
	var pattern *string
	if f.Error != "" {
		like := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(f.Error) + "%"
		pattern = &like
	}
	return []any{
		namespaces, states, l.templates, nullable(f.Initiator), nullable(f.SourceSystem), tags, f.CorrelationID,
		instant(f.From), instant(f.Until), instant(f.UpdatedFrom), instant(f.UpdatedUntil),
		instant(f.CompletedFrom), instant(f.CompletedUntil), pattern, l.since, l.before,
	}
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

// How far the time in a task's id may be from the time at which the database
// says that it was created. The id is made first, and may wait for its
// transaction; and the clock of a server may differ.
const (
	idsAhead  = 10 * time.Second
	idsBehind = 2 * time.Minute
)

// firstID returns the smallest id of a moment, as tasker.partition_bound does.
func firstID(at time.Time) ident.TaskID {
	var id ident.TaskID
	ms := uint64(min(max(0, at.UnixMilli()), 1<<48-1))
	binary.BigEndian.PutUint64(id[:8], ms<<16)
	return id
}

// lastID is larger than any id that is made.
var lastID = ident.TaskID{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
