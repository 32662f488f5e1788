package portstest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

func flow(name string) task.Name {
	return task.Name{Namespace: namespace, Name: name, Version: "1.0.0"}
}

func (l *life) pause(t *testing.T, p ports.Pause) ports.Pause {
	t.Helper()
	p.By, p.Why = "ann", "wait"
	got, err := l.store.Pause(t.Context(), p)
	require.NoError(t, err)
	return got
}

func (l *life) unpause(t *testing.T, p ports.Pause) {
	t.Helper()
	was, err := l.store.Unpause(t.Context(), p)
	require.NoError(t, err)
	require.True(t, was)
	was, err = l.store.Unpause(t.Context(), p)
	require.NoError(t, err)
	require.False(t, was, "once is enough")
}

// claimed returns the tasks that a claim of a handler takes.
func (l *life) claimed(t *testing.T, handler string) []ident.TaskID {
	t.Helper()
	var ids []ident.TaskID
	for _, s := range l.claim(t, 9, handler).Steps {
		ids = append(ids, s.Ref.Task)
	}
	return ids
}

func pauseNamespace(t *testing.T, l *life) {
	first := l.start(t, "a")
	p := ports.Pause{Kind: ports.PauseNamespace, Name: task.Name{Namespace: namespace}}
	l.pause(t, p)
	second := l.start(t, "a")
	require.Empty(t, l.claimed(t, "a"))
	other := submission(t, l.register(t, workflow(t, "elsewhere", "flow", "a")))
	l.submit(t, ports.ClaimRequest{}, other)
	reply, err := l.Store.Claim(t.Context(), ports.ClaimRequest{
		Queues: []plan.Queue{{Namespace: "elsewhere", Handler: "a"}}, Limits: []int{9},
	})
	require.NoError(t, err)
	require.Len(t, reply.Steps, 1, "other namespaces go on")
	l.unpause(t, p)
	require.Equal(t, []ident.TaskID{first, second}, l.claimed(t, "a"))
}

func pauseOthers(t *testing.T, l *life) {
	begin := func(template string) ident.TaskID {
		s := submission(t, l.register(t, workflow(t, namespace, template, "a", "b<a")))
		l.submit(t, ports.ClaimRequest{}, s)
		return s.ID
	}
	free, one, all := begin("free"), begin("one"), begin("all")
	also := begin("all")
	single, version := ports.Pause{Kind: ports.PauseTask, Task: one}, ports.Pause{Kind: ports.PauseTemplate, Name: flow("all")}
	l.pause(t, single)
	l.pause(t, version)
	require.Equal(t, []ident.TaskID{free}, l.claimed(t, "a"))
	require.Empty(t, l.claimed(t, "a"), "nor a second time")
	require.Equal(t, "enqueued pending", l.states(t, one))
	l.unpause(t, version)
	require.Equal(t, []ident.TaskID{all, also}, l.claimed(t, "a"))
	l.unpause(t, single)
	claim := l.claim(t, 9, "a")
	require.Len(t, claim.Steps, 1)
	require.Equal(t, one, claim.Steps[0].Ref.Task)

	l.pause(t, single)
	l.finish(t, claim.Steps[0], `1`) // what runs is let finish
	require.Empty(t, l.claimed(t, "b"), "and what follows it waits")
	l.cancel(t, one)
	l.unpause(t, single)
	require.Empty(t, l.claimed(t, "b"), "it was cancelled while it was paused")
}

func pauseTwice(t *testing.T, l *life) {
	id := l.start(t, "a")
	single, version := ports.Pause{Kind: ports.PauseTask, Task: id}, ports.Pause{Kind: ports.PauseTemplate, Name: flow("flow")}
	l.pause(t, single)
	l.pause(t, version)
	require.Empty(t, l.claimed(t, "a"))
	paused, err := l.store.Paused(t.Context(), id, flow("flow"))
	require.NoError(t, err)
	require.Len(t, paused, 2)
	l.unpause(t, version)
	require.Empty(t, l.claimed(t, "a"))
	l.unpause(t, single)
	require.Equal(t, []ident.TaskID{id}, l.claimed(t, "a"))
}

func pauseKept(t *testing.T, l *life) {
	id := l.start(t, "a")
	p := ports.Pause{Kind: ports.PauseTask, Task: id}
	first := l.pause(t, p)
	require.Equal(t, "ann", first.By)
	require.Equal(t, "wait", first.Why)
	require.Equal(t, id, first.Task)
	require.False(t, first.Since.IsZero())
	again, err := l.store.Pause(t.Context(), ports.Pause{Kind: ports.PauseTask, Task: id, Name: flow("flow"), By: "bob", Why: "me too"})
	require.NoError(t, err)
	require.Equal(t, first, again)
	space := l.pause(t, ports.Pause{Kind: ports.PauseNamespace, Name: flow("flow")})
	require.Equal(t, task.Name{Namespace: namespace}, space.Name, "of a namespace the rest of the name means nothing")
	other := l.pause(t, ports.Pause{Kind: ports.PauseTemplate, Name: flow("other")})
	paused, err := l.store.Paused(t.Context(), id, flow("flow"))
	require.NoError(t, err)
	require.ElementsMatch(t, []ports.Pause{first, space}, paused)
	list, err := l.store.ListPauses(t.Context(), 9)
	require.NoError(t, err)
	require.ElementsMatch(t, []ports.Pause{first, space, other}, list)
	list, err = l.store.ListPauses(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func pauseRefused(t *testing.T, l *life) {
	_, err := l.store.Pause(t.Context(), ports.Pause{Kind: ports.PauseTask, Task: newTask(t)})
	require.True(t, fault.Is(err, fault.CodeTaskNotFound), err)
	id := l.start(t, "a")
	l.cancel(t, id)
	_, err = l.store.Pause(t.Context(), ports.Pause{Kind: ports.PauseTask, Task: id})
	require.True(t, fault.Is(err, fault.CodeTaskFinished), err)
	list, err := l.store.ListPauses(t.Context(), 9)
	require.NoError(t, err)
	require.Empty(t, list)
}

func pauseEnds(t *testing.T, l *life) {
	ended, moves := l.start(t, "a"), l.start(t, "a")
	l.pause(t, ports.Pause{Kind: ports.PauseTask, Task: ended})
	stays := []ports.Pause{
		l.pause(t, ports.Pause{Kind: ports.PauseTask, Task: moves}),
		l.pause(t, ports.Pause{Kind: ports.PauseNamespace, Name: task.Name{Namespace: namespace}}),
	}
	n, err := l.store.EndPauses(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	l.cancel(t, ended)
	n, err = l.store.EndPauses(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	list, err := l.store.ListPauses(t.Context(), 9)
	require.NoError(t, err)
	require.ElementsMatch(t, stays, list)
}

func purge(t *testing.T, l *life) {
	s := submission(t, l.register(t, workflow(t, namespace, "flow", "a", "b")))
	s.Identity = plan.Identity{7}
	l.submit(t, ports.ClaimRequest{}, s)
	stays := l.ruin(t, "other", "no", "c")
	l.failed(t, l.one(t, "a"), "no")
	l.pause(t, ports.Pause{Kind: ports.PauseTask, Task: s.ID})
	letter := l.letter(t, s.ID)
	l.cancel(t, s.ID)
	require.NoError(t, l.store.Purge(t.Context(), s.ID))

	_, _, err := l.Store.Task(t.Context(), s.ID)
	require.True(t, fault.Is(err, fault.CodeTaskNotFound), err)
	_, err = l.store.Letter(t.Context(), letter.ID)
	require.True(t, fault.Is(err, fault.CodeDeadLetterNotFound), err)
	failures, err := l.store.Failures(t.Context(), letter.ID, 9)
	require.NoError(t, err)
	require.Empty(t, failures)
	pauses, err := l.store.ListPauses(t.Context(), 9)
	require.NoError(t, err)
	require.Empty(t, pauses)
	require.Empty(t, l.claimed(t, "b"))
	require.True(t, fault.Is(l.store.Purge(t.Context(), s.ID), fault.CodeTaskNotFound))

	again := s
	again.ID = newTask(t)
	became, _ := l.submit(t, ports.ClaimRequest{}, again)
	require.True(t, became[0].Created, "its identity is free again")
	require.Equal(t, "error", l.states(t, stays))
	require.Equal(t, stays, l.letter(t, stays).Task)
}

func purgeRefused(t *testing.T, l *life) {
	id := l.ruin(t, "flow", "no", "a")
	require.True(t, fault.Is(l.store.Purge(t.Context(), id), fault.CodeTaskNotFinished))
	require.Equal(t, "error", l.states(t, id))
	require.Equal(t, id, l.letter(t, id).Task)
}
