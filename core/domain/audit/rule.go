// Package audit says what cannot be in a database of Tasker: rules over one task
// with all its rows, and over what belongs to no task. It changes nothing and
// asks nobody; whoever reads the rows brings the time.
package audit

import "fmt"

// Rule names what must hold. Its text is stable: scripts may look for it.
type Rule string

// The rules about a task and its steps.
const (
	// RuleHistory: a history begins in pending, has no gap, and ends in the
	// stored state; a change and its row of history commit together.
	RuleHistory Rule = "history"
	// RuleLegal: every row of history is a walk through the table of moves, leg by
	// leg as its path says, over rows that this system emits.
	RuleLegal Rule = "legal"
	// RuleFinal: nothing follows a settling row; a step is settled, and a task
	// ends, once.
	RuleFinal Rule = "final"
	// RuleResult: a result was stored by a row of history into complete.
	RuleResult Rule = "result"
	// RulePassing: nothing comes to rest in a state that is only passed through.
	RulePassing Rule = "passing"
	// RuleRest: a task rests where the states of its steps say.
	RuleRest Rule = "rest"
	// RuleCounters: a task's counters are those of its steps.
	RuleCounters Rule = "counters"
	// RuleLeftover: a task that has ended has no job, lease or timer, and no step
	// has one that does not belong to its state.
	RuleLeftover Rule = "leftover"
	// RuleStuck: whatever is open has something in the future that moves it.
	RuleStuck Rule = "stuck"
	// RuleOverdue: what is due moves within the grace.
	RuleOverdue Rule = "overdue"
	// RuleLetter: what has failed for good stands in a dead letter that was open
	// after the failure.
	RuleLetter Rule = "dead_letter"
	// RuleLetterFlag: a task knows its newest dead letter, and whether it is open;
	// one that is finished has none open.
	RuleLetterFlag Rule = "dead_letter_flag"
	// RuleTwoLetters: a task has one open dead letter at most.
	RuleTwoLetters Rule = "two_dead_letters"
	// RuleParked: a job is set aside only for a pause.
	RuleParked Rule = "parked_job"
	// RuleEarly: a step was enqueued after all its parents were satisfied.
	RuleEarly Rule = "early"
	// RuleParents: a step waits for as many parents as are not satisfied, and all
	// its parents exist.
	RuleParents Rule = "parents"
	// RuleLostJob: an enqueued step has a live job.
	RuleLostJob Rule = "lost_job"
	// RuleDoubleJob: an enqueued step has no second live job.
	RuleDoubleJob Rule = "double_job"
	// RuleStrayJob: a job stands for a dispatch that was made.
	RuleStrayJob Rule = "stray_job"
	// RuleDispatch: dispatch numbers go up by one at each enqueue, and only there.
	RuleDispatch Rule = "dispatch"
	// RuleLease: a step in progress belongs to a server that is there.
	RuleLease Rule = "lease"
	// RuleAttempts: attempts go up by one at each claim, only there, and never
	// beyond the limit.
	RuleAttempts Rule = "attempts"
	// RuleTemplate: a task is pinned to a revision of a template that exists.
	RuleTemplate Rule = "template"
)

// The rules about the database as a whole.
const (
	// RuleCounts: the numbers per template and state are the real ones.
	RuleCounts Rule = "counts"
	// RuleIdentity: an identity belongs to a task that exists; a client was, or
	// will be, told of it.
	RuleIdentity Rule = "identity"
	// RuleOwnerless: every row belongs to a task that exists.
	RuleOwnerless Rule = "ownerless"
)

// invariants are those of docs/architecture.md that the rules stand for.
var invariants = map[Rule]int{
	RuleIdentity: 1,
	RuleHistory:  2, RuleResult: 2, RuleCounts: 2, RuleOwnerless: 2,
	RuleLegal: 3, RuleFinal: 3, RuleLeftover: 3,
	RulePassing: 4, RuleRest: 4, RuleCounters: 4,
	RuleStuck: 5, RuleOverdue: 5, RuleLetter: 5, RuleLetterFlag: 5, RuleTwoLetters: 5, RuleParked: 5,
	RuleEarly: 6, RuleParents: 6, RuleLostJob: 6, RuleDoubleJob: 6, RuleStrayJob: 6,
	RuleDispatch: 7,
	RuleLease:    8,
	RuleAttempts: 9, RuleTemplate: 9,
}

// Rules returns all rules, in the order of the invariants, then by name.
func Rules() []Rule {
	return []Rule{
		RuleIdentity,
		RuleCounts, RuleHistory, RuleOwnerless, RuleResult,
		RuleFinal, RuleLeftover, RuleLegal,
		RuleCounters, RulePassing, RuleRest,
		RuleLetter, RuleLetterFlag, RuleOverdue, RuleParked, RuleStuck, RuleTwoLetters,
		RuleDoubleJob, RuleEarly, RuleLostJob, RuleParents, RuleStrayJob,
		RuleDispatch,
		RuleLease,
		RuleAttempts, RuleTemplate,
	}
}

// Invariant returns the number of the invariant that the rule is part of: 1 for
// I1.
func (r Rule) Invariant() int { return invariants[r] }

// Violation is something that cannot be.
type Violation struct {
	Rule    Rule
	Subject string // "task <id>", "task <id> step <number> (<name>)", or another row
	Detail  string // what is wrong, for people
}

// String says it in a line.
func (v Violation) String() string {
	return fmt.Sprintf("%s: I%d %s: %s", v.Subject, v.Rule.Invariant(), v.Rule, v.Detail)
}
