package plan

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
)

// Identity is the SHA-256 under which a request is the same as another; the
// zero Identity is that of a request which is never the same.
type Identity = task.Identity

// Submission is a request for a task, checked and named.
type Submission struct {
	ID                  ident.TaskID
	Template            ident.TemplateID
	Definition          *template.Template
	Identity            Identity
	Context             json.RawMessage
	Options             json.RawMessage // nil for none
	Tags                []string
	Initiator           string
	SourceSystem        string
	Reason              string
	Priority            int32
	RequestedAt         time.Time     // zero for now
	StartAt             time.Time     // not before; zero for at once
	Delay               time.Duration // instead of StartAt: counted from the transaction; 0 for none
	Deadline            time.Time     // zero for what the template says
	CorrelationID       uuid.UUID
	ParentCorrelationID uuid.NullUUID
	MustBeNew           bool // of a batch that is created together: a task that has its identity refuses the batch
}

// NewTask is a task to be stored with its steps.
type NewTask struct {
	Submission
	Task
	Path  []task.State // passed through on the way from pending
	Steps []NewStep    // shared by all tasks of one definition: read only
}

// NewStep is a step to be stored.
type NewStep struct {
	No          int32
	Def         int32
	Name        string
	State       step.State // pending, or enqueued for a root of a task that starts at once
	Dispatch    int32
	OpenParents int32
	MaxAttempts int32
	Parents     []int32
	Children    []int32
}

// Submitted is what became of a submission.
type Submitted struct {
	Created  bool
	Existing ident.TaskID // the task that has the identity already
}

// AfterSubmissions makes tasks of submissions whose identity is not taken.
func AfterSubmissions(snap *Snapshot, subs []Submission, blueprints *Blueprints) (Decision, []Submitted, error) {
	out := Decision{Created: make([]NewTask, 0, len(subs))}
	became := make([]Submitted, len(subs))
	mine := make(map[Identity]ident.TaskID, len(subs))
	way, err := task.Pending.RouteTo(task.StepsInProcess)
	if err != nil {
		return Decision{}, nil, err
	}
	for i, s := range subs {
		if snap.Stored[s.ID] {
			// A repeat of a batch that had committed after all. Twins of the request
			// were refused for its sake then, and are now.
			if s.Identity != (Identity{}) {
				mine[s.Identity] = s.ID
			}
			continue
		}
		if s.Identity != (Identity{}) {
			holder, taken := snap.Taken[s.Identity]
			if !taken {
				holder, taken = mine[s.Identity]
			}
			if taken {
				became[i].Existing = holder
				continue
			}
			mine[s.Identity] = s.ID
		}
		steps := blueprints.of(s.Template, s.Definition)
		t := NewTask{
			Submission: s, Path: way.Path, Steps: steps.now,
			Task: Task{
				ID: s.ID, Template: s.Template, Namespace: s.Definition.Namespace,
				State: task.StepsInProcess, Priority: s.Priority, EnteredAt: snap.Now, Deadline: s.Deadline,
				Counters: task.Counters{Total: int32(len(steps.now)), Open: int32(len(steps.now))}, //nolint:gosec // G115: at most MaxSteps
			},
		}
		t.schedule(snap.Now, steps.later)
		for _, st := range t.Steps {
			if st.State != step.Enqueued {
				continue
			}
			t.Active++
			out.Jobs = append(out.Jobs, Job{
				Ref: ident.StepRef{Task: s.ID, No: st.No}, Dispatch: st.Dispatch, Priority: s.Priority,
				Queue: Queue{Namespace: s.Definition.Namespace, Handler: s.Definition.Step(st.Def).Handler.Callable},
			})
		}
		out.Created = append(out.Created, t)
		became[i].Created = true
	}
	return out, became, nil
}

// schedule sets when a task starts, when it is over, and when it wakes.
func (t *NewTask) schedule(now time.Time, later []NewStep) {
	if t.Delay > 0 {
		t.StartAt = now.Add(t.Delay)
	}
	begins := now
	if t.StartAt.After(now) {
		begins = t.StartAt
		t.State, t.Path, t.Steps, t.WakeAt = task.Pending, nil, later, t.StartAt
	}
	if minutes := t.Definition.Lifecycle.MaxDurationMinutes; minutes > 0 {
		ends := begins.Add(time.Duration(minutes) * time.Minute)
		if t.Task.Deadline.IsZero() || ends.Before(t.Task.Deadline) {
			t.Task.Deadline = ends
		}
	}
	if t.State != task.Pending {
		t.WakeAt = t.Task.Deadline
	}
}

// Blueprints remembers the steps that tasks of a definition start with. It is
// safe for concurrent use; its zero value is ready.
type Blueprints struct{ byTemplate sync.Map }

// steps are those of a task that starts at once, and of one that starts later.
type steps struct{ now, later []NewStep }

func (b *Blueprints) of(id ident.TemplateID, def *template.Template) steps {
	if known, ok := b.byTemplate.Load(id); ok {
		return known.(steps)
	}
	all := steps{now: blueprint(def)}
	all.later = slices.Clone(all.now)
	for i := range all.later {
		all.later[i].State, all.later[i].Dispatch = step.Pending, 0
	}
	b.byTemplate.Store(id, all)
	return all
}

func blueprint(def *template.Template) []NewStep {
	graph := def.Graph()
	initial := def.Initial()
	exists := make(map[int32]bool, len(initial))
	for _, no := range initial {
		exists[no] = true
	}
	present := func(nos []int32) []int32 {
		return slices.DeleteFunc(slices.Clone(nos), func(no int32) bool { return !exists[no] })
	}
	steps := make([]NewStep, 0, len(initial))
	for _, no := range initial {
		d := def.Step(no)
		parents := present(graph.Parents(no))
		s := NewStep{
			No: no, Def: no, Name: d.Name, State: step.Pending,
			OpenParents: int32(len(parents)),        //nolint:gosec // G115: at most MaxSteps
			MaxAttempts: int32(d.Retry.MaxAttempts), //nolint:gosec // G115: validated to at most 100
			Parents:     parents, Children: present(graph.Children(no)),
		}
		if len(parents) == 0 {
			s.State, s.Dispatch = step.Enqueued, 1
		}
		steps = append(steps, s)
	}
	return steps
}

func inOrder(steps map[ident.StepRef]Step) []ident.StepRef {
	refs := make([]ident.StepRef, 0, len(steps))
	for ref := range steps {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, CompareRefs)
	return refs
}

// CompareRefs orders steps by task, then number: the order in which their rows
// are locked and written.
func CompareRefs(a, b ident.StepRef) int {
	if c := bytes.Compare(a.Task[:], b.Task[:]); c != 0 {
		return c
	}
	return int(a.No - b.No)
}
