package grpc

import (
	"strings"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
)

// methods says which operation each method is. What is of the contract and not
// here is not built yet, and answers UNIMPLEMENTED.
var methods = map[string]app.Operation{
	taskerv1.TaskService_CreateTask_FullMethodName:            app.CreateTask,
	taskerv1.TaskService_GetTask_FullMethodName:               app.GetTask,
	taskerv1.TaskService_ListTasks_FullMethodName:             app.ListTasks,
	taskerv1.TaskService_CancelTask_FullMethodName:            app.CancelTask,
	taskerv1.TaskService_StreamTaskStatus_FullMethodName:      app.WatchTask,
	taskerv1.StepService_GetStep_FullMethodName:               app.GetStep,
	taskerv1.StepService_ListSteps_FullMethodName:             app.ListSteps,
	taskerv1.TemplateService_ListTemplates_FullMethodName:     app.ListTemplates,
	taskerv1.TemplateService_GetTemplate_FullMethodName:       app.GetTemplate,
	taskerv1.HealthService_CheckHealth_FullMethodName:         app.CheckHealth,
	taskerv1.HealthService_CheckLiveness_FullMethodName:       app.CheckLive,
	taskerv1.HealthService_CheckReadiness_FullMethodName:      app.CheckReady,
	taskerv1.HealthService_CheckDetailedHealth_FullMethodName: app.CheckDetailed,
}

// Methods returns the methods with their operations.
func Methods() map[string]app.Operation {
	all := make(map[string]app.Operation, len(methods))
	for m, op := range methods {
		all[m] = op
	}
	return all
}

// ours reports whether a method is of the contract, and not of the standard
// services for health and reflection, which need no credentials.
func ours(method string) bool { return strings.HasPrefix(method, "/tasker.v1.") }
