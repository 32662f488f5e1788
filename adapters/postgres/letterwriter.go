package postgres

import (
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
)

// letters writes what becomes of dead letters, after the tasks and steps that
// their snapshots show. It returns those that were opened.
func (w *writer) letters(changes []plan.LetterChange) (opened []deadletter.EntryID) {
	if len(changes) == 0 {
		return nil
	}
	w.closeLetters(changes) // first: one task may have one open letter
	var (
		ids             []deadletter.EntryID
		tasks           []ident.TaskID
		ordinals        []int32
		reasons, states []string
		notes           []*string
		fingerprints    []string
		failures        letterFailures
	)
	for i := range changes {
		l := &changes[i]
		failures.add(l)
		if l.Reason == 0 {
			continue
		}
		first := ""
		if len(l.Failures) > 0 {
			first = l.Failures[0].Fingerprint
		}
		ids, tasks, ordinals = append(ids, l.ID), append(tasks, l.Task), append(ordinals, l.Ordinal)
		reasons, states = append(reasons, l.Reason.String()), append(states, l.State.String())
		notes, fingerprints = append(notes, nullable(l.Note)), append(fingerprints, first)
	}
	if len(ids) > 0 {
		w.Queue(sqlOpenLetters, w.now, ids, tasks, ordinals, reasons, states, notes, fingerprints)
	}
	if f := &failures; len(f.letter) > 0 {
		w.Queue(sqlAddFailures, w.now, f.letter, f.task, f.no, f.name, f.dispatch, f.attempt, f.kind, f.message, f.fingerprint)
	}
	return ids
}

func (w *writer) closeLetters(changes []plan.LetterChange) {
	var (
		ids      []deadletter.EntryID
		statuses []string
		by, why  []*string
	)
	for i := range changes {
		if l := &changes[i]; l.Closed != 0 {
			ids, statuses = append(ids, l.ID), append(statuses, l.Closed.String())
			by, why = append(by, nullable(l.By)), append(why, nullable(l.Why))
		}
	}
	if len(ids) > 0 {
		w.Queue(sqlCloseLetters, w.now, ids, statuses, by, why)
	}
}

type letterFailures struct {
	letter                           []deadletter.EntryID
	task                             []ident.TaskID
	no, dispatch, attempt            []int32
	name, kind, message, fingerprint []string
}

func (f *letterFailures) add(l *plan.LetterChange) {
	for i := range l.Failures {
		x := &l.Failures[i]
		f.letter, f.task = append(f.letter, l.ID), append(f.task, l.Task)
		f.no, f.dispatch, f.attempt = append(f.no, x.Ref.No), append(f.dispatch, x.Dispatch), append(f.attempt, x.Attempt)
		f.name, f.kind = append(f.name, x.Name), append(f.kind, x.Type)
		f.message, f.fingerprint = append(f.message, x.Message), append(f.fingerprint, x.Fingerprint)
	}
}
