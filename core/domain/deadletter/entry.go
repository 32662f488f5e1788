// Package deadletter is what is known of tasks that need a person: why one is a
// dead letter, what became of it, and which come first.
package deadletter

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/ident"
)

// EntryID names a dead letter.
type EntryID = ident.ID[entryKind]

type entryKind struct{}

// entries is the space of the names that ID makes.
var entries = uuid.MustParse("5d7a31f4-2c4e-5b90-8f0b-6a1c9e3d7742")

// ID names the ordinal-th dead letter of a task, counted from 1. It is derived,
// so that a transaction of unknown outcome finds its own.
func ID(task ident.TaskID, ordinal int32) EntryID {
	return EntryID(uuid.NewSHA1(entries, fmt.Appendf(task[:], "/%d", ordinal))) //nolint:forbidigo // derived: the same every time
}

// ParseID reads the id of a dead letter.
func ParseID(text string) (EntryID, error) {
	u, err := uuid.Parse(text)
	if err != nil {
		return EntryID{}, ident.ErrMalformed
	}
	return EntryID(u), nil
}

// Reason says why a task is a dead letter. The zero Reason is none.
type Reason uint8

// The reasons of the contract, and PermanentFailure, which the contract lacks.
const (
	StalenessTimeout        Reason = iota + 1 // it stood still for too long, or its deadline passed
	MaxRetriesExceeded                        // a step failed in every attempt that it has
	DependencyCycleDetected                   // never: templates with a cycle are refused
	WorkerUnavailable                         // too many leases lost, or no worker for a handler
	ManualDLQ                                 // a person put it there
	PermanentFailure                          // a step failed in a way that no attempt mends
)

var reasonNames = [...]string{
	StalenessTimeout: "staleness_timeout", MaxRetriesExceeded: "max_retries_exceeded",
	DependencyCycleDetected: "dependency_cycle_detected", WorkerUnavailable: "worker_unavailable",
	ManualDLQ: "manual_dlq", PermanentFailure: "permanent_failure",
}

// weights order the investigation: what is worse comes first.
var weights = [...]float64{
	StalenessTimeout: 100, MaxRetriesExceeded: 500, DependencyCycleDetected: 1000,
	WorkerUnavailable: 50, ManualDLQ: 10, PermanentFailure: 500,
}

// Reasons returns all reasons.
func Reasons() []Reason {
	all := make([]Reason, 0, len(reasonNames)-1)
	for r := StalenessTimeout; int(r) < len(reasonNames); r++ {
		all = append(all, r)
	}
	return all
}

// String returns the snake_case name.
func (r Reason) String() string { return nameOf(reasonNames[:], int(r)) }

// MarshalText returns the name.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Weight is the reason's share of the priority of an investigation.
func (r Reason) Weight() float64 {
	if int(r) < len(weights) {
		return weights[r]
	}
	return 0
}

// ParseReason reads a reason, in snake_case or PascalCase.
func ParseReason(text string) (Reason, error) {
	i, err := parse("the reason of a dead letter", reasonNames[:], text)
	return Reason(i), err
}

// Status says what became of a dead letter. The zero Status is none.
type Status uint8

// The statuses of the contract. Pending is the only open one.
const (
	Pending Status = iota + 1
	ManuallyResolved
	PermanentlyFailed
	Cancelled
)

var statusNames = [...]string{
	Pending: "pending", ManuallyResolved: "manually_resolved", PermanentlyFailed: "permanently_failed", Cancelled: "cancelled",
}

// Statuses returns all statuses.
func Statuses() []Status { return []Status{Pending, ManuallyResolved, PermanentlyFailed, Cancelled} }

// String returns the snake_case name.
func (s Status) String() string { return nameOf(statusNames[:], int(s)) }

// MarshalText returns the name.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseStatus reads a status, in snake_case or PascalCase.
func ParseStatus(text string) (Status, error) {
	i, err := parse("the status of a dead letter", statusNames[:], text)
	return Status(i), err
}

// Pascal returns a snake_case name in the spelling of the REST contract.
func Pascal(name string) string {
	out := make([]byte, 0, len(name))
	upper := true
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '_':
			upper = true
			continue
		case upper && c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		}
		upper = false
		out = append(out, c)
	}
	return string(out)
}

func nameOf(names []string, i int) string {
	if i <= 0 || i >= len(names) {
		return "none"
	}
	return names[i]
}

func parse(what string, names []string, text string) (uint8, error) {
	for i := uint8(1); int(i) < len(names); i++ {
		if text == names[i] || text == Pascal(names[i]) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%q is not %s, want one of %v", text, what, names[1:])
}

// volatile matches what differs between two occurrences of one error: ids,
// addresses, numbers, quoted values.
var volatile = regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|0x[0-9a-fA-F]+|[0-9]+|"[^"]*"|'[^']*'`)

// fingerprinted bounds how much of a message tells errors apart, in bytes.
const fingerprinted = 512

// Fingerprint groups failures: the same for one step of one template that fails
// with the same kind of error and a message that differs in ids, numbers and
// quoted values alone.
func Fingerprint(namespace, template, step, errorType, message string) string {
	if len(message) > fingerprinted {
		message = message[:fingerprinted]
	}
	h := sha256.New()
	for _, part := range []string{namespace, template, step, errorType, volatile.ReplaceAllLiteralString(message, "?")} {
		_, _ = h.Write([]byte(part)) // a hash never fails
		_, _ = h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
