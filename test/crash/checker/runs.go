package checker

import (
	"strconv"

	"github.com/tasker-go/tasker/test/crash/runlog"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

type attemptKey struct {
	stepKey
	attempt int
}

// log compares the handlers' own account with the database.
func (c *check) log() {
	var (
		begun   = map[string]runlog.Line{}   // by run
		ended   = map[string]runlog.Line{}   // by run
		returns = map[stepKey]bool{}         // steps with a run that has returned a result so far
		begins  = map[attemptKey]int{}       // runs
		failed  = map[attemptKey]int{}       // of them, returned an error
		keys    = map[stepKey]string{}       // idempotency keys
		owners  = map[string]stepKey{}       // of keys
		early   = map[stepKey]map[int]bool{} // parents already complained of
	)
	for _, l := range c.e.Log {
		no, known := c.names[runKey{l.Task, l.Step}]
		k := stepKey{l.Task, no}
		if !known {
			c.wrong(RuleRun, "run "+l.Run, "it ran step %s of task %s, which does not exist", l.Step, l.Task)
			continue
		}
		a := attemptKey{k, l.Attempt}
		if l.Kind == runlog.Begin {
			if _, twice := begun[l.Run]; twice {
				c.wrong(RuleLog, "run "+l.Run, "it begins twice")
			}
			begun[l.Run] = l
			begins[a]++
			c.report.Runs++
			if key, seen := keys[k]; seen && key != l.Key {
				c.wrong(RuleRun, k, "it ran with the keys %s and %s", key, l.Key)
			}
			if owner, seen := owners[l.Key]; seen && owner != k {
				c.wrong(RuleRun, k, "it shares its key with %s", owner)
			}
			keys[k], owners[l.Key] = l.Key, k
			if l.Attempt < 1 || l.Attempt > c.e.MaxAttempts {
				c.wrong(RuleAttempts, k, "a handler ran attempt %d, want at most %d", l.Attempt, c.e.MaxAttempts)
			}
			for _, parent := range c.steps[k].Parents {
				if !returns[stepKey{l.Task, parent}] && !early[k][parent] {
					if early[k] == nil {
						early[k] = map[int]bool{}
					}
					early[k][parent] = true
					c.wrong(RuleEarly, k, "a handler began before one of its parent %d had returned", parent)
				}
			}
			continue
		}
		begin, open := begun[l.Run]
		if _, twice := ended[l.Run]; twice || !open || begin.Task != l.Task || begin.Step != l.Step || begin.Attempt != l.Attempt {
			c.wrong(RuleLog, "run "+l.Run, "it ends twice, or did not begin like this")
		}
		ended[l.Run] = l
		if l.Kind == runlog.Failed {
			failed[a]++
			c.report.Failed++
			continue
		}
		returns[k] = true
		c.report.Ended++
	}
	c.report.CutOff = len(begun) - len(ended)
	c.claims(begins)
	c.results(ended, failed)
}

// claims checks that each run had a claim of its own.
func (c *check) claims(begins map[attemptKey]int) {
	claims := map[attemptKey]int{}
	for _, m := range c.stepMoves {
		if m.To == "in_progress" {
			claims[attemptKey{stepKey{m.Task, m.No}, m.Attempt}]++
		}
	}
	for a, n := range begins {
		if n > claims[a] {
			c.wrong(RuleRun, a.stepKey, "attempt %d ran %d times, and was claimed %d times", a.attempt, n, claims[a])
		}
		c.report.Repeats += n - 1
	}
}

// results checks that what is stored was returned by a handler.
func (c *check) results(ended map[string]runlog.Line, failed map[attemptKey]int) {
	for i := range c.stored.steps {
		s := &c.stored.steps[i]
		k := stepKey{s.Task, s.No}
		if s.State == "complete" {
			switch run, ok := ended[value(s.Run)]; {
			case !ok:
				c.wrong(RuleResult, k, "its result is that of run %q, which did not end", value(s.Run))
			case run.Kind != runlog.End || run.Task != s.Task || run.Step != s.Name:
				c.wrong(RuleResult, k, "its result is that of run %s, which %s as step %s of task %s", run.Run, run.Kind, run.Step, run.Task)
			case run.Attempt != s.Attempts:
				c.wrong(RuleResult, k, "its result is that of attempt %d, and it ended with attempt %d", run.Attempt, s.Attempts)
			}
		}
		for _, m := range c.moves[k] {
			if m.To == "waiting_for_retry" && failed[attemptKey{k, m.Attempt}] == 0 {
				c.wrong(RuleResult, k, "attempt %d failed, says history, and no run of it did", m.Attempt)
			}
		}
	}
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
