package portstest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/ports"
)

func claimOrder(t *testing.T, w *world) {
	of := w.register(t, workflow(t, namespace, "flow", "a"))
	// In the order of submission; the number is the priority.
	var ids []ident.TaskID
	for _, priority := range []int32{0, -10, 10, 100, 0, -10, 10, 100} {
		s := submission(t, of)
		s.Priority = priority
		w.submit(t, ports.ClaimRequest{}, s)
		ids = append(ids, s.ID)
	}
	for i, want := range []int{3, 7, 2, 6, 0, 4, 1, 5} {
		require.Equal(t, ids[want], w.one(t, "a").Ref.Task, "claim %d", i)
	}
}

func claimLimits(t *testing.T, w *world) {
	of := w.register(t, workflow(t, namespace, "flow", "a", "b"))
	for range 5 {
		w.submit(t, ports.ClaimRequest{}, submission(t, of))
	}
	r := ask(2, "a", "nobody", "b")
	r.Limits[2] = 9
	reply, err := w.Store.Claim(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, []int{2, 0, 5}, reply.Taken)
	per := map[int]int{}
	for _, s := range reply.Steps {
		per[s.Queue]++
		require.Equal(t, r.Queues[s.Queue].Handler, s.Name)
	}
	require.Equal(t, map[int]int{0: 2, 2: 5}, per)
	require.Equal(t, []int{3}, w.claim(t, 3, "a").Taken)
	require.Equal(t, []int{0}, w.claim(t, 3, "a").Taken)
}

func staleJobs(t *testing.T, w *world) {
	of := w.register(t, workflow(t, namespace, "flow", "a"))
	var live, dead []ident.TaskID
	for i := range 6 {
		s := submission(t, of)
		w.submit(t, ports.ClaimRequest{}, s)
		if i < 4 {
			dead = append(dead, s.ID)
		} else {
			live = append(live, s.ID)
		}
	}
	w.cancelOnly(t, dead...)
	reply := w.claim(t, 3, "a")
	require.Empty(t, reply.Steps)
	require.Equal(t, []int{3}, reply.Taken, "jobs that were only removed count: the queue may hold more")
	reply = w.claim(t, 3, "a")
	require.Equal(t, []int{3}, reply.Taken)
	require.Len(t, reply.Steps, 2)
	require.ElementsMatch(t, live, []ident.TaskID{reply.Steps[0].Ref.Task, reply.Steps[1].Ref.Task})
	require.Equal(t, []int{0}, w.claim(t, 3, "a").Taken, "they were removed")
}

func queuesApart(t *testing.T, w *world) {
	mine := w.register(t, workflow(t, namespace, "flow", "a"))
	theirs := w.register(t, workflow(t, "bank", "flow", "a"))
	s, o := submission(t, mine), submission(t, theirs)
	w.submit(t, ports.ClaimRequest{}, s, o)
	require.Equal(t, s.ID, w.one(t, "a").Ref.Task)
	require.Empty(t, w.claim(t, 9, "a", "A", "a_", "").Steps)
	reply, err := w.Store.Claim(t.Context(), ports.ClaimRequest{Queues: []plan.Queue{{Namespace: "bank", Handler: "a"}}, Limits: []int{1}})
	require.NoError(t, err)
	require.Len(t, reply.Steps, 1)
	require.Equal(t, o.ID, reply.Steps[0].Ref.Task)
}

func ridingOwn(t *testing.T, w *world) {
	s := submission(t, w.register(t, workflow(t, namespace, "flow", "a", "b<a", "c<a")))
	_, reply := w.submit(t, ask(2, "a"), s)
	require.Len(t, reply.Steps, 1)
	require.Equal(t, []int{1}, reply.Taken, "fewer than were asked for: the queue is empty")
	require.Equal(t, "in_progress pending pending", w.states(t, s.ID))
	verdicts, reply := w.report(t, ask(2, "b"), success(reply.Steps[0], `{"n":1}`))
	require.Equal(t, []step.Verdict{step.Applied}, verdicts)
	require.Len(t, reply.Steps, 1)
	require.Equal(t, ident.StepRef{Task: s.ID, No: 2}, reply.Steps[0].Ref)
	require.Len(t, reply.Steps[0].Parents, 1, "it sees what its own unit has written")
	require.JSONEq(t, `{"n":1}`, string(reply.Steps[0].Parents[0].Value))
	require.Equal(t, "complete in_progress enqueued", w.states(t, s.ID))
}

func ridingOlder(t *testing.T, w *world) {
	of := w.register(t, workflow(t, namespace, "flow", "a"))
	older, newer := submission(t, of), submission(t, of)
	w.submit(t, ports.ClaimRequest{}, older)
	_, reply := w.submit(t, ask(1, "a"), newer)
	require.Equal(t, []ident.StepRef{{Task: older.ID, No: 1}}, refs(reply))
	require.Equal(t, []int{1}, reply.Taken)
	require.Equal(t, newer.ID, w.one(t, "a").Ref.Task)
}

// claimsTogether lets two servers claim from one queue at the same time.
func claimsTogether(t *testing.T, w *world) {
	const steps = 200
	s := submission(t, w.register(t, withHandler(t, "wide", "h", numbered("s", steps, "")...)))
	w.submit(t, ports.ClaimRequest{}, s)
	other, die := w.Another(t)
	defer die()
	var (
		mu    sync.Mutex
		seen  = map[ident.StepRef]int{}
		group sync.WaitGroup
	)
	errs := make(chan error, 4)
	for i := range 4 {
		store := w.Store
		if i%2 == 1 {
			store = other
		}
		group.Go(func() {
			// What another claim has locked is left alone, so an empty answer does not
			// mean an empty queue; all together must come to the end of it.
			for range 4 * steps {
				reply, err := store.Claim(t.Context(), ask(7, "h"))
				if err != nil {
					errs <- err
					return
				}
				mu.Lock()
				for _, c := range reply.Steps {
					seen[c.Ref]++
				}
				done := len(seen) == steps
				mu.Unlock()
				if done {
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	require.NoError(t, <-errs)
	require.Len(t, seen, steps)
	for ref, n := range seen {
		require.Equal(t, 1, n, "step %s", ref)
	}
	task, _ := w.read(t, s.ID)
	require.Equal(t, int32(steps), task.Active)
}

func parentsAlong(t *testing.T, w *world) {
	id := w.start(t, "a", "b", "c", "d<a,b,c")
	w.finish(t, w.one(t, "a"), `{"n":[1,2]}`)
	w.finish(t, w.one(t, "b"), `null`)
	silent := w.one(t, "c")
	w.report(t, ports.ClaimRequest{}, step.Result{Ref: silent.Ref, Dispatch: silent.Dispatch})
	d := w.one(t, "d")
	require.True(t, d.Whole)
	require.Len(t, d.Parents, 3)
	byName := map[string]ports.StepResult{}
	for _, p := range d.Parents {
		byName[p.Name] = p
	}
	require.Equal(t, int32(1), byName["a"].No)
	require.JSONEq(t, `{"n":[1,2]}`, string(byName["a"].Value))
	require.JSONEq(t, `null`, string(byName["b"].Value))
	require.Nil(t, byName["c"].Value, "it returned nothing")
	require.Equal(t, "complete complete complete in_progress", w.states(t, id))
}

// incompressible returns a JSON text of some size that no database makes small.
func incompressible(size int) string {
	var b strings.Builder
	sum := sha256.Sum256([]byte("seed"))
	for b.Len() < size {
		b.WriteString(hex.EncodeToString(sum[:]))
		sum = sha256.Sum256(sum[:])
	}
	return fmt.Sprintf("%q", b.String()[:size])
}

func parentsStay(t *testing.T, w *world) {
	s := submission(t, w.register(t, workflow(t, namespace, "large", "big", "small", "child<big,small")))
	w.submit(t, ports.ClaimRequest{}, s)
	large := incompressible(40_000)
	w.finish(t, w.one(t, "big"), large)
	w.finish(t, w.one(t, "small"), `1`)
	child := w.one(t, "child")
	require.False(t, child.Whole)
	for _, p := range child.Parents {
		if p.Name == "big" {
			require.Nil(t, p.Value, "a large result is fetched")
		} else {
			require.JSONEq(t, `1`, string(p.Value))
		}
	}
	got, err := w.Store.Results(t.Context(), s.ID, []string{"big"})
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.JSONEq(t, large, string(got[0].Value))

	for n, whole := range map[int]bool{32: true, 33: false} {
		parents := numbered("p", n, "")
		name := fmt.Sprintf("join%d", n)
		many := submission(t, w.register(t, withHandler(t, name, name, append(parents, "z<"+strings.Join(parents, ","))...)))
		w.submit(t, ports.ClaimRequest{}, many)
		var results []step.Result
		for _, c := range w.claim(t, n, name).Steps {
			results = append(results, success(c, `1`))
		}
		require.Len(t, results, n)
		w.report(t, ports.ClaimRequest{}, results...)
		join := w.one(t, name)
		require.Equal(t, whole, join.Whole, "%d parents", n)
		if whole {
			require.Len(t, join.Parents, n)
		} else {
			require.Empty(t, join.Parents)
		}
	}
}

func resultsByName(t *testing.T, w *world) {
	id := w.start(t, "a", "b", "c", "d")
	w.finish(t, w.one(t, "c"), `3`)
	w.finish(t, w.one(t, "a"), `null`)
	silent := w.one(t, "b")
	w.report(t, ports.ClaimRequest{}, step.Result{Ref: silent.Ref, Dispatch: silent.Dispatch})
	got, err := w.Store.Results(t.Context(), id, []string{"d", "c", "b", "a", "nobody"})
	require.NoError(t, err)
	require.Len(t, got, 2, "what returned nothing, and what is not complete, is left out")
	require.Equal(t, int32(1), got[0].No)
	require.JSONEq(t, `null`, string(got[0].Value))
	require.Equal(t, "c", got[1].Name)
	require.JSONEq(t, `3`, string(got[1].Value))
	got, err = w.Store.Results(t.Context(), newTask(t), []string{"a"})
	require.NoError(t, err)
	require.Empty(t, got)
}
