// Package ident names the things that Tasker keeps.
package ident

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// ID is a UUID of one kind of thing. K only keeps the id of a task from being
// passed where a step's is due.
type ID[K any] [16]byte

type (
	taskKind struct{}
	stepKind struct{}

	// TaskID names a task. It is a UUIDv7 whose last StepBits bits are zero.
	TaskID = ID[taskKind]
	// StepID is the public name of a step. It is derived from the task's id and
	// the step's number and needs no index of its own; see StepRef.ID.
	StepID = ID[stepKind]
	// TemplateID names one immutable revision of a template.
	TemplateID int64
)

// StepBits is how many of the last bits of a UUID hold the number of a step.
const StepBits = 20

// MaxSteps is how many steps one task may have.
const MaxSteps = 1<<StepBits - 1

// ErrMalformed is returned for text that is not a UUID.
var ErrMalformed = errors.New("not a UUID, want 8-4-4-4-12 hexadecimal digits")

// String returns the canonical lower-case text.
func (id ID[K]) String() string { return uuid.UUID(id).String() }

// IsZero reports whether id names nothing.
func (id ID[K]) IsZero() bool { return id == ID[K]{} }

// MarshalText returns the canonical text.
func (id ID[K]) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText accepts what Parse accepts.
func (id *ID[K]) UnmarshalText(text []byte) error {
	parsed, err := parse[K](string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// ParseTask reads a task's id in any of the usual spellings of a UUID:
// hyphenated, plain, in braces, or as a URN.
func ParseTask(text string) (TaskID, error) { return parse[taskKind](text) }

// ParseStep reads the public id of a step; see ParseTask.
func ParseStep(text string) (StepID, error) { return parse[stepKind](text) }

func parse[K any](text string) (ID[K], error) {
	parsed, err := uuid.Parse(text)
	if err != nil {
		return ID[K]{}, ErrMalformed
	}
	return ID[K](parsed), nil
}

// NewTaskID returns u as the id of a task, with the bits that number its steps
// cleared.
func NewTaskID(u uuid.UUID) TaskID { return TaskID(withNo(u, 0)) }

// StepRef names a step by its task and its number there, counted from 1. It is
// the key that the system works with; StepID is its public form.
type StepRef struct {
	Task TaskID
	No   int32
}

// ID returns the public id: the task's, with the number in its last bits.
func (r StepRef) ID() StepID {
	return StepID(withNo(r.Task, uint32(r.No))) //nolint:gosec // G115: numbers are 1..MaxSteps
}

// String names the step in logs.
func (r StepRef) String() string { return fmt.Sprintf("%s/%d", r.Task, r.No) }

// Ref returns the task and number that a step's public id stands for.
func Ref(id StepID) StepRef {
	no := binary.BigEndian.Uint32(id[12:]) & MaxSteps
	return StepRef{Task: TaskID(withNo(id, 0)), No: int32(no)}
}

func withNo(u [16]byte, no uint32) [16]byte {
	tail := binary.BigEndian.Uint32(u[12:])
	binary.BigEndian.PutUint32(u[12:], tail&^MaxSteps|no&MaxSteps)
	return u
}
