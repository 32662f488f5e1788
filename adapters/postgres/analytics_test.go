package postgres_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

func TestATallyIsOfTheTasksThatAreThere(t *testing.T) {
	t.Parallel()
	f := open(t)
	none, err := f.Tally(t.Context(), time.Hour, true)
	require.NoError(t, err)
	require.Zero(t, none.Tasks)
	require.Equal(t, time.Hour, none.Now.Sub(none.From))

	all := crowd(t, f)
	got, err := f.Tally(t.Context(), time.Hour, true)
	require.NoError(t, err)
	var (
		want ports.Tally
		took time.Duration
		runs []time.Duration
	)
	for _, r := range all {
		want.Tasks++
		want.Steps += int64(r.Total)
		switch r.State {
		case task.Complete:
			want.Completed++
			took += r.CompletedAt.Sub(r.CreatedAt)
		case task.Error, task.BlockedByFailures:
			want.Failed++
		default:
		}
		_, steps, err := f.Task(t.Context(), r.ID)
		require.NoError(t, err)
		for _, s := range steps {
			switch s.State {
			case step.Complete:
				runs = append(runs, s.CompletedAt.Sub(s.LastAttemptedAt))
			case step.Error:
				runs = append(runs, s.LastFailureAt.Sub(s.LastAttemptedAt))
			default:
			}
		}
	}
	require.NotZero(t, want.Completed)
	require.NotZero(t, want.Failed)
	require.False(t, got.Sampled)
	require.Equal(t, []int64{want.Tasks, want.Steps, want.Completed, want.Failed}, []int64{got.Tasks, got.Steps, got.Completed, got.Failed})
	require.InDelta(t, took/time.Duration(want.Completed), got.TaskDuration, float64(time.Microsecond))
	require.EqualValues(t, len(runs), got.StepsRead)
	var worked time.Duration
	for _, d := range runs {
		worked += d
	}
	require.InDelta(t, worked/time.Duration(len(runs)), got.StepDuration, float64(time.Microsecond))

	without, err := f.Tally(t.Context(), time.Hour, false)
	require.NoError(t, err)
	require.Zero(t, without.StepsRead)
	require.Equal(t, got.Tasks, without.Tasks)
}

// What somebody completed by hand after it failed took no time of its own.
func TestWorkByHandHasNoDuration(t *testing.T) {
	t.Parallel()
	f := open(t)
	stored := f.register(t, workflow(t, "orders", "one", "1.0.0", "a"))
	id := f.submit(t, submission(t, stored[0]))[0]
	f.report(t, f.claim(t, 1, "orders", "a"), failing(false))
	read := func() ports.Tally {
		got, err := f.Tally(t.Context(), time.Hour, true)
		require.NoError(t, err)
		return got
	}
	require.EqualValues(t, 1, read().Failed)
	require.EqualValues(t, 1, read().StepsRead)
	require.Empty(t, f.order(t, id, plan.Order{Steps: []plan.StepOrder{{No: 1, Action: plan.CompleteManually, Value: json.RawMessage("1")}}}))
	require.EqualValues(t, 1, read().Completed)
	require.Zero(t, read().StepsRead)
}

func TestTheSlowestComeFirst(t *testing.T) {
	t.Parallel()
	f := open(t)
	stored := f.register(t, workflow(t, "orders", "slow", "1.0.0", "a", "b<a"), workflow(t, "orders", "fast", "1.0.0", "c"))
	for range 3 {
		f.submit(t, submission(t, stored[0]), submission(t, stored[1]))
	}
	f.report(t, f.claim(t, 10, "orders", "a", "c"), succeed)
	late := f.claim(t, 10, "orders", "b")
	f.report(t, late[:1], failing(false))
	f.report(t, late[1:], succeed)
	f.exec(t, `update tasker.workflow_steps set last_attempted_at = last_attempted_at - interval '10 s' where name = 'b'`)
	f.exec(t, `update tasker.workflow_steps set last_attempted_at = last_attempted_at - interval '3 s' where name = 'c'`)
	f.exec(t, `update tasker.tasks set created_at = created_at - interval '20 s' where total = 2`)

	ask := ports.Slowest{Period: time.Hour, Limit: 10, MinRuns: 1}
	r, err := f.Slowest(t.Context(), ask)
	require.NoError(t, err)
	require.False(t, r.Sampled)
	var names []string
	for _, s := range r.Steps {
		names = append(names, s.Step)
	}
	require.Equal(t, []string{"b", "c", "a"}, names)
	b := r.Steps[0]
	require.Equal(t, "slow", b.Template.Name)
	require.EqualValues(t, 3, b.Runs)
	require.EqualValues(t, 1, b.Failed)
	require.InDelta(t, 1.0/3, b.ErrorRate(), 1e-9)
	require.GreaterOrEqual(t, b.Average, 10*time.Second)
	require.GreaterOrEqual(t, b.Longest, b.Average)
	require.Len(t, r.Tasks, 2)
	slow := r.Tasks[0]
	require.Equal(t, "slow", slow.Template.Name)
	require.EqualValues(t, 3, slow.Runs)
	require.EqualValues(t, 1, slow.Failed)
	require.InDelta(t, 2, slow.AverageSteps, 1e-9)
	require.GreaterOrEqual(t, slow.Average, 20*time.Second)

	ask.MinRuns = 4
	r, err = f.Slowest(t.Context(), ask)
	require.NoError(t, err)
	require.Empty(t, r.Steps)
	require.Empty(t, r.Tasks)
	ask.MinRuns, ask.Limit = 0, 1
	r, err = f.Slowest(t.Context(), ask)
	require.NoError(t, err)
	require.Len(t, r.Steps, 1)
	require.Len(t, r.Tasks, 1)
}

// Of many tasks a sample is read, which stands for all of them; and a period is
// what it says.
func TestManyTasksAreSampled(t *testing.T) {
	t.Parallel()
	f := open(t)
	var ts []*template.Template
	for i := range 20 {
		ts = append(ts, workflow(t, fmt.Sprintf("ns%02d", i), "a", "1.0.0", "x", "y"))
	}
	f.register(t, ts...)
	const n = 15_000 // one each 10 ms, from an hour ago
	f.exec(t, seedTasks, n)
	f.exec(t, "vacuum analyze tasker.tasks, tasker.workflow_steps")
	var got ports.Tally
	plans := f.explain(t, "force_custom_plan", f.sql.during(func() {
		var err error
		got, err = f.Tally(t.Context(), 2*time.Hour, true)
		require.NoError(t, err)
	}))
	require.Contains(t, plans, "tasks_pkey")
	require.NotContains(t, plans, "Seq Scan on tasks")
	require.NotContains(t, plans, "Seq Scan on workflow_steps")
	require.True(t, got.Sampled)
	require.EqualValues(t, n, got.Tasks, "so many are counted")
	require.EqualValues(t, 2*n, got.Steps)
	require.InEpsilon(t, 0.97*n, got.Completed, 0.03)
	require.Less(t, got.TasksMeasured, int64(4000))

	r, err := f.Slowest(t.Context(), ports.Slowest{Period: 2 * time.Hour, Limit: 100, MinRuns: 1})
	require.NoError(t, err)
	require.True(t, r.Sampled)
	require.Len(t, r.Tasks, 20)

	f.exec(t, seedTasks, 100_000) // others, in between
	more, err := f.Tally(t.Context(), 2*time.Hour, false)
	require.NoError(t, err)
	require.InEpsilon(t, n+100_000, more.Tasks, 0.1)

	recent, err := f.Tally(t.Context(), time.Minute, true)
	require.NoError(t, err)
	require.Zero(t, recent.Tasks, "all are older")
}

func TestTheContextOfATaskIsBounded(t *testing.T) {
	t.Parallel()
	f := open(t)
	stored := f.register(t, workflow(t, "orders", "wide", "1.0.0", "a", "b", "c", "d"))
	s := submission(t, stored[0])
	s.Context = json.RawMessage(`{"order": 7}`)
	id := f.submit(t, s)[0]
	none, err := f.TaskContext(t.Context(), id, 1000)
	require.NoError(t, err)
	require.Equal(t, "orders", none.Namespace)
	require.JSONEq(t, `{"order": 7}`, string(none.Inputs))
	require.Empty(t, none.Outputs)

	big := json.RawMessage(`"` + strings.Repeat("x", 5000) + `"`)
	f.report(t, f.claim(t, 1, "orders", "a", "b", "c"), func(c ports.ClaimedStep) step.Result {
		if c.Ref.No == 2 {
			return step.Result{Value: big}
		}
		return step.Result{Value: json.RawMessage(`{"no": 1}`)}
	})
	f.report(t, f.claim(t, 1, "orders", "d"), failing(false))
	all, err := f.TaskContext(t.Context(), id, 1_000_000)
	require.NoError(t, err)
	require.Len(t, all.Outputs, 3, "a step that failed has no output")
	require.JSONEq(t, `{"no": 1}`, string(all.Outputs[0].Value))
	require.JSONEq(t, string(big), string(all.Outputs[1].Value))

	few, err := f.TaskContext(t.Context(), id, 30)
	require.NoError(t, err)
	require.Len(t, few.Outputs, 3)
	require.NotNil(t, few.Outputs[0].Value)
	require.Nil(t, few.Outputs[1].Value)
	require.Equal(t, "b", few.Outputs[1].Name)

	_, err = f.TaskContext(t.Context(), ident.TaskID{1}, 1000)
	require.True(t, fault.Is(err, fault.CodeTaskNotFound))
}
