package grpc

import (
	"strings"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
)

// methods says which operation each method is. What is of the contract and not
// here is not built yet, and answers UNIMPLEMENTED.
var methods = map[string]app.Operation{
	taskerv1.TaskService_CreateTask_FullMethodName:           app.CreateTask,
	taskerv1.TaskService_GetTask_FullMethodName:              app.GetTask,
	taskerv1.TaskService_ListTasks_FullMethodName:            app.ListTasks,
	taskerv1.TaskService_CancelTask_FullMethodName:           app.CancelTask,
	taskerv1.TaskService_StreamTaskStatus_FullMethodName:     app.WatchTask,
	taskerv1.TaskService_GetTaskSummary_FullMethodName:       app.GetTaskSummary,
	taskerv1.TaskService_GetTaskContext_FullMethodName:       app.GetTaskContext,
	taskerv1.BatchService_CreateTasks_FullMethodName:         app.CreateTasks,
	taskerv1.BatchService_CancelTasks_FullMethodName:         app.CancelTasks,
	taskerv1.BatchService_RetryTasks_FullMethodName:          app.RetryTasks,
	taskerv1.BatchService_ListBulkOperations_FullMethodName:  app.ListBulkOperations,
	taskerv1.BatchService_GetBulkOperation_FullMethodName:    app.GetBulkOperation,
	taskerv1.BatchService_CancelBulkOperation_FullMethodName: app.CancelBulkOperation,

	taskerv1.StepService_GetStep_FullMethodName:               app.GetStep,
	taskerv1.StepService_ListSteps_FullMethodName:             app.ListSteps,
	taskerv1.StepService_ResolveStep_FullMethodName:           app.ResolveStep,
	taskerv1.StepService_GetStepAudit_FullMethodName:          app.GetStepAudit,
	taskerv1.TemplateService_ListTemplates_FullMethodName:     app.ListTemplates,
	taskerv1.TemplateService_GetTemplate_FullMethodName:       app.GetTemplate,
	taskerv1.HealthService_CheckHealth_FullMethodName:         app.CheckHealth,
	taskerv1.HealthService_CheckLiveness_FullMethodName:       app.CheckLive,
	taskerv1.HealthService_CheckReadiness_FullMethodName:      app.CheckReady,
	taskerv1.HealthService_CheckDetailedHealth_FullMethodName: app.CheckDetailed,

	taskerv1.DlqService_ListEntries_FullMethodName:            app.ListDeadLetters,
	taskerv1.DlqService_GetEntryByTask_FullMethodName:         app.GetDeadLetter,
	taskerv1.DlqService_UpdateInvestigation_FullMethodName:    app.UpdateDeadLetter,
	taskerv1.DlqService_GetStats_FullMethodName:               app.GetDeadLetterStats,
	taskerv1.DlqService_GetInvestigationQueue_FullMethodName:  app.GetInvestigationQueue,
	taskerv1.DlqService_GetStalenessMonitoring_FullMethodName: app.GetStaleness,

	taskerv1.AnalyticsService_GetPerformanceMetrics_FullMethodName: app.GetPerformance,
	taskerv1.AnalyticsService_GetBottleneckAnalysis_FullMethodName: app.GetBottlenecks,
	taskerv1.ConfigService_GetConfig_FullMethodName:                app.GetConfig,

	taskerv1.OperatorService_ExplainTask_FullMethodName:            app.ExplainTask,
	taskerv1.OperatorService_GiveUpTask_FullMethodName:             app.GiveUpTask,
	taskerv1.OperatorService_ResolveTask_FullMethodName:            app.ResolveTask,
	taskerv1.OperatorService_RetryTask_FullMethodName:              app.RetryTask,
	taskerv1.OperatorService_PurgeTask_FullMethodName:              app.PurgeTask,
	taskerv1.OperatorService_PauseTask_FullMethodName:              app.PauseTask,
	taskerv1.OperatorService_ResumeTask_FullMethodName:             app.ResumeTask,
	taskerv1.OperatorService_PauseTemplate_FullMethodName:          app.PauseTemplate,
	taskerv1.OperatorService_ResumeTemplate_FullMethodName:         app.ResumeTemplate,
	taskerv1.OperatorService_PauseNamespace_FullMethodName:         app.PauseNamespace,
	taskerv1.OperatorService_ResumeNamespace_FullMethodName:        app.ResumeNamespace,
	taskerv1.OperatorService_ListPauses_FullMethodName:             app.ListPauses,
	taskerv1.OperatorService_RegisterTemplates_FullMethodName:      app.RegisterTemplates,
	taskerv1.OperatorService_ValidateTemplates_FullMethodName:      app.ValidateTemplates,
	taskerv1.OperatorService_DisableTemplate_FullMethodName:        app.DisableTemplate,
	taskerv1.OperatorService_EnableTemplate_FullMethodName:         app.EnableTemplate,
	taskerv1.OperatorService_FileDeadLetter_FullMethodName:         app.FileDeadLetter,
	taskerv1.OperatorService_ListDeadLetterFailures_FullMethodName: app.ListDeadLetterFailures,
	taskerv1.OperatorService_ListDeadLetterGroups_FullMethodName:   app.ListDeadLetterGroups,
	taskerv1.OperatorService_ResumeDeadLetter_FullMethodName:       app.ResumeDeadLetter,
	taskerv1.OperatorService_ResumeDeadLetters_FullMethodName:      app.ResumeDeadLetters,
	taskerv1.OperatorService_ListResumes_FullMethodName:            app.ListResumes,
	taskerv1.OperatorService_GetResume_FullMethodName:              app.GetResume,
	taskerv1.OperatorService_CancelResume_FullMethodName:           app.CancelResume,

	taskerv1.SecurityService_CreateKey_FullMethodName: app.CreateKey,
	taskerv1.SecurityService_ListKeys_FullMethodName:  app.ListKeys,
	taskerv1.SecurityService_GetKey_FullMethodName:    app.GetKey,
	taskerv1.SecurityService_RotateKey_FullMethodName: app.RotateKey,
	taskerv1.SecurityService_RevokeKey_FullMethodName: app.RevokeKey,
	taskerv1.SecurityService_ListAudit_FullMethodName: app.ListAudit,
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
