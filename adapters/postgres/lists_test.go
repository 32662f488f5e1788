package postgres_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

var (
	namespaces = []string{"alpha", "beta", "gamma"}
	names      = []string{"one", "two"}
	versions   = []string{"1.0.0", "2.0.0"}
	people     = []string{"ann", "bob"}
	systems    = []string{"web", "batch"}
	labels     = []string{"eu", "gift", "rush"}
)

// crowd fills the database with tasks of every kind that a filter tells apart,
// and returns them as they are read one by one, newest first.
func crowd(t *testing.T, f *fixture) []ports.TaskRecord {
	t.Helper()
	var ts []*template.Template
	for _, ns := range namespaces {
		for _, name := range names {
			for _, version := range versions {
				ts = append(ts, workflow(t, ns, name, version, name+"_first", "then<"+name+"_first"))
			}
		}
	}
	stored := f.register(t, ts...)
	var ids []ident.TaskID
	for i := range 8 { // as many moments of creation
		var subs []plan.Submission
		for j := range 30 {
			n := i*30 + j
			s := submission(t, stored[n%len(stored)])
			s.Initiator, s.SourceSystem = people[n/3%2], systems[n/5%2]
			for k, label := range labels {
				if n>>k&1 == 1 {
					s.Tags = append(s.Tags, label)
				}
			}
			subs = append(subs, s)
		}
		ids = append(ids, f.submit(t, subs...)...)
	}
	for _, ns := range namespaces {
		f.report(t, f.claim(t, 12, ns, "one_first"), failing(true))
		f.report(t, f.claim(t, 9, ns, "two_first"), failing(false))
		f.report(t, f.claim(t, 14, ns, "one_first", "two_first"), succeed)
		f.report(t, f.claim(t, 10, ns, "then"), succeed)
		f.claim(t, 3, ns, "one_first", "two_first")
	}
	f.cancel(t, ids[7], ids[77], ids[200])
	require.NoError(t, f.FoldCounts(t.Context()))
	f.cancel(t, ids[8], ids[78])

	all := make([]ports.TaskRecord, len(ids))
	for i, id := range ids {
		var steps []ports.StepRecord
		var err error
		all[i], steps, err = f.Task(t.Context(), id)
		require.NoError(t, err)
		for _, s := range steps {
			switch s.State.String() {
			case "pending":
				all[i].PendingSteps++
			case "in_progress":
				all[i].InProgressSteps++
			case "complete", "resolved_manually":
				all[i].CompletedSteps++
			}
		}
	}
	slices.SortFunc(all, func(a, b ports.TaskRecord) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	return all
}

// selects is what TaskFilter means.
func selects(f ports.TaskFilter, r ports.TaskRecord, failures []string) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	in := func(at, from, until time.Time) bool {
		return (from.IsZero() || !at.Before(from)) && (until.IsZero() || at.Before(until))
	}
	ended := f.CompletedFrom.IsZero() && f.CompletedUntil.IsZero() ||
		!r.CompletedAt.IsZero() && in(r.CompletedAt, f.CompletedFrom, f.CompletedUntil)
	failed := f.Error == "" || slices.ContainsFunc(failures, func(text string) bool {
		return strings.Contains(strings.ToLower(text), strings.ToLower(f.Error))
	})
	return is(f.Namespace, r.Namespace) && is(f.Name, r.Name) && is(f.Version, r.Version) &&
		(f.Within == nil || slices.Contains(f.Within, r.Namespace)) &&
		is(f.Initiator, r.Initiator) && is(f.SourceSystem, r.SourceSystem) &&
		(!f.CorrelationID.Valid || f.CorrelationID.UUID == r.CorrelationID) &&
		(len(f.States) == 0 || slices.Contains(f.States, r.State)) &&
		!slices.ContainsFunc(f.Tags, func(tag string) bool { return !slices.Contains(r.Tags, tag) }) &&
		in(r.CreatedAt, f.From, f.Until) && in(r.UpdatedAt, f.UpdatedFrom, f.UpdatedUntil) && ended && failed
}

// failuresOf returns the messages and types by which tasks are found.
func failuresOf(t *testing.T, f *fixture, id ident.TaskID) []string {
	t.Helper()
	rows, err := f.connect(t).Query(t.Context(), `
		select unnest(array[s.failure->>'message', s.failure->>'error_type']) from tasker.workflow_steps s
		where s.task_id = $1 and s.state in ('error', 'waiting_for_retry')
		union all
		select unnest(array[f.message, f.error_type]) from tasker.dlq_failures f where f.task_id = $1`, id)
	require.NoError(t, err)
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return texts
}

// markOf returns where a task stands in a list.
func markOf(by ports.TaskOrder, r ports.TaskRecord) ports.TaskMark {
	return map[ports.TaskOrder]ports.TaskMark{
		ports.ByCreation: {ID: r.ID}, ports.ByUpdate: {At: r.UpdatedAt, ID: r.ID}, ports.ByCompletion: {At: r.CompletedAt, ID: r.ID},
	}[by]
}

func TestTasksAreThoseThatTheFilterSelects(t *testing.T) {
	t.Parallel()
	f := open(t)
	all := crowd(t, f)
	kinds, failures := map[task.State]int{}, map[ident.TaskID][]string{}
	for _, r := range all {
		kinds[r.State]++
		failures[r.ID] = failuresOf(t, f, r.ID)
	}
	for _, s := range []task.State{task.StepsInProcess, task.WaitingForRetry, task.BlockedByFailures, task.Complete, task.Cancelled} {
		require.NotZero(t, kinds[s], "the test needs tasks in %s", s)
	}
	rapid.Check(t, func(r *rapid.T) {
		maybe := func(from []string, label string) string {
			return rapid.SampledFrom(append([]string{"", "", "none"}, from...)).Draw(r, label)
		}
		moment := func(label string) time.Time {
			if rapid.IntRange(0, 4).Draw(r, label+" set") > 0 {
				return time.Time{}
			}
			one := rapid.SampledFrom(all).Draw(r, label)
			if rapid.Bool().Draw(r, label+" of an end") && !one.CompletedAt.IsZero() {
				return one.CompletedAt
			}
			return one.CreatedAt
		}
		filter := ports.TaskFilter{
			Namespace: maybe(namespaces, "namespace"), Name: maybe(names, "name"), Version: maybe(versions, "version"),
			Initiator: maybe(people, "initiator"), SourceSystem: maybe(systems, "system"),
			States: rapid.SliceOfN(rapid.SampledFrom(task.States()), 0, 4).Draw(r, "states"),
			Tags:   rapid.SliceOfN(rapid.SampledFrom(labels), 0, 2).Draw(r, "tags"),
			From:   moment("from"), Until: moment("until"),
			UpdatedFrom: moment("updated from"), UpdatedUntil: moment("updated until"),
			CompletedFrom: moment("completed from"), CompletedUntil: moment("completed until"),
		}
		if rapid.IntRange(0, 3).Draw(r, "within set") == 0 {
			filter.Within = rapid.SliceOfN(rapid.SampledFrom(namespaces), 0, 2).Draw(r, "within")
		}
		if rapid.IntRange(0, 3).Draw(r, "correlation set") == 0 {
			filter.CorrelationID = uuid.NullUUID{UUID: rapid.SampledFrom(all).Draw(r, "correlation").CorrelationID, Valid: true}
		}
		if rapid.IntRange(0, 3).Draw(r, "error set") == 0 {
			filter.Error = rapid.SampledFrom([]string{"broke", "BROKE", "handler_", "%", "_", "none"}).Draw(r, "error")
		}
		page := ports.TaskPage{
			Order:     rapid.SampledFrom([]ports.TaskOrder{ports.ByCreation, ports.ByUpdate, ports.ByCompletion}).Draw(r, "order"),
			Ascending: rapid.Bool().Draw(r, "ascending"), Limit: rapid.IntRange(1, 50).Draw(r, "limit"),
			Total:  rapid.SampledFrom([]ports.TotalMode{ports.NoTotal, ports.CheapTotal, ports.ExactTotal}).Draw(r, "total"),
			Budget: rapid.SampledFrom([]int{0, -1, 1, 7, 100}).Draw(r, "budget"),
		}

		var want []ports.TaskRecord
		for _, record := range all {
			if selects(filter, record, failures[record.ID]) && (page.Order != ports.ByCompletion || !record.CompletedAt.IsZero()) {
				want = append(want, record)
			}
		}
		slices.SortFunc(want, func(a, b ports.TaskRecord) int {
			x, y := markOf(page.Order, a), markOf(page.Order, b)
			c := cmp.Or(x.At.Compare(y.At), bytes.Compare(x.ID[:], y.ID[:]))
			if page.Ascending {
				return c
			}
			return -c
		})

		// By number: as many as asked for, whatever the budget.
		if skip := rapid.IntRange(0, 40).Draw(r, "skip"); skip > 0 {
			ask := page
			ask.Skip = skip
			got, err := f.Tasks(t.Context(), filter, ask)
			require.NoError(r, err)
			rest := want[min(skip, len(want)):]
			require.Equal(r, append([]ports.TaskRecord{}, rest[:min(page.Limit, len(rest))]...), got.Tasks)
			require.Equal(r, len(rest) > page.Limit, !got.Next.IsZero())
		}
		// One after another, until there is none.
		var read []ports.TaskRecord
		for first := true; ; first = false {
			got, err := f.Tasks(t.Context(), filter, page)
			require.NoError(r, err)
			switch {
			case page.Total == ports.NoTotal:
				require.EqualValues(r, -1, got.Total)
			case !first && page.Total == ports.CheapTotal:
			case got.AtLeast:
				require.Equal(r, ports.CheapTotal, page.Total)
				require.LessOrEqual(r, got.Total, int64(len(want)))
				require.GreaterOrEqual(r, got.Total, int64(len(got.Tasks)))
			default:
				require.EqualValues(r, len(want), got.Total)
			}
			if page.Budget <= 0 && !got.Next.IsZero() {
				require.Len(r, got.Tasks, page.Limit)
			}
			require.LessOrEqual(r, len(got.Tasks), page.Limit)
			read = append(read, got.Tasks...)
			if got.Next.IsZero() {
				break
			}
			require.NotEqual(r, page.After, got.Next, "a page gets on")
			page.After = got.Next
		}
		require.Equal(r, want, read)
	})
}

func TestTasksOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	f := open(t)
	for _, filter := range []ports.TaskFilter{
		{}, {Namespace: "ns"}, {Name: "n"}, {States: []task.State{task.Complete}}, {Tags: []string{"x"}},
	} {
		got, err := f.Tasks(t.Context(), filter, ports.TaskPage{Limit: 10, Total: ports.CheapTotal})
		require.NoError(t, err)
		require.Equal(t, ports.TaskList{Tasks: []ports.TaskRecord{}}, got)
	}
}

func TestNoTaskIsOfAnUnknownTemplate(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.submit(t, submission(t, f.register(t, diamond(t))[0]))
	for _, filter := range []ports.TaskFilter{
		{Namespace: "none"}, {Name: "none"}, {Namespace: "orders", Version: "none"},
		{Namespace: "none", Initiator: "test"}, {Name: "none", Initiator: "test"},
	} {
		got, err := f.Tasks(t.Context(), filter, ports.TaskPage{Limit: 10, Total: ports.CheapTotal})
		require.NoError(t, err)
		require.Equal(t, ports.TaskList{Tasks: []ports.TaskRecord{}}, got, "%+v", filter)
	}
}

// The database's clock and that of the servers, which ids are made by, differ.
func TestTasksByTimeUnderAShiftedClock(t *testing.T) {
	t.Parallel()
	for _, offset := range []time.Duration{0, 500 * time.Hour, -500 * time.Hour} {
		t.Run(offset.String(), func(t *testing.T) {
			t.Parallel()
			first := open(t)
			f := openURL(t, first.url, offset)
			of := f.register(t, diamond(t))[0]
			var want [3]ports.TaskRecord
			for i := range want {
				var err error
				want[i], _, err = f.Task(t.Context(), f.submit(t, submission(t, of))[0])
				require.NoError(t, err)
			}
			got, err := f.Tasks(t.Context(), ports.TaskFilter{From: want[1].CreatedAt, Until: want[2].CreatedAt},
				ports.TaskPage{Limit: 9, Total: ports.CheapTotal})
			require.NoError(t, err)
			require.Len(t, got.Tasks, 1)
			require.Equal(t, want[1].ID, got.Tasks[0].ID)
			require.Equal(t, int64(1), got.Total)
		})
	}
}

func TestPagesHaveNoGapsAndRepeatsWhileTasksAreCreated(t *testing.T) {
	t.Parallel()
	f := open(t)
	of := f.register(t, workflow(t, "ns", "a", "1.0.0", "x"))[0]
	old := map[ident.TaskID]bool{}
	for range 5 {
		for range 20 {
			old[f.submit(t, submission(t, of))[0]] = true
		}
	}
	for name, filter := range map[string]ports.TaskFilter{
		"all": {}, "of a namespace": {Namespace: "ns"}, "in a state": {States: []task.State{task.StepsInProcess}},
	} {
		t.Run(name, func(t *testing.T) {
			stop := make(chan struct{})
			var creating sync.WaitGroup
			creating.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						f.submit(t, submission(t, of))
					}
				}
			})
			defer func() { close(stop); creating.Wait() }()

			seen := map[ident.TaskID]bool{}
			var last ident.TaskID
			for {
				page, err := f.Tasks(t.Context(), filter, ports.TaskPage{After: ports.TaskMark{ID: last}, Limit: 7})
				require.NoError(t, err)
				for _, r := range page.Tasks {
					require.False(t, seen[r.ID], "%s came twice", r.ID)
					require.True(t, last.IsZero() || bytes.Compare(r.ID[:], last[:]) < 0, "newest first")
					seen[r.ID], last = true, r.ID
				}
				if page.Next.IsZero() {
					break
				}
			}
			for id := range old {
				require.True(t, seen[id], "%s is missing", id)
			}
		})
	}
}

func TestAPageTakesTheSameStatementsWhateverItsSize(t *testing.T) {
	t.Parallel()
	f := open(t)
	of := f.register(t, diamond(t))[0]
	for range 40 {
		f.submit(t, submission(t, of))
	}
	for _, limit := range []int{1, 40} {
		sent := f.sql.during(func() {
			page, err := f.Tasks(t.Context(), ports.TaskFilter{Namespace: "orders"}, ports.TaskPage{Limit: limit, Total: ports.CheapTotal})
			require.NoError(t, err)
			require.Len(t, page.Tasks, limit)
		})
		require.Len(t, sent, 6, fmt.Sprint(sent))
	}
}
