package http

import (
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/readiness"
)

// An explanation is written by hand: it may have ten thousand steps, for which
// reflection takes longer than all the rest. A test holds it to the types that
// document it.

// writeAt is from how many bytes on they are handed to the connection: it goes
// on while the rest is made, and no answer of megabytes is held in memory.
const writeAt = 32 << 10

// writeExplanation writes what ExplanationResponse documents.
func writeExplanation(out io.Writer, id ident.TaskID, e *readiness.Explanation) {
	text := id.String()
	w := &explanationWriter{task: id, prefix: text[:len(text)-2*4], out: out, b: make([]byte, 0, 2*writeAt)}
	w.say(`{"task_uuid":"`, text, `"`)
	w.why(&e.Reason)
	if l := e.Letter; l != nil {
		w.say(`,"dead_letter":{"dlq_entry_uuid":`).text(l.EntryID).say(`,"reason":`).text(l.Reason).say(`,"since":`).time(l.Since).say("}")
	}
	w.say(`,"critical_path":[`)
	w.steps(e.CriticalPath)
	w.say(`],"steps":[`)
	for i := range e.Steps {
		if i > 0 {
			w.say(",")
		}
		w.step(&e.Steps[i])
		if len(w.b) >= writeAt && !w.flush() {
			return
		}
	}
	w.say("]}\n").flush()
}

// flush reports whether somebody still listens.
func (w *explanationWriter) flush() bool {
	_, err := w.out.Write(w.b)
	w.b = w.b[:0]
	return err == nil
}

type explanationWriter struct {
	task   ident.TaskID
	prefix string // of the ids of its steps, as text
	out    io.Writer
	b      []byte
}

func (w *explanationWriter) say(parts ...string) *explanationWriter {
	for _, p := range parts {
		w.b = append(w.b, p...)
	}
	return w
}

func (w *explanationWriter) step(s *readiness.StepExplanation) {
	w.say("{")
	w.named(s.Named)
	w.say(`,"current_state":"`, s.State.String(), `"`)
	w.why(&s.Reason)
	if len(s.WaitingFor) > 0 {
		w.say(`,"waiting_for":[`)
		w.steps(s.WaitingFor)
		w.say("]")
	}
	w.say(`,"attempt":`).number(s.Attempt).say(`,"max_attempts":`).number(s.MaxAttempts)
	w.maybeTime("retry_at", s.RetryAt)
	if l := s.Lease; l != nil {
		w.maybe("lease_holder", l.Holder)
		w.maybeTime("lease_until", l.Until)
	}
	if len(s.Pauses) > 0 {
		w.say(`,"pauses":[`)
		for i := range s.Pauses {
			if i > 0 {
				w.say(",")
			}
			w.pause(&s.Pauses[i])
		}
		w.say("]")
	}
	w.say(`,"handler":`).text(s.Handler)
	w.maybe("last_error_type", s.LastErrorType)
	w.maybe("last_error", s.LastError)
	if s.Letter != nil {
		w.maybeTime("dead_lettered_at", s.Letter.Since)
	}
	w.say("}")
}

func (w *explanationWriter) why(r *readiness.Reason) {
	w.say(`,"code":`).text(string(r.Code)).say(`,"sentence":`).text(r.Sentence).say(`,"unblock":`).text(r.Unblock)
	if len(r.Also) > 0 {
		w.say(`,"also":[`)
		for i, c := range r.Also {
			if i > 0 {
				w.say(",")
			}
			w.text(string(c))
		}
		w.say("]")
	}
	w.actions("actions", r.Actions)
	w.actions("instead", r.Instead)
}

func (w *explanationWriter) actions(name string, all []readiness.Action) {
	if len(all) == 0 {
		return
	}
	w.say(`,"`, name, `":[`)
	for i := range all {
		a := &all[i]
		if i > 0 {
			w.say(",")
		}
		w.say(`{"kind":`).text(string(a.Kind))
		if a.Step != 0 {
			w.say(`,"step_uuid":`).stepID(a.Step)
		}
		w.maybe("handler", a.Handler)
		w.maybeTime("until", a.Until)
		if a.Pause != nil {
			w.say(`,"pause":`)
			w.pause(a.Pause)
		}
		w.say("}")
	}
	w.say("]")
}

func (w *explanationWriter) pause(p *readiness.Pause) {
	w.say(`{"kind":`).text(p.Kind).say(`,"subject":`).text(p.Subject).say(`,"by":`).text(p.By).say(`,"reason":`).text(p.Reason)
	w.say(`,"since":`).time(p.Since).say("}")
}

func (w *explanationWriter) steps(all []readiness.Named) {
	for i, n := range all {
		if i > 0 {
			w.say(",")
		}
		w.say("{")
		w.named(n)
		w.say("}")
	}
}

func (w *explanationWriter) named(n readiness.Named) {
	w.say(`"step_uuid":`).stepID(n.No).say(`,"name":`).text(n.Name)
}

// stepID writes the id of a step, which differs from its task's in the last four
// bytes alone.
func (w *explanationWriter) stepID(no int32) *explanationWriter {
	id := ident.StepRef{Task: w.task, No: no}.ID()
	w.say(`"`, w.prefix)
	w.b = append(hex.AppendEncode(w.b, id[12:]), '"')
	return w
}

func (w *explanationWriter) maybe(name, s string) {
	if s != "" {
		w.say(`,"`, name, `":`).text(s)
	}
}

func (w *explanationWriter) maybeTime(name string, t time.Time) {
	if !t.IsZero() {
		w.say(`,"`, name, `":`).time(t)
	}
}

func (w *explanationWriter) number(n int32) *explanationWriter {
	w.b = strconv.AppendInt(w.b, int64(n), 10)
	return w
}

func (w *explanationWriter) time(t time.Time) *explanationWriter {
	w.b = append(w.b, '"')
	w.b = t.UTC().AppendFormat(w.b, time.RFC3339Nano)
	w.b = append(w.b, '"')
	return w
}

// plain are the bytes that stand in a JSON string as they are; those beyond ASCII
// have to be looked at.
var plain = func() (is [256]bool) {
	for c := range 0x80 {
		is[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return is
}()

// text writes a string.
func (w *explanationWriter) text(s string) *explanationWriter {
	const digits = "0123456789abcdef"
	b := append(w.b, '"')
	clean, checked := 0, false // up to here it is written
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case plain[c]:
			continue
		case c >= utf8.RuneSelf && checked:
			continue
		case c >= utf8.RuneSelf: // what follows stays what it is, or is replaced
			s, checked = s[:i]+strings.ToValidUTF8(s[i:], "\ufffd"), true
			continue
		}
		b = append(b, s[clean:i]...)
		clean = i + 1
		if c == '"' || c == '\\' {
			b = append(b, '\\', c)
		} else {
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		}
	}
	w.b = append(append(b, s[clean:]...), '"')
	return w
}
