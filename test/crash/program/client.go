package program

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Client asks servers over REST. It is safe for concurrent use.
type Client struct{ http http.Client }

// NewClient returns a client whose requests last so long at most.
func NewClient(limit time.Duration) *Client {
	return &Client{http: http.Client{Timeout: limit, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

// Answer is what a server said to a request.
type Answer struct {
	Status int
	TaskID string // of the task that was created, or exists
	State  string
	Body   string
}

// Create asks the server at addr for a task.
func (c *Client) Create(ctx context.Context, addr, namespace, name string, input any) (Answer, error) {
	body, err := json.Marshal(map[string]any{"namespace": namespace, "name": name, "version": "1.0.0", "context": input})
	if err != nil {
		return Answer{}, err
	}
	return c.Ask(ctx, http.MethodPost, addr, "/v1/tasks", body)
}

// Get asks the server at addr for a task.
func (c *Client) Get(ctx context.Context, addr, id string) (Answer, error) {
	return c.Ask(ctx, http.MethodGet, addr, "/v1/tasks/"+id, nil)
}

// Ask asks the server at addr for anything; body is JSON, or nil.
func (c *Client) Ask(ctx context.Context, method, addr, path string, body []byte) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return Answer{}, err
	}
	var said struct {
		TaskUUID string `json:"task_uuid"`
		Status   any    `json:"status"` // a state, or the number of a problem
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return Answer{}, fmt.Errorf("an answer of %d that is not JSON: %w", resp.StatusCode, err)
	}
	a := Answer{Status: resp.StatusCode, TaskID: said.TaskUUID, Body: string(raw)}
	a.State, _ = said.Status.(string)
	return a, nil
}
