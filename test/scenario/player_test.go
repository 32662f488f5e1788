package scenario_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/ident"
)

// player plays one scenario in a world.
type player struct {
	t         *testing.T
	world     world
	api       client
	stage     *stage
	namespace string
	templates []string          // names, in the order of the file
	uploads   map[string]string // texts by section
	tasks     map[string]string // ids by the name in the script
	failed    map[string]string // when a step failed for which a wait was expected, by its id
}

// patience is how long a scenario waits for what it expects.
const patience = 10 * time.Second

// perform carries a command out and says why it went wrong.
func (p *player) perform(ctx context.Context, c *command) error {
	do, known := performances[c.name]
	if !known {
		return fmt.Errorf("there is no command %q", c.name)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := do(ctx, p, c)
	if c.refusal != "" {
		refused, ok := errors.AsType[*problem](err)
		switch {
		case !ok && err == nil:
			return fmt.Errorf("it was carried out, want it refused with %s", c.refusal)
		case !ok:
			return err
		case refused.Code != c.refusal:
			return fmt.Errorf("it was refused with %s, want %s: %s", refused.Code, c.refusal, refused.Detail)
		}
		if twin, ok := p.tasks[c.option("twin")]; ok && refused.TaskUUID != twin {
			return fmt.Errorf("the refusal names task %s, want %s", refused.TaskUUID, twin)
		}
		err = nil
	}
	if err != nil {
		return err
	}
	for name := range c.options {
		if !c.used[name] {
			return fmt.Errorf("%s has no option %s", c.name, name)
		}
	}
	if len(c.block) > 0 && !c.used["block"] {
		return fmt.Errorf("%s takes no lines", c.name)
	}
	return nil
}

// until asks again and again until check finds nothing wrong.
func until(ctx context.Context, check func() error) error {
	again := time.NewTicker(4 * time.Millisecond)
	defer again.Stop()
	var last error
	for {
		err := check()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil { // what it found before says more
			return fmt.Errorf("after %s: %w", patience, errors.Join(last, err))
		}
		last = err
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", patience, last)
		case <-again.C:
		}
	}
}

func (p *player) task(name string) (string, error) {
	id, ok := p.tasks[name]
	if !ok {
		return "", fmt.Errorf("there is no task %q", name)
	}
	return id, nil
}

func (p *player) get(ctx context.Context, name string) (taskAnswer, error) {
	var got taskAnswer
	id, err := p.task(name)
	if err == nil {
		err = p.api.do(ctx, http.MethodGet, "/v1/tasks/"+id, nil, &got)
	}
	return got, err
}

// step finds a step that is written as task.step.
func (p *player) step(ctx context.Context, name string) (taskAnswer, stepAnswer, error) {
	of, which, ok := strings.Cut(name, ".")
	if !ok {
		return taskAnswer{}, stepAnswer{}, fmt.Errorf("%q is no step, want task.step", name)
	}
	t, err := p.get(ctx, of)
	if err != nil {
		return t, stepAnswer{}, err
	}
	for _, s := range t.Steps {
		if s.Name == which {
			return t, s, nil
		}
	}
	return t, stepAnswer{}, fmt.Errorf("task %s has no step %q", of, which)
}

// key is a step as its stage knows it.
func (p *player) key(name string) (runKey, error) {
	of, which, _ := strings.Cut(name, ".")
	id, err := p.task(of)
	return runKey{id, which}, err
}

// stepPath is where the API has a step.
func (p *player) stepPath(ctx context.Context, name string) (string, error) {
	t, s, err := p.step(ctx, name)
	return "/v1/tasks/" + t.UUID + "/workflow_steps/" + s.UUID, err
}

func (p *player) ref(ctx context.Context, name string) (ident.StepRef, error) {
	_, s, err := p.step(ctx, name)
	if err != nil {
		return ident.StepRef{}, err
	}
	id, err := ident.ParseStep(s.UUID)
	return ident.Ref(id), err
}

// template is the one that a command names, or the first.
func (p *player) template(name string) string {
	if name == "" && len(p.templates) > 0 {
		return p.templates[0]
	}
	return name
}

func (p *player) templatePath(name string) string {
	return path.Join("/v1/templates", p.namespace, p.template(name), "1.0.0")
}

// moment is a time that is so far from the database's now.
func (p *player) moment(offset string) (string, error) {
	d, err := time.ParseDuration(offset)
	return time.Now().Add(p.world.Offset() + d).UTC().Format(time.RFC3339Nano), err
}

// like compares a text with what is expected, where "*" stands for anything.
func like(want, got string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), `\*`, `.*`)
	return regexp.MustCompile("^(?s:" + pattern + ")$").MatchString(got)
}

// sameJSON compares two documents.
func sameJSON(want, got string) error {
	var w, g any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		return fmt.Errorf("%s: %w", want, err)
	}
	if err := json.Unmarshal([]byte(or(got, "null")), &g); err != nil {
		return fmt.Errorf("%s: %w", got, err)
	}
	if !reflect.DeepEqual(w, g) {
		return fmt.Errorf("it is %s, want %s", got, want)
	}
	return nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// by is who acts, unless the script says.
const by = "operator"

// said is what a command says of who and why.
func said(c *command) map[string]any {
	body := map[string]any{"by": c.or("by", by)}
	if why := c.option("why"); why != "" {
		body["reason"] = why
	}
	return body
}

func parseTask(id string) (ident.TaskID, error) {
	u, err := uuid.Parse(id)
	return ident.TaskID(u), err
}
