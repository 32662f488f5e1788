package readiness

import "time"

// Code says why something does not move. Codes are stable.
type Code string

// The codes.
const (
	Finished          Code = "finished"
	Failed            Code = "failed"
	Halted            Code = "halted"
	Scheduled         Code = "scheduled"
	WaitingForParents Code = "waiting_for_parents"
	RetryAt           Code = "retry_at"
	Overdue           Code = "overdue"
	LeaseLapsed       Code = "lease_lapsed"
	Paused            Code = "paused"
	NoWorker          Code = "no_worker"
	Queued            Code = "queued"
	Running           Code = "running"
	Stuck             Code = "stuck"
	Stale             Code = "stale"
	DeadlinePassed    Code = "deadline_passed"
	DeadLettered      Code = "dead_lettered"
)

// CodeDoc is what a code means.
type CodeDoc struct {
	Code    Code
	Of      string // "step", "task" or "both"
	Meaning string
}

// codeDocs are in the order in which a step meets the reasons: the first that
// holds must be removed first.
var codeDocs = []CodeDoc{
	{Finished, "both", "The task has ended and does not go on."},
	{Failed, "both", "A step failed for good: it is in error until somebody resets or resolves it."},
	{Halted, "both", "The task ended in error: nothing of it moves until the whole task is retried."},
	{Scheduled, "both", "The task was created to start later."},
	{WaitingForParents, "step", "A parent is neither complete nor resolved by hand."},
	{RetryAt, "both", "The last attempt failed, and the wait before the next one is not over."},
	{Overdue, "both", "The time to start, or to try again, has passed, and yet it has not happened."},
	{LeaseLapsed, "both", "Whoever ran the step is gone: the step will be taken back and enqueued again."},
	{Paused, "both", "An operator has paused the namespace, the template or the task. What runs is not held back."},
	{NoWorker, "both", "No worker of a live server has declared the handler."},
	{Queued, "both", "It waits for a free slot of a worker."},
	{Running, "both", "A worker runs it."},
	{Stuck, "both", "The facts contradict each other: nothing will move it by itself. Check the database."},
	{Stale, "task", "The task has been in its state for longer than it may. Never the first code."},
	{DeadlinePassed, "task", "The deadline has passed. Never the first code."},
	{DeadLettered, "task", "A dead letter of the task is open. Never the first code."},
}

// Codes returns what the codes mean.
func Codes() []CodeDoc { return append([]CodeDoc(nil), codeDocs...) }

// ActionKind is a thing to do. Kinds are stable.
type ActionKind string

// The kinds of action.
const (
	ActWait          ActionKind = "wait"           // nothing else is to be done; Until says how long, where that is known
	ActFinishParents ActionKind = "finish_parents" // complete or resolve the steps of WaitingFor
	ActStartWorker   ActionKind = "start_worker"   // one that declares Handler
	ActResume        ActionKind = "resume"         // end the Pause
	ActResetStep     ActionKind = "reset_step"     // reset_for_retry of the Step
	ActResolveStep   ActionKind = "resolve_step"   // resolve_manually or complete_manually of the Step
	ActRetryTask     ActionKind = "retry_task"     // all its failed steps
	ActResolveTask   ActionKind = "resolve_task"   // it ends as resolved by hand
)

// Action is a thing to do. What Kind does not use is zero.
type Action struct {
	Kind    ActionKind
	Step    int32
	Handler string
	Until   time.Time
	Pause   *Pause
}

// What is the same in many explanations is shared by them.
var (
	waitAnyhow  = []Action{{Kind: ActWait}}
	finishAll   = []Action{{Kind: ActFinishParents}}
	retryTask   = []Action{{Kind: ActRetryTask}}
	resolveTask = []Action{{Kind: ActResolveTask}}
)
