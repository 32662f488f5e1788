package app_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/memory"
	"github.com/tasker-go/tasker/adapters/system"
	"github.com/tasker-go/tasker/adapters/templates"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// changing calls every operation that changes something, about what does not
// exist: what an operation is about is noted before it looks.
func changing(id ident.TaskID, entry deadletter.EntryID) map[app.Operation]func(context.Context, *app.Application) error {
	name := task.Name{Namespace: "shop", Name: "none", Version: "1"}
	ending := func(do func(*app.Application, context.Context, ident.TaskID, string, string) (app.Task, error)) func(context.Context, *app.Application) error {
		return func(ctx context.Context, a *app.Application) error { _, err := do(a, ctx, id, "b", "why"); return err }
	}
	hold := func(p ports.Pause) func(context.Context, *app.Application) error {
		p.Why = "why"
		return func(ctx context.Context, a *app.Application) error { _, err := a.Pause(ctx, p); return err }
	}
	release := func(p ports.Pause) func(context.Context, *app.Application) error {
		return func(ctx context.Context, a *app.Application) error { _, err := a.Unpause(ctx, p); return err }
	}
	return map[app.Operation]func(context.Context, *app.Application) error{
		app.CancelTask:  ending((*app.Application).CancelTask),
		app.GiveUpTask:  ending((*app.Application).GiveUpTask),
		app.ResolveTask: ending((*app.Application).ResolveTask),
		app.RetryTask:   ending((*app.Application).RetryTask),
		app.PurgeTask:   func(ctx context.Context, a *app.Application) error { return a.PurgeTask(ctx, id) },
		app.ResolveStep: func(ctx context.Context, a *app.Application) error {
			_, err := a.ResolveStep(ctx, app.StepAction{Task: id, Step: ident.StepRef{Task: id, No: 1}.ID(), Action: plan.ResolveManually})
			return err
		},
		app.PauseTask:       hold(ports.Pause{Kind: ports.PauseTask, Task: id}),
		app.ResumeTask:      release(ports.Pause{Kind: ports.PauseTask, Task: id}),
		app.PauseTemplate:   hold(ports.Pause{Kind: ports.PauseTemplate, Name: name}),
		app.ResumeTemplate:  release(ports.Pause{Kind: ports.PauseTemplate, Name: name}),
		app.PauseNamespace:  hold(ports.Pause{Kind: ports.PauseNamespace, Name: task.Name{Namespace: "shop"}}),
		app.ResumeNamespace: release(ports.Pause{Kind: ports.PauseNamespace, Name: task.Name{Namespace: "shop"}}),
		app.RegisterTemplates: func(ctx context.Context, a *app.Application) error {
			_, err := a.RegisterTemplates(ctx, []byte("{name: n, namespace_name: shop, version: 1.0.0, steps: [{name: a, handler: {callable: a}}]}"), false)
			return err
		},
		app.DisableTemplate: func(ctx context.Context, a *app.Application) error { return a.DisableTemplate(ctx, name, "b", "why") },
		app.EnableTemplate:  func(ctx context.Context, a *app.Application) error { return a.EnableTemplate(ctx, name) },
		app.FileDeadLetter: func(ctx context.Context, a *app.Application) error {
			_, err := a.FileDeadLetter(ctx, id, "b", "why")
			return err
		},
		app.UpdateDeadLetter: func(ctx context.Context, a *app.Application) error {
			_, err := a.UpdateDeadLetter(ctx, entry, ports.LetterUpdate{Notes: "why"})
			return err
		},
		app.ResumeDeadLetter: func(ctx context.Context, a *app.Application) error {
			_, err := a.ResumeDeadLetter(ctx, app.ResumeOne{Entry: entry, Why: "why"})
			return err
		},
		app.ResumeDeadLetters: func(ctx context.Context, a *app.Application) error {
			_, err := a.ResumeDeadLetters(ctx, app.ResumeMany{Why: "why"})
			return err
		},
		app.CancelResume: func(ctx context.Context, a *app.Application) error {
			_, err := a.CancelResume(ctx, uuid.NewString(), "b", "why")
			return err
		},
		app.CancelTasks: func(ctx context.Context, a *app.Application) error {
			_, err := a.CancelTasks(ctx, app.BulkRequest{Why: "why", DryRun: true})
			return err
		},
		app.RetryTasks: func(ctx context.Context, a *app.Application) error {
			_, err := a.RetryTasks(ctx, app.BulkRequest{Why: "why"})
			return err
		},
		app.CancelBulkOperation: func(ctx context.Context, a *app.Application) error {
			_, err := a.CancelBulkOperation(ctx, uuid.NewString(), "b", "why")
			return err
		},
		app.CreateKey: func(ctx context.Context, a *app.Application) error {
			_, err := a.CreateKey(ctx, app.NewKey{Name: "k", Roles: []string{access.Viewer}})
			return err
		},
		app.RotateKey: func(ctx context.Context, a *app.Application) error { _, err := a.RotateKey(ctx, "none", 0); return err },
		app.RevokeKey: func(ctx context.Context, a *app.Application) error {
			_, err := a.RevokeKey(ctx, "none", "why")
			return err
		},
	}
}

// secured gives a kit keys and an audit log.
func secured(t *testing.T) (*kit, *memory.Security) {
	t.Helper()
	k, store := newKit(t), memory.NewSecurity(time.Now)
	k.Reader = templates.Reader{Schemas: anySchema{}}
	k.Security = &app.Security{Keys: store, Log: store, Secrets: system.Secrets{}, Roles: access.DefaultRoles()}
	return k, store
}

func TestEveryChangeSaysWhatItIsAbout(t *testing.T) {
	t.Parallel()
	k, store := secured(t)
	id := k.IDs.Task()
	calls := changing(id, deadletter.ID(id, 1))
	root := access.Anonymous()
	for op := range app.Operations() {
		if !op.Changes() {
			require.NotContains(t, calls, op)
			continue
		}
		require.Contains(t, calls, op, "%s changes something: have it call noteChange, and call it here; or list it as recorded", op)
		ctx, record := k.BeginChange(app.WithRequestID(app.WithPrincipal(t.Context(), root), "request-1"), op, app.Caller{Door: "http", Remote: "r"})
		outcome := ports.ChangeOK
		if err := calls[op](ctx, k.Application); err != nil {
			outcome = string(fault.Of(err).Code)
		}
		record(outcome)
		rows, err := store.Changes(t.Context(), ports.ChangeFilter{Operation: string(op)}, 0, 10)
		require.NoError(t, err)
		require.Len(t, rows, 1, op)
		got := rows[0]
		require.NotEmpty(t, got.Target.Kind, op)
		require.NotEmpty(t, got.Target.ID, op)
		require.Equal(t, "anonymous", got.Principal.Subject)
		require.Equal(t, outcome, got.Outcome)
		require.Equal(t, []string{"request-1", "r", "http"}, []string{got.RequestID, got.Remote, got.Door})
	}
}

func TestAChangeHasTheNamespaceOfItsTask(t *testing.T) {
	t.Parallel()
	k, store := secured(t)
	id := k.begin(t, k.flow(t, "f", nil, "a"))
	ctx, record := k.BeginChange(app.WithPrincipal(t.Context(), access.Anonymous()), app.CancelTask, app.Caller{})
	_, err := k.CancelTask(ctx, id, "ann", "not needed")
	require.NoError(t, err)
	record(ports.ChangeOK)
	rows, err := store.Changes(t.Context(), ports.ChangeFilter{Namespaces: []string{"shop"}}, 0, 10)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, ports.ChangeTarget{Kind: "task", ID: id.String()}, rows[0].Target)
	require.Equal(t, "not needed", rows[0].Reason)
}

// full cannot be written to.
type full struct{ ports.ChangeLog }

func (full) RecordChange(context.Context, ports.Change) error { return errors.New("full") }

// What reaches the log is what a database can hold, and what does not reach it
// is told.
func TestRowsThatTheAuditLogLacksAreTold(t *testing.T) {
	t.Parallel()
	var lost []ports.Change
	s := &app.Security{Log: full{}, Lost: func(c ports.Change, err error) {
		require.EqualError(t, err, "full")
		lost = append(lost, c)
	}, Roles: access.DefaultRoles(), Secrets: system.Secrets{}, Keys: memory.NewSecurity(time.Now)}
	ctx, record := s.BeginChange(t.Context(), app.RevokeKey, app.Caller{})
	_, err := s.RevokeKey(ctx, "a\x00b\xff"+strings.Repeat("é", 3000), "")
	require.Error(t, err)
	record("x")
	require.Len(t, lost, 1)
	require.True(t, strings.HasPrefix(lost[0].Target.ID, "a\uFFFDb\uFFFDé"))
	require.LessOrEqual(t, len(lost[0].Target.ID), 2048)
	require.Equal(t, lost[0].Target.ID, strings.ToValidUTF8(lost[0].Target.ID, "?"))

	ctx, record = s.BeginChange(t.Context(), app.GetTask, app.Caller{})
	require.Equal(t, t.Context(), ctx)
	record(ports.ChangeOK)
	require.Len(t, lost, 1, "reading is no change")
}
