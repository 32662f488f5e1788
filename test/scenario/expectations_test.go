package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

func expectTask(ctx context.Context, p *player, c *command) error {
	return until(ctx, func() error {
		got, err := p.get(ctx, c.word(0))
		if err == nil && got.Status != c.word(1) {
			err = fmt.Errorf("task %s is %s, want %s; its steps: %v", c.word(0), got.Status, c.word(1), got.Steps)
		}
		return err
	})
}

func expectSteps(ctx context.Context, p *player, c *command) error {
	return until(ctx, func() error {
		got, err := p.get(ctx, c.word(0))
		if err != nil {
			return err
		}
		seen := map[string]string{}
		for _, s := range got.Steps {
			seen[s.Name] = s.State
		}
		for name := range c.options {
			if want := c.option(name); seen[name] != want {
				err = errors.Join(err, fmt.Errorf("step %s is %s, want %s", name, or(seen[name], "not there"), want))
			}
		}
		return err
	})
}

func expectStep(ctx context.Context, p *player, c *command) error {
	return until(ctx, func() error {
		_, got, err := p.step(ctx, c.word(0))
		if err != nil {
			return err
		}
		if got.State != c.word(1) {
			return fmt.Errorf("step %s is %s, want %s", c.word(0), got.State, c.word(1))
		}
		if want := c.option("attempts"); want != "" && want != strconv.Itoa(got.Attempts) {
			return fmt.Errorf("step %s has made %d attempts, want %s", c.word(0), got.Attempts, want)
		}
		return nil
	})
}

func expectSame(_ context.Context, p *player, c *command) error {
	a, b := p.tasks[c.word(0)], p.tasks[c.word(1)]
	if a == "" || a != b {
		return fmt.Errorf("%s is task %q, and %s is task %q", c.word(0), a, c.word(1), b)
	}
	return nil
}

func expectWait(ctx context.Context, p *player, c *command) error {
	low, high, ranged := strings.Cut(c.word(1), "..")
	if !ranged {
		high = low
	}
	from, err := time.ParseDuration(low)
	if err != nil {
		return err
	}
	to, err := time.ParseDuration(high)
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		_, got, err := p.step(ctx, c.word(0))
		if err != nil {
			return err
		}
		if got.State != step.WaitingForRetry.String() {
			return fmt.Errorf("step %s is %s, want %s", c.word(0), got.State, step.WaitingForRetry)
		}
		if p.failed[got.UUID] == got.LastFailure {
			return fmt.Errorf("step %s still waits as before", c.word(0))
		}
		failed, err := time.Parse(time.RFC3339Nano, got.LastFailure)
		if err != nil {
			return err
		}
		next, err := time.Parse(time.RFC3339Nano, got.NextRetry)
		if err != nil {
			return err
		}
		if wait := next.Sub(failed); wait < from || wait > to {
			return fmt.Errorf("step %s waits for %s, want %s", c.word(0), wait, c.word(1))
		}
		p.failed[got.UUID] = got.LastFailure
		return nil
	})
}

func expectRuns(ctx context.Context, p *player, c *command) error {
	k, err := p.key(c.word(0))
	if err != nil {
		return err
	}
	want, err := strconv.Atoi(c.word(1))
	if err != nil {
		return err
	}
	var got int
	err = p.stage.when(ctx, func() bool { got = p.stage.runs[k]; return got >= want })
	if err != nil || got != want {
		return fmt.Errorf("the handler of %s has been called %d times, want %d", c.word(0), got, want)
	}
	return nil
}

func expectRunning(ctx context.Context, p *player, c *command) error {
	k, err := p.key(c.word(0))
	if err != nil {
		return err
	}
	if p.stage.when(ctx, func() bool { return p.stage.holding[k] != nil }) != nil {
		return fmt.Errorf("the handler of %s does not hold", c.word(0))
	}
	return nil
}

func expectStopped(ctx context.Context, p *player, c *command) error {
	k, err := p.key(c.word(0))
	if err != nil {
		return err
	}
	var cause string
	if p.stage.when(ctx, func() bool { cause = p.stage.causes[k]; return cause != "" }) != nil {
		return fmt.Errorf("the context of the handler of %s has not ended", c.word(0))
	}
	if !like(c.word(1), cause) {
		return fmt.Errorf("the context of the handler of %s ended since %q, want %q", c.word(0), cause, c.word(1))
	}
	return nil
}

func (p *player) result(ctx context.Context, name string) (resultAnswer, error) {
	var got resultAnswer
	at, err := p.stepPath(ctx, name)
	if err == nil {
		err = p.api.do(ctx, http.MethodGet, at, nil, &got)
	}
	if err == nil && got.Results == nil {
		err = fmt.Errorf("step %s has no result yet", name)
	}
	return got, err
}

func expectResult(ctx context.Context, p *player, c *command) error {
	return until(ctx, func() error {
		got, err := p.result(ctx, c.word(0))
		if err != nil {
			return err
		}
		return sameJSON(c.json(1), string(got.Results.Result))
	})
}

func expectFailed(ctx context.Context, p *player, c *command) error {
	return until(ctx, func() error {
		got, err := p.result(ctx, c.word(0))
		if err != nil {
			return err
		}
		e := got.Results.Error
		if e == nil {
			return fmt.Errorf("step %s has no error", c.word(0))
		}
		if e.Type != c.word(1) || c.word(2) != "" && !like(c.word(2), e.Message) {
			return fmt.Errorf("step %s failed with %s %q, want %s %q", c.word(0), e.Type, e.Message, c.word(1), c.word(2))
		}
		return nil
	})
}

// expectHistory compares all moves with the lines of the command.
func expectHistory(ctx context.Context, p *player, c *command) error {
	c.used["block"] = true
	return until(ctx, func() error {
		var (
			lines []string
			err   error
		)
		if strings.Contains(c.word(0), ".") {
			lines, err = p.stepLines(ctx, c.word(0))
		} else {
			lines, err = p.taskLines(ctx, c.word(0))
		}
		if err != nil {
			return err
		}
		return compare(c.block, lines)
	})
}

func compare(want, got []string) error {
	if slices.EqualFunc(want, got, like) {
		return nil
	}
	return fmt.Errorf("it is\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
}

func (p *player) taskLines(ctx context.Context, name string) ([]string, error) {
	text, err := p.task(name)
	if err != nil {
		return nil, err
	}
	id, err := parseTask(text)
	if err != nil {
		return nil, err
	}
	moves, err := p.world.TaskMoves(ctx, id)
	lines := make([]string, len(moves))
	for i, m := range moves {
		lines[i] = line(m.From.String(), m.To.String(), spaced(m.Path, task.State.String), 0, m.By, m.Why)
	}
	return lines, err
}

func (p *player) stepLines(ctx context.Context, name string) ([]string, error) {
	ref, err := p.ref(ctx, name)
	if err != nil {
		return nil, err
	}
	moves, err := p.world.StepMoves(ctx, ref)
	lines := make([]string, len(moves))
	for i, m := range moves {
		lines[i] = line(m.From.String(), m.To.String(), spaced(m.Path, step.State.String), m.Attempt, m.By, m.Why)
	}
	return lines, err
}

// line is a move as scripts have it.
func line(from, to, path string, attempt int32, by, why string) string {
	s := from + " -> " + to
	if path != "" {
		s += " via" + path
	}
	if attempt > 0 {
		s += " attempt=" + strconv.Itoa(int(attempt))
	}
	if by != "" {
		s += " by=" + by
	}
	if why != "" {
		s += fmt.Sprintf(" why=%q", why)
	}
	return s
}

func expectAudit(ctx context.Context, p *player, c *command) error {
	c.used["block"] = true
	at, err := p.stepPath(ctx, c.word(0))
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		var rows []auditAnswer
		if err := p.api.do(ctx, http.MethodGet, at+"/audit", nil, &rows); err != nil {
			return err
		}
		lines := make([]string, len(rows))
		for i, r := range rows {
			path := strings.Join(append([]string{""}, r.Path...), " ")
			lines[i] = line(r.From, r.To, path, r.Attempt, r.By, r.Reason)
		}
		return compare(c.block, lines)
	})
}

func expectLetter(ctx context.Context, p *player, c *command) error {
	return until(ctx, func() error {
		got, err := p.letter(ctx, c.word(0))
		if err != nil {
			return err
		}
		var failures []struct{}
		if err := p.api.do(ctx, http.MethodGet, "/v1/dlq/entry/"+got.UUID+"/failures", nil, &failures); err != nil {
			return err
		}
		resolved := ""
		if got.ResolvedBy != nil {
			resolved = *got.ResolvedBy
		}
		for what, pair := range map[string][2]string{
			"reason":   {deadletter.Pascal(c.word(1)), got.Reason},
			"status":   {deadletter.Pascal(c.word(2)), got.Status},
			"ordinal":  {c.option("ordinal"), strconv.Itoa(got.Ordinal)},
			"failures": {c.option("failures"), strconv.Itoa(len(failures))},
			"from":     {c.option("from"), got.Original},
			"by":       {c.option("by"), resolved},
		} {
			if pair[0] != "" && pair[0] != pair[1] {
				err = errors.Join(err, fmt.Errorf("the %s of the dead letter is %q, want %q", what, pair[1], pair[0]))
			}
		}
		return err
	})
}

func expectNoLetter(ctx context.Context, p *player, c *command) error {
	got, err := p.letter(ctx, c.word(0))
	if refused, ok := errors.AsType[*problem](err); ok && refused.Code == string(fault.CodeDeadLetterNotFound) {
		return nil
	}
	return errors.Join(err, fmt.Errorf("there is a dead letter: %+v", got))
}

func expectExplanation(ctx context.Context, p *player, c *command) error {
	of, which, isStep := strings.Cut(c.word(0), ".")
	id, err := p.task(of)
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		var got explanationAnswer
		if err := p.api.do(ctx, http.MethodGet, "/v1/tasks/"+id+"/explain", nil, &got); err != nil {
			return err
		}
		why := got.whyAnswer
		if isStep {
			i := slices.IndexFunc(got.Steps, func(s struct {
				Name string `json:"name"`
				whyAnswer
			}) bool {
				return s.Name == which
			})
			if i < 0 {
				return fmt.Errorf("nothing is said of step %s", which)
			}
			why = got.Steps[i].whyAnswer
		}
		also := c.option("also")
		switch {
		case why.Code != c.word(1):
			return fmt.Errorf("the code is %s, want %s: %s", why.Code, c.word(1), why.Sentence)
		case c.word(2) != "" && !like(c.word(2), why.Sentence):
			return fmt.Errorf("it says %q, want %q", why.Sentence, c.word(2))
		case c.option("unblock") != "" && !like(c.option("unblock"), why.Unblock):
			return fmt.Errorf("what unblocks it is %q, want %q", why.Unblock, c.option("unblock"))
		case also != "" && !slices.Contains(why.Also, also):
			return fmt.Errorf("what else holds it up is %v, want %s", why.Also, also)
		}
		return nil
	})
}

// expectPaused looks whether the list of pauses has one of the scenario.
func expectPaused(ctx context.Context, p *player, c *command) error {
	var all []pauseAnswer
	if err := p.api.do(ctx, http.MethodGet, "/v1/pauses?limit=1000", nil, &all); err != nil {
		return err
	}
	for _, a := range all {
		mine := a.Namespace != nil && *a.Namespace == p.namespace
		for _, id := range p.tasks {
			mine = mine || a.TaskUUID != nil && *a.TaskUUID == id
		}
		if mine && a.Kind == c.word(0) && a.By == c.or("by", a.By) && a.Reason == c.or("why", a.Reason) {
			return nil
		}
	}
	return fmt.Errorf("no pause of a %s is listed: %+v", c.word(0), all)
}
