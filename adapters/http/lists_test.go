package http_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

func TestListsFollowTheirCursor(t *testing.T) {
	t.Parallel()
	d := open(t)
	for range 7 {
		d.add(task.Complete)
	}
	var seen []string
	path := "/v1/tasks?per_page=3"
	for number := 1; ; number++ {
		a := d.ask("GET", path, "")
		require.Equal(t, http.StatusOK, a.Code, a.Body.String())
		m := a.json()
		p := m["pagination"].(map[string]any)
		require.EqualValues(t, number, p["page"])
		require.EqualValues(t, 7, p["total_count"])
		require.EqualValues(t, 3, p["total_pages"])
		require.Equal(t, number > 1, p["has_previous"])
		require.Equal(t, number < 3, p["has_next"])
		for _, tk := range m["tasks"].([]any) {
			require.Equal(t, []any{}, tk.(map[string]any)["steps"])
			require.Equal(t, "complete", tk.(map[string]any)["status"])
			seen = append(seen, tk.(map[string]any)["task_uuid"].(string))
		}
		if p["next_cursor"] == nil {
			break
		}
		path = "/v1/tasks?per_page=3&cursor=" + p["next_cursor"].(string)
		d.ask("GET", path+"&page=2", "").problem(400, "invalid_field", "BAD_REQUEST")
		d.ask("GET", path+"&status=error", "").problem(400, "invalid_cursor", "BAD_REQUEST")
	}
	require.Len(t, seen, 7)
	for i, id := range seen {
		require.Equal(t, d.tasks[6-i].ID.String(), id, "newest first, each once")
	}
	require.Equal(t, 1, d.counted, "tasks are counted for the first page alone")

	byNumber := d.ask("GET", "/v1/tasks?per_page=3&page=3", "").json()
	require.Len(t, byNumber["tasks"], 1)
	require.Equal(t, false, byNumber["pagination"].(map[string]any)["has_next"])
	none := d.ask("GET", "/v1/tasks?namespace=nowhere", "")
	require.Contains(t, none.Body.String(), `"tasks":[]`)
	require.EqualValues(t, 0, none.json()["pagination"].(map[string]any)["total_pages"])
}

func TestStatusFilter(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, s := range task.States() {
		d.add(s)
	}
	count := func(status string) any {
		a := d.ask("GET", "/v1/tasks?status="+status, "")
		require.Equal(t, http.StatusOK, a.Code, a.Body.String())
		return a.json()["pagination"].(map[string]any)["total_count"]
	}
	for _, s := range task.States() {
		want := 1
		if s == task.Pending {
			want = len(task.States()) - 1 // the word of the contract: not complete
		}
		require.EqualValues(t, want, count(s.String()), s)
	}
	require.EqualValues(t, 1, count("completed"))
	m := d.ask("GET", "/v1/tasks?status=secret-word", "").problem(400, "invalid_state", "BAD_REQUEST")
	require.NotContains(t, fmt.Sprint(m), "secret-word")
}

func TestListsAreFilteredByWhatTheQuerySays(t *testing.T) {
	t.Parallel()
	d := open(t)
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	a := d.ask("GET", "/v1/tasks?namespace=n&name=m&version=v&initiator=i&source_system=s&error=Boom&tags=a,b&tags=c"+
		"&status=error,cancelled&status=complete&correlation_id=0d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e"+
		"&created_after=2026-03-01T10:00:00Z&created_before=2026-03-01T12:00:00%2B01:00&updated_after=2026-03-01T10:00:00"+
		"&completed_before=2026-03-01T10:00:00.25Z&sort=completed_at&direction=asc&total=exact&per_page=9", "")
	require.Equal(t, http.StatusOK, a.Code, a.Body.String())
	require.Equal(t, ports.TaskFilter{
		Namespace: "n", Name: "m", Version: "v", Initiator: "i", SourceSystem: "s", Error: "Boom", Tags: []string{"a", "b", "c"},
		States:        []task.State{task.Error, task.Cancelled, task.Complete},
		CorrelationID: uuid.NullUUID{UUID: uuid.MustParse("0d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e"), Valid: true},
		From:          at, Until: at.Add(time.Hour), UpdatedFrom: at, CompletedUntil: at.Add(250 * time.Millisecond),
	}, d.filter)
	require.Equal(t, ports.TaskPage{Order: ports.ByCompletion, Ascending: true, Limit: 9, Total: ports.ExactTotal}, d.page)

	require.Equal(t, http.StatusOK, d.ask("GET", "/v1/tasks", "").Code)
	require.Equal(t, ports.TaskPage{Limit: 25, Total: ports.CheapTotal}, d.page)
	require.Equal(t, ports.TaskFilter{}, d.filter)

	for query, field := range map[string]string{
		"sort=name": "sort", "direction=up": "direction", "total=some": "total", "correlation_id=x": "correlation_id",
		"created_after=now": "created_after", "created_before=1": "created_before", "updated_after=x": "updated_after",
		"updated_before=x": "updated_before", "completed_after=x": "completed_after", "completed_before=x": "completed_before",
	} {
		a := d.ask("GET", "/v1/tasks?"+query, "")
		require.Equal(t, 400, a.Code, query)
		require.Equal(t, field, a.json()["errors"].([]any)[0].(map[string]any)["field"], query)
	}
}

func TestListsWithoutATotal(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.add(task.Complete)
	d.add(task.Complete)
	a := d.ask("GET", "/v1/tasks?total=none&per_page=1", "").json()["pagination"].(map[string]any)
	require.Nil(t, a["total_count"])
	require.Nil(t, a["total_pages"])
	a = d.ask("GET", "/v1/tasks?total=none&per_page=1&cursor="+a["next_cursor"].(string), "").json()["pagination"].(map[string]any)
	require.Nil(t, a["total_count"])
	require.Equal(t, false, a["has_next"])
}
