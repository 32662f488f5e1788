package scenario_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tasker-go/tasker/core/domain/step"
)

// performances are the commands, by name. Filled here and in expectations_test.go.
var performances = map[string]func(context.Context, *player, *command) error{
	"create":  create,
	"cancel":  cancel,
	"give-up": onTask("give_up"), "retry": onTask("retry"), "resolve": resolve, "purge": purge,
	"reset": onStep("reset_for_retry", "reset_by"), "complete": onStep("complete_manually", "completed_by"),
	"pause": hold("pause"), "resume": hold("resume"),
	"enable": onTemplate("enable"), "disable": onTemplate("disable"), "upload": upload,
	"file": file, "close-letter": closeLetter, "resume-letter": resumeLetter, "resume-letters": resumeLetters,
	"release":       release,
	"advance":       advance,
	"sweep":         func(ctx context.Context, p *player, _ *command) error { return p.world.Sweep(ctx) },
	"freeze-server": freeze,
	"thaw-server":   func(ctx context.Context, p *player, _ *command) error { return p.world.RenewServer(ctx, time.Minute) },
	"start-server":  func(_ context.Context, p *player, _ *command) error { p.world.StartServer(p.t); return nil },
	"kill-server":   func(_ context.Context, p *player, _ *command) error { p.world.KillServer(p.t); return nil },

	"task": expectTask, "steps": expectSteps, "step": expectStep, "same": expectSame,
	"waits": expectWait, "runs": expectRuns, "running": expectRunning, "stopped": expectStopped,
	"result": expectResult, "failed": expectFailed, "history": expectHistory, "audit": expectAudit,
	"letter": expectLetter, "no-letter": expectNoLetter, "explain": expectExplanation, "paused": expectPaused,
}

func create(ctx context.Context, p *player, c *command) error {
	name := c.word(0)
	if name == "" || p.tasks[name] != "" {
		return fmt.Errorf("create needs a name that no other task has, not %q", name)
	}
	body := map[string]any{"name": p.template(c.option("template")), "namespace": p.namespace, "version": "1.0.0"}
	// Tasks of one scenario differ unless the script says what they are about.
	body["context"] = json.RawMessage(c.or("context", `{"task":"`+name+`"}`))
	for option, field := range map[string]string{"key": "idempotency_key", "on_duplicate": "on_duplicate"} {
		if v := c.option(option); v != "" {
			body[field] = v
		}
	}
	for option, field := range map[string]string{"start": "start_at", "deadline": "deadline"} {
		if v := c.option(option); v != "" {
			at, err := p.moment(v)
			if err != nil {
				return err
			}
			body[field] = at
		}
	}
	if v := c.option("priority"); v != "" {
		body["priority"] = json.RawMessage(v)
	}
	c.option("twin")
	var got taskAnswer
	if err := p.api.do(ctx, http.MethodPost, "/v1/tasks", body, &got); err != nil {
		return err
	}
	p.tasks[name] = got.UUID
	return nil
}

func cancel(ctx context.Context, p *player, c *command) error {
	id, err := p.task(c.word(0))
	if err != nil {
		return err
	}
	q := url.Values{"by": {c.or("by", by)}}
	if why := c.option("why"); why != "" {
		q.Set("reason", why)
	}
	return p.api.do(ctx, http.MethodDelete, "/v1/tasks/"+id+"?"+q.Encode(), nil, nil)
}

func onTask(what string) func(context.Context, *player, *command) error {
	return func(ctx context.Context, p *player, c *command) error {
		id, err := p.task(c.word(0))
		if err != nil {
			return err
		}
		return p.api.do(ctx, http.MethodPost, "/v1/tasks/"+id+"/"+what, said(c), nil)
	}
}

// resolve is for a task, or for a step of one.
func resolve(ctx context.Context, p *player, c *command) error {
	if _, ok := p.tasks[c.word(0)]; ok {
		return onTask("resolve")(ctx, p, c)
	}
	return onStep("resolve_manually", "resolved_by")(ctx, p, c)
}

func purge(ctx context.Context, p *player, c *command) error {
	id, err := p.task(c.word(0))
	if err != nil {
		return err
	}
	return p.api.do(ctx, http.MethodDelete, "/v1/tasks/"+id+"/purge", nil, nil)
}

func onStep(what, who string) func(context.Context, *player, *command) error {
	return func(ctx context.Context, p *player, c *command) error {
		at, err := p.stepPath(ctx, c.word(0))
		if err != nil {
			return err
		}
		body := said(c)
		body["action_type"], body[who] = what, body["by"]
		delete(body, "by")
		if v := c.option("inputs"); v != "" {
			body["inputs"] = json.RawMessage(v)
		}
		if v := c.json(1); v != "" {
			body["completion_data"] = map[string]any{"result": json.RawMessage(v)}
		}
		return p.api.do(ctx, http.MethodPatch, at, body, nil)
	}
}

// hold pauses or resumes a task, a template or the namespace.
func hold(what string) func(context.Context, *player, *command) error {
	return func(ctx context.Context, p *player, c *command) error {
		var at string
		switch c.word(0) {
		case "namespace":
			at = "/v1/namespaces/" + p.namespace
		case "template":
			at = p.templatePath(c.word(1))
		default:
			id, err := p.task(c.word(0))
			if err != nil {
				return err
			}
			at = "/v1/tasks/" + id
		}
		return p.api.do(ctx, http.MethodPost, at+"/"+what, said(c), nil)
	}
}

func onTemplate(what string) func(context.Context, *player, *command) error {
	return func(ctx context.Context, p *player, c *command) error {
		return p.api.do(ctx, http.MethodPost, p.templatePath(c.word(0))+"/"+what, said(c), nil)
	}
}

func upload(ctx context.Context, p *player, c *command) error {
	text, ok := p.uploads[c.word(0)]
	if !ok {
		return fmt.Errorf("there is no section %s", c.word(0))
	}
	at := "/v1/templates"
	if c.option("revise") == "true" {
		at += "?revise=true"
	}
	return p.api.do(ctx, http.MethodPost, at, text, nil)
}

func (p *player) letter(ctx context.Context, name string) (letterAnswer, error) {
	var got letterAnswer
	id, err := p.task(name)
	if err == nil {
		err = p.api.do(ctx, http.MethodGet, "/v1/dlq/task/"+id, nil, &got)
	}
	return got, err
}

func file(ctx context.Context, p *player, c *command) error {
	id, err := p.task(c.word(0))
	if err != nil {
		return err
	}
	return p.api.do(ctx, http.MethodPost, "/v1/dlq/task/"+id, said(c), nil)
}

func closeLetter(ctx context.Context, p *player, c *command) error {
	l, err := p.letter(ctx, c.word(0))
	if err != nil {
		return err
	}
	return p.api.do(ctx, http.MethodPatch, "/v1/dlq/entry/"+l.UUID, map[string]any{
		"resolution_status": c.word(1), "resolved_by": c.or("by", by), "resolution_notes": c.option("why"),
	}, nil)
}

func resumeLetter(ctx context.Context, p *player, c *command) error {
	l, err := p.letter(ctx, c.word(0))
	if err != nil {
		return err
	}
	body := said(c)
	body["action"] = c.word(1)
	if v := c.option("steps"); v != "" {
		body["steps"] = json.RawMessage(v)
	}
	return p.api.do(ctx, http.MethodPost, "/v1/dlq/entry/"+l.UUID+"/resume", body, nil)
}

// resumeLetters resumes all dead letters of the scenario that the options name.
func resumeLetters(ctx context.Context, p *player, c *command) error {
	filter := map[string]any{"namespace": p.namespace}
	if v := c.option("reason"); v != "" {
		filter["reason"] = v
	}
	if v := c.option("template"); v != "" {
		filter["name"] = v
	}
	body := said(c)
	body["action"], body["filter"], body["dry_run"] = c.word(0), filter, c.option("dry_run") == "true"
	want, err := strconv.Atoi(c.option("matched"))
	if err != nil {
		return errors.New("resume-letters needs matched=N")
	}
	var got resumeAnswer
	if err := p.api.do(ctx, http.MethodPost, "/v1/dlq/resumes", body, &got); err != nil {
		return err
	}
	if got.Matched != want {
		return fmt.Errorf("%d dead letters matched, want %d", got.Matched, want)
	}
	if got.UUID == nil {
		return nil
	}
	return p.world.Carry(ctx, *got.UUID, func() error {
		if err := p.api.do(ctx, http.MethodGet, "/v1/dlq/resumes/"+*got.UUID, nil, &got); err != nil {
			return err
		}
		if got.State != "complete" || got.Resumed != want {
			return fmt.Errorf("the resume is %s after %d of %d", got.State, got.Resumed, want)
		}
		return nil
	})
}

func release(ctx context.Context, p *player, c *command) error {
	k, err := p.key(c.word(0))
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		if !p.stage.release(k) {
			return fmt.Errorf("the handler of %s does not hold", c.word(0))
		}
		return nil
	})
}

func advance(ctx context.Context, p *player, c *command) error {
	d, err := time.ParseDuration(c.word(0))
	if err != nil {
		return err
	}
	return p.world.Advance(ctx, d)
}

// freeze has the other server seem frozen until it has lost a step.
func freeze(ctx context.Context, p *player, c *command) error {
	return until(ctx, func() error {
		if err := p.world.RenewServer(ctx, -time.Second); err != nil {
			return err
		}
		_, s, err := p.step(ctx, c.word(0))
		if err == nil && s.State == step.InProgress.String() {
			err = fmt.Errorf("step %s is still with the server", c.word(0))
		}
		return err
	})
}
