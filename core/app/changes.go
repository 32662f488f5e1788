package app

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// reading are the verbs that the names of operations begin with which change
// nothing.
var reading = []string{"Get", "List", "Check", "Watch", "Explain", "Validate"}

// recorded are operations that change something and have records of their own:
// a task tells who created it.
var recorded = map[Operation]bool{CreateTask: true, "CreateTasks": true}

// Changes reports whether the audit log has a row of each time that somebody
// asks for the operation. An operation counts as a change unless its name says
// that it reads, or it is one of those with records of their own: a new one
// cannot be forgotten.
func (o Operation) Changes() bool {
	if _, known := operations[o]; !known || recorded[o] {
		return false
	}
	for _, verb := range reading {
		if strings.HasPrefix(string(o), verb) {
			return false
		}
	}
	return true
}

// Caller is where a request comes from.
type Caller struct {
	Door   string // http, grpc or cli
	Remote string // host:port of the client
}

// ChangeRecorder is what the gate of a door tells of every request, before and
// after the operation.
type ChangeRecorder interface {
	// BeginChange returns the context for the operation, and what to call with
	// its outcome once it is over: ok, or the code of the fault.
	BeginChange(ctx context.Context, op Operation, from Caller) (context.Context, func(outcome string))
}

// changeNote is what an operation says of itself while it runs.
type changeNote struct {
	target            ports.ChangeTarget
	namespace, reason string
}

type changeNoteKey struct{}

// noteChange says what the operation under ctx is about, and why it was asked
// for. It does nothing where no row is to be written.
func noteChange(ctx context.Context, kind, id, why string) {
	if n, ok := ctx.Value(changeNoteKey{}).(*changeNote); ok {
		n.target, n.reason = ports.ChangeTarget{Kind: kind, ID: id}, why
	}
}

// noteNamespace says where the target of the operation under ctx is.
func noteNamespace(ctx context.Context, namespace string) {
	if n, ok := ctx.Value(changeNoteKey{}).(*changeNote); ok {
		n.namespace = namespace
	}
}

func noteTemplate(ctx context.Context, name task.Name, why string) {
	noteChange(ctx, targetTemplate, name.Namespace+"/"+name.Name+"/"+name.Version, why)
	noteNamespace(ctx, name.Namespace)
}

func notePause(ctx context.Context, p ports.Pause) {
	switch p.Kind {
	case ports.PauseTask:
		noteChange(ctx, targetTask, p.Task.String(), p.Why)
	case ports.PauseTemplate:
		noteTemplate(ctx, p.Name, p.Why)
	case ports.PauseNamespace:
		noteChange(ctx, targetNamespace, p.Name.Namespace, p.Why)
		noteNamespace(ctx, p.Name.Namespace)
	}
}

// The kinds of what changes are about.
const (
	targetTask       = "task"
	targetStep       = "step"
	targetTemplate   = "template"
	targetNamespace  = "namespace"
	targetDeadLetter = "dead_letter"
	targetResume     = "resume"
	targetBulk       = "bulk_operation"
	targetKey        = "key"
)

// recordTime bounds how long an answer waits for its row in the audit log.
const recordTime = 5 * time.Second

// BeginChange implements ChangeRecorder. The row is written once the operation
// is over and before it is answered, also when the client has gone: an operation
// that goes through the actors has its own transaction. A row that cannot be
// written is told to Lost.
func (s *Security) BeginChange(ctx context.Context, op Operation, from Caller) (context.Context, func(string)) {
	if s == nil || !op.Changes() {
		return ctx, func(string) {}
	}
	n := &changeNote{}
	ctx = context.WithValue(ctx, changeNoteKey{}, n)
	return ctx, func(outcome string) {
		who := PrincipalOf(ctx)
		who.Subject, who.ID = storable(who.Subject), storable(who.ID)
		c := ports.Change{
			Principal: who, Operation: string(op), Target: ports.ChangeTarget{Kind: n.target.Kind, ID: storable(n.target.ID)},
			Namespace: storable(n.namespace), Reason: storable(n.reason), Outcome: outcome,
			RequestID: RequestIDOf(ctx), Remote: from.Remote, Door: from.Door,
		}
		write, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
		defer cancel()
		if err := s.Log.RecordChange(write, c); err != nil {
			s.Lost(c, err)
		}
	}
}

// maxNoted is the longest text that the audit log keeps, in bytes; checked input
// is shorter.
const maxNoted = 2048

// storable returns text as the database takes it: requests that are refused for
// such text are recorded, too.
func storable(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) <= maxNoted {
		return text
	}
	cut := maxNoted
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}

// ChangePage is a page of the audit log.
type ChangePage struct {
	Changes []ports.Change // newest first
	Next    string         // the cursor of the next page; empty after the last
}

// ListAudit returns a page of the audit log; the first where there is no cursor.
// Who is kept to some namespaces sees the rows of those. Faults: invalid_field,
// invalid_cursor.
func (s *Security) ListAudit(ctx context.Context, f ports.ChangeFilter, cursor string, limit int) (ChangePage, error) {
	if err := checkLimit(limit); err != nil {
		return ChangePage{}, err
	}
	for field, value := range map[string]string{"principal": f.Principal, "operation": f.Operation, "target": f.Target} {
		if err := jsondoc.CheckText(field, value, maxNoted); err != nil {
			return ChangePage{}, err
		}
	}
	var before int64
	if cursor != "" {
		var err error
		if before, err = strconv.ParseInt(cursor, 36, 64); err != nil || before < 1 {
			return ChangePage{}, fault.In("cursor", fault.CodeInvalidCursor, "the cursor is not one of this server; want next_cursor of a page")
		}
	}
	if who := PrincipalOf(ctx); who.Scoped() {
		f.Namespaces = who.Namespaces
	}
	rows, err := s.Log.Changes(ctx, f, before, limit+1) // one more tells whether there is a next page
	if err != nil || len(rows) <= limit {
		return ChangePage{Changes: rows}, err
	}
	rows = rows[:limit]
	return ChangePage{Changes: rows, Next: strconv.FormatInt(rows[limit-1].ID, 36)}, nil
}
