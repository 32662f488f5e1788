package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

func (l *life) standing(t *testing.T, f ports.StandingFilter) []ports.StandingTask {
	t.Helper()
	if f.Limit == 0 {
		f.Limit = 9
	}
	f.Longest = true
	got, err := l.store.Standing(t.Context(), f)
	require.NoError(t, err)
	return got
}

func standingTasks(t *testing.T, l *life) {
	old := l.start(t, "a")
	l.Shift(time.Hour)
	young := submission(t, l.register(t, workflow(t, namespace, "young", "b")))
	l.submit(t, ports.ClaimRequest{}, young)
	l.cancel(t, l.start(t, "a"))
	watched := ports.StandingFilter{States: deadletter.WatchedStates()}
	ids := func(f ports.StandingFilter) []ident.TaskID {
		var out []ident.TaskID
		for _, s := range l.standing(t, f) {
			out = append(out, s.ID)
		}
		return out
	}
	got := l.standing(t, watched)
	require.Len(t, got, 2)
	require.Equal(t, old, got[0].ID, "longest first")
	require.Equal(t, task.StepsInProcess, got[0].State)
	require.Equal(t, task.Name{Namespace: namespace, Name: "flow", Version: "1.0.0"}, got[0].Name)
	require.InDelta(t, 60, got[0].Now.Sub(got[0].EnteredAt).Minutes(), 1)
	require.Zero(t, got[0].Running)
	f := watched
	f.Age = time.Minute
	require.Equal(t, []ident.TaskID{old}, ids(f))
	f = watched
	f.Templates = []ident.TemplateID{young.Template}
	require.Equal(t, []ident.TaskID{young.ID}, ids(f))
	f = watched
	f.Except = []ident.TemplateID{young.Template}
	require.Equal(t, []ident.TaskID{old}, ids(f))
	f = watched
	f.Within = []string{namespace, "elsewhere"}
	require.Equal(t, []ident.TaskID{old, young.ID}, ids(f))
	f.Within = []string{"elsewhere"}
	require.Empty(t, ids(f))
	f = watched
	f.Limit = 1
	require.Equal(t, []ident.TaskID{old}, ids(f))
	require.Empty(t, ids(ports.StandingFilter{States: []task.State{task.WaitingForRetry}}))

	idle := watched
	idle.Idle, idle.Age = true, time.Minute
	require.Equal(t, []ident.TaskID{old}, ids(idle))
	require.False(t, l.tell(t, plan.Wake{Ref: ident.StepRef{Task: old}, Cause: plan.Filed}).Refused())
	require.Empty(t, ids(idle), "its letter is open")
	require.True(t, l.standing(t, watched)[0].Letter)
	_, err := l.store.Update(t.Context(), l.letter(t, old).ID, ports.LetterUpdate{Status: deadletter.ManuallyResolved})
	require.NoError(t, err)
	require.Empty(t, ids(idle), "somebody has just looked")
	l.Shift(10 * time.Minute)
	require.Equal(t, []ident.TaskID{old, young.ID}, ids(idle))
	l.one(t, "a")
	require.Equal(t, []ident.TaskID{young.ID}, ids(idle), "a worker runs a step")
	require.Equal(t, int32(1), l.standing(t, watched)[0].Running)
}

func unservedLooked(t *testing.T, l *life) {
	id := l.start(t, "a")
	l.Shift(20 * time.Minute)
	unserved := func() []plan.Wake {
		wakes, err := l.Store.UnservedSteps(t.Context(), 10*time.Minute, 9)
		require.NoError(t, err)
		return wakes
	}
	found := unserved()
	require.Len(t, found, 1)
	require.Equal(t, ident.StepRef{Task: id, No: 1}, found[0].Ref)
	require.False(t, l.tell(t, found[0]).Refused())
	require.Equal(t, deadletter.WorkerUnavailable, l.letter(t, id).Reason)
	require.Empty(t, unserved(), "its letter is open")
	_, err := l.store.Update(t.Context(), l.letter(t, id).ID, ports.LetterUpdate{Status: deadletter.ManuallyResolved})
	require.NoError(t, err)
	require.Empty(t, unserved(), "somebody has just looked")
	l.Shift(10 * time.Minute)
	require.Len(t, unserved(), 1)
}
