package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tasker-go/tasker/core/domain/step"
)

// Save stores the checkpoint of a step, whole, in place of the one before. It
// returns ErrLost, wrapped or not, when the step is not this worker's any more.
type Save func(ctx context.Context, checkpoint json.RawMessage) error

// ErrLost says that the step is not this worker's any more: its lease was lost,
// its time is up, or its task has ended. Nothing was saved, and nothing that the
// handler does from then on counts: it should return.
var ErrLost = errors.New("the step is not this worker's any more")

// Progress is how far a step had come when it saved a checkpoint.
type Progress struct {
	ItemsProcessed int64     // in all attempts together
	At             time.Time // when it was saved

	cursor, accumulated json.RawMessage
	unreadable          error
}

// Cursor decodes the place to go on from into v.
func (p Progress) Cursor(v any) error { return p.decode("cursor", p.cursor, v) }

// Accumulated decodes what had been accumulated into v; without any v stays as
// it is.
func (p Progress) Accumulated(v any) error {
	if p.unreadable == nil && len(p.accumulated) == 0 {
		return nil
	}
	return p.decode("accumulated results", p.accumulated, v)
}

func (p Progress) decode(what string, raw json.RawMessage, v any) error {
	if p.unreadable != nil {
		return p.unreadable
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return Permanent(fmt.Errorf("the %s of the checkpoint does not fit: %w", what, err))
	}
	return nil
}

// Checkpoint returns what was saved last, in this attempt or an earlier one,
// and false if nothing was. A checkpoint is kept over failures and crashes until
// the step is complete. One that cannot be read is returned nevertheless, and
// its methods say so: a handler does not begin anew by mistake.
func (s *Step) Checkpoint() (Progress, bool) {
	c, err := step.ParseCheckpoint(s.checkpoint)
	if err != nil {
		return Progress{unreadable: unreadable(err)}, true
	}
	if c == nil {
		return Progress{}, false
	}
	return Progress{ItemsProcessed: c.ItemsProcessed, At: c.At, cursor: c.Cursor, accumulated: c.Accumulated}, true
}

// SaveCheckpoint saves how far the step has come: the place to go on from, how
// many items have been processed in all attempts together, and what has been
// accumulated so far, which replaces what was saved before; nil for nothing.
// Cursor and accumulated are written as JSON; a cursor may have 4 KiB, what is
// accumulated as much as a result.
//
// The next attempt goes on from what was saved last: work done after that is
// done again. ErrLost means that the handler should return. A checkpoint that
// cannot be stored at all is a permanent failure; other errors may pass.
func (s *Step) SaveCheckpoint(ctx context.Context, cursor any, items int64, accumulated any) error {
	last, err := step.ParseCheckpoint(s.checkpoint)
	if err != nil {
		return unreadable(err)
	}
	at, err := document(cursor)
	if err != nil {
		return Permanent(fmt.Errorf("the cursor of the checkpoint is not JSON: %w", err))
	}
	var sums json.RawMessage
	if accumulated != nil {
		if sums, err = document(accumulated); err != nil {
			return Permanent(fmt.Errorf("the accumulated results of the checkpoint are not JSON: %w", err))
		}
	}
	next, err := last.Advance(at, sums, items, time.Now())
	if err != nil {
		return Permanent(fmt.Errorf("the checkpoint cannot be kept: %w", err))
	}
	raw, err := json.Marshal(next)
	if err != nil {
		return Permanent(fmt.Errorf("the checkpoint is not JSON: %w", err))
	}
	if s.save != nil {
		if err := s.save(ctx, raw); err != nil {
			return fmt.Errorf("save the checkpoint: %w", err)
		}
	}
	s.checkpoint = raw
	return nil
}

func unreadable(err error) error {
	return Permanent(fmt.Errorf("what an earlier attempt saved cannot be read: %w", err))
}

func document(v any) (json.RawMessage, error) {
	if raw, ok := v.(json.RawMessage); ok {
		return raw, nil
	}
	return json.Marshal(v)
}
