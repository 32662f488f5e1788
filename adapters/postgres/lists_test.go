package postgres_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

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
func selects(f ports.TaskFilter, r ports.TaskRecord) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	return is(f.Namespace, r.Namespace) && is(f.Name, r.Name) && is(f.Version, r.Version) &&
		is(f.Initiator, r.Initiator) && is(f.SourceSystem, r.SourceSystem) &&
		(len(f.States) == 0 || slices.Contains(f.States, r.State)) &&
		!slices.ContainsFunc(f.Tags, func(tag string) bool { return !slices.Contains(r.Tags, tag) }) &&
		(f.From.IsZero() || !r.CreatedAt.Before(f.From)) && (f.Until.IsZero() || r.CreatedAt.Before(f.Until))
}

func TestTasksAreThoseThatTheFilterSelects(t *testing.T) {
	t.Parallel()
	f := open(t)
	all := crowd(t, f)
	kinds := map[task.State]int{}
	for _, r := range all {
		kinds[r.State]++
	}
	for _, s := range []task.State{task.StepsInProcess, task.WaitingForRetry, task.BlockedByFailures, task.Complete, task.Cancelled} {
		require.NotZero(t, kinds[s], "the test needs tasks in %s", s)
	}
	rapid.Check(t, func(r *rapid.T) {
		maybe := func(from []string, label string) string {
			return rapid.SampledFrom(append([]string{"", "", "none"}, from...)).Draw(r, label)
		}
		moment := func(label string) time.Time {
			if rapid.IntRange(0, 2).Draw(r, label+" set") > 0 {
				return time.Time{}
			}
			return rapid.SampledFrom(all).Draw(r, label).CreatedAt
		}
		filter := ports.TaskFilter{
			Namespace: maybe(namespaces, "namespace"), Name: maybe(names, "name"), Version: maybe(versions, "version"),
			Initiator: maybe(people, "initiator"), SourceSystem: maybe(systems, "system"),
			States: rapid.SliceOfN(rapid.SampledFrom(task.States()), 0, 4).Draw(r, "states"),
			Tags:   rapid.SliceOfN(rapid.SampledFrom(labels), 0, 2).Draw(r, "tags"),
			From:   moment("from"), Until: moment("until"),
		}
		page := ports.TaskPage{
			Skip: rapid.IntRange(0, 40).Draw(r, "skip"), Limit: rapid.IntRange(0, 50).Draw(r, "limit"),
			Total: rapid.Bool().Draw(r, "total"),
		}
		if rapid.Bool().Draw(r, "before set") {
			page.Before = rapid.SampledFrom(all).Draw(r, "before").ID
		}

		want, total := []ports.TaskRecord{}, int64(0)
		skip := page.Skip
		for _, record := range all {
			if !selects(filter, record) {
				continue
			}
			total++
			if !page.Before.IsZero() && bytes.Compare(record.ID[:], page.Before[:]) >= 0 {
				continue
			}
			if skip--; skip < 0 && len(want) < page.Limit {
				want = append(want, record)
			}
		}
		if !page.Total {
			total = -1
		}
		got, n, err := f.Tasks(t.Context(), filter, page)
		require.NoError(r, err)
		require.Equal(r, want, got)
		require.Equal(r, total, n)
	})
}

func TestTasksOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	f := open(t)
	for _, filter := range []ports.TaskFilter{
		{}, {Namespace: "ns"}, {Name: "n"}, {States: []task.State{task.Complete}}, {Tags: []string{"x"}},
	} {
		got, total, err := f.Tasks(t.Context(), filter, ports.TaskPage{Limit: 10, Total: true})
		require.NoError(t, err)
		require.Empty(t, got)
		require.Zero(t, total)
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
		got, total, err := f.Tasks(t.Context(), filter, ports.TaskPage{Limit: 10, Total: true})
		require.NoError(t, err)
		require.Empty(t, got, "%+v", filter)
		require.Zero(t, total, "%+v", filter)
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
			got, total, err := f.Tasks(t.Context(), ports.TaskFilter{From: want[1].CreatedAt, Until: want[2].CreatedAt},
				ports.TaskPage{Limit: 9, Total: true})
			require.NoError(t, err)
			require.Len(t, got, 1)
			require.Equal(t, want[1].ID, got[0].ID)
			require.Equal(t, int64(1), total)
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
				page, _, err := f.Tasks(t.Context(), filter, ports.TaskPage{Before: last, Limit: 7})
				require.NoError(t, err)
				for _, r := range page {
					require.False(t, seen[r.ID], "%s came twice", r.ID)
					require.True(t, last.IsZero() || bytes.Compare(r.ID[:], last[:]) < 0, "newest first")
					seen[r.ID], last = true, r.ID
				}
				if len(page) < 7 {
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
			page, _, err := f.Tasks(t.Context(), ports.TaskFilter{Namespace: "orders"}, ports.TaskPage{Limit: limit, Total: true})
			require.NoError(t, err)
			require.Len(t, page, limit)
		})
		require.Len(t, sent, 6, fmt.Sprint(sent))
	}
}
