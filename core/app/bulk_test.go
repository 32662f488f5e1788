package app_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// finish carries a bulk operation to its end.
func (k *kit) finish(t *testing.T, id uuid.UUID) ports.BulkOperation {
	t.Helper()
	for range 100 {
		again, _, err := k.ContinueResume(t.Context(), id)
		require.NoError(t, err)
		if !again {
			b, err := k.GetBulkOperation(t.Context(), id.String())
			require.NoError(t, err)
			return b
		}
	}
	require.Fail(t, "it does not end")
	return ports.BulkOperation{}
}

func (k *kit) inState(t *testing.T, s task.State) int {
	t.Helper()
	list, err := k.store.Tasks(t.Context(), ports.TaskFilter{States: []task.State{s}}, ports.TaskPage{Limit: 1, Total: ports.ExactTotal})
	require.NoError(t, err)
	return int(list.Total)
}

func TestManyAreCancelled(t *testing.T) {
	t.Parallel()
	k := newShop(t)
	_, err := k.CreateTasks(t.Context(), orders(0, 600), false)
	require.NoError(t, err)
	r := app.BulkRequest{Filter: ports.TaskFilter{Namespace: "shop"}, By: "ann", Why: "not needed", DryRun: true}
	dry, err := k.CancelTasks(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, 600, dry.Matched)
	require.Equal(t, uuid.Nil, dry.ID)
	require.Zero(t, k.inState(t, task.Cancelled))

	r.DryRun, r.Limit = false, 550
	b, err := k.CancelTasks(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, ports.BulkRunning, b.State)
	require.Equal(t, 550, b.Matched)
	_, err = k.CreateTasks(t.Context(), orders(600, 605), false) // later: not for this one
	require.NoError(t, err)
	b = k.finish(t, b.ID)
	require.Equal(t, []any{ports.BulkComplete, 550, 0}, []any{b.State, b.Done, b.Refused})
	require.Equal(t, 550, k.inState(t, task.Cancelled))

	r.Limit = 0
	r.Filter.States = []task.State{task.Complete}
	_, err = k.CancelTasks(t.Context(), r)
	require.Equal(t, "filter.status", fault.Of(err).Field)
}

func TestManyAreRetried(t *testing.T) {
	t.Parallel()
	k := newShop(t)
	_, err := k.CreateTasks(t.Context(), orders(0, 30), false)
	require.NoError(t, err)
	k.work(t, 10, "a", func(r *step.Result) { r.Value, r.Failure = nil, &step.Failure{Message: "no luck", Type: "Test"} })
	k.work(t, 30, "a", func(*step.Result) {})
	k.work(t, 30, "b", func(*step.Result) {})
	require.Equal(t, 10, k.inState(t, task.BlockedByFailures))
	b, err := k.RetryTasks(t.Context(), app.BulkRequest{})
	require.NoError(t, err)
	require.Equal(t, 10, b.Matched)
	b = k.finish(t, b.ID)
	require.Equal(t, 10, b.Done)
	require.Equal(t, 10, k.work(t, 30, "a", func(*step.Result) {}))
	require.Equal(t, 30, k.inState(t, task.Complete))
}

func TestABulkOperationCanBeCancelled(t *testing.T) {
	t.Parallel()
	k := newShop(t)
	_, err := k.CreateTasks(t.Context(), orders(0, 3), false)
	require.NoError(t, err)
	b, err := k.CancelTasks(t.Context(), app.BulkRequest{})
	require.NoError(t, err)
	b, err = k.CancelBulkOperation(t.Context(), b.ID.String(), "ann", "a mistake")
	require.NoError(t, err)
	require.Equal(t, "cancelled by ann: a mistake", b.Message)
	require.Equal(t, ports.BulkCancelled, k.finish(t, b.ID).State)
	require.Zero(t, k.inState(t, task.Cancelled))
	_, err = k.CancelBulkOperation(t.Context(), b.ID.String(), "", "")
	require.Equal(t, fault.CodeIllegalTransition, fault.Of(err).Code)
	for id, code := range map[string]fault.Code{"x": fault.CodeInvalidUUID, uuid.NewString(): fault.CodeOperationNotFound} {
		_, err = k.GetBulkOperation(t.Context(), id)
		require.Equal(t, code, fault.Of(err).Code)
	}
	for _, r := range []app.BulkRequest{{Rate: -1}, {Limit: -1}, {Filter: ports.TaskFilter{States: []task.State{task.Initializing}}}} {
		_, err = k.RetryTasks(t.Context(), r)
		require.Equal(t, fault.CodeInvalidField, fault.Of(err).Code)
	}
}

func TestBulkOperationsKeepToNamespaces(t *testing.T) {
	t.Parallel()
	k := newShop(t)
	_, err := k.CreateTasks(t.Context(), orders(0, 3), false)
	require.NoError(t, err)
	scoped := app.WithPrincipal(t.Context(), access.Principal{Kind: access.KindKey, Subject: "bob", All: true, Namespaces: []string{"billing"}})
	mine, err := k.CancelTasks(scoped, app.BulkRequest{})
	require.NoError(t, err)
	require.Zero(t, mine.Matched)
	require.Zero(t, k.finish(t, mine.ID).Done, "it keeps to them when somebody else carries it on")
	all, err := k.CancelTasks(t.Context(), app.BulkRequest{})
	require.NoError(t, err)
	_, err = k.GetBulkOperation(scoped, all.ID.String())
	require.Equal(t, fault.CodeOperationNotFound, fault.Of(err).Code)
	_, err = k.CancelBulkOperation(scoped, all.ID.String(), "", "")
	require.Equal(t, fault.CodeOperationNotFound, fault.Of(err).Code)
	list, err := k.ListBulkOperations(scoped, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	list, err = k.ListBulkOperations(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, list, 2)
}
