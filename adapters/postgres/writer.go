package postgres

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// writer turns a decision into the statements of a pipeline: one statement for
// each kind of row, however many rows there are.
type writer struct {
	pgx.Batch
	now    time.Time
	server int32
}

func (w *writer) create(created []plan.NewTask) {
	if len(created) == 0 {
		return
	}
	n := len(created)
	steps := 0
	for i := range created {
		steps += len(created[i].Steps)
	}
	var (
		ids               = make([]ident.TaskID, n)
		requested         = make([]*time.Time, n)
		templates         = make([]ident.TemplateID, n)
		priority, total   = make([]int32, n), make([]int32, n)
		open, active      = make([]int32, n), make([]int32, n)
		correlation       = make([]uuid.UUID, n)
		parent            = make([]uuid.NullUUID, n)
		state, namespace  = make([]string, n), make([]string, n)
		initiator, source = make([]string, n), make([]string, n)
		reason, context   = make([]string, n), make([]string, n)
		tags, options     = make([]*string, n), make([]*string, n)
		start, deadline   = make([]*time.Time, n), make([]*time.Time, n)
		wake              = make([]*time.Time, n)
		h                 = newTaskHistory(n)
		s                 = newStepRows(steps)
		roots             = newStepHistory(n)
	)
	for i := range created {
		t := &created[i]
		ids[i], templates[i], priority[i] = t.Task.ID, t.Task.Template, t.Task.Priority
		total[i], open[i], active[i] = t.Total, t.Open, t.Active
		if !t.RequestedAt.IsZero() {
			requested[i] = &t.RequestedAt
		}
		correlation[i], parent[i] = t.CorrelationID, t.ParentCorrelationID
		state[i], namespace[i] = t.State.String(), t.Namespace
		initiator[i], source[i], reason[i] = t.Initiator, t.SourceSystem, t.Reason
		context[i] = string(t.Context)
		tags[i], options[i] = tagsText(t.Tags), text(t.Options)
		start[i], deadline[i], wake[i] = instant(t.StartAt), instant(t.Task.Deadline), instant(t.WakeAt)
		if t.State != task.Pending {
			h.add(t.Task.ID, task.Pending, t.State, t.Path, "", "")
		}
		for j := range t.Steps {
			st := &t.Steps[j]
			s.add(t.Task.ID, st)
			if st.State != step.Pending {
				roots.add(ident.StepRef{Task: t.Task.ID, No: st.No}, st.Dispatch, 0, step.Pending, st.State, nil, nil, "", "")
			}
		}
	}
	w.Queue(sqlInsertTasks, w.now, ids, requested, templates, priority, total, open, active, correlation, parent,
		state, namespace, initiator, source, reason, tags, context, options, start, deadline, wake)
	w.Queue(sqlInsertSteps, w.now, s.task, s.no, s.def, s.open, s.max, s.dispatch, s.state, s.name, s.parents, s.children)
	w.recordTasks(h)
	w.recordSteps(roots)
}

func (w *writer) tasks(changes []plan.TaskChange) {
	if len(changes) == 0 {
		return
	}
	n := len(changes)
	var (
		ids                            = make([]ident.TaskID, n)
		from, state                    = make([]string, n), make([]string, n)
		open, active, retrying, failed = make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)
		ended                          = make([]bool, n)
		wake, deadline                 = make([]*time.Time, n), make([]*time.Time, n)
		letters                        = make([]int32, n)
		letterOpen, letterStale        = make([]bool, n), make([]bool, n)
		h                              = newTaskHistory(0)
	)
	for i := range changes {
		c := &changes[i]
		ids[i], from[i], state[i] = c.ID, c.From.String(), c.State.String()
		open[i], active[i], retrying[i], failed[i] = c.Open, c.Active, c.Retrying, c.Failed
		ended[i] = c.State.Terminal()
		wake[i], deadline[i] = instant(c.WakeAt), instant(c.Deadline)
		letters[i], letterOpen[i], letterStale[i] = c.Letters, c.LetterOpen, c.LetterStale
		if c.Moved() {
			h.add(c.ID, c.From, c.State, c.Path, c.By, c.Why)
		}
	}
	w.Queue(sqlWriteTasks, ids, from, state, open, active, retrying, failed, ended, w.now, int64(n),
		wake, deadline, letters, letterOpen, letterStale)
	w.recordTasks(h)
}

func (w *writer) steps(changes []plan.StepChange) {
	if len(changes) == 0 {
		return
	}
	// In the order of their keys: rows that are close in the index are written
	// together.
	changes = slices.Clone(changes)
	slices.SortFunc(changes, func(a, b plan.StepChange) int { return plan.CompareRefs(a.Ref, b.Ref) })
	n := len(changes)
	var (
		ids            = make([]ident.TaskID, n)
		nos            = make([]int32, n)
		from, state    = make([]string, n), make([]string, n)
		live, dispatch = make([]int32, n), make([]int32, n)
		open, attempts = make([]int32, n), make([]int32, n)
		losses         = make([]int32, n)
		wake           = make([]*time.Time, n)
		value, failure = make([]*string, n), make([]*string, n)
		elapsed        = make([]*int32, n)
		inputs         = make([]*string, n)
		h              = newStepHistory(n)
	)
	for i := range changes {
		c := &changes[i]
		ids[i], nos[i], from[i], state[i] = c.Ref.Task, c.Ref.No, c.From.String(), c.State.String()
		live[i], dispatch[i] = c.Live, c.Dispatch
		open[i], attempts[i], losses[i] = c.OpenParents, c.Attempts, c.Losses
		wake[i] = instant(c.WakeAt)
		value[i], inputs[i] = text(c.Value), text(c.Inputs)
		if c.Failure != nil {
			failure[i] = failureText(c.Failure)
		}
		if c.Elapsed > 0 {
			ms := int32(min(c.Elapsed.Milliseconds(), 1<<31-1)) //nolint:gosec // G115: clamped
			elapsed[i] = &ms
		}
		if c.Moved() {
			h.add(c.Ref, c.Dispatch, c.Attempts, c.From, c.State, c.Path, failure[i], c.By, c.Why)
		}
	}
	w.Queue(sqlWriteSteps, ids, nos, from, live, state, dispatch, open, attempts, losses, wake, value, failure, elapsed,
		w.now, int64(n), inputs)
	w.recordSteps(h)
}

// deltas adds up what changed per template, kind and state.
func (w *writer) deltas(snap *plan.Snapshot, d plan.Decision) {
	type key struct {
		template ident.TemplateID
		kind     string
		state    string
	}
	sums := map[key]int32{}
	for i := range d.Created {
		t := &d.Created[i]
		sums[key{t.Task.Template, "task", t.State.String()}]++
		for j := range t.Steps {
			sums[key{t.Task.Template, "step", t.Steps[j].State.String()}]++
		}
	}
	for i := range d.Tasks {
		if c := &d.Tasks[i]; c.Moved() {
			sums[key{c.Template, "task", c.From.String()}]--
			sums[key{c.Template, "task", c.State.String()}]++
		}
	}
	for i := range d.Steps {
		c := &d.Steps[i]
		if c.From != c.State {
			template := snap.Tasks[c.Ref.Task].Template
			sums[key{template, "step", c.From.String()}]--
			sums[key{template, "step", c.State.String()}]++
		}
	}
	var (
		templates    []ident.TemplateID
		kinds, state []string
		by           []int32
	)
	for k, n := range sums {
		if n != 0 {
			templates, kinds, state, by = append(templates, k.template), append(kinds, k.kind), append(state, k.state), append(by, n)
		}
	}
	if len(by) > 0 {
		w.Queue(sqlAddDeltas, templates, kinds, state, by)
	}
}

func (w *writer) recordTasks(h *taskHistory) {
	if len(h.id) > 0 {
		w.Queue(sqlRecordTasks, w.now, w.server, h.id, h.from, h.to, h.path, h.by, h.why)
	}
}

func (w *writer) recordSteps(h *stepHistory) {
	if len(h.task) > 0 {
		w.Queue(sqlRecordSteps, w.now, w.server, h.task, h.no, h.dispatch, h.attempt, h.from, h.to, h.path, h.failure, h.by, h.why)
	}
}

type taskHistory struct {
	id       []ident.TaskID
	from, to []string
	path     []string
	by, why  []*string
}

func newTaskHistory(n int) *taskHistory {
	return &taskHistory{
		id: make([]ident.TaskID, 0, n), from: make([]string, 0, n), to: make([]string, 0, n),
		path: make([]string, 0, n), by: make([]*string, 0, n), why: make([]*string, 0, n),
	}
}

func (h *taskHistory) add(id ident.TaskID, from, to task.State, path []task.State, by, why string) {
	h.id = append(h.id, id)
	h.from, h.to = append(h.from, from.String()), append(h.to, to.String())
	h.path = append(h.path, pathText(path))
	h.by, h.why = append(h.by, nullable(by)), append(h.why, nullable(why))
}

type stepHistory struct {
	task              []ident.TaskID
	no                []int32
	dispatch, attempt []int32
	from, to          []string
	path              []string
	failure           []*string
	by, why           []*string
}

func newStepHistory(n int) *stepHistory {
	return &stepHistory{
		task: make([]ident.TaskID, 0, n), no: make([]int32, 0, n), dispatch: make([]int32, 0, n),
		attempt: make([]int32, 0, n), from: make([]string, 0, n), to: make([]string, 0, n),
		path: make([]string, 0, n), failure: make([]*string, 0, n), by: make([]*string, 0, n), why: make([]*string, 0, n),
	}
}

func (h *stepHistory) add(ref ident.StepRef, dispatch, attempt int32, from, to step.State, path []step.State, failure *string, by, why string) {
	h.task, h.no = append(h.task, ref.Task), append(h.no, ref.No)
	h.dispatch, h.attempt = append(h.dispatch, dispatch), append(h.attempt, attempt)
	h.from, h.to = append(h.from, from.String()), append(h.to, to.String())
	h.path, h.failure = append(h.path, pathText(path)), append(h.failure, failure)
	h.by, h.why = append(h.by, nullable(by)), append(h.why, nullable(why))
}

type stepRows struct {
	task                         []ident.TaskID
	no, def, open, max, dispatch []int32
	state, name                  []string
	parents, children            []string
}

func newStepRows(n int) *stepRows {
	ints := func() []int32 { return make([]int32, 0, n) }
	texts := func() []string { return make([]string, 0, n) }
	return &stepRows{
		task: make([]ident.TaskID, 0, n), no: ints(), def: ints(), open: ints(), max: ints(), dispatch: ints(),
		state: texts(), name: texts(), parents: texts(), children: texts(),
	}
}

func (r *stepRows) add(id ident.TaskID, s *plan.NewStep) {
	r.task = append(r.task, id)
	r.no, r.def, r.open = append(r.no, s.No), append(r.def, s.Def), append(r.open, s.OpenParents)
	r.max, r.dispatch = append(r.max, s.MaxAttempts), append(r.dispatch, s.Dispatch)
	r.state, r.name = append(r.state, s.State.String()), append(r.name, s.Name)
	r.parents, r.children = append(r.parents, numbersText(s.Parents)), append(r.children, numbersText(s.Children))
}

// pathText and numbersText write array literals: a column of arrays of
// different lengths cannot travel as an array.
func pathText[S interface{ String() string }](path []S) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, s := range path {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(s.String())
	}
	b.WriteByte('}')
	return b.String()
}

func numbersText(nos []int32) string {
	b := make([]byte, 0, 2+7*len(nos))
	b = append(b, '{')
	for i, no := range nos {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(no), 10)
	}
	return string(append(b, '}'))
}

// instant is a time for a column that may be null.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func text(raw json.RawMessage) *string {
	if raw == nil {
		return nil
	}
	s := string(raw)
	return &s
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func tagsText(tags []string) *string {
	if len(tags) == 0 {
		return nil
	}
	raw, err := json.Marshal(tags)
	if err != nil {
		return nil // strings always marshal
	}
	return text(raw)
}

func failureText(f *step.Failure) *string {
	raw, err := json.Marshal(f)
	if err != nil {
		// Only a context that is not JSON can do this, and such a one is refused
		// at the edge; the failure itself must not be lost over it.
		plain := *f
		plain.Context = nil
		raw, _ = json.Marshal(plain)
	}
	return text(raw)
}
