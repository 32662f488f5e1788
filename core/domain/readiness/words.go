package readiness

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxNames = 10  // in one sentence
	maxError = 200 // bytes of an error in a sentence
)

// words is a sentence that grows. It is used again for each sentence, and many
// sentences share one piece of memory: a task may have very many.
type words struct {
	buf  []byte
	page strings.Builder
}

const pageSize = 64 << 10

func (w *words) begin() *words { w.buf = w.buf[:0]; return w }

func (w *words) String() string {
	if w.page.Len()+len(w.buf) > w.page.Cap() {
		w.page = strings.Builder{}
		w.page.Grow(max(pageSize, len(w.buf)))
	}
	start := w.page.Len()
	w.page.Write(w.buf)
	return w.page.String()[start:]
}

func (w *words) say(parts ...string) *words {
	for _, p := range parts {
		w.buf = append(w.buf, p...)
	}
	return w
}

func (w *words) number(n int32) *words { w.buf = strconv.AppendInt(w.buf, int64(n), 10); return w }

func (w *words) quote(text string) *words {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			w.buf = strconv.AppendQuote(w.buf, text)
			return w
		}
	}
	return w.say(`"`, text, `"`) // most names: several times as fast
}

func (w *words) time(t time.Time) *words {
	w.buf = t.UTC().AppendFormat(w.buf, time.RFC3339)
	return w
}

// count says a number with what it counts.
func (w *words) count(n int32, one, more string) *words {
	w.number(n)
	if n == 1 {
		return w.say(one)
	}
	return w.say(more)
}

// when says a time, and how far from now it is.
func (w *words) when(t, now time.Time) *words {
	w.time(t)
	if t.After(now) {
		return w.say(" (in ", duration(t.Sub(now)), ")")
	}
	return w.say(" (", duration(now.Sub(t)), " ago)")
}

// names lists steps, the first few by name.
func (w *words) names(steps []Named) *words {
	shown := min(len(steps), maxNames)
	for i, s := range steps[:shown] {
		switch {
		case i == 0:
		case i == len(steps)-1:
			w.say(" and ")
		default:
			w.say(", ")
		}
		if s.Name == "" {
			w.say("step ").number(s.No)
		} else {
			w.quote(s.Name)
		}
	}
	if more := len(steps) - shown; more > 0 {
		w.say(" and ").number(int32(more)).say(" more") //nolint:gosec // G115: at most MaxSteps
	}
	return w
}

// lastError says what went wrong last.
func (w *words) lastError(typ, message string) *words {
	message, _, _ = strings.Cut(message, "\n")
	if len(message) > maxError {
		cut := maxError
		for cut > 0 && !utf8.RuneStart(message[cut]) {
			cut--
		}
		message = message[:cut] + "…"
	}
	switch {
	case typ == "" && message == "":
		return w
	case typ == "" || message == "":
		return w.say("; last error: ", typ, message)
	default:
		return w.say("; last error: ", typ, ": ", message)
	}
}

func (w *words) pause(p *Pause) *words {
	w.subject(p).say(" is paused by ", p.By, " since ").time(p.Since)
	if p.Reason != "" {
		w.say(" (", p.Reason, ")")
	}
	return w
}

func (w *words) subject(p *Pause) *words {
	if p.Kind == "task" {
		return w.say("the task")
	}
	return w.say(p.Kind, " ").quote(p.Subject)
}

// duration says a duration in whole seconds, or what is left of less than one.
func duration(d time.Duration) string {
	if d < time.Second {
		return "less than 1s"
	}
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
