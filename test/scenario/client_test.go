package scenario_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// client asks the REST API.
type client struct {
	url  string
	http *http.Client
}

// problem is an answer that is not a success.
type problem struct {
	Status   int    `json:"status"`
	Code     string `json:"code"`
	Detail   string `json:"detail"`
	TaskUUID string `json:"task_uuid"`
}

// Error implements error.
func (p *problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail) }

// do sends a request; body is JSON, or text when it is a string. What is refused
// is a *problem.
func (c client) do(ctx context.Context, method, path string, body, into any) error {
	var sent io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		sent, kind = bytes.NewBufferString(b), "application/yaml"
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, sent)
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", kind)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		p := &problem{}
		if err := json.Unmarshal(raw, p); err != nil {
			return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, raw)
		}
		return p
	}
	if into == nil || len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, into)
}

// The answers, as far as scenarios look at them.
type (
	taskAnswer struct {
		UUID     string       `json:"task_uuid"`
		Status   string       `json:"status"`
		Steps    []stepAnswer `json:"steps"`
		StartAt  string       `json:"start_at"`
		Deadline string       `json:"deadline"`
	}
	stepAnswer struct {
		UUID        string `json:"workflow_step_uuid"`
		Name        string `json:"name"`
		State       string `json:"current_state"`
		Attempts    int    `json:"attempts"`
		LastFailure string `json:"last_failure_at"`
		NextRetry   string `json:"next_retry_at"`
	}
	resultAnswer struct {
		Results *struct {
			Result json.RawMessage `json:"result"`
			Error  *struct {
				Type    string `json:"error_type"`
				Message string `json:"message"`
			} `json:"error"`
		} `json:"results"`
	}
	auditAnswer struct {
		From    string   `json:"from_state"`
		To      string   `json:"to_state"`
		Path    []string `json:"path"`
		Attempt int32    `json:"attempt"`
		By      string   `json:"by"`
		Reason  string   `json:"reason"`
	}
	letterAnswer struct {
		UUID       string  `json:"dlq_entry_uuid"`
		Original   string  `json:"original_state"`
		Reason     string  `json:"dlq_reason"`
		Status     string  `json:"resolution_status"`
		ResolvedBy *string `json:"resolved_by"`
		Ordinal    int     `json:"ordinal"`
	}
	whyAnswer struct {
		Code     string   `json:"code"`
		Sentence string   `json:"sentence"`
		Unblock  string   `json:"unblock"`
		Also     []string `json:"also"`
	}
	explanationAnswer struct {
		whyAnswer
		Steps []struct {
			Name string `json:"name"`
			whyAnswer
		} `json:"steps"`
	}
	pauseAnswer struct {
		Kind      string  `json:"kind"`
		Namespace *string `json:"namespace"`
		Name      *string `json:"name"`
		TaskUUID  *string `json:"task_uuid"`
		By        string  `json:"by"`
		Reason    string  `json:"reason"`
	}
	resumeAnswer struct {
		UUID        *string `json:"resume_uuid"`
		State       string  `json:"state"`
		Matched     int     `json:"matched"`
		Resumed     int     `json:"resumed"`
		Refused     int     `json:"refused"`
		FailedAgain int     `json:"failed_again"`
	}
)
