package http

import (
	"maps"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tasker-go/tasker/core/app"
)

// route is where an operation is, and what its documentation says.
type route struct {
	method, path         string
	status               int    // of success
	tag                  string // of the documentation
	summary, description string
	problems             []int    // statuses beside those that all have
	body                 any      // a value of the type that the body has; nil for none
	optional             bool     // the body may be absent
	accepts              []string // kinds of a body that is text; nil for none
	also                 int      // another status of success, with the same answer
	answer               any      // a value of the type that an answer of bytes has
	media                string   // of an answer that is not JSON
	hidden               bool     // not an operation of the API
}

// Operations of this door alone.
const (
	getMetrics     app.Operation = "GetMetrics"
	getOpenAPI     app.Operation = "GetOpenAPI"
	getOpenAPIRoot app.Operation = "GetOpenAPIRoot"
	getDocs        app.Operation = "GetDocs"
	getDocsUI      app.Operation = "GetDocsUI"
)

const (
	bad     = http.StatusBadRequest
	missing = http.StatusNotFound
)

// routes is the whole surface.
var routes = merge(coreRoutes, batchRoutes, operatorRoutes, deadLetterRoutes, reportRoutes, securityRoutes)

func merge(parts ...map[app.Operation]route) map[app.Operation]route {
	all := map[app.Operation]route{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

var coreRoutes = map[app.Operation]route{
	app.CreateTask: {
		method: http.MethodPost, path: "/v1/tasks", status: http.StatusCreated, tag: "tasks",
		summary: "Create a task",
		description: "Starts a workflow by a registered template. Only name, namespace and version are required. " +
			"A task whose identity exists already is refused with 409 and the id of that task; " +
			"with on_duplicate return, the answer is 200 and that task.",
		problems: []int{missing, http.StatusConflict}, body: CreateTaskBody{}, also: http.StatusOK,
	},
	app.ListTasks: {
		method: http.MethodGet, path: "/v1/tasks", status: http.StatusOK, tag: "tasks",
		summary: "List tasks, newest first",
		description: "Filters combine. Pages follow each other by next_cursor, which costs the same however far it goes, " +
			"or are asked for by number. A page may be short, or empty, and have has_next: the search has taken long enough, " +
			"and goes on from its next_cursor. Steps are left out.",
		problems: []int{bad},
	},
	app.GetTask: {
		method: http.MethodGet, path: "/v1/tasks/{uuid}", status: http.StatusOK, tag: "tasks",
		summary: "Read a task and its steps", problems: []int{bad, missing},
	},
	app.CancelTask: {
		method: http.MethodDelete, path: "/v1/tasks/{uuid}", status: http.StatusOK, tag: "tasks",
		summary:     "Cancel a task",
		description: "Cancels every step that is not done, then the task. A task that has ended is refused with 400.",
		problems:    []int{bad, missing},
	},
	app.ListSteps: {
		method: http.MethodGet, path: "/v1/tasks/{uuid}/workflow_steps", status: http.StatusOK, tag: "workflow_steps",
		summary: "List the steps of a task", problems: []int{bad, missing},
	},
	app.GetStep: {
		method: http.MethodGet, path: "/v1/tasks/{uuid}/workflow_steps/{step_uuid}", status: http.StatusOK, tag: "workflow_steps",
		summary: "Read a step", problems: []int{bad, missing},
	},
	app.ListTemplates: {
		method: http.MethodGet, path: "/v1/templates", status: http.StatusOK, tag: "templates",
		summary: "List templates", problems: []int{bad},
	},
	app.GetTemplate: {
		method: http.MethodGet, path: "/v1/templates/{namespace}/{name}/{version}", status: http.StatusOK, tag: "templates",
		summary: "Read a template", problems: []int{bad, missing},
	},
	app.CheckHealth: {
		method: http.MethodGet, path: "/health", status: http.StatusOK, tag: "health",
		summary: "Whether the server answers",
	},
	app.CheckLive: {
		method: http.MethodGet, path: "/health/live", status: http.StatusOK, tag: "health",
		summary: "Whether the process is alive", description: "Does not touch the database.",
	},
	app.CheckReady: {
		method: http.MethodGet, path: "/health/ready", status: http.StatusOK, tag: "health",
		summary:     "Whether work should be sent here",
		description: "A server that is not ready answers 503, with the checks in the body.",
		problems:    []int{http.StatusServiceUnavailable},
	},
	app.CheckDetailed: {
		method: http.MethodGet, path: "/health/detailed", status: http.StatusOK, tag: "health",
		summary: "How every part is", description: "Answers 200 also when a part is not well; status tells.",
	},
	getMetrics: {
		method: http.MethodGet, path: "/metrics", status: http.StatusOK, tag: "health",
		summary: "Figures for Prometheus", media: "text/plain",
	},
	getOpenAPI:     {method: http.MethodGet, path: "/api-docs/openapi.json", status: http.StatusOK, hidden: true},
	getOpenAPIRoot: {method: http.MethodGet, path: "/openapi.json", status: http.StatusOK, hidden: true},
	getDocs:        {method: http.MethodGet, path: "/docs", status: http.StatusOK, hidden: true},
	getDocsUI:      {method: http.MethodGet, path: "/api-docs/ui", status: http.StatusOK, hidden: true},
}

var tags = []*huma.Tag{
	{Name: "tasks", Description: "Workflows that run."},
	{Name: "workflow_steps", Description: "The steps of a task."},
	{Name: "templates", Description: "What workflows there are."},
	{Name: "pauses", Description: "What is held back."},
	{Name: "dlq", Description: "Dead letters: tasks that need a person."},
	{Name: "analytics", Description: "How tasks and steps have been doing."},
	{Name: "config", Description: "The settings of the server, without secrets."},
	{Name: "security", Description: "API keys, and who changed what."},
	{Name: "health", Description: "How the server is. No credentials are asked for."},
}

const description = `Runs workflows: directed graphs of steps, kept in PostgreSQL.

Times are RFC 3339 in UTC. Errors are application/problem+json; their code is stable.`
