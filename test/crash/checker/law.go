package checker

// The moves that tasks and steps make by themselves, written out by hand from
// the contract and from the server's documented deviations from it, and from
// nothing in the server's code. Moves of operators are left out, and so are
// shortcuts of old versions: nobody makes them in the runs that are checked.

type move struct{ from, to string }

// A server that dies takes its task from steps_in_process to enqueuing_steps
// (processor_crashed, a deviation: the original has the event and no move).
var taskLaw = law(
	move{"pending", "initializing"},
	move{"initializing", "enqueuing_steps"},
	move{"initializing", "complete"},
	move{"initializing", "waiting_for_dependencies"},
	move{"enqueuing_steps", "steps_in_process"},
	move{"enqueuing_steps", "error"},
	move{"steps_in_process", "evaluating_results"},
	move{"steps_in_process", "waiting_for_retry"},
	move{"steps_in_process", "enqueuing_steps"},
	move{"evaluating_results", "complete"},
	move{"evaluating_results", "enqueuing_steps"},
	move{"evaluating_results", "waiting_for_dependencies"},
	move{"evaluating_results", "blocked_by_failures"},
	move{"waiting_for_dependencies", "evaluating_results"},
	move{"waiting_for_retry", "enqueuing_steps"},
)

// A lost lease takes a step from in_progress to pending (lease_lost, a
// deviation), and one too many to error.
var stepLaw = law(
	move{"pending", "enqueued"},
	move{"enqueued", "in_progress"},
	move{"in_progress", "enqueued_for_orchestration"},
	move{"in_progress", "enqueued_as_error_for_orchestration"},
	move{"in_progress", "pending"},
	move{"in_progress", "error"},
	move{"enqueued_for_orchestration", "complete"},
	move{"enqueued_for_orchestration", "error"},
	move{"enqueued_as_error_for_orchestration", "error"},
	move{"enqueued_as_error_for_orchestration", "waiting_for_retry"},
	move{"waiting_for_retry", "pending"},
)

// passing are the states that nothing rests in.
var passing = map[string]bool{
	"initializing": true, "enqueuing_steps": true, "evaluating_results": true,
	"enqueued_for_orchestration": true, "enqueued_as_error_for_orchestration": true,
}

func law(moves ...move) map[move]bool {
	m := make(map[move]bool, len(moves))
	for _, v := range moves {
		m[v] = true
	}
	return m
}
