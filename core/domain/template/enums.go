package template

// StepType says when a step comes to exist and what its result may do.
type StepType string

// The types of step.
const (
	Standard            StepType = "standard"             // exists from the start
	Decision            StepType = "decision"             // its result picks which steps below it come to exist
	DeferredConvergence StepType = "deferred_convergence" // waits for those of its parents that came to exist
	Batchable           StepType = "batchable"            // its result makes copies of a batch worker
	BatchWorker         StepType = "batch_worker"         // never runs itself: the pattern of the copies
)

// IdentityStrategy says when two requests for a task are the same request.
type IdentityStrategy string

// The strategies.
const (
	IdentityStrict         IdentityStrategy = "strict"          // same template, same context
	IdentityCallerProvided IdentityStrategy = "caller_provided" // same template, same idempotency key
	IdentityAlwaysUnique   IdentityStrategy = "always_unique"   // never
)

// Backoff is the way in which waits grow from one attempt to the next.
type Backoff string

// The kinds of backoff.
const (
	BackoffNone        Backoff = "none"
	BackoffFixed       Backoff = "fixed"
	BackoffLinear      Backoff = "linear"
	BackoffExponential Backoff = "exponential"
	BackoffFibonacci   Backoff = "fibonacci"
)

// TaskFailure says what becomes of a task when one of its steps fails for good.
type TaskFailure string

// The ways to take a failure.
const (
	KeepTaskGoing TaskFailure = "continue"  // branches that do not wait for the step go on
	FailTaskFast  TaskFailure = "fail_fast" // the task ends at once
)

// IsZero reports whether f is the default, which the JSON form leaves out.
func (f TaskFailure) IsZero() bool { return f == "" || f == KeepTaskGoing }

// FailureStrategy is what a batch worker is told to do about failing items.
type FailureStrategy string

// The failure strategies.
const (
	ContinueOnFailure FailureStrategy = "continue_on_failure"
	FailFast          FailureStrategy = "fail_fast"
	Isolate           FailureStrategy = "isolate"
)

// Condition says after which outcome of its step an event is published.
type Condition string

// The conditions.
const (
	OnSuccess          Condition = "success"
	OnFailure          Condition = "failure"
	OnRetryableFailure Condition = "retryable_failure"
	OnPermanentFailure Condition = "permanent_failure"
	Always             Condition = "always"
)

// DeliveryMode says how an event travels.
type DeliveryMode string

// The delivery modes.
const (
	Durable   DeliveryMode = "durable"
	Fast      DeliveryMode = "fast"
	Broadcast DeliveryMode = "broadcast"
)

// The values that are right, in the order in which messages name them.
var (
	stepTypes          = []StepType{Standard, Decision, DeferredConvergence, Batchable, BatchWorker}
	identityStrategies = []IdentityStrategy{IdentityStrict, IdentityCallerProvided, IdentityAlwaysUnique}
	backoffs           = []Backoff{BackoffNone, BackoffFixed, BackoffLinear, BackoffExponential, BackoffFibonacci}
	taskFailures       = []TaskFailure{KeepTaskGoing, FailTaskFast}
	failureStrategies  = []FailureStrategy{ContinueOnFailure, FailFast, Isolate}
	conditions         = []Condition{OnSuccess, OnFailure, OnRetryableFailure, OnPermanentFailure, Always}
	deliveryModes      = []DeliveryMode{Durable, Fast, Broadcast}
)
