package http

import (
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// TaskQuery selects tasks.
type TaskQuery struct {
	Namespace       string   `query:"namespace"`
	Name            string   `query:"name" doc:"Of the template."`
	Version         string   `query:"version" doc:"Of the template."`
	Status          []string `query:"status,explode" doc:"States of tasks, or completed: any of them, with commas between or given several times. The word pending selects every task that is not complete."`
	Initiator       string   `query:"initiator"`
	SourceSystem    string   `query:"source_system"`
	Tags            []string `query:"tags,explode" doc:"All of them, with commas between or given several times."`
	CorrelationID   string   `query:"correlation_id" doc:"A UUID."`
	Error           string   `query:"error" maxLength:"500" doc:"Text in the message or type of a failure: of a step that is in error or waits for its retry, or of one in a dead letter. Capitals do not matter."`
	CreatedAfter    string   `query:"created_after" doc:"Created then or later. Times are RFC 3339; without a zone they are in UTC."`
	CreatedBefore   string   `query:"created_before" doc:"Created earlier."`
	UpdatedAfter    string   `query:"updated_after" doc:"Changed then or later."`
	UpdatedBefore   string   `query:"updated_before" doc:"Changed earlier."`
	CompletedAfter  string   `query:"completed_after" doc:"Ended then or later."`
	CompletedBefore string   `query:"completed_before" doc:"Ended earlier."`
}

type listInput struct {
	Page    int64  `query:"page" minimum:"1" maximum:"4294967295" default:"1" doc:"Number of the page, from 1."`
	PerPage int    `query:"per_page" minimum:"1" maximum:"100" default:"25"`
	Cursor  string `query:"cursor" doc:"next_cursor of the page before; instead of page."`
	TaskQuery
	Sort      string `query:"sort" enum:"created_at,updated_at,completed_at" default:"created_at" doc:"By completed_at, tasks that have not ended are left out."`
	Direction string `query:"direction" enum:"desc,asc" default:"desc" doc:"The newest first, or the oldest."`
	Total     string `query:"total" enum:"estimate,exact,none" default:"estimate" doc:"How well to count. An estimate is exact where that is cheap, else a number that is not too large; exact may take long."`
}

type listOutput struct{ Body TaskListResponse }

// TaskListResponse is a page of tasks.
type TaskListResponse struct {
	Tasks      []TaskResponse `json:"tasks" nullable:"false"`
	Pagination Pagination     `json:"pagination"`
}

// Pagination says where a page is.
type Pagination struct {
	Page            int64   `json:"page"`
	PerPage         int     `json:"per_page"`
	TotalCount      *int64  `json:"total_count" doc:"Tasks that the filter selects; with a cursor, as counted for the first page. Null when total is none."`
	TotalPages      *int64  `json:"total_pages"`
	TotalIsEstimate bool    `json:"total_is_estimate" doc:"There are total_count tasks or more."`
	HasNext         bool    `json:"has_next" doc:"Whether the list goes on. A page may be short, or empty, and have a next one: then so much was searched without finding more."`
	HasPrevious     bool    `json:"has_previous"`
	NextCursor      *string `json:"next_cursor" doc:"Where the next page begins; null after the last."`
}

var orders = map[string]ports.TaskOrder{
	"created_at": ports.ByCreation, "updated_at": ports.ByUpdate, "completed_at": ports.ByCompletion,
}

var totals = map[string]ports.TotalMode{
	"none": ports.NoTotal, "estimate": ports.CheapTotal, "exact": ports.ExactTotal,
}

// directions say whether the oldest come first.
var directions = map[string]bool{"asc": true, "desc": false}

// choice reads one of a few words.
func choice[V any](field, word string, among map[string]V) (V, error) {
	v, ok := among[word]
	if !ok {
		return v, fault.In(field, fault.CodeInvalidField, "%s is none of %s", field,
			strings.Join(slices.Sorted(maps.Keys(among)), ", "))
	}
	return v, nil
}

func registerLists(a *api, s Service) {
	register(a, app.ListTasks, func(ctx context.Context, in *listInput) (*listOutput, error) {
		return listTasks(ctx, s, in)
	})
}

func listTasks(ctx context.Context, s Service, in *listInput) (*listOutput, error) {
	f, err := in.filter(false)
	if err != nil {
		return nil, err
	}
	if in.Page > math.MaxUint32 {
		return nil, fault.In("page", fault.CodeInvalidField, "page is too large, want at most %d", uint32(math.MaxUint32))
	}
	p := ports.TaskPage{Limit: in.PerPage, Skip: int(in.Page-1) * in.PerPage}
	if p.Order, err = choice("sort", in.Sort, orders); err != nil {
		return nil, err
	}
	if p.Ascending, err = choice("direction", in.Direction, directions); err != nil {
		return nil, err
	}
	if p.Total, err = choice("total", in.Total, totals); err != nil {
		return nil, err
	}
	number, known := in.Page, app.Page{Total: -1}
	if in.Cursor != "" {
		if in.Page != 1 {
			return nil, fault.In("page", fault.CodeInvalidField, "give cursor or page, not both")
		}
		c, err := app.ParseCursor(in.Cursor, f, p)
		if err != nil {
			return nil, err
		}
		p.After, p.Total = c.After, ports.NoTotal
		number, known = int64(c.Page), app.Page{Total: c.Total, AtLeast: c.AtLeast}
	}
	page, err := s.ListTasks(ctx, f, p)
	if err != nil {
		return nil, err
	}
	if in.Cursor == "" {
		known = page
	}
	out := &listOutput{Body: TaskListResponse{Tasks: make([]TaskResponse, len(page.Tasks)), Pagination: Pagination{
		Page: number, PerPage: in.PerPage, HasNext: !page.Next.IsZero(), HasPrevious: number > 1, TotalIsEstimate: known.AtLeast,
	}}}
	for i := range page.Tasks {
		out.Body.Tasks[i] = taskResponse(&page.Tasks[i])
	}
	told := &out.Body.Pagination
	if known.Total >= 0 {
		pages := (known.Total + int64(in.PerPage) - 1) / int64(in.PerPage)
		told.TotalCount, told.TotalPages = &known.Total, &pages
	}
	if told.HasNext {
		c := app.Cursor{After: page.Next, Page: uint32(min(number+1, math.MaxUint32)), Total: known.Total, AtLeast: known.AtLeast} //nolint:gosec // G115: bounded
		next := c.Text(f, p)
		told.NextCursor = &next
	}
	return out, nil
}

// filter reads the parameters. Exact: the word pending means that state alone,
// for those who change what they select.
func (q *TaskQuery) filter(exact bool) (ports.TaskFilter, error) {
	f := ports.TaskFilter{
		Namespace: q.Namespace, Name: q.Name, Version: q.Version, Initiator: q.Initiator, SourceSystem: q.SourceSystem,
		Tags: words(q.Tags), Error: q.Error,
	}
	var err error
	pending := slices.DeleteFunc(task.States(), func(s task.State) bool { return s == task.Complete })
	if exact {
		pending = []task.State{task.Pending}
	}
	if f.States, err = statesOf(words(q.Status), pending); err != nil {
		return f, err
	}
	if q.CorrelationID != "" {
		if f.CorrelationID.UUID, err = uuid.Parse(q.CorrelationID); err != nil {
			return f, fault.In("correlation_id", fault.CodeInvalidUUID, "correlation_id is not a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057")
		}
		f.CorrelationID.Valid = true
	}
	for _, t := range []struct {
		name, text string
		into       *time.Time
	}{
		{"created_after", q.CreatedAfter, &f.From},
		{"created_before", q.CreatedBefore, &f.Until},
		{"updated_after", q.UpdatedAfter, &f.UpdatedFrom},
		{"updated_before", q.UpdatedBefore, &f.UpdatedUntil},
		{"completed_after", q.CompletedAfter, &f.CompletedFrom},
		{"completed_before", q.CompletedBefore, &f.CompletedUntil},
	} {
		if t.text == "" {
			continue
		}
		if err := parseTime(t.name, t.text, t.into); err != nil {
			return f, err
		}
	}
	return f, nil
}

// words takes apart what may stand several times, with commas between, or both.
func words(given []string) []string {
	var all []string
	for _, text := range given {
		for w := range strings.SplitSeq(text, ",") {
			if w = strings.TrimSpace(w); w != "" {
				all = append(all, w)
			}
		}
	}
	return all
}

// statesOf reads the filter by status: states, or one of the two words of the
// contract, completed and pending. The latter means all that is not complete.
func statesOf(given []string, pending []task.State) ([]task.State, error) {
	var states []task.State
	for _, word := range given {
		switch word {
		case "completed":
			states = append(states, task.Complete)
		case task.Pending.String():
			states = append(states, pending...)
		default:
			s, err := task.ParseState(word)
			if err != nil {
				return nil, fault.In("status", fault.CodeInvalidState, "status is neither a state of a task nor pending or completed")
			}
			states = append(states, s)
		}
	}
	return states, nil
}
