package http

import (
	"net/http"

	"github.com/tasker-go/tasker/core/app"
)

// reportRoutes are those that only look: at a task as a whole, at how it all
// goes, and at the settings.
var reportRoutes = map[app.Operation]route{
	app.GetTaskSummary: {
		method: http.MethodGet, path: "/v1/tasks/{uuid}/summary", status: http.StatusOK, tag: "tasks",
		summary:     "Read a task on one page",
		description: "The task, its template, its steps with their last failures, and its newest dead letter. Documents are left out.",
		problems:    []int{bad, missing},
	},
	app.GetTaskContext: {
		method: http.MethodGet, path: "/v1/tasks/{uuid}/context", status: http.StatusOK, tag: "tasks",
		summary:  "Read what a task works on: its context and the results of its finished steps",
		problems: []int{bad, missing},
	},
	app.GetPerformance: {
		method: http.MethodGet, path: "/v1/analytics/performance", status: http.StatusOK, tag: "analytics",
		summary:     "How the tasks of a period have done",
		description: "Of tasks made in the last hours. Figures are at most two seconds old. Credentials that are kept to namespaces are refused.",
		problems:    []int{bad},
	},
	app.GetBottlenecks: {
		method: http.MethodGet, path: "/v1/analytics/bottlenecks", status: http.StatusOK, tag: "analytics",
		summary:     "What is slow, and what may help",
		description: "Of tasks made in the last 24 hours. Figures are at most two seconds old. Credentials that are kept to namespaces are refused.",
		problems:    []int{bad},
	},
	app.GetConfig: {
		method: http.MethodGet, path: "/config", status: http.StatusOK, tag: "config",
		summary: "Read the settings of the server; secrets are not among them",
	},
}
