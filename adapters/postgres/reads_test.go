package postgres_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

func TestTaskIsReadAsItWasSubmitted(t *testing.T) {
	t.Parallel()
	f := open(t)
	of := f.register(t, diamond(t))[0]
	full := submission(t, of)
	full.Context, full.Options = json.RawMessage(`{"order": 7}`), json.RawMessage(`{"fast": true}`)
	full.Tags, full.Priority = []string{"eu", "gift"}, -7
	full.Initiator, full.SourceSystem, full.Reason = "shop", "web", "a customer ordered"
	full.RequestedAt = time.Date(2020, 2, 29, 12, 0, 0, 123456000, time.UTC)
	full.ParentCorrelationID = uuid.NullUUID{UUID: uuid.New(), Valid: true}
	bare := submission(t, of)
	before := time.Now().Add(-time.Minute)
	f.submit(t, full, bare)

	got, steps, err := f.Task(t.Context(), full.ID)
	require.NoError(t, err)
	require.WithinRange(t, got.CreatedAt, before, time.Now().Add(time.Minute))
	require.Equal(t, time.UTC, got.CreatedAt.Location())
	require.Equal(t, ports.TaskRecord{
		ID: full.ID, Template: of.ID, Namespace: "orders", Name: "fulfil", Version: "1.0.0",
		State: task.StepsInProcess, Counters: task.Counters{Total: 4, Open: 4, Active: 1},
		CreatedAt: got.CreatedAt, UpdatedAt: got.CreatedAt, RequestedAt: full.RequestedAt,
		Context: full.Context, Options: full.Options, Tags: full.Tags, Initiator: "shop", SourceSystem: "web",
		Reason: "a customer ordered", Priority: -7, CorrelationID: full.CorrelationID, ParentCorrelationID: full.ParentCorrelationID,
	}, got)
	require.Len(t, steps, 4)
	require.Equal(t, ports.StepRecord{
		Ref: ident.StepRef{Task: full.ID, No: 1}, Def: 1, Name: "validate", State: step.Enqueued, Parents: []int32{},
		MaxAttempts: 2, Dispatch: 1, CreatedAt: got.CreatedAt, UpdatedAt: got.CreatedAt,
	}, steps[0])
	require.Equal(t, ports.StepRecord{
		Ref: ident.StepRef{Task: full.ID, No: 4}, Def: 4, Name: "ship", State: step.Pending, Parents: []int32{2, 3}, OpenParents: 2,
		MaxAttempts: 2, CreatedAt: got.CreatedAt, UpdatedAt: got.CreatedAt,
	}, steps[3])

	got, _, err = f.Task(t.Context(), bare.ID)
	require.NoError(t, err)
	require.Nil(t, got.Options)
	require.Nil(t, got.Tags)
	require.False(t, got.ParentCorrelationID.Valid)
	require.Equal(t, got.CreatedAt, got.RequestedAt)
}

func TestTaskIsReadAsItRan(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.submit(t, submission(t, f.register(t, diamond(t))[0]))[0]
	read := func() (ports.TaskRecord, []ports.StepRecord) {
		t.Helper()
		got, steps, err := f.Task(t.Context(), id)
		require.NoError(t, err)
		return got, steps
	}

	claimed := f.claim(t, 1, "orders", "validate")
	_, steps := read()
	require.Equal(t, step.InProgress, steps[0].State)
	require.Equal(t, int32(1), steps[0].Attempts)
	require.False(t, steps[0].LastAttemptedAt.IsZero())

	f.report(t, claimed, succeed)
	_, steps = read()
	require.Equal(t, step.Complete, steps[0].State)
	require.JSONEq(t, `{"ok": true}`, string(steps[0].Value))
	require.Equal(t, int32(7), steps[0].ElapsedMS)
	require.False(t, steps[0].CompletedAt.IsZero())

	f.report(t, f.claim(t, 1, "orders", "reserve"), failing(true))
	f.report(t, f.claim(t, 1, "orders", "charge"), failing(false))
	got, steps := read()
	require.Equal(t, task.WaitingForRetry, got.State)
	require.Equal(t, task.Counters{Total: 4, Open: 3, Retrying: 1, Failed: 1}, got.Counters)
	reserve, charge := steps[1], steps[2]
	require.Equal(t, step.WaitingForRetry, reserve.State)
	require.Equal(t, step.Error, charge.State)
	require.Equal(t, reserve.LastFailureAt.Add(time.Second), reserve.NextRetryAt, "the template's base wait")
	require.Zero(t, charge.NextRetryAt)
	require.JSONEq(t, `{"message": "no", "error_type": "handler_error", "retryable": false}`, string(charge.Failure))
	require.Nil(t, charge.Value)
	require.Zero(t, charge.CompletedAt)

	f.cancel(t, id)
	got, _ = read()
	require.Equal(t, task.Cancelled, got.State)
	require.False(t, got.CompletedAt.IsZero())
}

func TestTaskThatIsNotThere(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := submission(t, ports.StoredTemplate{}).ID
	_, _, err := f.Task(t.Context(), id)
	require.True(t, fault.Is(err, fault.CodeTaskNotFound), "%v", err)
	require.Contains(t, fault.Of(err).Message, id.String())
}

// A task and its steps are read in two statements. Were they two snapshots, the
// counters would not fit the steps while results come in.
func TestTaskAndItsStepsAreOfOneMoment(t *testing.T) {
	t.Parallel()
	f := open(t)
	of := f.register(t, diamond(t))[0]
	for range 30 {
		id := f.submit(t, submission(t, of))[0]
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				got, steps, err := f.Task(t.Context(), id)
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				var c task.Counters
				for _, s := range steps {
					c.Total++
					if !s.State.Settled() {
						c.Open++
					}
					if s.State.Active() {
						c.Active++
					}
				}
				if c != got.Counters {
					t.Errorf("task says %+v, its steps %+v", got.Counters, c)
					return
				}
				if got.State.Terminal() {
					return
				}
			}
		}()
		for range 3 {
			f.report(t, f.claim(t, 9, "orders", "validate", "reserve", "charge", "ship"), succeed)
		}
		<-done
	}
}

func TestStatesLeaveOutUnknownTasks(t *testing.T) {
	t.Parallel()
	f := open(t)
	of := f.register(t, diamond(t))[0]
	ids := f.submit(t, submission(t, of), submission(t, of))
	f.cancel(t, ids[1])
	states, err := f.States(t.Context(), []ident.TaskID{ids[1], submission(t, of).ID, ids[0], ids[0]})
	require.NoError(t, err)
	require.Equal(t, map[ident.TaskID]task.State{ids[0]: task.StepsInProcess, ids[1]: task.Cancelled}, states)

	states, err = f.States(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, states)
}

func TestResultsByName(t *testing.T) {
	t.Parallel()
	f := open(t)
	of := f.register(t, diamond(t))[0]
	ids := f.submit(t, submission(t, of), submission(t, of))
	f.report(t, f.claim(t, 2, "orders", "validate"), func(c ports.ClaimedStep) step.Result {
		if c.Ref.Task == ids[0] {
			return step.Result{Value: json.RawMessage(`{"of": "first"}`)}
		}
		return step.Result{Value: json.RawMessage(`null`)}
	})
	for name, c := range map[string]struct {
		id    ident.TaskID
		names []string
		want  []ports.StepResult
	}{
		"one that is there":        {ids[0], []string{"ship", "validate"}, []ports.StepResult{{No: 1, Name: "validate", Value: json.RawMessage(`{"of": "first"}`)}}},
		"null is a result":         {ids[1], []string{"validate"}, []ports.StepResult{{No: 1, Name: "validate", Value: json.RawMessage(`null`)}}},
		"none that has one":        {ids[0], []string{"reserve", "nothing"}, []ports.StepResult{}},
		"no names":                 {ids[0], nil, []ports.StepResult{}},
		"of a task that is not it": {submission(t, of).ID, []string{"validate"}, []ports.StepResult{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := f.Results(t.Context(), c.id, c.names)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestReadsOfALostDatabaseAreOutages(t *testing.T) {
	t.Parallel()
	f := open(t)
	of := f.register(t, diamond(t))[0]
	id := f.submit(t, submission(t, of))[0]
	at, err := url.Parse(f.url)
	require.NoError(t, err)
	lost := pgx.Identifier{strings.TrimPrefix(at.Path, "/")}.Sanitize()
	at.Path = "/postgres"
	elsewhere := &fixture{url: at.String()}
	elsewhere.exec(t, "drop database "+lost+" with (force)")

	ctx := t.Context()
	for range 2 { // with a connection that is dead, and without any
		_, _, err = f.Task(ctx, id)
		require.True(t, ports.IsOutage(err), "%v", err)
		_, err = f.Tasks(ctx, ports.TaskFilter{}, ports.TaskPage{Limit: 1})
		require.True(t, ports.IsOutage(err), "%v", err)
		_, err = f.States(ctx, []ident.TaskID{id})
		require.True(t, ports.IsOutage(err), "%v", err)
		_, err = f.Results(ctx, id, []string{"validate"})
		require.True(t, ports.IsOutage(err), "%v", err)
		_, err = f.Register(ctx, []*template.Template{of.Definition}, false)
		require.True(t, ports.IsOutage(err), "%v", err)
		_, err = f.Latest(ctx, task.Name{Namespace: "orders", Name: "fulfil", Version: "1.0.0"})
		require.True(t, ports.IsOutage(err), "%v", err)
		_, err = f.ByID(ctx, []ident.TemplateID{of.ID})
		require.True(t, ports.IsOutage(err), "%v", err)
		_, err = f.List(ctx, "")
		require.True(t, ports.IsOutage(err), "%v", err)
	}
}
