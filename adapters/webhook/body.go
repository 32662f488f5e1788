package webhook

import (
	"encoding/json"
	"time"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/ports"
)

const (
	eventOpened = "dead_letter.opened"
	// stepsShown and messageBytes bound the body: people look at the rest in the
	// dead letter.
	stepsShown   = 10
	messageBytes = 1024
	// timeLayout is how the REST contract writes the times of dead letters: UTC,
	// without a zone.
	timeLayout = "2006-01-02T15:04:05.000000"
)

// event is the body of a delivery.
type event struct {
	Event      string     `json:"event"`
	DeadLetter deadLetter `json:"dead_letter"`
	Task       taskBody   `json:"task"`
	Failures   failures   `json:"failures"`
}

// deadLetter has the names and the spelling of the REST contract.
type deadLetter struct {
	UUID             string  `json:"dlq_entry_uuid"`
	TaskUUID         string  `json:"task_uuid"`
	OriginalState    string  `json:"original_state"`
	Reason           string  `json:"dlq_reason"`
	At               string  `json:"dlq_timestamp"`
	ResolutionStatus string  `json:"resolution_status"`
	ResolvedAt       *string `json:"resolution_timestamp"`
	Ordinal          int32   `json:"ordinal"`
	Fingerprint      string  `json:"fingerprint,omitempty"`
	CreatedAt        string  `json:"created_at"`
	UpdatedAt        string  `json:"updated_at"`
}

type taskBody struct {
	UUID          string `json:"task_uuid"`
	Namespace     string `json:"namespace"`
	Name          string `json:"name"`
	Version       string `json:"version"`
	State         string `json:"status,omitempty"` // when the dead letter was opened
	CorrelationID string `json:"correlation_id,omitempty"`
	Priority      int32  `json:"priority"`
	TotalSteps    int    `json:"total_steps"`
}

type failures struct {
	Count int          `json:"count"` // steps in error
	Steps []failedStep `json:"steps"` // the first of them
}

type failedStep struct {
	Name     string `json:"name"`
	Attempts int32  `json:"attempts"`
	Type     string `json:"error_type,omitempty"`
	Message  string `json:"message,omitempty"`
}

// snapshot is what is read of a letter's snapshot. Nothing else of it is sent:
// it holds the task's context.
type snapshot struct {
	State   string `json:"current_state"`
	Total   int    `json:"total_steps"`
	Failed  int    `json:"failed_steps"`
	Details struct {
		CorrelationID string `json:"correlation_id"`
		Priority      int32  `json:"priority"`
	} `json:"task_details"`
	Steps []struct {
		Name     string          `json:"name"`
		State    string          `json:"state"`
		Attempts int32           `json:"attempts"`
		Error    json.RawMessage `json:"error"`
	} `json:"steps"`
}

func encode(l ports.Letter) ([]byte, error) {
	var s snapshot
	// What cannot be read is left out: where a number was redacted there is text.
	// That must not keep the rest back.
	_ = json.Unmarshal(l.Snapshot, &s)
	e := event{
		Event: eventOpened,
		DeadLetter: deadLetter{
			UUID: l.ID.String(), TaskUUID: l.Task.String(), OriginalState: l.OriginalState.String(),
			Reason: deadletter.Pascal(l.Reason.String()), At: stamp(l.At), ResolutionStatus: deadletter.Pascal(l.Status.String()),
			Ordinal: l.Ordinal, Fingerprint: l.Fingerprint, CreatedAt: stamp(l.CreatedAt), UpdatedAt: stamp(l.UpdatedAt),
		},
		Task: taskBody{
			UUID: l.Task.String(), Namespace: l.Name.Namespace, Name: l.Name.Name, Version: l.Name.Version,
			State: s.State, CorrelationID: s.Details.CorrelationID, Priority: s.Details.Priority, TotalSteps: s.Total,
		},
		Failures: failures{Count: s.Failed, Steps: []failedStep{}},
	}
	if !l.ResolvedAt.IsZero() {
		at := stamp(l.ResolvedAt)
		e.DeadLetter.ResolvedAt = &at
	}
	for _, st := range s.Steps {
		if st.State == "error" && len(e.Failures.Steps) < stepsShown {
			f := failedStep{Name: st.Name, Attempts: st.Attempts}
			f.Type, f.Message = cause(st.Error)
			e.Failures.Steps = append(e.Failures.Steps, f)
		}
	}
	return json.Marshal(e)
}

// cause reads what a failure says of itself, as far as it is text: a redacted
// field may hold anything.
func cause(raw json.RawMessage) (kind, message string) {
	var fields map[string]any
	if json.Unmarshal(raw, &fields) != nil {
		return "", ""
	}
	kind, _ = fields["error_type"].(string)
	message, _ = fields["message"].(string)
	return kind, cut(message)
}

// cut bounds a text, between characters.
func cut(s string) string {
	if len(s) <= messageBytes {
		return s
	}
	end := messageBytes
	for end > 0 && s[end]&0xC0 == 0x80 {
		end--
	}
	return s[:end] + "…"
}

func stamp(t time.Time) string { return t.UTC().Format(timeLayout) }
