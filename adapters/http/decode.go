package http

import (
	"encoding/json"
	"time"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// unknownFieldsHeader names the fields of a body that were not understood.
const unknownFieldsHeader = "X-Tasker-Unknown-Fields"

// CreateTaskBody documents the body of a create; decodeCreate reads it.
type CreateTaskBody struct {
	Name                string         `json:"name" minLength:"1" maxLength:"255" doc:"Name of the template." example:"order_fulfillment"`
	Namespace           string         `json:"namespace" minLength:"1" maxLength:"255" example:"orders"`
	Version             string         `json:"version" minLength:"1" maxLength:"50" example:"1.0.0"`
	Context             map[string]any `json:"context,omitempty" nullable:"true" doc:"What the task works on; has to fit the template's input_schema. Default {}."`
	Initiator           *string        `json:"initiator,omitempty" nullable:"true" maxLength:"255" doc:"Default system."`
	SourceSystem        *string        `json:"source_system,omitempty" nullable:"true" maxLength:"255" doc:"Default tasker-core."`
	Reason              *string        `json:"reason,omitempty" nullable:"true" maxLength:"500" doc:"Default Task requested."`
	Tags                []string       `json:"tags,omitempty" nullable:"true" maxItems:"100"`
	RequestedAt         *string        `json:"requested_at,omitempty" nullable:"true" doc:"RFC 3339, or the same without a zone for UTC. Default now."`
	Options             map[string]any `json:"options,omitempty" nullable:"true" doc:"Kept with the task."`
	Priority            *int32         `json:"priority,omitempty" nullable:"true" minimum:"-100" maximum:"100" doc:"Larger runs sooner. Default 0."`
	CorrelationID       *string        `json:"correlation_id,omitempty" nullable:"true" format:"uuid" doc:"Made when not given."`
	ParentCorrelationID *string        `json:"parent_correlation_id,omitempty" nullable:"true" format:"uuid"`
	IdempotencyKey      *string        `json:"idempotency_key,omitempty" nullable:"true" maxLength:"255" doc:"Identity of the task, instead of its context; as in the header Idempotency-Key."`
	StartAt             *string        `json:"start_at,omitempty" nullable:"true" doc:"Nothing of it runs before. Default at once."`
	DelaySeconds        *float64       `json:"delay_seconds,omitempty" nullable:"true" minimum:"0" doc:"The same as start_at, counted from now."`
	Deadline            *string        `json:"deadline,omitempty" nullable:"true" doc:"It fails if it has not ended by then. Default what the template says."`
	OnDuplicate         *string        `json:"on_duplicate,omitempty" nullable:"true" enum:"reject,return" doc:"What happens when its identity exists: 409, or 200 with the task that has it. Default reject."`
}

// decodeCreate reads the body of a create. Context and options are passed on
// byte for byte, so that the core sees what was sent. Names that mean nothing
// are returned. Types are checked here, meaning in the core. A delay counts from
// now.
func decodeCreate(body []byte, now time.Time) (app.CreateRequest, []string, error) {
	var r app.CreateRequest
	delay := -1.0
	unknown, err := readObject(body, fields{
		"name": text(&r.Name), "namespace": text(&r.Namespace), "version": text(&r.Version),
		"context": asIs(&r.Context), "options": asIs(&r.Options),
		"initiator": text(&r.Initiator), "source_system": text(&r.SourceSystem), "reason": text(&r.Reason),
		"correlation_id": text(&r.CorrelationID), "parent_correlation_id": text(&r.ParentCorrelationID),
		"idempotency_key": text(&r.IdempotencyKey), "on_duplicate": text(&r.OnDuplicate),
		"tags":         func(path string, raw json.RawMessage) error { return readTexts(path, raw, &r.Tags) },
		"requested_at": moment(&r.RequestedAt), "start_at": moment(&r.StartAt), "deadline": moment(&r.Deadline),
		"priority":      func(path string, raw json.RawMessage) error { return readInt32(path, raw, &r.Priority) },
		"delay_seconds": delaySeconds(&delay),
	})
	switch {
	case err != nil || delay < 0:
	case !r.StartAt.IsZero():
		err = fault.In("delay_seconds", fault.CodeInvalidField, "give start_at or delay_seconds, not both")
	default:
		r.StartAt = now.Add(time.Duration(delay * float64(time.Second))).UTC()
	}
	return r, unknown, err
}

// maxDelay is how long a task may be put off by delay_seconds.
const maxDelay = 10 * 365 * 24 * time.Hour

// delaySeconds reads how long to wait.
func delaySeconds(into *float64) func(string, json.RawMessage) error {
	return func(path string, raw json.RawMessage) error {
		if err := number(into)(path, raw); err != nil {
			return err
		}
		if *into < 0 || *into > maxDelay.Seconds() {
			return fault.In(path, fault.CodeInvalidField, "%s is out of range, want 0 to %.0f", path, maxDelay.Seconds())
		}
		return nil
	}
}
