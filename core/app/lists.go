package app

import (
	"context"
	"fmt"
	"time"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
	"github.com/tasker-go/tasker/core/ports"
)

// Page is one page of a list.
type Page struct {
	Tasks   []Task
	Total   int64          // -1 unless it was asked for
	AtLeast bool           // there are Total tasks or more
	Next    ports.TaskMark // where the next page begins; only zero says that nothing follows
}

// Bounds of lists.
const (
	// MaxPage is the largest page.
	MaxPage = 100
	// MaxErrorText bounds the text that is looked for in errors, in characters.
	MaxErrorText = 500
)

// ListTasks returns a page of tasks. A page may be short, or empty, and have a
// next one: then the search has taken long enough, and goes on from there.
func (a *Application) ListTasks(ctx context.Context, f ports.TaskFilter, p ports.TaskPage) (Page, error) {
	if err := checkPage(p); err != nil {
		return Page{}, err
	}
	if err := CheckFilter(f); err != nil {
		return Page{}, err
	}
	if who := PrincipalOf(ctx); who.Scoped() {
		f.Within = who.Namespaces
	}
	list, err := a.Reads.Tasks(ctx, f, p)
	if err != nil {
		return Page{}, err
	}
	page := Page{Total: list.Total, AtLeast: list.AtLeast, Next: list.Next}
	for _, r := range list.Tasks {
		page.Tasks = append(page.Tasks, viewListed(r))
	}
	return page, nil
}

func checkPage(p ports.TaskPage) error {
	switch {
	case p.Limit < 1 || p.Limit > MaxPage:
		return fault.In("per_page", fault.CodeInvalidField, "a page has 1 to %d tasks, not %d", MaxPage, p.Limit)
	case p.Skip < 0:
		return fault.In("page", fault.CodeInvalidField, "pages are counted from 1")
	case p.Order > ports.ByCompletion:
		return fault.In("sort", fault.CodeInvalidField, "tasks are listed by created_at, updated_at or completed_at")
	case !p.Total.Valid():
		return fault.In("total", fault.CodeInvalidField, "total is exact, estimate or none")
	}
	return nil
}

// CheckFilter refuses a filter of tasks that makes no sense.
func CheckFilter(f ports.TaskFilter) error {
	for field, value := range map[string]string{
		"namespace": f.Namespace, "name": f.Name, "version": f.Version, "initiator": f.Initiator, "source_system": f.SourceSystem,
	} {
		if err := jsondoc.CheckText(field, value, maxName); err != nil {
			return err
		}
	}
	if err := jsondoc.CheckText("error", f.Error, MaxErrorText); err != nil {
		return err
	}
	for i, tag := range f.Tags {
		if err := jsondoc.CheckText(fmt.Sprintf("tags[%d]", i), tag, maxTag); err != nil {
			return err
		}
	}
	for _, span := range []struct {
		field       string
		from, until time.Time
	}{
		{"created", f.From, f.Until}, {"updated", f.UpdatedFrom, f.UpdatedUntil}, {"completed", f.CompletedFrom, f.CompletedUntil},
	} {
		if !span.from.IsZero() && !span.until.IsZero() && span.until.Before(span.from) {
			return fault.In(span.field+"_before", fault.CodeInvalidField, "%[1]s_before is earlier than %[1]s_after", span.field)
		}
		for end, at := range map[string]time.Time{"_after": span.from, "_before": span.until} {
			// What PostgreSQL can hold, and a cursor.
			if !at.IsZero() && (at.Year() < 1 || at.Year() > 9999) {
				return fault.In(span.field+end, fault.CodeInvalidField, "%s%s is not in the years 1 to 9999", span.field, end)
			}
		}
	}
	return nil
}
