package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

var (
	_ ports.Pauses = (*Store)(nil)
	_ ports.Purger = (*Store)(nil)
)

// pauseKey is what a pause holds back.
type pauseKey struct {
	kind ports.PauseKind
	name task.Name
	task ident.TaskID
}

// keyOf leaves out what a pause of its kind does not have.
func keyOf(p ports.Pause) pauseKey {
	switch p.Kind {
	case ports.PauseTask:
		return pauseKey{kind: p.Kind, task: p.Task}
	case ports.PauseNamespace:
		return pauseKey{kind: p.Kind, name: task.Name{Namespace: p.Name.Namespace}}
	default:
		return pauseKey{kind: p.Kind, name: p.Name}
	}
}

// held reports whether a pause of the task, or of its template, is in effect. The
// caller holds the lock.
func (db *Database) held(id ident.TaskID) bool {
	d := db.tasks[id].Definition
	if d == nil {
		return false
	}
	_, own := db.pauses[pauseKey{kind: ports.PauseTask, task: id}]
	_, all := db.pauses[pauseKey{kind: ports.PauseTemplate, name: task.Name{Namespace: d.Namespace, Name: d.Name, Version: d.Version}}]
	return own || all
}

// Pause implements ports.Pauses.
func (s *Store) Pause(ctx context.Context, p ports.Pause) (ports.Pause, error) {
	if err := s.reading(ctx); err != nil {
		return ports.Pause{}, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	key := keyOf(p)
	if p.Kind == ports.PauseTask {
		row, ok := s.db.tasks[p.Task]
		if !ok {
			return ports.Pause{}, fault.New(fault.CodeTaskNotFound, "there is no task %s", p.Task)
		}
		if row.state.Terminal() {
			return ports.Pause{}, fault.New(fault.CodeTaskFinished, "the task is %s already and cannot be paused", row.state).
				With("state", row.state.String())
		}
	}
	if there, ok := s.db.pauses[key]; ok {
		return there, nil
	}
	p.Name, p.Task, p.Since = key.name, key.task, s.db.now()
	s.db.pauses[key] = p
	return p, nil
}

// Unpause implements ports.Pauses.
func (s *Store) Unpause(ctx context.Context, p ports.Pause) (bool, error) {
	if err := s.reading(ctx); err != nil {
		return false, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	key := keyOf(p)
	if _, ok := s.db.pauses[key]; !ok {
		return false, nil
	}
	delete(s.db.pauses, key)
	for j, q := range s.db.aside {
		if s.db.held(j.ref.Task) {
			continue
		}
		delete(s.db.aside, j)
		at, _ := slices.BinarySearchFunc(s.db.jobs[q], j, job.compare)
		s.db.jobs[q] = slices.Insert(slices.Clone(s.db.jobs[q]), at, j)
	}
	return true, nil
}

// Paused implements ports.Pauses.
func (s *Store) Paused(ctx context.Context, id ident.TaskID, name task.Name) ([]ports.Pause, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	var out []ports.Pause
	for _, key := range []pauseKey{
		{kind: ports.PauseNamespace, name: task.Name{Namespace: name.Namespace}},
		{kind: ports.PauseTask, task: id},
		{kind: ports.PauseTemplate, name: name},
	} {
		if p, ok := s.db.pauses[key]; ok {
			out = append(out, p)
		}
	}
	return out, nil
}

// EndPauses implements ports.Pauses.
func (s *Store) EndPauses(ctx context.Context) (int, error) {
	if err := s.reading(ctx); err != nil {
		return 0, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	before := len(s.db.pauses)
	maps.DeleteFunc(s.db.pauses, func(k pauseKey, _ ports.Pause) bool {
		state := s.db.tasks[k.task].state
		return k.kind == ports.PauseTask && state.Terminal() && state != task.Error
	})
	return before - len(s.db.pauses), nil
}

// ListPauses implements ports.Pauses.
func (s *Store) ListPauses(ctx context.Context, limit int) ([]ports.Pause, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	all := slices.SortedFunc(maps.Values(s.db.pauses), func(a, b ports.Pause) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Kind, b.Kind))
	})
	return page(all, 0, limit), nil
}

// Purge implements ports.Purger.
func (s *Store) Purge(ctx context.Context, id ident.TaskID) error {
	if err := s.reading(ctx); err != nil {
		return err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	row, ok := s.db.tasks[id]
	if !ok {
		return fault.New(fault.CodeTaskNotFound, "there is no task %s", id)
	}
	if !row.state.Terminal() {
		return fault.New(fault.CodeTaskNotFinished, "the task is %s; only one that has ended can be purged: cancel it first", row.state).
			With("state", row.state.String())
	}
	for _, st := range s.db.stepsOf(id) {
		delete(s.db.steps, st.Ref)
	}
	delete(s.db.tasks, id)
	delete(s.db.taskLog, id)
	delete(s.db.stepLog, id)
	delete(s.db.pauses, pauseKey{kind: ports.PauseTask, task: id})
	maps.DeleteFunc(s.db.letters, func(_ deadletter.EntryID, l letterRow) bool { return l.Task == id })
	for identity, holder := range s.db.identities {
		if holder == id {
			delete(s.db.identities, identity)
		}
	}
	for q, jobs := range s.db.jobs {
		s.db.jobs[q] = slices.DeleteFunc(slices.Clone(jobs), func(j job) bool { return j.ref.Task == id })
	}
	for j := range s.db.aside {
		if j.ref.Task == id {
			delete(s.db.aside, j)
		}
	}
	return nil
}
