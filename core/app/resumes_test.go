package app_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/memory"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

func claimOf(handler string) ports.ClaimRequest {
	return ports.ClaimRequest{Queues: []plan.Queue{{Namespace: "shop", Handler: handler}}, Limits: []int{1}}
}

func served(handlers ...string) []plan.Queue {
	var all []plan.Queue
	for _, h := range handlers {
		all = append(all, plan.Queue{Namespace: "shop", Handler: h})
	}
	return all
}

// many begins a bulk resume.
func (k *kit) many(t *testing.T, r app.ResumeMany) ports.BulkResume {
	t.Helper()
	r.By, r.Why = "ann", "fixed"
	got, err := k.ResumeDeadLetters(t.Context(), r)
	require.NoError(t, err)
	return got
}

// on carries a resume on once.
func (k *kit) on(t *testing.T, id uuid.UUID) (again bool, wait time.Duration) {
	t.Helper()
	again, wait, err := k.ContinueResume(t.Context(), id)
	require.NoError(t, err)
	return again, wait
}

func (k *kit) how(t *testing.T, id uuid.UUID) ports.BulkResume {
	t.Helper()
	r, err := k.GetResume(t.Context(), id.String())
	require.NoError(t, err)
	return r
}

func TestResumingMany(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	ids := k.dead(t, "flow", 600)
	others := k.dead(t, "other", 3)
	_, err := k.CancelTask(t.Context(), ids[0], "ann", "no need")
	require.NoError(t, err)
	f := ports.LetterFilter{Name: "flow", Reasons: []deadletter.Reason{deadletter.PermanentFailure}}

	dry := k.many(t, app.ResumeMany{Filter: f, DryRun: true})
	require.Equal(t, 599, dry.Matched)
	require.NotEmpty(t, dry.Message)
	require.Empty(t, dry.State)
	require.Zero(t, dry.ID)
	list, err := k.ListResumes(t.Context(), 9)
	require.NoError(t, err)
	require.Empty(t, list)
	require.Equal(t, "blocked_by_failures", k.state(t, ids[1]))

	r := k.many(t, app.ResumeMany{Filter: f})
	require.Equal(t, ports.ResumeRunning, r.State)
	require.JSONEq(t, `{"action": "reset", "filter": {"name": "flow", "reasons": ["permanent_failure"]}}`, string(r.Request))
	again, _ := k.on(t, r.ID)
	require.False(t, again)
	got := k.how(t, r.ID)
	require.Equal(t, ports.ResumeComplete, got.State)
	require.Equal(t, []int{599, 599, 0, 0}, []int{got.Matched, got.Resumed, got.Refused, got.FailedAgain})
	require.Equal(t, "steps_in_process", k.state(t, ids[599]))
	l := k.entry(t, ids[1])
	require.Equal(t, "ann", l.ResolvedBy)
	require.Equal(t, "fixed (bulk resume "+r.ID.String()+")", l.Notes)
	require.Equal(t, "blocked_by_failures", k.state(t, others[0]))

	k.work(t, 5, "a", fail)
	require.Equal(t, 5, k.how(t, r.ID).FailedAgain, "it counts on after its end")
	again, _ = k.on(t, r.ID)
	require.False(t, again, "what is at its end stays there")
	_, err = k.CancelResume(t.Context(), r.ID.String(), "bob", "stop")
	code(t, fault.CodeIllegalTransition, err)
	_, err = k.GetResume(t.Context(), uuid.NewString())
	code(t, fault.CodeResumeNotFound, err)
	again, _ = k.on(t, uuid.New())
	require.False(t, again)
}

func TestAResumeDoesNotMeetItsOwnLetters(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.dead(t, "flow", 20)
	r := k.many(t, app.ResumeMany{})
	k.db.Shift(time.Second)
	fresh := k.begin(t, k.flow(t, "fresh", nil, "b"))
	k.work(t, 1, "b", fail)
	again, _ := k.on(t, r.ID)
	require.False(t, again)
	require.Equal(t, 20, k.how(t, r.ID).Resumed)
	require.Equal(t, "blocked_by_failures", k.state(t, fresh))
}

func TestALimitedResume(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.dead(t, "flow", 20)
	r := k.many(t, app.ResumeMany{Limit: 7})
	require.Equal(t, 7, r.Matched)
	again, _ := k.on(t, r.ID)
	require.False(t, again)
	require.Equal(t, 7, k.how(t, r.ID).Resumed)
	left, err := k.Resumes.Count(t.Context(), ports.LetterFilter{})
	require.NoError(t, err)
	require.Equal(t, 13, left)
}

func TestACanaryStopsTheRest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		become int // of the canary's 4 tasks, how many fail again
		state  ports.ResumeState
	}{
		"half failed again":    {2, ports.ResumeStopped},
		"one of four, allowed": {1, ports.ResumeComplete},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t)
			k.dead(t, "flow", 40)
			r := k.many(t, app.ResumeMany{CanaryPercent: 10, StopPercent: 50})
			require.Equal(t, ports.ResumeCanary, r.State)
			for range 2 {
				again, wait := k.on(t, r.ID)
				require.True(t, again)
				require.Equal(t, time.Second, wait, "what becomes of them is not known yet")
				require.Equal(t, 4, k.how(t, r.ID).Resumed)
			}
			k.work(t, c.become, "a", fail)
			k.work(t, 4-c.become, "a", succeed)
			again, _ := k.on(t, r.ID)
			require.False(t, again)
			got := k.how(t, r.ID)
			require.Equal(t, c.state, got.State)
			require.Equal(t, c.become, got.FailedAgain)
			if c.state == ports.ResumeStopped {
				require.Equal(t, 4, got.Resumed)
				require.Contains(t, got.Message, "2 have failed again (50 %)")
			} else {
				require.Equal(t, 40, got.Resumed)
			}
		})
	}
}

func TestACanaryIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.dead(t, "flow", 3)
	r := k.many(t, app.ResumeMany{CanaryPercent: 1, StopPercent: 50})
	again, _ := k.on(t, r.ID)
	require.True(t, again)
	require.Equal(t, 1, k.how(t, r.ID).Resumed, "at least one")
	k.db.Shift(6 * time.Minute)
	again, _ = k.on(t, r.ID)
	require.False(t, again)
	require.Equal(t, 3, k.how(t, r.ID).Resumed)
}

func TestAResumeStopsWhenTooManyFailAgain(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.dead(t, "flow", 60)
	r := k.many(t, app.ResumeMany{StopPercent: 30, Rate: 0.1})
	for range 14 { // each a slice of one letter: the rate is one in ten seconds
		again, wait := k.on(t, r.ID)
		if !again {
			break
		}
		require.Greater(t, wait, 9*time.Second)
		k.work(t, 1, "a", fail)
	}
	got := k.how(t, r.ID)
	require.Equal(t, ports.ResumeStopped, got.State)
	require.Equal(t, 10, got.Resumed, "ten tell enough")
}

func TestARateIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.dead(t, "flow", 100)
		k.db.Shift(time.Second) // here nothing takes time by itself
		r := k.many(t, app.ResumeMany{Rate: 10})
		began := time.Now()
		again, wait := k.on(t, r.ID)
		require.True(t, again)
		elapsed := time.Since(began)
		require.LessOrEqual(t, elapsed, 5*time.Second)
		require.InDelta(t, 10*(elapsed+wait).Seconds(), float64(k.how(t, r.ID).Resumed), 1)
		for again {
			time.Sleep(wait) // in the bubble's time, as whoever works the job does
			again, wait = k.on(t, r.ID)
		}
		require.Equal(t, 100, k.how(t, r.ID).Resumed)
		require.GreaterOrEqual(t, time.Since(began), 9*time.Second)
		require.LessOrEqual(t, time.Since(began), 11*time.Second)
	})
}

func TestACancelledResumeEnds(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.dead(t, "flow", 5)
	r := k.many(t, app.ResumeMany{Rate: 0.1})
	again, _ := k.on(t, r.ID)
	require.True(t, again)
	got, err := k.CancelResume(t.Context(), r.ID.String(), "bob", "not now")
	require.NoError(t, err)
	require.Equal(t, ports.ResumeCancelled, got.State)
	require.Equal(t, "cancelled by bob: not now", got.Message)
	require.Equal(t, 1, got.Resumed)
	again, _ = k.on(t, r.ID)
	require.False(t, again)
	require.Equal(t, 1, k.how(t, r.ID).Resumed)
}

// Wherever it is cut off, each letter is resumed once and counted once.
func TestAResumeThatIsCutOffGoesOn(t *testing.T) {
	t.Parallel()
	for cut := range 24 {
		k := newKit(t)
		ids := k.dead(t, "flow", 30)
		r := k.many(t, app.ResumeMany{Limit: 25})
		calls, cutOff := 0, false
		k.db.Interfere(func(memory.Stage) error {
			if calls++; calls-1 == cut && !cutOff {
				cutOff = true
				return ports.ErrOutage
			}
			return nil
		})
		ended := false
		for range 3 {
			again, _, err := k.ContinueResume(t.Context(), r.ID)
			if ended = err == nil && !again; ended {
				break
			}
		}
		k.db.Interfere(nil)
		require.True(t, ended, "cut at %d", cut)
		got := k.how(t, r.ID)
		require.Equal(t, ports.ResumeComplete, got.State)
		require.Equal(t, []int{25, 0}, []int{got.Resumed, got.Refused}, "cut at %d", cut)
		resumed := 0
		for _, id := range ids {
			state, err := k.GetTask(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, int32(1), k.entry(t, id).Ordinal)
			if state.State.String() == "steps_in_process" {
				require.Equal(t, int32(2), state.Steps[0].Dispatch)
				resumed++
			}
		}
		require.Equal(t, 25, resumed)
	}
}

func TestOtherActionsOnMany(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, c := range []struct{ action, state string }{{"skip", "complete"}, {"resolve", "complete"}, {"give_up", "error"}} {
		ids := k.dead(t, c.action, 10)
		filed := k.begin(t, k.flow(t, c.action+"-filed", nil, "b"))
		_, err := k.FileDeadLetter(t.Context(), filed, "ann", "odd")
		require.NoError(t, err)
		r := k.many(t, app.ResumeMany{Action: c.action})
		again, _ := k.on(t, r.ID)
		require.False(t, again)
		for _, id := range ids {
			require.Equal(t, c.state, k.state(t, id))
		}
		got := k.how(t, r.ID)
		if c.action == "give_up" {
			require.Equal(t, []int{10, 1}, []int{got.Resumed, got.Refused}, "a task that is not blocked is not given up")
			require.Contains(t, got.Message, "only one that is blocked_by_failures can be given up")
		} else {
			require.Equal(t, []int{11, 0}, []int{got.Resumed, got.Refused}, "one without failures is closed")
			require.Equal(t, deadletter.ManuallyResolved, k.entry(t, filed).Status)
		}
	}
}
