package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/memory"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

func order(n int) app.CreateRequest {
	return app.CreateRequest{Name: "flow", Namespace: "shop", Version: "1.0.0", Context: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}
}

func orders(from, to int) []app.CreateRequest {
	var all []app.CreateRequest
	for n := from; n < to; n++ {
		all = append(all, order(n))
	}
	return all
}

func (k *kit) stored(t *testing.T) int {
	t.Helper()
	list, err := k.store.Tasks(t.Context(), ports.TaskFilter{}, ports.TaskPage{Limit: 1, Total: ports.ExactTotal})
	require.NoError(t, err)
	return int(list.Total)
}

func newShop(t *testing.T) *kit {
	t.Helper()
	k := newKit(t)
	k.Admission = open{}
	k.flow(t, "flow", nil, "a", "b")
	return k
}

func TestABatchHasAnOutcomeForEach(t *testing.T) {
	t.Parallel()
	k := newShop(t)
	all := orders(0, 5)
	all[1].Name = "none"
	all[2] = all[0]
	all[3] = all[0]
	all[3].OnDuplicate = app.OnDuplicateReturn
	items, err := k.CreateTasks(t.Context(), all, false)
	require.NoError(t, err)
	require.Equal(t, task.StepsInProcess, items[0].State)
	require.Equal(t, fault.CodeTemplateNotFound, items[1].Refused.Code)
	require.Equal(t, fault.CodeTaskExists, items[2].Refused.Code)
	require.Equal(t, items[0].ID.String(), items[2].Refused.Meta["task_uuid"])
	require.Equal(t, app.BatchItem{ID: items[0].ID, Existed: true}, items[3])
	require.Equal(t, "created", items[4].Status())
	require.Equal(t, 2, k.stored(t))
}

func TestTogetherIsAllOrNothing(t *testing.T) {
	t.Parallel()
	k := newShop(t)
	items, err := k.CreateTasks(t.Context(), orders(0, 300), true)
	require.NoError(t, err)
	require.Len(t, items, 300)
	require.Equal(t, 300, k.stored(t))

	again := append(orders(300, 310), order(7), order(9))
	_, err = k.CreateTasks(t.Context(), again, true)
	f := fault.Of(err)
	require.Equal(t, fault.CodeTaskExists, f.Code)
	require.Equal(t, items[7].ID.String(), f.Meta["task_uuid"])
	require.Equal(t, "tasks[10]", f.Details[0].Field)
	require.Equal(t, "tasks[11]", f.Details[1].Field)
	require.Equal(t, 300, k.stored(t))
	_, err = k.CreateTasks(t.Context(), orders(300, 310), true)
	require.NoError(t, err, "the identities of a refused batch are free")

	again[10].OnDuplicate, again[11].OnDuplicate = app.OnDuplicateReturn, app.OnDuplicateReturn
	for i := range 10 {
		again[i] = order(400 + i)
	}
	items, err = k.CreateTasks(t.Context(), again, true)
	require.NoError(t, err)
	require.True(t, items[10].Existed)
	require.Equal(t, 320, k.stored(t))

	bad := orders(500, 510)
	bad[3].Name, bad[6].Priority = "", 1000
	_, err = k.CreateTasks(t.Context(), bad, true)
	f = fault.Of(err)
	require.Equal(t, fault.CodeInvalidField, f.Code)
	require.Equal(t, []fault.Detail{
		{Field: "tasks[3].name", Message: "name is missing or empty"},
		{Field: "tasks[6].priority", Message: "priority is 1000, want -100 to 100"},
	}, f.Details)
	require.Equal(t, 320, k.stored(t))
}

// Whatever fails at whatever moment: a batch is there whole or not at all, and
// what its answer says is so.
func TestABatchUnderFaultsIsWholeOrNotThere(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		k := newShop(t)
		dice := rand.New(rand.NewPCG(seed, 1))
		broken := errors.New("broken")
		stages := []memory.Stage{memory.Begin, memory.Decided, memory.Committed}
		failures := []error{broken, ports.ErrOutage, memory.ErrConflict}
		left := 1 + dice.IntN(3)
		stage, failure := stages[dice.IntN(3)], failures[dice.IntN(3)]
		k.db.Interfere(func(at memory.Stage) error {
			if at == stage && left > 0 && (at != memory.Committed || failure == ports.ErrOutage) { //nolint:errorlint,err113 // the value itself
				left--
				return failure
			}
			return nil
		})
		const size = 20
		items, err := k.CreateTasks(t.Context(), orders(0, size), true)
		k.db.Interfere(nil)
		if err == nil {
			require.Len(t, items, size)
			require.Equal(t, size, k.stored(t), "seed %d", seed)
			for _, i := range items {
				require.Nil(t, i.Refused)
				_, err := k.GetTask(t.Context(), i.ID)
				require.NoError(t, err)
			}
		} else {
			require.ErrorIs(t, err, broken)
			require.Zero(t, k.stored(t), "seed %d", seed)
		}
	}
}

func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	k := newShop(t)
	for _, n := range []int{0, 1001} {
		_, err := k.CreateTasks(t.Context(), orders(0, n), false)
		require.Equal(t, fault.CodeInvalidField, fault.Of(err).Code)
	}
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("s%d", i))
	}
	k.flow(t, "wide", nil, many...)
	all := orders(0, 501)
	for i := range all {
		all[i].Name = "wide"
	}
	_, err := k.CreateTasks(t.Context(), all, true)
	require.Equal(t, fault.CodeExpansionTooLarge, fault.Of(err).Code)
	require.Zero(t, k.stored(t))
}

func TestBatchesKeepToNamespaces(t *testing.T) {
	t.Parallel()
	k := newShop(t)
	ctx := app.WithPrincipal(t.Context(), access.Principal{Kind: access.KindKey, Subject: "bob", All: true, Namespaces: []string{"billing"}})
	items, err := k.CreateTasks(ctx, orders(0, 1), false)
	require.NoError(t, err)
	require.Equal(t, fault.CodePermissionDenied, items[0].Refused.Code)
	_, err = k.CreateTasks(ctx, orders(0, 1), true)
	require.Equal(t, fault.CodePermissionDenied, fault.Of(err).Code)
	require.Zero(t, k.stored(t))
}
