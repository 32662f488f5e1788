package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/upkeep"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

func code(t *testing.T, want fault.Code, err error) {
	t.Helper()
	require.True(t, fault.Is(err, want), "want %s, got %v", want, err)
}

func TestSnapshotsLeaveRedacted(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	id := k.dead(t, "flow", 1)[0]
	stored, err := k.store.LetterOf(t.Context(), id)
	require.NoError(t, err)
	require.Contains(t, string(stored.Snapshot), "secret")

	seen := map[string]ports.Letter{"get": k.entry(t, id)}
	list, err := k.ListDeadLetters(t.Context(), ports.LetterFilter{}, 0, 9)
	require.NoError(t, err)
	seen["list"] = list[0]
	queue, err := k.InvestigationQueue(t.Context(), 9)
	require.NoError(t, err)
	seen["queue"] = queue[0].Letter
	seen["update"], err = k.UpdateDeadLetter(t.Context(), stored.ID, ports.LetterUpdate{Notes: "seen"})
	require.NoError(t, err)
	told := &crier{}
	k.Announcer = told
	require.NoError(t, k.AnnounceDeadLetter(t.Context(), stored.ID))
	seen["announce"] = told.last
	for name, l := range seen {
		require.Equal(t, stored.ID, l.ID, name)
		require.NotContains(t, string(l.Snapshot), "secret", name)
		require.Contains(t, string(l.Snapshot), "it broke", name)
		require.Contains(t, string(l.Snapshot), `"user":"ann"`, name)
	}
	told.err = errors.New("no route")
	require.ErrorIs(t, k.AnnounceDeadLetter(t.Context(), stored.ID), told.err)
	require.NoError(t, k.AnnounceDeadLetter(t.Context(), deadletter.ID(k.IDs.Task(), 1)), "purged meanwhile")
}

type crier struct {
	last ports.Letter
	err  error
}

func (c *crier) Announce(_ context.Context, l ports.Letter) error {
	c.last = l
	return c.err
}

func TestBadAskingIsRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	id := k.dead(t, "flow", 1)[0]
	entry := k.entry(t, id).ID
	at := time.Now()
	for name, c := range map[string]struct {
		field string
		do    func() error
	}{
		"limit": {"limit", func() error {
			_, err := k.ListDeadLetters(t.Context(), ports.LetterFilter{}, 0, 0)
			return err
		}},
		"offset": {"offset", func() error {
			_, err := k.ListDeadLetters(t.Context(), ports.LetterFilter{}, -1, 1)
			return err
		}},
		"times": {"until", func() error {
			_, err := k.DeadLetterGroups(t.Context(), ports.LetterFilter{From: at, Until: at.Add(-time.Second)}, 1)
			return err
		}},
		"notes": {"resolution_notes", func() error {
			_, err := k.UpdateDeadLetter(t.Context(), entry, ports.LetterUpdate{Notes: strings.Repeat("x", 10_001)})
			return err
		}},
		"resolved by": {"resolved_by", func() error {
			_, err := k.UpdateDeadLetter(t.Context(), entry, ports.LetterUpdate{ResolvedBy: strings.Repeat("x", 256)})
			return err
		}},
		"metadata": {"metadata", func() error {
			_, err := k.UpdateDeadLetter(t.Context(), entry, ports.LetterUpdate{Metadata: json.RawMessage(`nope`)})
			return err
		}},
		"action": {"action", func() error {
			_, err := k.ResumeDeadLetter(t.Context(), app.ResumeOne{Entry: entry, Action: "pray"})
			return err
		}},
		"step": {"steps[0].name", func() error {
			_, err := k.ResumeDeadLetter(t.Context(), app.ResumeOne{Entry: entry, Steps: []app.ResumeStep{{Name: "z"}}})
			return err
		}},
		"step twice": {"steps[1].name", func() error {
			_, err := k.ResumeDeadLetter(t.Context(), app.ResumeOne{Entry: entry, Steps: []app.ResumeStep{{Name: "a"}, {Name: "a"}}})
			return err
		}},
		"step action": {"steps[0].action", func() error {
			_, err := k.ResumeDeadLetter(t.Context(), app.ResumeOne{Entry: entry, Steps: []app.ResumeStep{{Name: "a", Action: "give_up"}}})
			return err
		}},
		"value": {"steps[0].value", func() error {
			_, err := k.ResumeDeadLetter(t.Context(), app.ResumeOne{Entry: entry, Steps: []app.ResumeStep{{Name: "a", Value: json.RawMessage(`1`)}}})
			return err
		}},
		"inputs": {"steps[0].inputs", func() error {
			_, err := k.ResumeDeadLetter(t.Context(), app.ResumeOne{Entry: entry, Steps: []app.ResumeStep{{Name: "a", Inputs: json.RawMessage(`[1]`)}}})
			return err
		}},
		"steps of give_up": {"steps", func() error {
			_, err := k.ResumeDeadLetter(t.Context(), app.ResumeOne{Entry: entry, Action: "give_up", Steps: []app.ResumeStep{{Name: "a"}}})
			return err
		}},
		"closed ones": {"filter.resolution_status", func() error {
			_, err := k.ResumeDeadLetters(t.Context(), app.ResumeMany{Filter: ports.LetterFilter{Status: deadletter.Cancelled}})
			return err
		}},
		"canary": {"canary_percent", func() error {
			_, err := k.ResumeDeadLetters(t.Context(), app.ResumeMany{CanaryPercent: 101})
			return err
		}},
		"stop": {"stop_percent", func() error {
			_, err := k.ResumeDeadLetters(t.Context(), app.ResumeMany{StopPercent: -1})
			return err
		}},
		"rate": {"rate", func() error {
			_, err := k.ResumeDeadLetters(t.Context(), app.ResumeMany{Rate: -1})
			return err
		}},
		"many's limit": {"limit", func() error {
			_, err := k.ResumeDeadLetters(t.Context(), app.ResumeMany{Limit: -1})
			return err
		}},
		"resume id": {"resume_uuid", func() error {
			_, err := k.GetResume(t.Context(), "17")
			return err
		}},
	} {
		err := c.do()
		require.Error(t, err, name)
		require.Equal(t, c.field, fault.Of(err).Field, "%s: %v", name, err)
	}
	require.Equal(t, "blocked_by_failures", k.state(t, id), "nothing of it did anything")
	require.Equal(t, deadletter.Pending, k.entry(t, id).Status)
}

func TestFilingByHand(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	id := k.begin(t, k.flow(t, "flow", nil, "a"))
	l, err := k.FileDeadLetter(t.Context(), id, "ann", "looks odd")
	require.NoError(t, err)
	require.Equal(t, deadletter.ManualDLQ, l.Reason)
	require.JSONEq(t, `{"note": "filed by ann: looks odd"}`, string(l.Metadata))
	_, err = k.FileDeadLetter(t.Context(), id, "bob", "me too")
	code(t, fault.CodeDeadLetterOpen, err)
	require.Equal(t, "steps_in_process", k.state(t, id), "the task goes on")
	k.work(t, 1, "a", succeed)
	require.Equal(t, deadletter.ManuallyResolved, k.entry(t, id).Status, "it closed when the task was complete")
	_, err = k.FileDeadLetter(t.Context(), id, "ann", "too late")
	code(t, fault.CodeTaskFinished, err)
	_, err = k.FileDeadLetter(t.Context(), k.IDs.Task(), "ann", "nobody")
	code(t, fault.CodeTaskNotFound, err)
	_, err = k.DeadLetterFailures(t.Context(), deadletter.ID(k.IDs.Task(), 1), 9)
	code(t, fault.CodeDeadLetterNotFound, err)
	failures, err := k.DeadLetterFailures(t.Context(), l.ID, 9)
	require.NoError(t, err)
	require.Empty(t, failures)
}

func TestResumingOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	of := k.flow(t, "flow", nil, "a", "b")
	dead := func() (ports.Letter, func(app.ResumeOne) error) {
		id := k.begin(t, of)
		k.work(t, 1, "a", fail)
		k.work(t, 1, "b", fail)
		l := k.entry(t, id)
		return l, func(r app.ResumeOne) error {
			r.Entry, r.By, r.Why = l.ID, "ann", "fixed"
			_, err := k.ResumeDeadLetter(t.Context(), r)
			return err
		}
	}
	for name, c := range map[string]struct {
		ask    app.ResumeOne
		state  string
		steps  string
		status deadletter.Status
	}{
		"reset":   {app.ResumeOne{}, "steps_in_process", "enqueued enqueued", deadletter.ManuallyResolved},
		"skip":    {app.ResumeOne{Action: "skip"}, "complete", "resolved_manually resolved_manually", deadletter.ManuallyResolved},
		"resolve": {app.ResumeOne{Action: "resolve"}, "complete", "complete complete", deadletter.ManuallyResolved},
		"give up": {app.ResumeOne{Action: "give_up"}, "error", "error error", deadletter.PermanentlyFailed},
		"each its own": {app.ResumeOne{Action: "skip", Steps: []app.ResumeStep{
			{Name: "b", Action: "resolve", Value: json.RawMessage(`{"paid": true}`)},
		}}, "complete", "resolved_manually complete", deadletter.ManuallyResolved},
	} {
		l, resume := dead()
		require.NoError(t, resume(c.ask), name)
		got, err := k.GetTask(t.Context(), l.Task)
		require.NoError(t, err)
		require.Equal(t, c.state, got.State.String(), name)
		require.Equal(t, c.steps, got.Steps[0].StepRecord.State.String()+" "+got.Steps[1].StepRecord.State.String(), name)
		closed := k.entry(t, l.Task)
		require.Equal(t, c.status, closed.Status, name)
		require.Equal(t, "ann", closed.ResolvedBy, name)
		code(t, fault.CodeDeadLetterClosed, resume(c.ask))
		again, err := k.GetTask(t.Context(), l.Task)
		require.NoError(t, err)
		require.Equal(t, got.UpdatedAt, again.UpdatedAt, "the second time changes nothing")
		k.work(t, 9, "a", succeed)
		k.work(t, 9, "b", succeed)
	}

	l, resume := dead()
	require.NoError(t, resume(app.ResumeOne{Steps: []app.ResumeStep{{Name: "a", Inputs: json.RawMessage(`{"retries": 0}`)}}}))
	reply, err := k.store.Claim(t.Context(), claimOf("a"))
	require.NoError(t, err)
	require.Equal(t, l.Task, reply.Steps[0].Ref.Task)
	require.JSONEq(t, `{"retries": 0}`, string(reply.Steps[0].Inputs))
	require.Equal(t, int32(1), reply.Steps[0].Attempt)
}

func TestResumingWhatDidNotFail(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	of := k.flow(t, "flow", nil, "a")
	running := k.begin(t, of)
	filed, err := k.FileDeadLetter(t.Context(), running, "ann", "odd")
	require.NoError(t, err)
	_, err = k.ResumeDeadLetter(t.Context(), app.ResumeOne{Entry: filed.ID, Action: "give_up"})
	code(t, fault.CodeTaskNotBlocked, err)
	_, err = k.ResumeDeadLetter(t.Context(), app.ResumeOne{Entry: filed.ID, By: "bob", Why: "fine"})
	require.NoError(t, err)
	l := k.entry(t, running)
	require.Equal(t, deadletter.ManuallyResolved, l.Status)
	require.Equal(t, "bob", l.ResolvedBy)
	require.Equal(t, "steps_in_process", k.state(t, running))
	_, err = k.ResumeDeadLetter(t.Context(), app.ResumeOne{Entry: filed.ID})
	code(t, fault.CodeDeadLetterClosed, err)

	over := k.flow(t, "timed", func(d *template.Template) { d.Lifecycle.StalenessAction = "error" }, "b")
	stuck := k.begin(t, over)
	k.db.Shift(time.Hour)
	require.NoError(t, k.SweepStaleness(t.Context()))
	require.Equal(t, "error", k.state(t, stuck))
	_, err = k.ResumeDeadLetter(t.Context(), app.ResumeOne{Entry: k.entry(t, stuck).ID})
	require.NoError(t, err)
	require.Equal(t, "steps_in_process", k.state(t, stuck), "a task that has ended in error is revived")
	k.work(t, 1, "b", succeed)
	require.Equal(t, "complete", k.state(t, stuck))
}

func TestSweepingForStaleness(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	soon := func(minutes int) func(*template.Template) {
		return func(d *template.Template) { d.Lifecycle.MaxStepsInProcessMinutes = minutes }
	}
	require.NoError(t, k.Leases.Renew(t.Context(), time.Hour, served("a", "b", "c", "d", "e")))
	usual := k.begin(t, k.flow(t, "usual", nil, "a"))
	patient := k.begin(t, k.flow(t, "patient", soon(600), "b"))
	hasty := k.begin(t, k.flow(t, "hasty", soon(5), "c"))
	quiet := k.begin(t, k.flow(t, "quiet", func(d *template.Template) { no := false; d.Lifecycle.AutoDLQOnTimeout = &no }, "d"))
	busy := k.begin(t, k.flow(t, "busy", nil, "e"))
	reply, err := k.store.Claim(t.Context(), claimOf("e"))
	require.NoError(t, err)
	require.Len(t, reply.Steps, 1)

	k.db.Shift(10 * time.Minute)
	require.NoError(t, k.SweepStaleness(t.Context()))
	require.Equal(t, upkeep.Swept{Stale: 1}, k.swept)
	require.Equal(t, deadletter.StalenessTimeout, k.entry(t, hasty).Reason)
	require.NoError(t, k.SweepStaleness(t.Context()))
	require.Equal(t, upkeep.Swept{}, k.swept, "once")

	k.db.Shift(25 * time.Minute)
	rows, err := k.Staleness(t.Context(), 9)
	require.NoError(t, err)
	var health []string
	for _, r := range rows {
		health = append(health, r.Name.Name+" "+string(r.Health))
	}
	require.ElementsMatch(t, []string{"usual stale", "hasty stale", "quiet stale"}, health[:3])
	require.Equal(t, []string{"busy warning", "patient healthy"}, health[3:])
	require.Equal(t, 600*time.Minute, rows[4].Threshold)
	rows, err = k.Staleness(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, rows, 1)

	require.NoError(t, k.SweepStaleness(t.Context()))
	require.Equal(t, upkeep.Swept{Stale: 1}, k.swept, "the one with a worker does not stand still, another wants no letter")
	require.Equal(t, deadletter.StalenessTimeout, k.entry(t, usual).Reason)
	for _, l := range []string{k.state(t, usual), k.state(t, patient), k.state(t, quiet), k.state(t, busy)} {
		require.Equal(t, "steps_in_process", l, "nothing fails by it")
	}
	_, err = k.GetDeadLetter(t.Context(), quiet)
	code(t, fault.CodeDeadLetterNotFound, err)
}

func TestSweepingForStepsThatNobodyServes(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	id := k.begin(t, k.flow(t, "flow", nil, "a"))
	require.NoError(t, k.SweepStaleness(t.Context()))
	require.Equal(t, upkeep.Swept{}, k.swept)
	k.db.Shift(11 * time.Minute)
	require.NoError(t, k.SweepStaleness(t.Context()))
	require.Equal(t, upkeep.Swept{Unserved: 1}, k.swept)
	require.Equal(t, deadletter.WorkerUnavailable, k.entry(t, id).Reason)
	require.Equal(t, "steps_in_process", k.state(t, id))
	k.work(t, 1, "a", succeed)
	require.Equal(t, deadletter.ManuallyResolved, k.entry(t, id).Status, "somebody serves it after all")
}
