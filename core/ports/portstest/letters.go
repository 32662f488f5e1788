package portstest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// LifeStore is a Store that keeps what operators see and do, too.
type LifeStore interface {
	Store
	ports.Letters
	ports.Resumes
	ports.BulkOperations
	ports.Pauses
	ports.Purger
}

// RunLife checks the stores that open returns, which are LifeStores: dead
// letters, bulk resumes, pauses and purging.
func RunLife(t *testing.T, open func(*testing.T) Harness) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, *life){
		"the first failure for good opens a letter":      letterOpens,
		"a resumed letter is closed, once":               letterCloses,
		"letters are listed newest first, by filter":     letterLists,
		"failures are grouped by fingerprint":            letterGroups,
		"statistics by reason":                           letterStats,
		"investigations by priority":                     letterQueue,
		"an investigation closes and opens a letter":     letterUpdate,
		"tasks that stand still":                         standingTasks,
		"a step that nobody serves is told once":         unservedLooked,
		"a bulk resume keeps how far it has come":        resumeKept,
		"a bulk operation keeps how far it has come":     bulkKept,
		"a bulk resume finds open letters, in order":     resumeNext,
		"what became of what was resumed":                resumeOutcome,
		"of a paused namespace nothing is claimed":       pauseNamespace,
		"of a paused task or template nothing is":        pauseOthers,
		"what two pauses hold waits for both":            pauseTwice,
		"a pause stays as it was made":                   pauseKept,
		"only tasks that can move are paused":            pauseRefused,
		"pauses of tasks that have ended are forgotten":  pauseEnds,
		"a purged task leaves nothing":                   purge,
		"a task that has not ended is not purged":        purgeRefused,
		"letters that are not there are faults":          letterMissing,
		"a rolled back unit leaves no letter":            letterRolledBack,
		"a letter about standing still closes by itself": letterMoves,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			w := &world{Harness: h, defs: map[ident.TemplateID]*template.Template{}, rules: plan.Rules{MaxLosses: 5}}
			check(t, &life{world: w, store: h.Store.(LifeStore)})
		})
	}
}

// life is a world with the rest of a task's life.
type life struct {
	*world
	store LifeStore
}

// ruin starts a task of a template of steps that all fail for good, with a
// message, and returns it.
func (l *life) ruin(t *testing.T, name, message string, steps ...string) ident.TaskID {
	t.Helper()
	s := submission(t, l.register(t, workflow(t, namespace, name, steps...)))
	l.submit(t, ports.ClaimRequest{}, s)
	for _, handler := range steps {
		l.failed(t, l.one(t, handler), message)
	}
	return s.ID
}

func (l *life) failed(t *testing.T, c ports.ClaimedStep, message string) {
	t.Helper()
	r := failure(c, false)
	r.Failure.Message = message
	l.report(t, ports.ClaimRequest{}, r)
}

// order carries out an order about a whole task and returns what was said to it.
func (l *life) order(t *testing.T, id ident.TaskID, o plan.Order) plan.Refusal {
	t.Helper()
	return l.tell(t, plan.Wake{Ref: ident.StepRef{Task: id}, Cause: plan.Ordered, By: "ann", Why: "fixed", Order: &o})
}

func (l *life) tell(t *testing.T, w plan.Wake) plan.Refusal {
	t.Helper()
	var refusals []plan.Refusal
	_, err := l.Store.Run(t.Context(), ports.Scope{Tasks: []ident.TaskID{w.Ref.Task}}, func(snap *plan.Snapshot) (ports.Writes, error) {
		d, r, err := plan.AfterWakes(snap, l.definition, l.rules, []plan.Wake{w})
		refusals = r
		return ports.Writes{Decision: d}, err
	})
	require.NoError(t, err)
	return refusals[0]
}

func (l *life) letter(t *testing.T, id ident.TaskID) ports.Letter {
	t.Helper()
	got, err := l.store.LetterOf(t.Context(), id)
	require.NoError(t, err)
	return got
}

func letterOpens(t *testing.T, l *life) {
	id := l.start(t, "a", "b", "c<a")
	l.failed(t, l.one(t, "a"), "card 4111 refused")
	got := l.letter(t, id)
	require.Equal(t, deadletter.ID(id, 1), got.ID)
	require.Equal(t, id, got.Task)
	require.Equal(t, int32(1), got.Ordinal)
	require.Equal(t, task.Name{Namespace: namespace, Name: "flow", Version: "1.0.0"}, got.Name)
	require.Equal(t, task.StepsInProcess, got.OriginalState)
	require.Equal(t, deadletter.PermanentFailure, got.Reason)
	require.Equal(t, deadletter.Pending, got.Status)
	require.True(t, got.ResolvedAt.IsZero())
	require.False(t, got.At.IsZero())
	require.Empty(t, got.ResolvedBy)
	require.Equal(t, deadletter.Fingerprint(namespace, "flow", "a", step.TypeHandlerError, "card 1 refused"), got.Fingerprint)
	var picture struct {
		Task  string `json:"task_uuid"`
		Steps []struct {
			Name, State string
			Attempts    int
			Error       struct{ Message string }
		}
	}
	require.NoError(t, json.Unmarshal(got.Snapshot, &picture))
	require.Equal(t, id.String(), picture.Task)
	require.Len(t, picture.Steps, 3)
	require.Equal(t, "a", picture.Steps[0].Name)
	require.Equal(t, "error", picture.Steps[0].State)
	require.Equal(t, 1, picture.Steps[0].Attempts)
	require.Equal(t, "card 4111 refused", picture.Steps[0].Error.Message)

	l.failed(t, l.one(t, "b"), "no stock")
	again := l.letter(t, id)
	require.Equal(t, got.ID, again.ID, "a second failure is added to the open letter")
	failures, err := l.store.Failures(t.Context(), got.ID, 9)
	require.NoError(t, err)
	require.Len(t, failures, 2)
	require.Equal(t, "a", failures[0].Name)
	require.Equal(t, ident.StepRef{Task: id, No: 1}, failures[0].Ref)
	require.Equal(t, int32(1), failures[0].Dispatch)
	require.Equal(t, int32(1), failures[0].Attempt)
	require.Equal(t, "no stock", failures[1].Message)
	failures, err = l.store.Failures(t.Context(), got.ID, 1)
	require.NoError(t, err)
	require.Len(t, failures, 1)
	same, err := l.store.Letter(t.Context(), got.ID)
	require.NoError(t, err)
	require.Equal(t, again, same)
}

func letterCloses(t *testing.T, l *life) {
	id := l.ruin(t, "flow", "it broke", "a")
	reset := plan.Order{Failed: plan.ResetForRetry, Letter: 1}
	require.False(t, l.order(t, id, reset).Refused())
	got := l.letter(t, id)
	require.Equal(t, deadletter.ManuallyResolved, got.Status)
	require.Equal(t, "ann", got.ResolvedBy)
	require.Equal(t, "fixed", got.Notes)
	require.False(t, got.ResolvedAt.IsZero())
	require.Equal(t, plan.NotOpen, l.order(t, id, reset).Code)
	require.Equal(t, "enqueued", l.states(t, id))

	l.failed(t, l.one(t, "a"), "it broke again")
	got = l.letter(t, id)
	require.Equal(t, int32(2), got.Ordinal)
	require.Equal(t, deadletter.Pending, got.Status)
	l.cancel(t, id)
	require.Equal(t, deadletter.Cancelled, l.letter(t, id).Status)
}

func letterRolledBack(t *testing.T, l *life) {
	id := l.start(t, "a")
	r := failure(l.one(t, "a"), false)
	_, err := l.Store.Run(t.Context(), ports.Scope{Steps: []ident.StepRef{r.Ref}}, func(snap *plan.Snapshot) (ports.Writes, error) {
		d, _, err := plan.AfterResults(snap, l.definition, l.rules, []step.Result{r})
		require.NoError(t, err)
		d.Steps[0].From = step.Enqueued // which it is not
		return ports.Writes{Decision: d}, nil
	})
	require.Error(t, err)
	_, err = l.store.LetterOf(t.Context(), id)
	require.True(t, fault.Is(err, fault.CodeDeadLetterNotFound), err)
}

func letterMissing(t *testing.T, l *life) {
	nobody := deadletter.ID(newTask(t), 1)
	_, err := l.store.Letter(t.Context(), nobody)
	require.True(t, fault.Is(err, fault.CodeDeadLetterNotFound), err)
	_, err = l.store.LetterOf(t.Context(), newTask(t))
	require.True(t, fault.Is(err, fault.CodeDeadLetterNotFound), err)
	_, err = l.store.Update(t.Context(), nobody, ports.LetterUpdate{Notes: "x"})
	require.True(t, fault.Is(err, fault.CodeDeadLetterNotFound), err)
	_, err = l.store.Resume(t.Context(), uuid.New())
	require.True(t, fault.Is(err, fault.CodeResumeNotFound), err)
	failures, err := l.store.Failures(t.Context(), nobody, 9)
	require.NoError(t, err)
	require.Empty(t, failures)
}

// list returns the tasks of the letters of a page.
func (l *life) list(t *testing.T, f ports.LetterFilter, skip, limit int) []ident.TaskID {
	t.Helper()
	page, err := l.store.Letters(t.Context(), f, skip, limit)
	require.NoError(t, err)
	var ids []ident.TaskID
	for _, x := range page {
		ids = append(ids, x.Task)
	}
	return ids
}

func letterLists(t *testing.T, l *life) {
	var ids []ident.TaskID
	for i := range 4 {
		ids = append(ids, l.ruin(t, fmt.Sprintf("flow%d", i%2), fmt.Sprintf("kind%c", 'a'+i), "a"))
		l.Shift(time.Minute)
	}
	slices.Reverse(ids)
	require.Equal(t, ids, l.list(t, ports.LetterFilter{}, 0, 9))
	require.Equal(t, ids[1:3], l.list(t, ports.LetterFilter{}, 1, 2))
	require.Equal(t, []ident.TaskID{ids[0], ids[2]}, l.list(t, ports.LetterFilter{Name: "flow1"}, 0, 9))
	require.Equal(t, ids, l.list(t, ports.LetterFilter{Namespace: namespace, Version: "1.0.0", Status: deadletter.Pending}, 0, 9))
	require.Empty(t, l.list(t, ports.LetterFilter{Namespace: "elsewhere"}, 0, 9))
	require.Equal(t, ids, l.list(t, ports.LetterFilter{Within: []string{"elsewhere", namespace}}, 0, 9))
	require.Equal(t, ids, l.list(t, ports.LetterFilter{Namespace: namespace, Within: []string{namespace}}, 0, 9))
	require.Empty(t, l.list(t, ports.LetterFilter{Within: []string{"elsewhere"}}, 0, 9))
	require.Empty(t, l.list(t, ports.LetterFilter{Namespace: namespace, Within: []string{"elsewhere"}}, 0, 9))
	require.Empty(t, l.list(t, ports.LetterFilter{Reasons: []deadletter.Reason{deadletter.ManualDLQ}}, 0, 9))
	require.Equal(t, ids, l.list(t, ports.LetterFilter{Reasons: []deadletter.Reason{deadletter.ManualDLQ, deadletter.PermanentFailure}}, 0, 9))
	second := l.letter(t, ids[2])
	require.Equal(t, ids[2:3], l.list(t, ports.LetterFilter{Fingerprint: second.Fingerprint}, 0, 9))
	require.Equal(t, ids[:3], l.list(t, ports.LetterFilter{From: second.At}, 0, 9))
	require.Equal(t, ids[3:], l.list(t, ports.LetterFilter{Until: second.At}, 0, 9))

	l.cancel(t, ids[1])
	require.Equal(t, ids[1:2], l.list(t, ports.LetterFilter{Status: deadletter.Cancelled}, 0, 9))
	require.Equal(t, []ident.TaskID{ids[0], ids[2], ids[3]}, l.list(t, ports.LetterFilter{Status: deadletter.Pending}, 0, 9))
	require.Equal(t, ids, l.list(t, ports.LetterFilter{}, 0, 9), "whatever became of them")
}

func letterGroups(t *testing.T, l *life) {
	l.ruin(t, "flow", "order 17 is lost", "a", "b")
	l.Shift(time.Minute)
	last := l.ruin(t, "flow", "order 18 is lost", "a", "b")
	l.ruin(t, "other", "order 19 is lost", "a")
	l.cancel(t, last)
	groups, err := l.store.Groups(t.Context(), ports.LetterFilter{}, 9)
	require.NoError(t, err)
	require.Len(t, groups, 3, "by step and template; numbers do not count")
	for _, g := range groups[:2] {
		require.Equal(t, int64(2), g.Letters)
		require.Equal(t, int64(2), g.Failures)
		require.Equal(t, "order 18 is lost", g.Message, "of the newest")
		require.Equal(t, "flow", g.Name.Name)
		require.Equal(t, step.TypeHandlerError, g.Type)
		require.GreaterOrEqual(t, g.Last.Sub(g.First), time.Minute)
	}
	require.ElementsMatch(t, []string{"a", "b"}, []string{groups[0].Step, groups[1].Step})
	require.Equal(t, int64(1), groups[2].Letters)

	groups, err = l.store.Groups(t.Context(), ports.LetterFilter{Status: deadletter.Pending, Name: "flow"}, 1)
	require.NoError(t, err)
	require.Len(t, groups, 1)
	require.Equal(t, int64(1), groups[0].Letters)
	require.Equal(t, "order 17 is lost", groups[0].Message)
	only, err := l.store.Groups(t.Context(), ports.LetterFilter{Fingerprint: groups[0].Fingerprint}, 9)
	require.NoError(t, err)
	require.Len(t, only, 1)
	require.Equal(t, groups[0].Step, only[0].Step)
}

func letterStats(t *testing.T, l *life) {
	none, err := l.store.Stats(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, none)
	first := l.ruin(t, "flow", "no", "a")
	l.Shift(10 * time.Minute)
	l.cancel(t, first)
	second := l.ruin(t, "flow", "no", "a")
	l.Shift(20 * time.Minute)
	filed := l.start(t, "a")
	require.False(t, l.tell(t, plan.Wake{Ref: ident.StepRef{Task: filed}, Cause: plan.Filed, Why: "look"}).Refused())
	stats, err := l.store.Stats(t.Context(), []string{"elsewhere"})
	require.NoError(t, err)
	require.Empty(t, stats)
	within, err := l.store.Stats(t.Context(), []string{namespace})
	require.NoError(t, err)
	require.NotEmpty(t, within)
	stats, err = l.store.Stats(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, stats, 2)
	require.Equal(t, deadletter.ManualDLQ, stats[0].Reason)
	require.Equal(t, int64(1), stats[0].Pending)
	got := stats[1]
	require.Equal(t, deadletter.PermanentFailure, got.Reason)
	require.Equal(t, []int64{2, 1, 0, 0, 1}, []int64{got.Total, got.Pending, got.Resolved, got.Failed, got.Cancelled})
	require.Equal(t, l.letter(t, first).At, got.Oldest)
	require.Equal(t, l.letter(t, second).At, got.Newest)
	require.InDelta(t, 15, got.AverageMinutes, 1, "10 minutes until it was closed, 20 so far")
}

func letterQueue(t *testing.T, l *life) {
	filed := l.start(t, "b")
	require.False(t, l.tell(t, plan.Wake{Ref: ident.StepRef{Task: filed}, Cause: plan.Filed}).Refused())
	l.Shift(time.Hour)
	older := l.ruin(t, "broken", "no", "a")
	l.Shift(5 * time.Minute)
	newer := l.ruin(t, "broken", "no", "a")
	l.cancel(t, l.ruin(t, "broken", "no", "a"))
	queue, err := l.store.Investigations(t.Context(), []string{"elsewhere"}, 9)
	require.NoError(t, err)
	require.Empty(t, queue)
	queue, err = l.store.Investigations(t.Context(), []string{namespace}, 9)
	require.NoError(t, err)
	require.Len(t, queue, 3)
	require.Equal(t, []ident.TaskID{older, newer, filed}, []ident.TaskID{queue[0].Task, queue[1].Task, queue[2].Task})
	require.InDelta(t, 5, queue[0].MinutesInDLQ, 1)
	require.InDelta(t, 505, queue[0].PriorityScore, 1)
	require.InDelta(t, 75, queue[2].PriorityScore, 1, "10 for the reason, and 65 minutes")
	require.Equal(t, task.BlockedByFailures, queue[0].CurrentState)
	require.InDelta(t, 5, queue[0].StateMinutes, 1)
	require.Equal(t, deadletter.ManualDLQ, queue[2].Reason)
	queue, err = l.store.Investigations(t.Context(), nil, 1)
	require.NoError(t, err)
	require.Len(t, queue, 1)
}

func letterUpdate(t *testing.T, l *life) {
	id := l.ruin(t, "flow", "no", "a")
	first := l.letter(t, id)
	l.Shift(time.Minute)
	got, err := l.store.Update(t.Context(), first.ID, ports.LetterUpdate{})
	require.NoError(t, err)
	require.True(t, got.UpdatedAt.After(first.UpdatedAt))
	got.UpdatedAt = first.UpdatedAt
	require.Equal(t, first, got, "nothing else changes")

	got, err = l.store.Update(t.Context(), first.ID, ports.LetterUpdate{
		Status: deadletter.ManuallyResolved, Notes: "paid by hand", ResolvedBy: "bob", Metadata: json.RawMessage(`{"ticket": 7}`),
	})
	require.NoError(t, err)
	require.Equal(t, deadletter.ManuallyResolved, got.Status)
	require.Equal(t, "paid by hand", got.Notes)
	require.Equal(t, "bob", got.ResolvedBy)
	require.JSONEq(t, `{"ticket": 7}`, string(got.Metadata))
	require.False(t, got.ResolvedAt.IsZero())
	require.Equal(t, plan.NotOpen, l.order(t, id, plan.Order{Failed: plan.ResetForRetry, Letter: 1}).Code, "the task knows that it is closed")
	_, err = l.store.Update(t.Context(), first.ID, ports.LetterUpdate{If: deadletter.Pending, Status: deadletter.Cancelled})
	require.True(t, fault.Is(err, fault.CodeDeadLetterClosed), err)

	got, err = l.store.Update(t.Context(), first.ID, ports.LetterUpdate{Status: deadletter.Pending})
	require.NoError(t, err)
	require.True(t, got.ResolvedAt.IsZero())
	require.Equal(t, "bob", got.ResolvedBy)
	require.False(t, l.order(t, id, plan.Order{Failed: plan.ResetForRetry, Letter: 1}).Refused(), "and that it is open again")

	l.failed(t, l.one(t, "a"), "no")
	_, err = l.store.Update(t.Context(), first.ID, ports.LetterUpdate{Status: deadletter.Pending})
	require.True(t, fault.Is(err, fault.CodeDeadLetterOld), err)
	_, err = l.store.Update(t.Context(), l.letter(t, id).ID, ports.LetterUpdate{Status: deadletter.PermanentlyFailed})
	require.NoError(t, err)
	_, err = l.store.Update(t.Context(), first.ID, ports.LetterUpdate{Status: deadletter.Pending})
	require.True(t, fault.Is(err, fault.CodeDeadLetterOld), "not while a newer one is closed either: %v", err)
	state, steps := l.read(t, id)
	require.Equal(t, task.BlockedByFailures, state.State)
	require.Equal(t, step.Error, steps[0].State)
}

func letterMoves(t *testing.T, l *life) {
	id := l.start(t, "a", "b<a")
	entered := l.standing(t, ports.StandingFilter{States: deadletter.WatchedStates()})[0].EnteredAt
	stale := plan.Wake{Ref: ident.StepRef{Task: id}, Cause: plan.Stale, Since: entered, Why: "too long"}
	require.False(t, l.tell(t, stale).Refused())
	got := l.letter(t, id)
	require.Equal(t, deadletter.StalenessTimeout, got.Reason)
	require.JSONEq(t, `{"note": "too long"}`, string(got.Metadata))
	l.finish(t, l.one(t, "a"), `1`)
	require.Equal(t, deadletter.ManuallyResolved, l.letter(t, id).Status)
}
