package portstest

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

func firstIdentity(t *testing.T, w *world) {
	of := w.register(t, workflow(t, namespace, "flow", "a"))
	first, second, other := submission(t, of), submission(t, of), submission(t, of)
	first.Identity, second.Identity, other.Identity = plan.Identity{1}, plan.Identity{1}, plan.Identity{2}
	became, _ := w.submit(t, ports.ClaimRequest{}, first)
	require.Equal(t, []plan.Submitted{{Created: true}}, became)
	became, _ = w.submit(t, ports.ClaimRequest{}, second, other)
	require.Equal(t, []plan.Submitted{{Existing: first.ID}, {Created: true}}, became)

	// Those who are like no other never meet.
	became, _ = w.submit(t, ports.ClaimRequest{}, submission(t, of), submission(t, of))
	require.Equal(t, []plan.Submitted{{Created: true}, {Created: true}}, became)
	require.Len(t, w.claim(t, 9, "a").Steps, 4)
}

// sameBatch has many requests with few identities in one unit, in an order that
// is not that of their ids: of each identity the first is created, and holds it.
func sameBatch(t *testing.T, w *world) {
	of := w.register(t, workflow(t, namespace, "flow", "a"))
	const identities = 5
	subs := make([]plan.Submission, 64)
	dice := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // G404: fixed dice
	for i := range subs {
		subs[i] = submission(t, of)
		subs[i].Identity = plan.Identity{byte(1 + i%identities)}
	}
	dice.Shuffle(len(subs), func(i, j int) { subs[i], subs[j] = subs[j], subs[i] })
	became, _ := w.submit(t, ports.ClaimRequest{}, subs...)
	first := map[plan.Identity]ident.TaskID{}
	for i, s := range subs {
		holder, known := first[s.Identity]
		if !known {
			first[s.Identity] = s.ID
			require.Equal(t, plan.Submitted{Created: true}, became[i])
			continue
		}
		require.Equal(t, plan.Submitted{Existing: holder}, became[i])
	}
	require.Len(t, w.claim(t, len(subs), "a").Steps, identities)

	late := make([]plan.Submission, identities)
	for i := range late {
		late[i] = submission(t, of)
		late[i].Identity = plan.Identity{byte(1 + i)}
	}
	became, _ = w.submit(t, ports.ClaimRequest{}, late...)
	for i, s := range late {
		require.Equal(t, plan.Submitted{Existing: first[s.Identity]}, became[i], "the task that was created holds the identity")
	}
}

// probes repeats a unit whose outcome was not known, as an actor does: with the
// same ids.
func probes(t *testing.T, w *world) {
	of := w.register(t, workflow(t, namespace, "flow", "a"))
	stored, missing, twin := submission(t, of), submission(t, of), submission(t, of)
	stored.Identity, missing.Identity, twin.Identity = plan.Identity{1}, plan.Identity{2}, plan.Identity{1}
	w.submit(t, ports.ClaimRequest{}, stored)

	again := []plan.Submission{stored, missing, twin}
	scope := ports.Scope{}
	for _, s := range again {
		scope.Identities = append(scope.Identities, ports.IdentityClaim{Identity: s.Identity, Task: s.ID})
		scope.Probes = append(scope.Probes, s.ID)
	}
	var became []plan.Submitted
	_, err := w.Store.Run(t.Context(), scope, func(snap *plan.Snapshot) (ports.Writes, error) {
		require.Equal(t, map[ident.TaskID]bool{stored.ID: true}, snap.Stored)
		d, b, err := plan.AfterSubmissions(snap, again, &w.blueprints)
		became = b
		return ports.Writes{Decision: d}, err
	})
	require.NoError(t, err)
	require.Equal(t, []plan.Submitted{{}, {Created: true}, {Existing: stored.ID}}, became)
	require.Len(t, w.claim(t, 9, "a").Steps, 2)
}
