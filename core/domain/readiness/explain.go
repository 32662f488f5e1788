package readiness

import (
	"time"

	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// overdueAfter is how late a timer may be before it is called overdue.
const overdueAfter = 30 * time.Second

// Explanation says why a task is where it is. Slices in it may share memory:
// read them only.
type Explanation struct {
	Reason
	Letter       *LetterFacts // the open dead letter; nil for none
	CriticalPath []Named      // the longest chain of unfinished steps, first to last
	Steps        []StepExplanation
}

// Reason is why something does not move, and what would make it move.
type Reason struct {
	Code     Code
	Sentence string
	Unblock  string // what would unblock it, in words
	Also     []Code // what else holds it up, or will once Code is out of the way
	// Actions together remove what Code says, and each of Instead would do alone.
	// Both are empty when nothing can be done.
	Actions []Action
	Instead []Action
}

// StepExplanation says why an unfinished step is where it is.
type StepExplanation struct {
	Named
	State step.State
	Reason
	// What follows is set where it applies, whatever Code is.
	WaitingFor    []Named // the parents that do not satisfy it
	Attempt       int32   // the running one, else the last one; 0 for none
	MaxAttempts   int32
	RetryAt       time.Time
	Lease         *LeaseFacts // of a step in progress; nil for unknown
	Pauses        []Pause     // for Paused, as first code or further one
	Handler       string
	LastErrorType string
	LastError     string
	Letter        *LetterFacts // of a failed step of a task with an open dead letter
}

// Explain says of a task, and of each of its steps that is neither complete nor
// resolved nor cancelled, why it does not move, by the rules that move it. Steps
// come in the order of the facts. It takes time in proportion to steps and
// edges.
func Explain(f *Facts) Explanation {
	x := newExplainer(f)
	e := Explanation{Letter: f.Task.Letter, CriticalPath: x.criticalPath()}
	unfinished, waits := 0, 0
	for i := range f.Steps {
		if !f.Steps[i].State.Settled() {
			unfinished++
			waits += len(f.Steps[i].Parents)
		}
	}
	e.Steps = make([]StepExplanation, 0, unfinished)
	x.actions = make([]Action, 0, unfinished)
	x.names = make([]Named, 0, waits)
	for i := range f.Steps {
		if s := &f.Steps[i]; !s.State.Settled() {
			e.Steps = append(e.Steps, StepExplanation{})
			x.step(s, &e.Steps[len(e.Steps)-1])
		}
	}
	e.Reason = x.task(e.Steps)
	return e
}

// explainer is the work on one Explain.
type explainer struct {
	f     *Facts
	index []int32 // place of a step in the facts, by number; -1 for none
	w     words
	codes []Code // of the step at hand
	also  [][]Code

	paused  string   // who paused it, of all pauses
	resume  string   // what there is to resume
	resumes []Action // what resumes it

	// Slices of explanations are cut from these.
	names   []Named
	actions []Action
}

func newExplainer(f *Facts) *explainer {
	x := &explainer{f: f}
	last := int32(0)
	for i := range f.Steps {
		last = max(last, f.Steps[i].No)
	}
	x.index = make([]int32, last+1)
	for no := range x.index {
		x.index[no] = -1
	}
	for i := range f.Steps {
		x.index[f.Steps[i].No] = int32(i)
	}
	for i := range f.Task.Pauses {
		p := &f.Task.Pauses[i]
		x.resumes = append(x.resumes, Action{Kind: ActResume, Pause: p})
	}
	for i := range f.Task.Pauses {
		if i > 0 {
			x.w.say("; ")
		}
		x.w.pause(&f.Task.Pauses[i])
	}
	x.paused = x.w.String()
	x.w.begin().say("resume ")
	for i := range f.Task.Pauses {
		if i > 0 {
			x.w.say(" and ")
		}
		x.w.subject(&f.Task.Pauses[i])
	}
	x.resume = x.w.String()
	return x
}

// find returns the place of a step in the facts; -1 for none.
func (x *explainer) find(no int32) int32 {
	if no < 0 || int(no) >= len(x.index) {
		return -1
	}
	return x.index[no]
}

// openParents returns the parents that do not satisfy a step.
func (x *explainer) openParents(s *StepFacts) []Named {
	first := len(x.names)
	for _, no := range s.Parents {
		at := x.find(no)
		switch {
		case at < 0:
			x.names = append(x.names, Named{No: no})
		case !x.f.Steps[at].State.Satisfies():
			x.names = append(x.names, Named{no, x.f.Steps[at].Name})
		}
	}
	return cut(x.names, first)
}

// cut returns what a slice has got since first, nil for nothing.
func cut[T any](all []T, first int) []T {
	if len(all) == first {
		return nil
	}
	return all[first:len(all):len(all)]
}

// do makes one action.
func (x *explainer) do(a Action) []Action {
	first := len(x.actions)
	x.actions = append(x.actions, a)
	return cut(x.actions, first)
}

// obstacles lists what a step has in its way, in the order in which it meets
// them.
func (x *explainer) obstacles(s *StepFacts, waitingFor []Named) {
	x.codes = x.codes[:0]
	add := func(c Code) { x.codes = append(x.codes, c) }
	t, rules := &x.f.Task, s.rules()
	if t.State.Terminal() && t.State != task.Error {
		add(Finished)
		return
	}
	if s.State == step.InProgress {
		if !s.Lease.lapsed(x.f.Now) {
			add(Running)
			return
		}
		add(LeaseLapsed)
	}
	if s.State == step.Error {
		add(Failed)
	}
	switch t.State {
	case task.Error:
		add(Halted)
	case task.Pending:
		add(x.start())
	default:
	}
	switch {
	case s.State == step.Pending && !rules.DependenciesSatisfied():
		if len(waitingFor) == 0 {
			add(Stuck)
			return
		}
		add(WaitingForParents)
	case s.State == step.Pending && len(x.codes) == 0, s.State.Passing(), s.State == 0,
		s.State == step.WaitingForRetry && s.WakeAt.IsZero():
		add(Stuck)
		return
	case s.State == step.WaitingForRetry && rules.Due(x.f.Now.Add(-overdueAfter)):
		add(Overdue)
	case s.State == step.WaitingForRetry:
		add(RetryAt)
	}
	if len(t.Pauses) > 0 {
		add(Paused)
	}
	if !s.Served {
		add(NoWorker)
	}
	if len(x.codes) == 0 {
		add(Queued)
	}
}

// start says why a task that is pending does not start.
func (x *explainer) start() Code {
	if x.f.Task.StartAt.After(x.f.Now.Add(-overdueAfter)) {
		return Scheduled
	}
	return Overdue
}
