package scenario_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tasker-go/tasker/worker"
)

// stages are those of the scenarios that run in a world, by namespace.
type stages struct{ all sync.Map }

// Handle implements worker.Handler: it plays what the scenario says.
func (s *stages) Handle(ctx context.Context, st *worker.Step) (any, error) {
	on, ok := s.all.Load(st.Task.Namespace)
	if !ok {
		return nil, worker.Permanent(errors.New("its scenario is over"))
	}
	return on.(*stage).play(ctx, st) //nolint:forcetypeassert // nothing else is stored
}

// runKey is a step of a task.
type runKey struct{ task, step string }

// stage is where the handlers of one scenario play. It is safe for concurrent
// use.
type stage struct {
	script map[string][]outcome // by step, or template/step

	mu      sync.Mutex
	changed chan struct{} // closed whenever something has changed
	runs    map[runKey]int
	holding map[runKey]chan struct{} // to be closed by a release
	causes  map[runKey]string        // why contexts of handlers that held ended
	over    bool
}

func newStage(script map[string][]outcome) *stage {
	return &stage{
		script: script, changed: make(chan struct{}),
		runs: map[runKey]int{}, holding: map[runKey]chan struct{}{}, causes: map[runKey]string{},
	}
}

// tell says that something has changed. The caller holds the lock.
func (g *stage) tell() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// when waits until f, asked under the lock, says yes.
func (g *stage) when(ctx context.Context, f func() bool) error {
	for {
		g.mu.Lock()
		ok, changed := f(), g.changed
		g.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// end lets everything that holds go.
func (g *stage) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	for k, held := range g.holding {
		close(held)
		delete(g.holding, k)
	}
}

// release lets a handler that holds go on. It reports whether there is one.
func (g *stage) release(k runKey) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	held, ok := g.holding[k]
	if ok {
		close(held)
		delete(g.holding, k)
	}
	return ok
}

func (g *stage) play(ctx context.Context, st *worker.Step) (any, error) {
	k := runKey{st.Task.ID, st.Name}
	script := g.script[st.Task.Name+"/"+st.Name]
	if script == nil {
		script = g.script[st.Name]
	}
	g.mu.Lock()
	n := g.runs[k]
	g.runs[k]++
	g.tell()
	g.mu.Unlock()
	if len(script) == 0 {
		return nil, nil //nolint:nilnil // null is what it returns
	}
	for _, act := range script[min(n, len(script)-1)] {
		v, done, err := g.act(ctx, st, k, act)
		if done || err != nil {
			return v, err
		}
	}
	return nil, nil //nolint:nilnil // likewise
}

// outcome is what one run of a handler does, in order.
type outcome []*command

func (g *stage) act(ctx context.Context, st *worker.Step, k runKey, a *command) (v any, done bool, err error) {
	switch a.name {
	case "ok":
		return json.RawMessage(or(a.json(0), "null")), true, nil
	case "fail":
		return nil, true, failure(a)
	case "panic":
		panic(a.word(0))
	case "echo":
		v, err = echo(st, a.word(0))
		return v, true, err
	case "checkpoint":
		items, _ := strconv.ParseInt(a.word(1), 10, 64) // checked by outcomes
		return nil, false, st.SaveCheckpoint(ctx, json.RawMessage(a.json(0)), items, nil)
	default: // hold
		return nil, false, g.hold(ctx, k)
	}
}

func (g *stage) hold(ctx context.Context, k runKey) error {
	held := make(chan struct{})
	g.mu.Lock()
	if g.over {
		g.mu.Unlock()
		return errors.New("the scenario is over")
	}
	g.holding[k] = held
	delete(g.causes, k)
	g.tell()
	g.mu.Unlock()
	select {
	case <-held:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holding[k] == held {
		delete(g.holding, k)
	}
	g.causes[k] = context.Cause(ctx).Error()
	g.tell()
	return ctx.Err()
}

func failure(a *command) error {
	status, _ := strconv.Atoi(a.options["status"]) // checked by outcomes
	var err error = &worker.Error{
		Err: errors.New(a.word(0)), Type: a.options["type"], StatusCode: status, Permanent: a.options["permanent"] == "true",
	}
	if after, wrong := time.ParseDuration(a.options["after"]); wrong == nil {
		err = worker.RetryAfter(err, after)
	}
	if header := a.options["header"]; header != "" {
		err = worker.RetryAfterHeader(err, header)
	}
	return err
}

func echo(st *worker.Step, what string) (any, error) {
	switch what {
	case "attempt":
		return st.Attempt, nil
	case "context":
		return st.RawInput(), nil
	case "inputs":
		var v any
		err := st.Settings(&v)
		return v, err
	default: // checkpoint
		p, ok := st.Checkpoint()
		if !ok {
			return nil, nil //nolint:nilnil // there is none
		}
		var cursor any
		err := p.Cursor(&cursor)
		return map[string]any{"cursor": cursor, "items": p.ItemsProcessed}, err
	}
}

// outcomes reads the section that says how handlers end.
func outcomes(s section) (map[string][]outcome, error) {
	all := map[string][]outcome{}
	no := s.line - 1
	for line := range strings.Lines(s.text) {
		no++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		step, rest, ok := strings.Cut(line, ": ")
		if !ok {
			return nil, fmt.Errorf("line %d: want step: outcome", no)
		}
		var o outcome
		for part := range strings.SplitSeq(rest, "; ") {
			a, err := parse(strings.TrimSpace(part))
			if err == nil {
				err = checkAct(a)
			}
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", no, err)
			}
			o = append(o, a)
		}
		all[step] = append(all[step], o)
	}
	return all, nil
}

func checkAct(a *command) error {
	switch a.name {
	case "hold", "panic":
		return nil
	case "ok":
		if w := a.json(0); w != "" && !json.Valid([]byte(w)) {
			return fmt.Errorf("not JSON: %s", w)
		}
		return nil
	case "echo":
		switch a.word(0) {
		case "inputs", "checkpoint", "attempt", "context":
			return nil
		}
		return fmt.Errorf("nothing to echo is called %q", a.word(0))
	case "checkpoint":
		if _, err := strconv.ParseInt(a.word(1), 10, 64); err != nil || !json.Valid([]byte(a.json(0))) {
			return errors.New("want checkpoint cursor items")
		}
		return nil
	case "fail":
		if after := a.options["after"]; after != "" {
			if _, err := time.ParseDuration(after); err != nil {
				return err
			}
		}
		for name := range a.options {
			switch name {
			case "type", "status", "permanent", "after", "header":
			default:
				return fmt.Errorf("fail has no option %s", name)
			}
		}
		return nil
	default:
		return fmt.Errorf("a handler cannot %s", a.name)
	}
}
