package client

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

type taskBody struct {
	Name                string      `json:"name"`
	Namespace           string      `json:"namespace"`
	Version             string      `json:"version"`
	Context             any         `json:"context,omitempty"`
	Initiator           string      `json:"initiator,omitempty"`
	SourceSystem        string      `json:"source_system,omitempty"`
	Reason              string      `json:"reason,omitempty"`
	Tags                []string    `json:"tags,omitempty"`
	Priority            int32       `json:"priority,omitempty"`
	CorrelationID       string      `json:"correlation_id,omitempty"`
	ParentCorrelationID string      `json:"parent_correlation_id,omitempty"`
	IdempotencyKey      string      `json:"idempotency_key,omitempty"`
	OnDuplicate         OnDuplicate `json:"on_duplicate,omitempty"`
	StartAt             *time.Time  `json:"start_at,omitempty"`
	DelaySeconds        float64     `json:"delay_seconds,omitempty"`
	Deadline            *time.Time  `json:"deadline,omitempty"`
}

func bodyOf(t *NewTask) taskBody {
	b := taskBody{
		Name: t.Name, Namespace: t.Namespace, Version: t.Version, Context: t.Context, Initiator: t.Initiator,
		SourceSystem: t.SourceSystem, Reason: t.Reason, Tags: t.Tags, Priority: t.Priority, CorrelationID: t.CorrelationID,
		ParentCorrelationID: t.ParentCorrelationID, IdempotencyKey: t.IdempotencyKey, OnDuplicate: t.OnDuplicate,
		DelaySeconds: t.Delay.Seconds(),
	}
	if !t.StartAt.IsZero() {
		b.StartAt = &t.StartAt
	}
	if !t.Deadline.IsZero() {
		b.Deadline = &t.Deadline
	}
	return b
}

// taskAnswer is a task with its steps, whose ids have another name here.
type taskAnswer struct {
	Task
	Steps []struct {
		StepStatus
		ID string `json:"workflow_step_uuid"`
	} `json:"steps"`
}

func (a *taskAnswer) whole() Task {
	t := a.Task
	t.Steps = make([]StepStatus, len(a.Steps))
	for i := range a.Steps {
		t.Steps[i] = a.Steps[i].StepStatus
		t.Steps[i].ID = a.Steps[i].ID
	}
	return t
}

func (r *rest) createTask(ctx context.Context, t *NewTask) (Task, error) {
	resp, err := r.send(ctx, post(bodyOf(t), "v1", "tasks"))
	if err != nil {
		return Task{}, err
	}
	defer closeBody(resp)
	var made Task
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil {
		if ctx.Err() != nil {
			return Task{}, ofContext(ctx.Err())
		}
		return Task{}, &Error{Kind: Unavailable, Code: ErrBadAnswer, Message: "the answer cannot be read", HTTPStatus: resp.StatusCode, Err: err}
	}
	made.Existed = resp.StatusCode == http.StatusOK
	return made, nil
}

func (r *rest) createTasks(ctx context.Context, all []NewTask, mode BatchMode) (Batch, error) {
	body := struct {
		Tasks []taskBody `json:"tasks"`
		Mode  BatchMode  `json:"mode,omitempty"`
	}{make([]taskBody, len(all)), mode}
	for i := range all {
		body.Tasks[i] = bodyOf(&all[i])
	}
	type answer struct {
		Items []struct {
			Status   string    `json:"status"`
			TaskUUID string    `json:"task_uuid"`
			State    TaskState `json:"state"`
			Error    *struct {
				Code   string       `json:"code"`
				Detail string       `json:"detail"`
				Errors []FieldError `json:"errors"`
			} `json:"error"`
		} `json:"items"`
		Created  int `json:"created"`
		Existing int `json:"existing"`
		Refused  int `json:"refused"`
	}
	a, err := fetch[answer](ctx, r, post(body, "v1", "tasks", "batch"))
	if err != nil {
		return Batch{}, err
	}
	b := Batch{Items: make([]BatchItem, len(a.Items)), Created: a.Created, Existing: a.Existing, Refused: a.Refused}
	for i, item := range a.Items {
		b.Items[i] = BatchItem{Status: item.Status, TaskID: item.TaskUUID, State: item.State}
		if e := item.Error; e != nil {
			field := ""
			if len(e.Errors) > 0 {
				field = e.Errors[0].Field
			}
			b.Items[i].Err = refusal(Code(e.Code), e.Detail, field)
		}
	}
	return b, nil
}

// refusal is why a task of a batch was refused.
func refusal(code Code, message, field string) *Error {
	e := &Error{Kind: kindOf(code, Internal), Code: code, Message: message, Field: field}
	if field != "" {
		e.Fields = []FieldError{{field, message}}
	}
	return e
}

func (r *rest) getTask(ctx context.Context, id string) (Task, error) {
	a, err := fetch[taskAnswer](ctx, r, get("v1", "tasks", id))
	if err != nil {
		return Task{}, err
	}
	return a.whole(), nil
}

// longestWait is how long one request waits: less than what proxies and the
// server's own bound allow.
const longestWait = 25 * time.Second

func (r *rest) awaitTask(ctx context.Context, id string, until []TaskState) (Task, error) {
	words := make([]string, len(until))
	for i, s := range until {
		words[i] = string(s)
	}
	for {
		q := get("v1", "tasks", id)
		q.query = url.Values{"wait": {longestWait.String()}}
		set(q.query, "until", strings.Join(words, ","))
		a, err := fetch[taskAnswer](ctx, r, q)
		if err != nil {
			return Task{}, err
		}
		if a.State.Ended() || slices.Contains(until, a.State) {
			return a.whole(), nil
		}
		if !sleep(ctx, 50*time.Millisecond) { // a server that stops answers at once
			<-ctx.Done()
			return Task{}, ofContext(ctx.Err())
		}
	}
}

func (f *TaskFilter) query() url.Values {
	q := url.Values{}
	set(q, "namespace", f.Namespace)
	set(q, "name", f.Name)
	set(q, "version", f.Version)
	set(q, "initiator", f.Initiator)
	set(q, "source_system", f.SourceSystem)
	set(q, "correlation_id", f.CorrelationID)
	set(q, "error", f.Error)
	for _, s := range f.States {
		q.Add("status", string(s))
	}
	for _, t := range f.Tags {
		q.Add("tags", t)
	}
	setTime(q, "created_after", f.CreatedAfter)
	setTime(q, "created_before", f.CreatedBefore)
	setTime(q, "updated_after", f.UpdatedAfter)
	setTime(q, "updated_before", f.UpdatedBefore)
	setTime(q, "completed_after", f.CompletedAfter)
	setTime(q, "completed_before", f.CompletedBefore)
	return q
}

func (r *rest) listTasks(ctx context.Context, query *TaskQuery, cursor string) (TaskPage, error) {
	q := get("v1", "tasks")
	q.query = query.query()
	q.query.Set("per_page", strconv.Itoa(query.perPage()))
	set(q.query, "cursor", cursor)
	set(q.query, "sort", query.Sort)
	set(q.query, "total", string(query.Total))
	if query.Ascending {
		q.query.Set("direction", "asc")
	}
	type answer struct {
		Tasks      []Task `json:"tasks"`
		Pagination struct {
			TotalCount      *int64 `json:"total_count"`
			TotalIsEstimate bool   `json:"total_is_estimate"`
			NextCursor      string `json:"next_cursor"`
		} `json:"pagination"`
	}
	a, err := fetch[answer](ctx, r, q)
	if err != nil {
		return TaskPage{}, err
	}
	page := TaskPage{Tasks: a.Tasks, Total: -1, TotalIsEstimate: a.Pagination.TotalIsEstimate, Next: a.Pagination.NextCursor}
	if a.Pagination.TotalCount != nil {
		page.Total = *a.Pagination.TotalCount
	}
	if slices.Contains(query.States, TaskPending) { // here the word means more
		page.Tasks = slices.DeleteFunc(page.Tasks, func(t Task) bool { return !slices.Contains(query.States, t.State) })
		page.Total, page.TotalIsEstimate = -1, false
	}
	return page, nil
}

const fullPage = 100

func (q *TaskQuery) perPage() int {
	if q.PerPage == 0 {
		return fullPage
	}
	return q.PerPage
}

func (r *rest) cancelTask(ctx context.Context, id, reason string) (Task, error) {
	return fetch[Task](ctx, r, remove(Said{Reason: reason}, "v1", "tasks", id))
}

func (r *rest) actOnTask(ctx context.Context, act taskAct, id string, s Said) (Task, error) {
	return fetch[Task](ctx, r, post(s, "v1", "tasks", id, string(act)))
}

func (r *rest) pauseTask(ctx context.Context, id string, s Said) (Pause, error) {
	return fetch[Pause](ctx, r, post(s, "v1", "tasks", id, "pause"))
}

func (r *rest) resumeTask(ctx context.Context, id string, s Said) (bool, error) {
	a, err := fetch[struct {
		Resumed bool `json:"resumed"`
	}](ctx, r, post(s, "v1", "tasks", id, "resume"))
	return a.Resumed, err
}

func (r *rest) explainTask(ctx context.Context, id string) (Explanation, error) {
	return fetch[Explanation](ctx, r, get("v1", "tasks", id, "explain"))
}

// eventData is the data of a server-sent event.
type eventData struct {
	At       time.Time `json:"at"`
	State    string    `json:"state"`
	StepUUID string    `json:"step_uuid"`
	Name     string    `json:"name"`
	Attempt  int       `json:"attempt"`
	Error    string    `json:"error"`
}

// silence is how long a stream may be silent: the server says that it lives
// every 15 s.
const silence = 60 * time.Second

func (r *rest) watchTask(ctx context.Context, id, after string, tell func(Event) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	silent := time.AfterFunc(silence, func() {
		stop(&Error{Kind: Unavailable, Code: ErrUnreachable, Message: "the stream has fallen silent"})
	})
	defer silent.Stop()
	q := get("v1", "tasks", id, "events")
	q.header = map[string]string{"Accept": "text/event-stream", "Last-Event-ID": after}
	resp, err := r.send(ctx, q)
	if err != nil {
		return causeOf(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNoContent {
		return errEnded
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	var e Event
	var data string
	for lines.Scan() {
		silent.Reset(silence)
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			e.ID = value
		case "data":
			data += value
		case "":
			if lines.Text() != "" || data == "" { // a comment, or the end of nothing
				continue
			}
			if err := e.read(data); err != nil {
				return err
			}
			if err := tell(e); err != nil {
				return err
			}
			e, data = Event{}, ""
		}
	}
	if err := lines.Err(); err != nil {
		return causeOf(ctx, unreachable(ctx, err))
	}
	return nil
}

// causeOf prefers why a context was ended here.
func causeOf(ctx context.Context, err error) error {
	if ours, ok := context.Cause(ctx).(*Error); ok { //nolint:errorlint // made above, never wrapped
		return ours
	}
	return err
}

func (e *Event) read(data string) error {
	var d eventData
	if err := json.Unmarshal([]byte(data), &d); err != nil {
		return &Error{Kind: Internal, Code: ErrBadAnswer, Message: "an event cannot be read", Err: err}
	}
	e.At, e.Error = d.At, d.Error
	if d.StepUUID == "" {
		e.State = TaskState(d.State)
		return nil
	}
	e.Step = &StepChange{ID: d.StepUUID, Name: d.Name, State: StepState(d.State), Attempt: d.Attempt}
	return nil
}
