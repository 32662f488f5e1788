package audit_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/audit"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

var (
	birth = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now   = birth.Add(time.Hour)
	id    = ident.TaskID{15: 0}
)

func at(second int) time.Time { return birth.Add(time.Duration(second) * time.Second) }

func taskMove(second int, from, to task.State, path ...task.State) audit.Move[task.State] {
	return audit.Move[task.State]{At: at(second), From: from, To: to, Path: path}
}

func stepMove(no int32, second int, dispatch, attempt int32, from, to step.State, path ...step.State) audit.StepMove {
	return audit.StepMove{
		No: no, Dispatch: dispatch, Attempt: attempt,
		Move: audit.Move[step.State]{At: at(second), From: from, To: to, Path: path},
	}
}

// A case begins as a diamond at rest in the middle of its life: the first step
// is complete, the second runs, the third waits in its queue, the last for both.
func running() *audit.Case {
	return &audit.Case{
		Task: audit.Task{
			ID: id, Template: 7, TemplateKnown: true, State: task.StepsInProcess,
			Counters: task.Counters{Total: 4, Open: 3, Active: 2},
		},
		Steps: []audit.Step{
			{No: 1, Name: "start", State: step.Complete, Attempts: 1, MaxAttempts: 3, Dispatch: 1, Result: true},
			{No: 2, Name: "left", State: step.InProgress, Attempts: 1, MaxAttempts: 3, Dispatch: 1, Leased: true, Owner: 5, Parents: []int32{1}},
			{No: 3, Name: "right", State: step.Enqueued, MaxAttempts: 3, Dispatch: 1, Parents: []int32{1}},
			{No: 4, Name: "end", State: step.Pending, OpenParents: 2, MaxAttempts: 3, Parents: []int32{2, 3}},
		},
		TaskMoves: []audit.Move[task.State]{
			taskMove(0, task.Pending, task.StepsInProcess, task.Initializing, task.EnqueuingSteps),
		},
		StepMoves: []audit.StepMove{
			stepMove(1, 0, 1, 0, step.Pending, step.Enqueued),
			stepMove(1, 1, 1, 1, step.Enqueued, step.InProgress),
			stepMove(1, 2, 1, 1, step.InProgress, step.Complete, step.EnqueuedForOrchestration),
			// One transaction, one time; and not in the order of what happened.
			stepMove(2, 2, 1, 1, step.Enqueued, step.InProgress),
			stepMove(2, 2, 1, 0, step.Pending, step.Enqueued),
			stepMove(3, 2, 1, 0, step.Pending, step.Enqueued),
		},
		Jobs:   []audit.Job{{ID: 9, No: 3, Dispatch: 1}},
		Owners: map[int32]audit.Owner{5: {Held: true, Until: now.Add(time.Second), Started: birth}},
	}
}

// settle replaces the history of a step and its row.
func settle(c *audit.Case, s audit.Step, moves ...audit.StepMove) {
	c.Steps[s.No-1] = s
	c.StepMoves = slices.DeleteFunc(c.StepMoves, func(m audit.StepMove) bool { return m.No == s.No })
	c.StepMoves = append(c.StepMoves, moves...)
	slices.SortStableFunc(c.StepMoves, func(a, b audit.StepMove) int { return int(a.No - b.No) })
}

// retrying: the second step has failed once and waits, the third is complete.
func retrying() *audit.Case {
	c := running()
	settle(c, audit.Step{
		No: 2, Name: "left", State: step.WaitingForRetry, Attempts: 1, MaxAttempts: 3, Dispatch: 1,
		Parents: []int32{1}, WakeAt: now.Add(time.Minute),
	},
		stepMove(2, 2, 1, 0, step.Pending, step.Enqueued),
		stepMove(2, 3, 1, 1, step.Enqueued, step.InProgress),
		stepMove(2, 4, 1, 1, step.InProgress, step.WaitingForRetry, step.EnqueuedAsErrorForOrchestration))
	finishRight(c)
	c.Task.State, c.Task.Counters = task.WaitingForRetry, task.Counters{Total: 4, Open: 2, Retrying: 1}
	c.TaskMoves = append(c.TaskMoves, taskMove(4, task.StepsInProcess, task.WaitingForRetry))
	return c
}

func finishRight(c *audit.Case) {
	settle(c, audit.Step{
		No: 3, Name: "right", State: step.Complete, Attempts: 1, MaxAttempts: 3, Dispatch: 1, Parents: []int32{1}, Result: true,
	},
		stepMove(3, 2, 1, 0, step.Pending, step.Enqueued),
		stepMove(3, 3, 1, 1, step.Enqueued, step.InProgress),
		stepMove(3, 3, 1, 1, step.InProgress, step.Complete, step.EnqueuedForOrchestration))
	c.Steps[3].OpenParents = 1
	c.Jobs = nil
}

// blocked: the second step has used its attempts up, having lost a lease before.
func blocked() *audit.Case {
	c := running()
	settle(c, audit.Step{
		No: 2, Name: "left", State: step.Error, Attempts: 1, MaxAttempts: 1, Dispatch: 2, Parents: []int32{1},
	},
		stepMove(2, 2, 1, 0, step.Pending, step.Enqueued),
		stepMove(2, 3, 1, 1, step.Enqueued, step.InProgress),
		stepMove(2, 4, 2, 0, step.InProgress, step.Enqueued, step.Pending),
		stepMove(2, 5, 2, 1, step.Enqueued, step.InProgress),
		stepMove(2, 6, 2, 1, step.InProgress, step.Error, step.EnqueuedAsErrorForOrchestration))
	finishRight(c)
	c.Task.State, c.Task.Counters = task.BlockedByFailures, task.Counters{Total: 4, Open: 2, Failed: 1}
	c.TaskMoves = append(c.TaskMoves, taskMove(6, task.StepsInProcess, task.BlockedByFailures, task.EvaluatingResults))
	c.Task.Letters, c.Task.LetterOpen = 1, true
	c.Letters = []audit.Letter{{Ordinal: 1, Open: true}}
	c.Failures = []audit.Failure{{No: 2, Dispatch: 2}}
	return c
}

// failed: given up.
func failed() *audit.Case {
	c := blocked()
	c.Task.State, c.Task.LetterOpen = task.Error, false
	c.TaskMoves = append(c.TaskMoves, taskMove(9, task.BlockedByFailures, task.Error))
	c.Letters = []audit.Letter{{Ordinal: 1, ResolvedAt: at(9)}}
	return c
}

// revived: tried again, all of it.
func revived() *audit.Case {
	c := failed()
	c.Task.State, c.Task.Counters = task.StepsInProcess, task.Counters{Total: 4, Open: 2, Active: 1}
	c.TaskMoves = append(c.TaskMoves,
		taskMove(12, task.Error, task.StepsInProcess, task.Pending, task.Initializing, task.EnqueuingSteps))
	s := c.Steps[1]
	s.State, s.Attempts, s.Dispatch = step.Enqueued, 0, 3
	settle(c, s, append(movesOf(c, 2), stepMove(2, 12, 3, 0, step.Error, step.Enqueued, step.Pending))...)
	c.Jobs = []audit.Job{{ID: 11, No: 2, Dispatch: 3}, {ID: 4, No: 2, Dispatch: 1}}
	return c
}

func movesOf(c *audit.Case, no int32) []audit.StepMove {
	var moves []audit.StepMove
	for _, m := range c.StepMoves {
		if m.No == no {
			moves = append(moves, m)
		}
	}
	return moves
}

// cancelled: in the middle of its life.
func cancelled() *audit.Case {
	c := running()
	for i := range c.Steps[1:] {
		s := &c.Steps[i+1]
		from := s.State
		s.State, s.Leased, s.Owner = step.Cancelled, false, 0
		settle(c, *s, append(movesOf(c, s.No), stepMove(s.No, 20, s.Dispatch, s.Attempts, from, step.Cancelled))...)
	}
	c.Task.State, c.Task.Counters = task.Cancelled, task.Counters{Total: 4}
	c.TaskMoves = append(c.TaskMoves, taskMove(20, task.StepsInProcess, task.Cancelled))
	c.Jobs = nil
	return c
}

// resolved: all of it by hand, the last step completed by hand before.
func resolved() *audit.Case {
	c := running()
	c.Steps[3].State, c.Steps[3].Result = step.Complete, true
	c.StepMoves = append(c.StepMoves, stepMove(4, 15, 0, 0, step.Pending, step.Complete))
	for i := range c.Steps[1:3] {
		s := &c.Steps[i+1]
		from := s.State
		s.State, s.Leased, s.Owner = step.ResolvedManually, false, 0
		settle(c, *s, append(movesOf(c, s.No), stepMove(s.No, 20, s.Dispatch, s.Attempts, from, step.ResolvedManually))...)
	}
	c.Task.State, c.Task.Counters = task.ResolvedManually, task.Counters{Total: 4}
	c.TaskMoves = append(c.TaskMoves, taskMove(20, task.StepsInProcess, task.ResolvedManually))
	c.Jobs = nil
	return c
}

// complete: the whole diamond.
func complete() *audit.Case {
	c := running()
	finishRight(c)
	c.Steps[1].State, c.Steps[1].Leased, c.Steps[1].Result = step.Complete, false, true
	c.Steps[3] = audit.Step{No: 4, Name: "end", State: step.Complete, Attempts: 1, MaxAttempts: 3, Dispatch: 1, Parents: []int32{2, 3}, Result: true}
	c.StepMoves = append(c.StepMoves,
		stepMove(2, 5, 1, 1, step.InProgress, step.Complete, step.EnqueuedForOrchestration),
		stepMove(4, 5, 1, 0, step.Pending, step.Enqueued),
		stepMove(4, 6, 1, 1, step.Enqueued, step.InProgress),
		stepMove(4, 7, 1, 1, step.InProgress, step.Complete, step.EnqueuedForOrchestration))
	slices.SortStableFunc(c.StepMoves, func(a, b audit.StepMove) int { return int(a.No - b.No) })
	c.Task.State, c.Task.Counters = task.Complete, task.Counters{Total: 4}
	c.TaskMoves = append(c.TaskMoves, taskMove(7, task.StepsInProcess, task.Complete, task.EvaluatingResults))
	return c
}

// delayed: it has not started.
func delayed() *audit.Case {
	c := running()
	for i := range c.Steps {
		s := &c.Steps[i]
		*s = audit.Step{No: s.No, Name: s.Name, State: step.Pending, OpenParents: int32(len(s.Parents)), MaxAttempts: 3, Parents: s.Parents}
	}
	c.TaskMoves, c.StepMoves, c.Jobs = nil, nil, nil
	c.Task.State, c.Task.Counters = task.Pending, task.Counters{Total: 4, Open: 4}
	c.Task.WakeAt = now.Add(time.Hour)
	return c
}

// halted: one step failed, and the task with it; the step beside it ran.
func halted() *audit.Case {
	c := blocked()
	settle(c, audit.Step{No: 3, Name: "right", State: step.Pending, MaxAttempts: 3, Dispatch: 1, Parents: []int32{1}},
		stepMove(3, 2, 1, 0, step.Pending, step.Enqueued),
		stepMove(3, 3, 1, 1, step.Enqueued, step.InProgress),
		stepMove(3, 6, 1, 0, step.InProgress, step.Pending))
	c.Steps[3].OpenParents = 2
	c.Task.State, c.Task.Counters = task.Error, task.Counters{Total: 4, Open: 3, Failed: 1}
	c.TaskMoves[1] = taskMove(6, task.StepsInProcess, task.Error, task.EvaluatingResults, task.BlockedByFailures)
	return c
}

func paused() *audit.Case {
	c := running()
	c.Task.Paused, c.Jobs[0].Parked = true, true
	return c
}

func TestASoundTaskHasNoViolations(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func() *audit.Case{
		"running": running, "retrying": retrying, "blocked": blocked, "failed": failed, "revived": revived,
		"cancelled": cancelled, "resolved": resolved, "complete": complete, "delayed": delayed, "halted": halted,
		"paused": paused,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, audit.Examine(of(), now, audit.DefaultLimits()))
		})
	}
}

func rulesOf(found []audit.Violation) []audit.Rule {
	var rules []audit.Rule
	for _, v := range found {
		if !slices.Contains(rules, v.Rule) {
			rules = append(rules, v.Rule)
		}
	}
	return rules
}

type corruption struct {
	rule audit.Rule
	of   func() *audit.Case
	do   func(*audit.Case)
}

var corruptions = map[string]corruption{
	"a history that does not begin in pending": {audit.RuleHistory, running, func(c *audit.Case) { c.TaskMoves = nil }},
	"a gap":                          {audit.RuleHistory, complete, func(c *audit.Case) { c.TaskMoves = c.TaskMoves[1:] }},
	"a state that history lacks":     {audit.RuleHistory, halted, func(c *audit.Case) { c.TaskMoves = c.TaskMoves[:1] }},
	"a task's move without its path": {audit.RuleLegal, complete, func(c *audit.Case) { c.TaskMoves[1].Path = nil }},
	"a step's move without its path": {audit.RuleLegal, retrying, func(c *audit.Case) { c.StepMoves[5].Path = nil }},
	"a path that is no path": {audit.RuleLegal, running, func(c *audit.Case) {
		c.StepMoves[2].Path = []step.State{step.EnqueuedAsErrorForOrchestration}
	}},
	"a state that nobody knows": {audit.RuleLegal, running, func(c *audit.Case) { c.TaskMoves[0].Path[0] = 0 }},
	"a move to where it was": {audit.RuleLegal, running, func(c *audit.Case) {
		c.TaskMoves = append(c.TaskMoves, taskMove(9, task.StepsInProcess, task.StepsInProcess))
	}},
	"a task that ends twice": {audit.RuleFinal, complete, func(c *audit.Case) { c.TaskMoves = append(c.TaskMoves, c.TaskMoves[1]) }},
	"a step that is settled twice": {audit.RuleFinal, complete, func(c *audit.Case) {
		c.StepMoves = append(c.StepMoves, stepMove(4, 8, 1, 1, step.InProgress, step.Complete, step.EnqueuedForOrchestration))
	}},
	"a task that leaves its end": {audit.RuleFinal, complete, func(c *audit.Case) {
		c.TaskMoves = append(c.TaskMoves, taskMove(30, task.Complete, task.ResolvedManually))
	}},
	"a result that nobody stored": {audit.RuleResult, running, func(c *audit.Case) { c.Steps[3].Result = true }},
	"rest in passing": {audit.RulePassing, running, func(c *audit.Case) {
		c.TaskMoves[0] = taskMove(0, task.Pending, task.EnqueuingSteps, task.Initializing)
		c.Task.State = task.EnqueuingSteps
	}},
	"a step at rest in passing": {audit.RulePassing, running, func(c *audit.Case) {
		c.StepMoves[2] = stepMove(1, 2, 1, 1, step.InProgress, step.EnqueuedForOrchestration)
		c.StepMoves = slices.Insert(c.StepMoves, 3, stepMove(1, 2, 1, 1, step.EnqueuedForOrchestration, step.Complete))
	}},
	"a task that rests elsewhere": {audit.RuleRest, retrying, func(c *audit.Case) {
		c.Task.State, c.TaskMoves = task.StepsInProcess, c.TaskMoves[:1]
	}},
	"a task that ended too early": {audit.RuleRest, retrying, func(c *audit.Case) {
		c.Task.State, c.TaskMoves[1] = task.Complete, taskMove(4, task.StepsInProcess, task.Complete, task.EvaluatingResults)
		c.Steps[1].WakeAt = time.Time{}
	}},
	"a failed task that goes on": {audit.RuleRest, halted, func(c *audit.Case) {
		c.StepMoves = slices.DeleteFunc(c.StepMoves, func(m audit.StepMove) bool { return m.No == 3 && m.To != step.Enqueued })
		c.Steps[2].State, c.Task.Active = step.Enqueued, 1
	}},
	"a task that has not started and has": {audit.RuleRest, running, func(c *audit.Case) {
		c.Task.State, c.Task.WakeAt, c.TaskMoves = task.Pending, now.Add(time.Hour), nil
	}},
	"a wrong counter":          {audit.RuleCounters, running, func(c *audit.Case) { c.Task.Active++ }},
	"a step too few":           {audit.RuleCounters, complete, func(c *audit.Case) { c.Task.Total++ }},
	"a timer after the end":    {audit.RuleLeftover, complete, func(c *audit.Case) { c.Task.WakeAt = now.Add(time.Hour) }},
	"a job after the end":      {audit.RuleLeftover, cancelled, func(c *audit.Case) { c.Jobs = []audit.Job{{No: 3, Dispatch: 1}} }},
	"a lease after the end":    {audit.RuleLeftover, complete, func(c *audit.Case) { c.Steps[0].Leased = true }},
	"a retry after the end":    {audit.RuleLeftover, complete, func(c *audit.Case) { c.Steps[0].WakeAt = now }},
	"a lease of no run":        {audit.RuleLeftover, running, func(c *audit.Case) { c.Steps[2].Leased = true }},
	"a start that never comes": {audit.RuleStuck, delayed, func(c *audit.Case) { c.Task.WakeAt = time.Time{} }},
	"a retry that never comes": {audit.RuleStuck, retrying, func(c *audit.Case) { c.Steps[1].WakeAt = time.Time{} }},
	"a step that nobody enqueues": {audit.RuleStuck, running, func(c *audit.Case) {
		c.StepMoves = slices.DeleteFunc(c.StepMoves, func(m audit.StepMove) bool { return m.No == 3 })
		c.Steps[2] = audit.Step{No: 3, State: step.Pending, MaxAttempts: 3, Parents: []int32{1}}
		c.Jobs, c.Task.Active = nil, 1
	}},
	"an overdue start":    {audit.RuleOverdue, delayed, func(c *audit.Case) { c.Task.WakeAt = now.Add(-31 * time.Second) }},
	"an overdue deadline": {audit.RuleOverdue, running, func(c *audit.Case) { c.Task.WakeAt = now.Add(-31 * time.Second) }},
	"an overdue retry":    {audit.RuleOverdue, retrying, func(c *audit.Case) { c.Steps[1].WakeAt = now.Add(-31 * time.Second) }},
	"no dead letter": {audit.RuleLetter, blocked, func(c *audit.Case) {
		c.Letters, c.Task.Letters, c.Task.LetterOpen = nil, 0, false
	}},
	"a dead letter closed before the failure": {audit.RuleLetter, failed, func(c *audit.Case) { c.Letters[0].ResolvedAt = at(5) }},
	"a dead letter without the failure":       {audit.RuleLetter, blocked, func(c *audit.Case) { c.Failures[0].Dispatch = 1 }},
	"a dead letter that the task denies":      {audit.RuleLetterFlag, blocked, func(c *audit.Case) { c.Task.LetterOpen = false }},
	"a dead letter that is not there":         {audit.RuleLetterFlag, running, func(c *audit.Case) { c.Task.LetterOpen = true }},
	"a dead letter that was not counted":      {audit.RuleLetterFlag, blocked, func(c *audit.Case) { c.Task.Letters = 2 }},
	"an open dead letter of a finished task": {audit.RuleLetterFlag, complete, func(c *audit.Case) {
		c.Task.Letters, c.Task.LetterOpen, c.Letters = 1, true, []audit.Letter{{Ordinal: 1, Open: true}}
	}},
	"two open dead letters": {audit.RuleTwoLetters, blocked, func(c *audit.Case) {
		c.Task.Letters, c.Letters = 2, append(c.Letters, audit.Letter{Ordinal: 2, Open: true})
	}},
	"a job set aside for nothing": {audit.RuleParked, running, func(c *audit.Case) { c.Jobs[0].Parked = true }},
	"a step started early": {audit.RuleEarly, complete, func(c *audit.Case) {
		c.StepMoves[len(c.StepMoves)-3].At = at(4)
	}},
	"a step started beside its parent": {audit.RuleEarly, running, func(c *audit.Case) {
		settle(c, audit.Step{No: 4, Name: "end", State: step.Enqueued, OpenParents: 2, MaxAttempts: 3, Dispatch: 1, Parents: []int32{2, 3}},
			stepMove(4, 3, 1, 0, step.Pending, step.Enqueued))
		c.Task.Active++
		c.Jobs = append(c.Jobs, audit.Job{No: 4, Dispatch: 1})
	}},
	"a step that waits for too few": {audit.RuleParents, running, func(c *audit.Case) { c.Steps[3].OpenParents = 1 }},
	"a step that waits for nobody":  {audit.RuleParents, complete, func(c *audit.Case) { c.Steps[3].OpenParents = 1 }},
	"a parent that is not there":    {audit.RuleParents, running, func(c *audit.Case) { c.Steps[3].Parents = []int32{2, 3, 9} }},
	"a lost job":                    {audit.RuleLostJob, running, func(c *audit.Case) { c.Jobs = nil }},
	"a job of an old dispatch only": {audit.RuleLostJob, revived, func(c *audit.Case) { c.Jobs = c.Jobs[1:] }},
	"a double job":                  {audit.RuleDoubleJob, running, func(c *audit.Case) { c.Jobs = append(c.Jobs, c.Jobs[0]) }},
	"a job of no step":              {audit.RuleStrayJob, running, func(c *audit.Case) { c.Jobs = append(c.Jobs, audit.Job{No: 9, Dispatch: 1}) }},
	"a job of no dispatch":          {audit.RuleStrayJob, running, func(c *audit.Case) { c.Jobs = append(c.Jobs, audit.Job{No: 3, Dispatch: 2}) }},
	"a dispatch that went up by itself": {audit.RuleDispatch, running, func(c *audit.Case) {
		c.Steps[1].Dispatch++
	}},
	"a dispatch that was used again": {audit.RuleDispatch, blocked, func(c *audit.Case) {
		c.StepMoves[5].Dispatch = 1
	}},
	"a lease of nobody":           {audit.RuleLease, running, func(c *audit.Case) { c.Steps[1].Leased = false }},
	"a lease of a stranger":       {audit.RuleLease, running, func(c *audit.Case) { c.Steps[1].Owner = 6 }},
	"a lease of a server gone":    {audit.RuleLease, running, func(c *audit.Case) { c.Owners[5] = audit.Owner{Started: birth} }},
	"a lease of a frozen server":  {audit.RuleLease, running, func(c *audit.Case) { c.Owners[5] = audit.Owner{Held: true, Until: now.Add(-61 * time.Second)} }},
	"attempts beyond the limit":   {audit.RuleAttempts, blocked, func(c *audit.Case) { c.Steps[1].Attempts = 2 }},
	"an attempt beyond the limit": {audit.RuleAttempts, retrying, func(c *audit.Case) { c.Steps[1].MaxAttempts = 0 }},
	"attempts that history lacks": {audit.RuleAttempts, running, func(c *audit.Case) { c.Steps[1].Attempts = 2 }},
	"an attempt that nobody made": {audit.RuleAttempts, running, func(c *audit.Case) { c.StepMoves[2].Attempt = 2 }},
	"a template that is gone":     {audit.RuleTemplate, running, func(c *audit.Case) { c.Task.TemplateKnown = false }},
}

// Each corruption breaks its rule, and no other.
func TestCorruptionIsFoundByItsRule(t *testing.T) {
	t.Parallel()
	for name, c := range corruptions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := c.of()
			c.do(broken)
			found := audit.Examine(broken, now, audit.DefaultLimits())
			require.Equal(t, []audit.Rule{c.rule}, rulesOf(found), "%v", found)
		})
	}
}

func TestGraceIsGiven(t *testing.T) {
	t.Parallel()
	c := retrying()
	c.Steps[1].WakeAt = now.Add(-30 * time.Second)
	require.Empty(t, audit.Examine(c, now, audit.DefaultLimits()))
	require.NotEmpty(t, audit.Examine(c, now, audit.Limits{Grace: time.Second, Lease: time.Minute}))

	c = running()
	c.Owners[5] = audit.Owner{Until: now.Add(-time.Minute)}
	require.Empty(t, audit.Examine(c, now, audit.DefaultLimits()), "others have a while to give it up")
	c.Owners[5] = audit.Owner{Held: true, Started: birth}
	require.Empty(t, audit.Examine(c, now, audit.DefaultLimits()), "it has not renewed yet")
}

func TestStrays(t *testing.T) {
	t.Parallel()
	require.Empty(t, audit.ExamineStrays(&audit.Strays{}))
	for rule, s := range map[audit.Rule]audit.Strays{
		audit.RuleCounts:    {Counts: []audit.Count{{Template: 1, Kind: "step", State: "complete", Counted: 4, Real: 3}}},
		audit.RuleIdentity:  {Identities: []audit.Identity{{Hash: "ab", Task: id}}},
		audit.RuleOwnerless: {Rows: []audit.Ownerless{{Table: "workflow_steps", Task: id, Rows: 2}}},
		audit.RuleStrayJob:  {Jobs: []audit.StrayJob{{ID: 1, TaskUnknown: true}}},
	} {
		require.Equal(t, []audit.Rule{rule}, rulesOf(audit.ExamineStrays(&s)))
	}
}

// Every rule has its place, and some corruption above breaks it.
func TestRulesAreComplete(t *testing.T) {
	t.Parallel()
	broken := []audit.Rule{audit.RuleCounts, audit.RuleIdentity, audit.RuleOwnerless}
	for _, c := range corruptions {
		broken = append(broken, c.rule)
	}
	last := 1
	for _, r := range audit.Rules() {
		require.Contains(t, broken, r)
		require.GreaterOrEqual(t, r.Invariant(), last, "%s is out of order", r)
		last = r.Invariant()
	}
	require.Equal(t, 9, last)
	for _, r := range broken {
		require.Contains(t, audit.Rules(), r)
	}
}

func TestAViolationSaysWhere(t *testing.T) {
	t.Parallel()
	c := running()
	c.Jobs = nil
	require.Equal(t, "task "+id.String()+" step 3 (right): I6 lost_job: it is enqueued, and no job stands for dispatch 1",
		audit.Examine(c, now, audit.DefaultLimits())[0].String())
}
