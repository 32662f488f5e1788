// Package runlog is the log that handlers keep of themselves, outside the
// database: one line as each run begins and one as it ends. What a server says
// of its handlers can be compared with it.
package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Kind says what a line tells.
type Kind string

// The kinds of lines.
const (
	Begin  Kind = "begin"
	End    Kind = "end"    // the handler returns a result
	Failed Kind = "failed" // the handler returns an error
)

// Line is one entry. The lines of a file are in the order in which they were
// written, whoever wrote them.
type Line struct {
	Kind    Kind
	Run     string // one call of a handler: the same in its two lines, and in no others
	Task    string
	Step    string // name
	Attempt int
	Key     string // the step's idempotency key
	PID     int
	At      time.Time
}

func (l Line) text() string {
	return fmt.Sprintf("%s %s %s %s %d %s %d %d\n", l.Kind, l.Run, l.Task, l.Step, l.Attempt, l.Key, l.PID, l.At.UnixNano())
}

func parse(text string) (l Line, ok bool) {
	f := strings.Split(text, " ")
	if len(f) != 8 {
		return l, false
	}
	attempt, err1 := strconv.Atoi(f[4])
	pid, err2 := strconv.Atoi(f[6])
	at, err3 := strconv.ParseInt(f[7], 10, 64)
	l = Line{Kind: Kind(f[0]), Run: f[1], Task: f[2], Step: f[3], Attempt: attempt, Key: f[5], PID: pid, At: time.Unix(0, at)}
	known := l.Kind == Begin || l.Kind == End || l.Kind == Failed
	return l, known && errors.Join(err1, err2, err3) == nil
}

// Writer appends to a log that several processes may share. Each line is one
// write, so that a process which is killed leaves whole lines, but for the one
// that the kernel may cut where a page of the file ends. It is safe for
// concurrent use.
type Writer struct {
	file *os.File
	runs atomic.Int64
}

// Open opens the log for appending, and makes it if need be.
func Open(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	// Ends the line that a killed process may have left cut off.
	if _, err := f.WriteString("\n"); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Writer{file: f}, nil
}

// Begin writes that a run begins, and returns its line; l brings Task, Step,
// Attempt and Key.
func (w *Writer) Begin(l Line) (Line, error) {
	l.Kind, l.PID = Begin, os.Getpid()
	l.Run = fmt.Sprintf("%d.%d", l.PID, w.runs.Add(1))
	return l, w.write(&l)
}

// End writes that the run of l ends, well or not.
func (w *Writer) End(l Line, kind Kind) error {
	l.Kind = kind
	return w.write(&l)
}

func (w *Writer) write(l *Line) error {
	l.At = time.Now()
	_, err := w.file.WriteString(l.text())
	return err
}

// Reader follows a log while it grows. It is not safe for concurrent use.
type Reader struct {
	path   string
	offset int64
	rest   []byte

	Torn int // lines that could not be read: cut off by a kill, or worse
}

// NewReader returns a reader of the log at path, which need not exist yet.
func NewReader(path string) *Reader { return &Reader{path: path} }

// More returns the whole lines that were written since the last call.
func (r *Reader) More() ([]Line, error) {
	f, err := os.Open(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	fresh, err := io.ReadAll(io.NewSectionReader(f, r.offset, 1<<62))
	if err != nil {
		return nil, err
	}
	r.offset += int64(len(fresh))
	r.rest = append(r.rest, fresh...)
	var lines []Line
	for {
		text, rest, whole := bytes.Cut(r.rest, []byte("\n"))
		if !whole {
			return lines, nil
		}
		r.rest = rest
		if len(text) == 0 {
			continue
		}
		if l, ok := parse(string(text)); ok {
			lines = append(lines, l)
		} else {
			r.Torn++
		}
	}
}
