package step

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
)

// Bounds of a checkpoint.
const (
	LongestHistory = 100     // marks; older ones are dropped
	MaxCursorBytes = 4 << 10 // of one cursor: the history keeps many of them
)

// Checkpoint is how far a step has come. It outlives attempts and crashes, so
// that the next attempt goes on from there; it is a value, and nothing of it is
// changed in place.
type Checkpoint struct {
	Cursor         json.RawMessage `json:"cursor"` // where to go on; means something to the handler alone
	ItemsProcessed int64           `json:"items_processed"`
	At             time.Time       `json:"timestamp"`
	Accumulated    json.RawMessage `json:"accumulated_results,omitempty"` // nil for none
	History        []Mark          `json:"history"`                       // the newest last; the checkpoint itself is its last mark
}

// Mark is where a step was at some time.
type Mark struct {
	Cursor json.RawMessage `json:"cursor"`
	At     time.Time       `json:"timestamp"`
}

// ParseCheckpoint reads a stored checkpoint; no text, and null, is none: nil.
func ParseCheckpoint(raw []byte) (*Checkpoint, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var c *Checkpoint
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fault.New(fault.CodeMalformed, "the checkpoint cannot be read").Because(err)
	}
	return c, nil
}

// Advance returns the checkpoint that follows c, which is nil before the first.
// Accumulated replaces what was accumulated before; nil for nothing. Items is
// how many items have been processed in all and cannot go down. The error is a
// fault: a document that cannot be kept or is over its limit, or items that go
// down.
func (c *Checkpoint) Advance(cursor, accumulated json.RawMessage, items int64, at time.Time) (Checkpoint, error) {
	if cursor == nil {
		cursor = json.RawMessage("null")
	}
	limits := jsondoc.ResultLimits()
	if accumulated != nil {
		if err := jsondoc.Check("accumulated_results", accumulated, limits); err != nil {
			return Checkpoint{}, err
		}
	}
	limits.MaxBytes = MaxCursorBytes
	if err := jsondoc.Check("cursor", cursor, limits); err != nil {
		return Checkpoint{}, err
	}
	var least int64
	var history []Mark
	if c != nil {
		least, history = c.ItemsProcessed, c.History
	}
	if items < least {
		return Checkpoint{}, fault.In("items_processed", fault.CodeInvalidField,
			"items_processed is %d, want at least %d: it counts all items of the step, those of earlier attempts included",
			items, least)
	}
	next := Checkpoint{
		Cursor: bytes.Clone(cursor), Accumulated: bytes.Clone(accumulated), ItemsProcessed: items, At: at.Round(0).UTC(),
	}
	history = history[max(0, len(history)-LongestHistory+1):]
	next.History = append(make([]Mark, 0, len(history)+1), history...)
	next.History = append(next.History, Mark{Cursor: next.Cursor, At: next.At})
	return next, nil
}
