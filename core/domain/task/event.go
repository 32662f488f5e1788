package task

// Event is something that happens to a task. The zero Event is none.
type Event uint8

// The 22 events of the contract.
const (
	Start Event = iota + 1
	Cancel
	GiveUp
	ManualResolution
	ReadyStepsFound
	NoStepsFound
	NoDependenciesReady
	DependenciesReady
	StepsEnqueued
	EnqueueFailed
	StepCompleted
	StepFailed
	AllStepsCompleted
	AllStepsSuccessful
	PermanentFailure
	RetryReady
	Timeout
	ProcessorCrashed
	Finish        // complete, a legacy event
	Fail          // a legacy event
	ResolveByHand // resolve_manually
	Reset         // an operator starts a failed task anew
	lastEvent     = Reset
)

var eventNames = [...]string{
	Start: "start", Cancel: "cancel", GiveUp: "give_up", ManualResolution: "manual_resolution",
	ReadyStepsFound: "ready_steps_found", NoStepsFound: "no_steps_found",
	NoDependenciesReady: "no_dependencies_ready", DependenciesReady: "dependencies_ready",
	StepsEnqueued: "steps_enqueued", EnqueueFailed: "enqueue_failed", StepCompleted: "step_completed",
	StepFailed: "step_failed", AllStepsCompleted: "all_steps_completed",
	AllStepsSuccessful: "all_steps_successful", PermanentFailure: "permanent_failure", RetryReady: "retry_ready",
	Timeout: "timeout", ProcessorCrashed: "processor_crashed", Finish: "complete", Fail: "fail",
	ResolveByHand: "resolve_manually", Reset: "reset",
}

// Events returns all events in the order of the contract.
func Events() []Event {
	all := make([]Event, 0, lastEvent)
	for e := Start; e <= lastEvent; e++ {
		all = append(all, e)
	}
	return all
}

// String returns the spelling of the contract.
func (e Event) String() string {
	if e == 0 || int(e) >= len(eventNames) {
		return "none"
	}
	return eventNames[e]
}
