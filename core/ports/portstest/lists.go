package portstest

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// crowd makes tasks that filters tell apart, in all that may become of them,
// and returns how they are read one by one.
func (w *world) crowd(t *testing.T) []ports.TaskRecord {
	t.Helper()
	var stored []ports.StoredTemplate
	for _, ns := range []string{namespace, "other"} {
		for _, name := range []string{"one", "two"} {
			stored = append(stored, w.register(t, workflow(t, ns, name, "a", "b<a")))
		}
	}
	var ids []ident.TaskID
	for i := range 40 {
		s := submission(t, stored[i%len(stored)])
		s.Initiator, s.SourceSystem = fmt.Sprint("user", i%3), fmt.Sprint("system", i%2)
		if i%2 == 0 {
			s.Tags = append(s.Tags, "even")
		}
		if i%3 == 0 {
			s.Tags = append(s.Tags, "third")
		}
		if i%5 == 0 {
			s.CorrelationID = uuid.UUID{7}
		}
		w.submit(t, ports.ClaimRequest{}, s)
		ids = append(ids, s.ID)
	}
	for i, step := range w.claim(t, 15, "a").Steps {
		switch i % 4 {
		case 0:
			w.report(t, ports.ClaimRequest{}, failure(step, true))
		case 1:
			w.report(t, ports.ClaimRequest{}, failure(step, false))
		default:
			w.finish(t, step, `{}`)
		}
	}
	for _, step := range w.claim(t, 4, "b").Steps {
		w.finish(t, step, `{}`)
	}
	w.cancel(t, ids[2], ids[33])
	all := make([]ports.TaskRecord, len(ids))
	for i, id := range ids {
		all[i], _ = w.read(t, id)
	}
	return all
}

// fits is what a filter means, but for Error.
func fits(f ports.TaskFilter, r ports.TaskRecord) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	in := func(at, from, until time.Time) bool {
		return (from.IsZero() || !at.Before(from)) && (until.IsZero() || at.Before(until))
	}
	if (!f.CompletedFrom.IsZero() || !f.CompletedUntil.IsZero()) && (r.CompletedAt.IsZero() || !in(r.CompletedAt, f.CompletedFrom, f.CompletedUntil)) {
		return false
	}
	for _, tag := range f.Tags {
		if !slices.Contains(r.Tags, tag) {
			return false
		}
	}
	return is(f.Namespace, r.Namespace) && is(f.Name, r.Name) && is(f.Version, r.Version) &&
		is(f.Initiator, r.Initiator) && is(f.SourceSystem, r.SourceSystem) &&
		(f.Within == nil || slices.Contains(f.Within, r.Namespace)) && (len(f.States) == 0 || slices.Contains(f.States, r.State)) &&
		(!f.CorrelationID.Valid || f.CorrelationID.UUID == r.CorrelationID) &&
		in(r.CreatedAt, f.From, f.Until) && in(r.UpdatedAt, f.UpdatedFrom, f.UpdatedUntil)
}

// lists compares pages of random lists with what a filter of all tasks says.
func lists(t *testing.T, w *world) {
	all := w.crowd(t)
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // G404: the same lists each time
	one := func() ports.TaskRecord { return all[r.IntN(len(all))] }
	for range 150 {
		var f ports.TaskFilter
		for _, set := range []func(){
			func() { f.Namespace = one().Namespace }, func() { f.Name = one().Name }, func() { f.Version = one().Version },
			func() { f.Initiator = one().Initiator }, func() { f.SourceSystem = one().SourceSystem },
			func() { f.States = []task.State{one().State, one().State} }, func() { f.Tags = one().Tags },
			func() { f.CorrelationID = uuid.NullUUID{UUID: one().CorrelationID, Valid: true} },
			func() { f.Within = []string{one().Namespace} }, func() { f.Within = []string{} },
			func() { f.From = one().CreatedAt }, func() { f.Until = one().CreatedAt },
			func() { f.UpdatedFrom = one().UpdatedAt }, func() { f.UpdatedUntil = one().UpdatedAt },
			func() { f.CompletedFrom = one().CompletedAt }, func() { f.CompletedUntil = one().CompletedAt },
		} {
			if r.IntN(8) == 0 {
				set()
			}
		}
		p := ports.TaskPage{
			Order: ports.TaskOrder(r.IntN(3)), Ascending: r.IntN(2) == 0, Limit: 1 + r.IntN(12), Total: ports.ExactTotal, //nolint:gosec // G115: small
			Budget: []int{0, -1, 5}[r.IntN(3)],
		}
		w.list(t, all, f, p)
	}
}

// list reads a list from its beginning to its end.
func (w *world) list(t *testing.T, all []ports.TaskRecord, f ports.TaskFilter, p ports.TaskPage) {
	t.Helper()
	place := func(r ports.TaskRecord) time.Time {
		return [...]time.Time{ports.ByCreation: {}, ports.ByUpdate: r.UpdatedAt, ports.ByCompletion: r.CompletedAt}[p.Order]
	}
	want := []ident.TaskID{}
	sorted := slices.SortedFunc(slices.Values(all), func(a, b ports.TaskRecord) int {
		c := cmp.Or(place(a).Compare(place(b)), bytes.Compare(a.ID[:], b.ID[:]))
		if p.Ascending {
			return c
		}
		return -c
	})
	for _, r := range sorted {
		if fits(f, r) && (p.Order != ports.ByCompletion || !r.CompletedAt.IsZero()) {
			want = append(want, r.ID)
		}
	}
	got := []ident.TaskID{}
	for {
		page, err := w.Store.Tasks(t.Context(), f, p)
		require.NoError(t, err)
		require.EqualValues(t, len(want), page.Total)
		require.False(t, page.AtLeast)
		require.LessOrEqual(t, len(page.Tasks), p.Limit)
		for _, r := range page.Tasks {
			got = append(got, r.ID)
		}
		if page.Next.IsZero() {
			break
		}
		require.NotEqual(t, p.After, page.Next, "a page gets on")
		p.After = page.Next
	}
	require.Equal(t, want, got, "%+v by %+v", f, p)
}

// listsByError finds tasks by what their failures say.
func listsByError(t *testing.T, w *world) {
	of := w.register(t, workflow(t, namespace, "flow", "a"))
	var ids []ident.TaskID
	for range 3 {
		s := submission(t, of)
		w.submit(t, ports.ClaimRequest{}, s)
		ids = append(ids, s.ID)
	}
	steps := w.claim(t, 3, "a").Steps
	slices.SortFunc(steps, func(a, b ports.ClaimedStep) int { return plan.CompareRefs(a.Ref, b.Ref) })
	waits := failure(steps[0], true)
	waits.Failure.Message = "100% of it Broke"
	fails := failure(steps[1], false)
	fails.Failure.Type = "card_declined"
	w.report(t, ports.ClaimRequest{}, waits)
	w.report(t, ports.ClaimRequest{}, fails)
	w.finish(t, steps[2], `{}`)
	for text, want := range map[string][]ident.TaskID{
		"it broke": {ids[1], ids[0]}, "100% OF": {ids[0]}, "Card_": {ids[1]}, "card%": {}, "1__%": {}, `\`: {}, "nothing": {},
	} {
		page, err := w.Store.Tasks(t.Context(), ports.TaskFilter{Error: text}, ports.TaskPage{Limit: 10, Total: ports.CheapTotal})
		require.NoError(t, err)
		got := []ident.TaskID{}
		for _, r := range page.Tasks {
			got = append(got, r.ID)
		}
		require.Equal(t, want, got, text)
		require.EqualValues(t, len(want), page.Total, text)
	}
}
