package app_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// What whoever is kept to a namespace gets of another one.
const (
	absent   = "as if it were not there"
	refused  = "refused by name"
	narrowed = "left out of the list"
	nothing  = "about no namespace"
	others   = "as tested beside the operation"
)

// scene is a namespace with everything in it, shop, and one who is kept to
// another, billing, where there is a bit of each.
type scene struct {
	*kit
	ctx      context.Context // of whoever is kept to billing
	task     ident.TaskID    // in shop, with an open dead letter
	step     ident.StepID
	letter   deadletter.EntryID
	resume   string
	template task.Name
	own      ident.TaskID
}

func newScene(t *testing.T) *scene {
	t.Helper()
	k := newKit(t)
	k.Admission, k.Reader = open{}, reader{}
	s := &scene{kit: k, template: task.Name{Namespace: "shop", Name: "flow", Version: "1.0.0"}}
	s.task = k.dead(t, "flow", 1)[0]
	s.step = ident.StepRef{Task: s.task, No: 0}.ID()
	s.letter = k.entry(t, s.task).ID
	k.begin(t, k.flow(t, "slow", nil, "z"))
	billing := k.flow(t, "bill", func(d *template.Template) { d.Namespace = "billing" }, "b")
	s.own = k.begin(t, billing)
	_, err := k.FileDeadLetter(t.Context(), s.own, "", "look")
	require.NoError(t, err)
	for _, p := range []ports.Pause{
		{Kind: ports.PauseTask, Task: s.task}, {Kind: ports.PauseTask, Task: s.own}, {Kind: ports.PauseTemplate, Name: s.template},
		{Kind: ports.PauseNamespace, Name: task.Name{Namespace: "shop"}},
	} {
		_, err := k.Pause(t.Context(), p)
		require.NoError(t, err)
	}
	r, err := k.ResumeDeadLetters(t.Context(), app.ResumeMany{})
	require.NoError(t, err)
	s.resume = r.ID.String()
	s.ctx = app.WithPrincipal(t.Context(), access.Principal{Kind: access.KindKey, Subject: "bob", All: true, Namespaces: []string{"billing"}})
	return s
}

// reader reads every text as the template that shop has.
type reader struct{}

func (reader) Read([]byte) ports.TemplateReading {
	return ports.TemplateReading{Template: &template.Template{Namespace: "shop", Name: "flow", Version: "1.0.0"}}
}

type open struct{}

func (open) Admit(context.Context) error { return nil }

// probe asks for an operation on what is shop's, and tells how much of that is
// shown.
type probe func(ctx context.Context, s *scene) (shown int, err error)

func one[T any](_ T, err error) (int, error) { return 0, err }

// count tells how much of a list is not of billing.
func count[T any](list []T, err error, namespace func(T) string) (int, error) {
	n := 0
	for _, x := range list {
		if namespace(x) != "billing" {
			n++
		}
	}
	return n, err
}

var scopes = map[app.Operation]struct {
	gets string
	code fault.Code
	do   probe
}{
	app.CreateTask: {refused, fault.CodePermissionDenied, func(ctx context.Context, s *scene) (int, error) {
		return one(s.CreateTask(ctx, app.CreateRequest{Name: "flow", Namespace: "shop", Version: "1.0.0"}))
	}},
	app.GetTask: {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.GetTask(ctx, s.task)) }},
	app.ListTasks: {narrowed, "", func(ctx context.Context, s *scene) (int, error) {
		page, err := s.ListTasks(ctx, ports.TaskFilter{}, ports.TaskPage{Limit: 10})
		return count(page.Tasks, err, func(t app.Task) string { return t.Namespace })
	}},
	app.CancelTask:  {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.CancelTask(ctx, s.task, "", "")) }},
	app.GiveUpTask:  {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.GiveUpTask(ctx, s.task, "", "")) }},
	app.ResolveTask: {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.ResolveTask(ctx, s.task, "", "")) }},
	app.RetryTask:   {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.RetryTask(ctx, s.task, "", "")) }},
	app.PurgeTask:   {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) { return 0, s.PurgeTask(ctx, s.task) }},
	app.ExplainTask: {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.ExplainTask(ctx, s.task)) }},
	app.WatchTask: {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) {
		told := 0
		err := s.WatchTask(ctx, s.task, func(watch.Update) error { told++; return context.Canceled })
		return told, err
	}},
	app.ListSteps: {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.ListSteps(ctx, s.task)) }},
	app.GetStep:   {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.GetStep(ctx, s.task, s.step)) }},
	app.ResolveStep: {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) {
		return one(s.ResolveStep(ctx, app.StepAction{Task: s.task, Step: s.step, Action: plan.ResolveManually}))
	}},
	app.GetStepAudit: {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.StepAudit(ctx, s.task, s.step)) }},

	app.PauseTask:      {absent, fault.CodeTaskNotFound, pause(func(s *scene) ports.Pause { return ports.Pause{Kind: ports.PauseTask, Task: s.task} })},
	app.ResumeTask:     {absent, fault.CodeTaskNotFound, unpause(func(s *scene) ports.Pause { return ports.Pause{Kind: ports.PauseTask, Task: s.task} })},
	app.PauseTemplate:  {absent, fault.CodeTemplateNotFound, pause(func(s *scene) ports.Pause { return ports.Pause{Kind: ports.PauseTemplate, Name: s.template} })},
	app.ResumeTemplate: {absent, fault.CodeTemplateNotFound, unpause(func(s *scene) ports.Pause { return ports.Pause{Kind: ports.PauseTemplate, Name: s.template} })},
	app.PauseNamespace: {refused, fault.CodePermissionDenied, pause(func(*scene) ports.Pause {
		return ports.Pause{Kind: ports.PauseNamespace, Name: task.Name{Namespace: "shop"}}
	})},
	app.ResumeNamespace: {refused, fault.CodePermissionDenied, unpause(func(*scene) ports.Pause {
		return ports.Pause{Kind: ports.PauseNamespace, Name: task.Name{Namespace: "shop"}}
	})},
	app.ListPauses: {narrowed, "", func(ctx context.Context, s *scene) (int, error) {
		list, err := s.ListPauses(ctx, 10)
		return count(list, err, func(p ports.Pause) string {
			if p.Task == s.own {
				return "billing"
			}
			return "shop"
		})
	}},

	app.ListTemplates: {narrowed, "", func(ctx context.Context, s *scene) (int, error) {
		list, err := s.ListTemplates(ctx, "")
		return count(list, err, func(t ports.StoredTemplate) string { return t.Definition.Namespace })
	}},
	app.GetTemplate: {absent, fault.CodeTemplateNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.GetTemplate(ctx, s.template)) }},
	app.RegisterTemplates: {refused, fault.CodePermissionDenied, func(ctx context.Context, s *scene) (int, error) {
		return one(s.RegisterTemplates(ctx, nil, false))
	}},
	app.ValidateTemplates: {narrowed, "", func(ctx context.Context, s *scene) (int, error) {
		r, err := s.ValidateTemplates(ctx, nil)
		if r.Known != nil {
			return 1, err
		}
		return 0, err
	}},
	app.DisableTemplate: {absent, fault.CodeTemplateNotFound, func(ctx context.Context, s *scene) (int, error) { return 0, s.DisableTemplate(ctx, s.template, "", "") }},
	app.EnableTemplate:  {absent, fault.CodeTemplateNotFound, func(ctx context.Context, s *scene) (int, error) { return 0, s.EnableTemplate(ctx, s.template) }},

	app.ListDeadLetters: {narrowed, "", func(ctx context.Context, s *scene) (int, error) {
		list, err := s.ListDeadLetters(ctx, ports.LetterFilter{}, 0, 10)
		return count(list, err, func(l ports.Letter) string { return l.Name.Namespace })
	}},
	app.GetDeadLetter:  {absent, fault.CodeDeadLetterNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.GetDeadLetter(ctx, s.task)) }},
	app.FileDeadLetter: {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.FileDeadLetter(ctx, s.task, "", "")) }},
	app.UpdateDeadLetter: {absent, fault.CodeDeadLetterNotFound, func(ctx context.Context, s *scene) (int, error) {
		return one(s.UpdateDeadLetter(ctx, s.letter, ports.LetterUpdate{Notes: "x"}))
	}},
	app.ListDeadLetterFailures: {absent, fault.CodeDeadLetterNotFound, func(ctx context.Context, s *scene) (int, error) {
		return one(s.DeadLetterFailures(ctx, s.letter, 10))
	}},
	app.ListDeadLetterGroups: {narrowed, "", func(ctx context.Context, s *scene) (int, error) {
		list, err := s.DeadLetterGroups(ctx, ports.LetterFilter{}, 10)
		return count(list, err, func(g ports.LetterGroup) string { return g.Name.Namespace })
	}},
	app.GetDeadLetterStats: {narrowed, "", func(ctx context.Context, s *scene) (int, error) {
		list, err := s.DeadLetterStats(ctx)
		return count(list, err, func(l ports.LetterStat) string {
			return map[deadletter.Reason]string{deadletter.ManualDLQ: "billing"}[l.Reason]
		})
	}},
	app.GetInvestigationQueue: {narrowed, "", func(ctx context.Context, s *scene) (int, error) {
		list, err := s.InvestigationQueue(ctx, 10)
		return count(list, err, func(i ports.Investigation) string { return i.Name.Namespace })
	}},
	app.GetStaleness: {narrowed, "", func(ctx context.Context, s *scene) (int, error) {
		list, err := s.Staleness(ctx, 10)
		return count(list, err, func(x app.StaleTask) string { return x.Name.Namespace })
	}},
	app.ResumeDeadLetter: {absent, fault.CodeDeadLetterNotFound, func(ctx context.Context, s *scene) (int, error) {
		return one(s.ResumeDeadLetter(ctx, app.ResumeOne{Entry: s.letter}))
	}},
	app.ResumeDeadLetters: {narrowed, "", func(ctx context.Context, s *scene) (int, error) {
		r, err := s.ResumeDeadLetters(ctx, app.ResumeMany{DryRun: true})
		return r.Matched - 1, err // billing's own
	}},
	app.ListResumes: {narrowed, "", func(ctx context.Context, s *scene) (int, error) {
		list, err := s.ListResumes(ctx, 10)
		return len(list), err
	}},
	app.GetResume:    {absent, fault.CodeResumeNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.GetResume(ctx, s.resume)) }},
	app.CancelResume: {absent, fault.CodeResumeNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.CancelResume(ctx, s.resume, "", "")) }},

	app.GetTaskSummary: {absent, fault.CodeTaskNotFound, func(ctx context.Context, s *scene) (int, error) { return one(s.GetTaskSummary(ctx, s.task)) }},
	app.GetTaskContext: {gets: others},
	app.GetPerformance: {refused, fault.CodePermissionDenied, func(ctx context.Context, s *scene) (int, error) { return one(s.PerformanceMetrics(ctx, 1)) }},
	app.GetBottlenecks: {refused, fault.CodePermissionDenied, func(ctx context.Context, s *scene) (int, error) { return one(s.BottleneckAnalysis(ctx, 1, 1)) }},
	app.GetConfig:      {gets: nothing},

	"CreateTasks": {gets: others}, "CancelTasks": {gets: others}, "RetryTasks": {gets: others},
	"ListBulkOperations": {gets: others}, "GetBulkOperation": {gets: others}, "CancelBulkOperation": {gets: others},

	app.CreateKey: {gets: others}, app.ListKeys: {gets: others}, app.GetKey: {gets: others}, app.RotateKey: {gets: others},
	app.RevokeKey: {gets: others}, app.ListAudit: {gets: others},

	app.CheckHealth: {gets: nothing}, app.CheckLive: {gets: nothing}, app.CheckReady: {gets: nothing}, app.CheckDetailed: {gets: nothing},
}

func pause(of func(*scene) ports.Pause) probe {
	return func(ctx context.Context, s *scene) (int, error) { return one(s.Pause(ctx, of(s))) }
}

func unpause(of func(*scene) ports.Pause) probe {
	return func(ctx context.Context, s *scene) (int, error) { return one(s.Unpause(ctx, of(s))) }
}

// Every operation is in the table: whoever adds one says what it shows of other
// namespaces.
func TestEveryOperationKeepsToNamespaces(t *testing.T) {
	t.Parallel()
	for op := range app.Operations() {
		c, ok := scopes[op]
		require.True(t, ok, "%s: what do principals of some namespaces get?", op)
		if c.do == nil {
			require.Contains(t, []string{nothing, others}, c.gets, op)
			continue
		}
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			before := s.entry(t, s.task)
			shown, err := c.do(s.ctx, s)
			if c.code != "" {
				require.True(t, fault.Is(err, c.code), "%v", err)
				if c.gets == refused && c.code == fault.CodePermissionDenied {
					require.Contains(t, err.Error(), "namespace")
				}
			} else {
				require.NoError(t, err)
			}
			require.Zero(t, shown, "it shows what is of another namespace")
			require.Equal(t, before, s.entry(t, s.task), "nothing has changed")
			require.Equal(t, "blocked_by_failures", s.state(t, s.task))

			if op == app.GetPerformance || op == app.GetBottlenecks {
				return // what they tell is tested beside them
			}
			everything := app.WithPrincipal(t.Context(), access.Anonymous())
			shown, err = c.do(everything, newScene(t))
			require.False(t, c.gets == narrowed && op != app.ValidateTemplates && op != app.ListResumes && shown == 0, "the list is empty for everybody")
			require.False(t, err != nil && fault.Of(err).Code == c.code, "%v", err)
		})
	}
}

// What is one's own is there, and acting on it works.
func TestOnesOwnNamespaceIsWhole(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for name, n := range map[string]func() (int, error){
		"tasks": func() (int, error) {
			p, err := s.ListTasks(s.ctx, ports.TaskFilter{}, ports.TaskPage{Limit: 10})
			return len(p.Tasks), err
		},
		"in billing": func() (int, error) {
			p, err := s.ListTasks(s.ctx, ports.TaskFilter{Namespace: "billing"}, ports.TaskPage{Limit: 10})
			return len(p.Tasks), err
		},
		"templates": func() (int, error) { l, err := s.ListTemplates(s.ctx, ""); return len(l), err },
		"letters": func() (int, error) {
			l, err := s.ListDeadLetters(s.ctx, ports.LetterFilter{}, 0, 10)
			return len(l), err
		},
		"their stats": func() (int, error) { l, err := s.DeadLetterStats(s.ctx); return len(l), err },
		"the queue":   func() (int, error) { l, err := s.InvestigationQueue(s.ctx, 10); return len(l), err },
		"pauses":      func() (int, error) { l, err := s.ListPauses(s.ctx, 10); return len(l), err },
		"standing":    func() (int, error) { l, err := s.Staleness(s.ctx, 10); return len(l), err },
	} {
		got, err := n()
		require.NoError(t, err, name)
		require.Equal(t, 1, got, name)
	}
	list, err := s.ListDeadLetters(s.ctx, ports.LetterFilter{Namespace: "shop"}, 0, 10)
	require.NoError(t, err)
	require.Empty(t, list)
	_, err = s.CreateTask(s.ctx, app.CreateRequest{Name: "bill", Namespace: "billing", Version: "1.0.0"})
	require.NoError(t, err)
	_, err = s.ResumeDeadLetters(s.ctx, app.ResumeMany{Filter: ports.LetterFilter{Namespace: "shop"}})
	require.True(t, fault.Is(err, fault.CodePermissionDenied))
	r, err := s.ResumeDeadLetters(s.ctx, app.ResumeMany{Action: "skip"})
	require.NoError(t, err)
	require.Equal(t, 1, r.Matched)
	again, _ := s.on(t, r.ID) // by the server itself, within the same bounds
	require.False(t, again)
	require.Equal(t, deadletter.Pending, s.entry(t, s.task).Status, "what is of another namespace stays")
	mine, err := s.ListResumes(s.ctx, 10)
	require.NoError(t, err)
	require.Len(t, mine, 1)
	_, err = s.CancelTask(s.ctx, s.own, "", "")
	require.NoError(t, err)
}

// Who may see all namespaces pays nothing for those who may not.
func TestUnscopedPrincipalsCostNoQuery(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Reads = noNamespaces{s.Reads}
	_, err := s.CancelTask(app.WithPrincipal(t.Context(), access.Anonymous()), s.task, "", "")
	require.NoError(t, err)
	_, err = s.CancelTask(t.Context(), s.own, "", "")
	require.NoError(t, err)
	require.Panics(t, func() { _, _ = s.CancelTask(s.ctx, s.own, "", "") })
}

type noNamespaces struct{ ports.TaskReads }

func (noNamespaces) Namespaces(context.Context, []ident.TaskID) (map[ident.TaskID]string, error) {
	panic("asked for namespaces")
}

func TestPrincipalOfAContext(t *testing.T) {
	t.Parallel()
	require.Equal(t, access.Principal{}, app.PrincipalOf(t.Context()))
	p := access.Principal{Subject: "ann", Namespaces: []string{"shop"}}
	require.Equal(t, p, app.PrincipalOf(app.WithPrincipal(t.Context(), p)))
}
