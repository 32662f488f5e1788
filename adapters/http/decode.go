package http

import (
	"encoding/json"
	"time"

	"github.com/tasker-go/tasker/core/app"
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
func decodeCreate(body []byte) (app.CreateRequest, []string, error) {
	var r app.CreateRequest
	unknown, err := readObject(body, createFields(&r))
	return r, unknown, err
}

func createFields(r *app.CreateRequest) fields {
	return fields{
		"name": text(&r.Name), "namespace": text(&r.Namespace), "version": text(&r.Version),
		"context": asIs(&r.Context), "options": asIs(&r.Options),
		"initiator": text(&r.Initiator), "source_system": text(&r.SourceSystem), "reason": text(&r.Reason),
		"correlation_id": text(&r.CorrelationID), "parent_correlation_id": text(&r.ParentCorrelationID),
		"idempotency_key": text(&r.IdempotencyKey), "on_duplicate": text(&r.OnDuplicate),
		"tags":         func(path string, raw json.RawMessage) error { return readTexts(path, raw, &r.Tags) },
		"requested_at": moment(&r.RequestedAt), "start_at": moment(&r.StartAt), "deadline": moment(&r.Deadline),
		"priority":      func(path string, raw json.RawMessage) error { return readInt32(path, raw, &r.Priority) },
		"delay_seconds": delaySeconds(&r.Delay),
	}
}

// delaySeconds reads a number of seconds; what is too large for a time is the
// largest, which the application refuses.
func delaySeconds(into *time.Duration) func(string, json.RawMessage) error {
	return func(path string, raw json.RawMessage) error {
		var seconds float64
		if err := number(&seconds)(path, raw); err != nil {
			return err
		}
		*into = app.Seconds(seconds)
		return nil
	}
}
