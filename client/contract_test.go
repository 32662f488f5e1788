package client_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/client"
)

func two(n int) client.NewTask {
	return client.NewTask{Name: "two", Namespace: "t", Version: "1.0.0", Context: map[string]any{"n": n}}
}

// same runs a read through both doors and wants one answer.
func same[T any](t *testing.T, d doors, name string, read func(context.Context, *client.Client) (T, error)) T {
	t.Helper()
	rest, err := read(t.Context(), d.rest)
	require.NoError(t, err, name+" over REST")
	grpc, err := read(t.Context(), d.grpc)
	require.NoError(t, err, name+" over gRPC")
	left, err := json.MarshalIndent(rest, "", " ")
	require.NoError(t, err)
	right, err := json.MarshalIndent(grpc, "", " ")
	require.NoError(t, err)
	require.Equal(t, anyOf(t, left), anyOf(t, right), name)
	return rest
}

// anyOf forgets the order of keys, and that an empty list is not null.
func anyOf(t *testing.T, raw []byte) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(raw, &v))
	return withoutEmpty(v)
}

func withoutEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			v[k] = withoutEmpty(inner)
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		for i := range v {
			v[i] = withoutEmpty(v[i])
		}
	}
	return v
}

func TestBothDoorsAnswerTheSame(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	r := two(1)
	r.Tags, r.Priority, r.Initiator, r.Wait = []string{"a", "b"}, 7, "me", 20*time.Second
	done, err := d.rest.CreateTask(ctx, r)
	require.NoError(t, err)
	require.Equal(t, client.TaskComplete, done.State)
	failed, err := d.grpc.CreateTask(ctx, client.NewTask{Name: "failing", Namespace: "t", Version: "1.0.0", Context: map[string]string{"k": "v"}})
	require.NoError(t, err)
	failed, err = d.grpc.WaitTask(ctx, failed.ID, client.TaskBlockedByFailures)
	require.NoError(t, err)
	stuck, err := d.rest.CreateTask(ctx, client.NewTask{Name: "idle", Namespace: "t", Version: "1.0.0"})
	require.NoError(t, err)
	_, err = d.grpc.PauseTask(ctx, stuck.ID, client.Said{By: "ann", Reason: "stop"})
	require.NoError(t, err)

	task := same(t, d, "task", func(ctx context.Context, c *client.Client) (client.Task, error) { return c.GetTask(ctx, done.ID) })
	require.Len(t, task.Steps, 2)
	require.Equal(t, "first", task.Steps[0].Name)
	require.NotEmpty(t, task.Steps[0].ID)
	require.JSONEq(t, `{"n":1}`, string(task.Context))
	require.Equal(t, int32(7), task.Priority)
	full := same(t, d, "steps of both forms", func(ctx context.Context, c *client.Client) (client.Task, error) { return c.GetTask(ctx, failed.ID) })
	require.Equal(t, 1, full.FailedSteps)
	steps := same(t, d, "steps", func(ctx context.Context, c *client.Client) ([]client.Step, error) { return c.ListSteps(ctx, done.ID) })
	require.Len(t, steps, 2)
	require.NotNil(t, steps[0].Results)
	step := same(t, d, "step", func(ctx context.Context, c *client.Client) (client.Step, error) {
		return c.GetStep(ctx, done.ID, steps[1].ID)
	})
	require.Equal(t, steps[1], step)
	audit := same(t, d, "audit", func(ctx context.Context, c *client.Client) ([]client.AuditRow, error) {
		return c.StepAudit(ctx, done.ID, steps[0].ID)
	})
	require.NotEmpty(t, audit)
	page := same(t, d, "page", func(ctx context.Context, c *client.Client) (client.TaskPage, error) {
		return c.TaskPage(ctx, client.TaskQuery{Total: client.ExactTotal, PerPage: 2, Ascending: true}, "")
	})
	require.Len(t, page.Tasks, 2)
	require.EqualValues(t, 3, page.Total)
	filtered := same(t, d, "filtered", func(ctx context.Context, c *client.Client) ([]client.Task, error) {
		return collect(ctx, c, client.TaskQuery{PerPage: 1, TaskFilter: client.TaskFilter{
			States: []client.TaskState{client.TaskComplete, client.TaskBlockedByFailures, client.TaskError}, CreatedAfter: time.Now().Add(-time.Hour), Namespace: "t",
		}})
	})
	require.Len(t, filtered, 2)
	pending := same(t, d, "pending is pending", func(ctx context.Context, c *client.Client) ([]client.Task, error) {
		return collect(ctx, c, client.TaskQuery{TaskFilter: client.TaskFilter{States: []client.TaskState{client.TaskPending}}})
	})
	require.Empty(t, pending)
	why := same(t, d, "explanation", func(ctx context.Context, c *client.Client) (client.Explanation, error) {
		return c.ExplainTask(ctx, stuck.ID)
	})
	require.NotEmpty(t, why.Code)
	require.Len(t, why.Steps, 1)
	list := same(t, d, "templates", func(ctx context.Context, c *client.Client) (client.TemplateList, error) {
		return c.ListTemplates(ctx, "t")
	})
	require.Len(t, list.Templates, 3)
	template := same(t, d, "template", func(ctx context.Context, c *client.Client) (client.Template, error) {
		return c.GetTemplate(ctx, "t", "two", "1.0.0")
	})
	require.Len(t, template.Steps, 2)
	report := same(t, d, "validation", func(ctx context.Context, c *client.Client) (client.TemplateReport, error) {
		return c.ValidateTemplate(ctx, `{name: "", namespace_name: t, version: x, steps: []}`)
	})
	require.False(t, report.Valid)
	require.NotEmpty(t, report.Problems)
	revisions := same(t, d, "registration", func(ctx context.Context, c *client.Client) ([]client.TemplateRevision, error) {
		return c.RegisterTemplate(ctx, templates, false)
	})
	require.Equal(t, 1, revisions[0].Revision)
	letter := same(t, d, "dead letter", func(ctx context.Context, c *client.Client) (client.DeadLetter, error) {
		return c.GetDeadLetter(ctx, failed.ID)
	})
	require.Equal(t, client.PermanentFailure, letter.Reason)
	require.Equal(t, client.LetterPending, letter.Status)
	letters := same(t, d, "dead letters", func(ctx context.Context, c *client.Client) ([]client.DeadLetter, error) {
		var all []client.DeadLetter
		for l, err := range c.ListDeadLetters(ctx, client.DeadLetterFilter{Status: client.LetterPending, Reasons: []client.DeadLetterReason{client.PermanentFailure}}) {
			if err != nil {
				return nil, err
			}
			all = append(all, l)
		}
		return all, nil
	})
	require.Len(t, letters, 1)
	dry := same(t, d, "dry run of a bulk cancel", func(ctx context.Context, c *client.Client) (client.BulkOperation, error) {
		return c.CancelTasks(ctx, client.Bulk{DryRun: true, Filter: client.TaskFilter{Name: "idle"}, Said: client.Said{By: "ann"}})
	})
	require.Equal(t, 1, dry.Matched)
	resume := same(t, d, "dry run of a resume", func(ctx context.Context, c *client.Client) (client.ResumeOperation, error) {
		return c.ResumeDeadLetters(ctx, client.BulkResume{DryRun: true, Filter: client.DeadLetterFilter{Namespace: "t"}, Said: client.Said{By: "ann"}})
	})
	require.Equal(t, 1, resume.Matched)
	events := same(t, d, "events", func(ctx context.Context, c *client.Client) ([]client.Event, error) {
		var all []client.Event
		for e, err := range c.WatchTask(ctx, done.ID, "") {
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
		return all, nil
	})
	require.Equal(t, client.TaskComplete, events[len(events)-1].State)
	require.Greater(t, len(events), 4)
	rest := same(t, d, "events after one", func(ctx context.Context, c *client.Client) ([]client.Event, error) {
		var all []client.Event
		for e, err := range c.WatchTask(ctx, done.ID, events[1].ID) {
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
		return all, nil
	})
	require.Equal(t, events[2:], rest)
	require.NoError(t, d.rest.Ready(ctx))
	require.NoError(t, d.grpc.Ready(ctx))
	health, err := d.grpc.Health(ctx)
	require.NoError(t, err)
	other, err := d.rest.Health(ctx)
	require.NoError(t, err)
	require.Len(t, health.Checks, len(other.Checks))
	require.Equal(t, other.Info, health.Info)
}

func collect(ctx context.Context, c *client.Client, q client.TaskQuery) ([]client.Task, error) {
	var all []client.Task
	for task, err := range c.ListTasks(ctx, q) {
		if err != nil {
			return nil, err
		}
		all = append(all, task)
	}
	return all, nil
}

// What changes something does so alike through both doors.
func TestBothDoorsActTheSame(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	d.each(t, func(t *testing.T, c *client.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		said := client.Said{By: "ann", Reason: "as asked"}
		key := t.Name()
		idle := func(key string) client.Task {
			made, err := c.CreateTask(ctx, client.NewTask{Name: "idle", Namespace: "t", Version: "1.0.0", IdempotencyKey: key})
			require.NoError(t, err)
			require.False(t, made.Existed)
			return made
		}
		made := idle(key + "1")
		again, err := c.CreateTask(ctx, client.NewTask{Name: "idle", Namespace: "t", Version: "1.0.0", IdempotencyKey: key + "1", OnDuplicate: client.Return})
		require.NoError(t, err)
		require.True(t, again.Existed)
		require.Equal(t, made.ID, again.ID)
		short, stop := context.WithTimeout(ctx, 100*time.Millisecond)
		_, err = c.WaitTask(short, made.ID)
		stop()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, client.ErrDeadlineExceeded)
		pause, err := c.PauseTask(ctx, made.ID, said)
		require.NoError(t, err)
		require.Equal(t, "ann", pause.By)
		require.Equal(t, made.ID, pause.TaskID)
		was, err := c.ResumeTask(ctx, made.ID, said)
		require.NoError(t, err)
		require.True(t, was)
		gone, err := c.CancelTask(ctx, made.ID, "no more")
		require.NoError(t, err)
		require.Equal(t, client.TaskCancelled, gone.State)
		_, err = c.CancelTask(ctx, made.ID, "no more")
		require.ErrorIs(t, err, client.ErrTaskFinished)

		by := idle(key + "2")
		steps, err := c.ListSteps(ctx, by.ID)
		require.NoError(t, err)
		step, err := c.ActOnStep(ctx, by.ID, steps[0].ID, client.StepAction{Kind: client.CompleteManually, Said: said, Result: map[string]int{"n": 1}})
		require.NoError(t, err)
		require.Contains(t, []client.StepState{client.StepComplete, client.StepResolvedManually}, step.State)
		by, err = c.WaitTask(ctx, by.ID)
		require.NoError(t, err)
		require.Equal(t, client.TaskComplete, by.State)
		resolved, err := c.ResolveTask(ctx, idle(key+"3").ID, said)
		require.NoError(t, err)
		require.Equal(t, client.TaskResolvedManually, resolved.State)

		fail := func(key string) string {
			f, err := c.CreateTask(ctx, client.NewTask{Name: "failing", Namespace: "t", Version: "1.0.0", IdempotencyKey: key})
			require.NoError(t, err)
			f, err = c.WaitTask(ctx, f.ID, client.TaskBlockedByFailures)
			require.NoError(t, err)
			return f.ID
		}
		_, err = c.RetryTask(ctx, fail(key+"4"), said)
		require.NoError(t, err)
		given, err := c.GiveUpTask(ctx, fail(key+"5"), said)
		require.NoError(t, err)
		require.Equal(t, client.TaskError, given.State)
		dead := fail(key + "6")
		letter, err := c.GetDeadLetter(ctx, dead)
		require.NoError(t, err)
		require.NoError(t, c.UpdateDeadLetter(ctx, letter.ID, client.DeadLetterUpdate{Notes: "looking", Metadata: map[string]string{"ticket": "1"}}))
		letter, err = c.GetDeadLetter(ctx, dead)
		require.NoError(t, err)
		require.Equal(t, "looking", letter.Notes)
		require.JSONEq(t, `{"ticket":"1"}`, string(letter.Metadata))
		_, err = c.ResumeDeadLetter(ctx, letter.ID, client.Resume{Action: client.SkipSteps, Said: said})
		require.NoError(t, err)
		_, err = c.ResumeDeadLetter(ctx, letter.ID, client.Resume{Action: client.SkipSteps, Said: said})
		require.ErrorIs(t, err, client.ErrDeadLetterClosed)

		batch, err := c.CreateTasks(ctx, []client.NewTask{
			{Name: "idle", Namespace: "t", Version: "1.0.0", IdempotencyKey: key + "7"},
			{Name: "nope", Namespace: "t", Version: "1.0.0"},
			{Name: "idle", Namespace: "t", Version: "1.0.0", IdempotencyKey: key + "1", OnDuplicate: client.Return},
		}, client.Each)
		require.NoError(t, err)
		require.Equal(t, []int{1, 1, 1}, []int{batch.Created, batch.Existing, batch.Refused})
		require.Equal(t, client.ErrTemplateNotFound, batch.Items[1].Err.Code)
		require.Equal(t, made.ID, batch.Items[2].TaskID)
		op, err := c.CancelTasks(ctx, client.Bulk{Filter: client.TaskFilter{Name: "idle", Tags: []string{"none"}}, Said: said})
		require.NoError(t, err)
		require.Zero(t, op.Matched)
		op, err = c.GetBulkOperation(ctx, op.ID)
		require.NoError(t, err)
		require.Equal(t, "cancel", op.Action)
	})
}

// A fault has one code and one kind, whichever door tells it.
func TestFaultsAreTheSame(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	ctx := t.Context()
	exists, err := d.rest.CreateTask(ctx, client.NewTask{Name: "idle", Namespace: "t", Version: "1.0.0"})
	require.NoError(t, err)
	const nobody = "01890a5d-ac96-774b-bcce-b302099a8057"
	for name, c := range map[string]struct {
		call  func(*client.Client) error
		code  client.Code
		kind  client.Kind
		field bool
	}{
		"unknown task": {func(c *client.Client) error { _, err := c.GetTask(ctx, nobody); return err }, client.ErrTaskNotFound, client.NotFound, false},
		"no id":        {func(c *client.Client) error { _, err := c.GetTask(ctx, "zzz"); return err }, client.ErrInvalidUUID, client.Invalid, true},
		"unknown template": {func(c *client.Client) error {
			_, err := c.CreateTask(ctx, client.NewTask{Name: "nope", Namespace: "t", Version: "1"})
			return err
		}, client.ErrTemplateNotFound, client.NotFound, false},
		"schema": {func(c *client.Client) error {
			_, err := c.CreateTask(ctx, client.NewTask{Name: "two", Namespace: "t", Version: "1.0.0", Context: map[string]string{"n": "x"}})
			return err
		}, client.ErrInvalidInput, client.Invalid, true},
		"duplicate": {func(c *client.Client) error {
			_, err := c.CreateTask(ctx, client.NewTask{Name: "idle", Namespace: "t", Version: "1.0.0"})
			return err
		}, client.ErrTaskExists, client.Conflict, false},
		"step of another task": {func(c *client.Client) error { _, err := c.GetStep(ctx, exists.ID, nobody); return err }, client.ErrStepOfAnotherTask, client.NotFound, true},
		"cursor":               {func(c *client.Client) error { _, err := c.TaskPage(ctx, client.TaskQuery{}, "zzz"); return err }, client.ErrInvalidCursor, client.Invalid, true},
		"wait for nobody":      {func(c *client.Client) error { _, err := c.WaitTask(ctx, nobody); return err }, client.ErrTaskNotFound, client.NotFound, false},
		"watch nobody": {func(c *client.Client) error {
			for _, err := range c.WatchTask(ctx, nobody, "") {
				return err
			}
			return nil
		}, client.ErrTaskNotFound, client.NotFound, false},
		"template": {func(c *client.Client) error { _, err := c.RegisterTemplate(ctx, "{", false); return err }, client.ErrInvalidTemplate, client.Invalid, false},
		"status of a dead letter": {func(c *client.Client) error {
			return c.UpdateDeadLetter(ctx, nobody, client.DeadLetterUpdate{Status: "maybe"})
		}, client.ErrBadRequest, client.Invalid, true},
	} {
		d.each(t, func(t *testing.T, cl *client.Client) {
			err := c.call(cl)
			require.ErrorIs(t, err, c.code, name)
			var e *client.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, c.kind, e.Kind, name)
			require.Equal(t, c.field, e.Field != "", "%s: %s", name, e.Field)
			if c.code == client.ErrTaskExists {
				require.Equal(t, exists.ID, e.Meta["task_uuid"])
			}
		})
	}
}
