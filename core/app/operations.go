package app

import (
	"context"
	"time"

	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// Operation is something that clients can ask for, by whatever door.
type Operation string

// The operations on tasks and steps.
const (
	CreateTask   Operation = "CreateTask"
	GetTask      Operation = "GetTask"
	ListTasks    Operation = "ListTasks"
	CancelTask   Operation = "CancelTask"
	WatchTask    Operation = "WatchTask"
	ExplainTask  Operation = "ExplainTask"
	GiveUpTask   Operation = "GiveUpTask"
	ResolveTask  Operation = "ResolveTask"
	RetryTask    Operation = "RetryTask"
	PurgeTask    Operation = "PurgeTask"
	ListSteps    Operation = "ListSteps"
	GetStep      Operation = "GetStep"
	ResolveStep  Operation = "ResolveStep"
	GetStepAudit Operation = "GetStepAudit"
)

// The operations on many tasks.
const (
	CreateTasks         Operation = "CreateTasks"
	CancelTasks         Operation = "CancelTasks"
	RetryTasks          Operation = "RetryTasks"
	ListBulkOperations  Operation = "ListBulkOperations"
	GetBulkOperation    Operation = "GetBulkOperation"
	CancelBulkOperation Operation = "CancelBulkOperation"
)

// The operations on pauses.
const (
	PauseTask       Operation = "PauseTask"
	ResumeTask      Operation = "ResumeTask"
	PauseTemplate   Operation = "PauseTemplate"
	ResumeTemplate  Operation = "ResumeTemplate"
	PauseNamespace  Operation = "PauseNamespace"
	ResumeNamespace Operation = "ResumeNamespace"
	ListPauses      Operation = "ListPauses"
)

// The operations on templates.
const (
	ListTemplates     Operation = "ListTemplates"
	GetTemplate       Operation = "GetTemplate"
	RegisterTemplates Operation = "RegisterTemplates"
	ValidateTemplates Operation = "ValidateTemplates"
	DisableTemplate   Operation = "DisableTemplate"
	EnableTemplate    Operation = "EnableTemplate"
)

// The operations on dead letters.
const (
	ListDeadLetters        Operation = "ListDeadLetters"
	GetDeadLetter          Operation = "GetDeadLetter"
	FileDeadLetter         Operation = "FileDeadLetter"
	UpdateDeadLetter       Operation = "UpdateDeadLetter"
	ListDeadLetterFailures Operation = "ListDeadLetterFailures"
	ListDeadLetterGroups   Operation = "ListDeadLetterGroups"
	GetDeadLetterStats     Operation = "GetDeadLetterStats"
	GetInvestigationQueue  Operation = "GetInvestigationQueue"
	GetStaleness           Operation = "GetStaleness"
	ResumeDeadLetter       Operation = "ResumeDeadLetter"
	ResumeDeadLetters      Operation = "ResumeDeadLetters"
	ListResumes            Operation = "ListResumes"
	GetResume              Operation = "GetResume"
	CancelResume           Operation = "CancelResume"
)

// The operations that only look: at a task as a whole, at how it all goes, and
// at the settings.
const (
	GetTaskSummary Operation = "GetTaskSummary"
	GetTaskContext Operation = "GetTaskContext"
	GetPerformance Operation = "GetPerformanceMetrics"
	GetBottlenecks Operation = "GetBottleneckAnalysis"
	GetConfig      Operation = "GetConfig"
)

// The operations on API keys and the audit log.
const (
	CreateKey Operation = "CreateKey"
	ListKeys  Operation = "ListKeys"
	GetKey    Operation = "GetKey"
	RotateKey Operation = "RotateKey"
	RevokeKey Operation = "RevokeKey"
	ListAudit Operation = "ListAudit"
)

// The operations on the server itself.
const (
	CheckHealth   Operation = "CheckHealth"
	CheckLive     Operation = "CheckLiveness"
	CheckReady    Operation = "CheckReadiness"
	CheckDetailed Operation = "CheckDetailedHealth"
)

// operations is the catalogue: both doors register from it.
var operations = map[Operation]access.Permission{
	CreateTask:   access.TasksCreate,
	GetTask:      access.TasksRead,
	ListTasks:    access.TasksList,
	CancelTask:   access.TasksCancel,
	WatchTask:    access.TasksRead,
	ExplainTask:  access.TasksRead,
	GiveUpTask:   access.TasksManage,
	ResolveTask:  access.TasksManage,
	RetryTask:    access.TasksManage,
	PurgeTask:    access.TasksPurge,
	ListSteps:    access.StepsRead,
	GetStep:      access.StepsRead,
	ResolveStep:  access.StepsResolve,
	GetStepAudit: access.StepsRead,

	CreateTasks:         access.TasksCreate,
	CancelTasks:         access.TasksCancel,
	RetryTasks:          access.TasksManage,
	ListBulkOperations:  access.TasksRead,
	GetBulkOperation:    access.TasksRead,
	CancelBulkOperation: access.TasksManage,

	PauseTask:       access.TasksManage,
	ResumeTask:      access.TasksManage,
	PauseTemplate:   access.TemplatesManage,
	ResumeTemplate:  access.TemplatesManage,
	PauseNamespace:  access.SystemManage,
	ResumeNamespace: access.SystemManage,
	ListPauses:      access.TasksRead,

	ListTemplates:     access.TemplatesRead,
	GetTemplate:       access.TemplatesRead,
	RegisterTemplates: access.TemplatesManage,
	ValidateTemplates: access.TemplatesValidate,
	DisableTemplate:   access.TemplatesManage,
	EnableTemplate:    access.TemplatesManage,

	ListDeadLetters:        access.DLQRead,
	GetDeadLetter:          access.DLQRead,
	FileDeadLetter:         access.DLQUpdate,
	UpdateDeadLetter:       access.DLQUpdate,
	ListDeadLetterFailures: access.DLQRead,
	ListDeadLetterGroups:   access.DLQRead,
	GetDeadLetterStats:     access.DLQStats,
	GetInvestigationQueue:  access.DLQRead,
	GetStaleness:           access.DLQRead,
	ResumeDeadLetter:       access.DLQResume,
	ResumeDeadLetters:      access.DLQResume,
	ListResumes:            access.DLQRead,
	GetResume:              access.DLQRead,
	CancelResume:           access.DLQResume,

	GetTaskSummary: access.TasksRead,
	GetTaskContext: access.TasksContextRead,
	GetPerformance: access.SystemAnalyticsRead,
	GetBottlenecks: access.SystemAnalyticsRead,
	GetConfig:      access.SystemConfigRead,

	CreateKey: access.SystemKeys,
	ListKeys:  access.SystemKeys,
	GetKey:    access.SystemKeys,
	RotateKey: access.SystemKeys,
	RevokeKey: access.SystemKeys,
	ListAudit: access.SystemAuditRead,

	CheckHealth:   access.Public,
	CheckLive:     access.Public,
	CheckReady:    access.Public,
	CheckDetailed: access.Public,
}

// Operations returns every operation with the permission that it needs.
func Operations() map[Operation]access.Permission {
	all := make(map[Operation]access.Permission, len(operations))
	for op, p := range operations {
		all[op] = p
	}
	return all
}

// Permission returns what an operation needs.
func (o Operation) Permission() access.Permission { return operations[o] }

// What follows is what the application offers to the doors, by subject; the
// methods of Application say what each does. A door asks for those that it
// opens to clients.

// TaskOperations are about whole tasks.
type TaskOperations interface {
	CreateTask(ctx context.Context, r CreateRequest) (Task, error)
	GetTask(ctx context.Context, id ident.TaskID) (Task, error)
	ListTasks(ctx context.Context, f ports.TaskFilter, p ports.TaskPage) (Page, error)
	ExplainTask(ctx context.Context, id ident.TaskID) (readiness.Explanation, error)
	CancelTask(ctx context.Context, id ident.TaskID, by, why string) (Task, error)
	GiveUpTask(ctx context.Context, id ident.TaskID, by, why string) (Task, error)
	ResolveTask(ctx context.Context, id ident.TaskID, by, why string) (Task, error)
	RetryTask(ctx context.Context, id ident.TaskID, by, why string) (Task, error)
	PurgeTask(ctx context.Context, id ident.TaskID) error
}

// WatchOperations follow tasks as they go on.
type WatchOperations interface {
	WatchTask(ctx context.Context, id ident.TaskID, tell func(watch.Update) error) error
}

// FollowOperations follow tasks and their steps, and wait for them.
type FollowOperations interface {
	FollowTask(ctx context.Context, id ident.TaskID, after string) (TaskEvents, error)
	AwaitTask(ctx context.Context, id ident.TaskID, longest time.Duration, until []task.State) (Task, error)
}

// BatchOperations are about many tasks.
type BatchOperations interface {
	CreateTasks(ctx context.Context, all []CreateRequest, together bool) ([]BatchItem, error)
	CancelTasks(ctx context.Context, r BulkRequest) (ports.BulkOperation, error)
	RetryTasks(ctx context.Context, r BulkRequest) (ports.BulkOperation, error)
	ListBulkOperations(ctx context.Context, limit int) ([]ports.BulkOperation, error)
	GetBulkOperation(ctx context.Context, id string) (ports.BulkOperation, error)
	CancelBulkOperation(ctx context.Context, id, by, why string) (ports.BulkOperation, error)
}

// StepOperations are about single steps.
type StepOperations interface {
	ListSteps(ctx context.Context, id ident.TaskID) ([]Step, error)
	GetStep(ctx context.Context, id ident.TaskID, step ident.StepID) (Step, error)
	ResolveStep(ctx context.Context, s StepAction) (Step, error)
	StepAudit(ctx context.Context, id ident.TaskID, step ident.StepID) ([]AuditRow, error)
}

// PauseOperations hold back and let go.
type PauseOperations interface {
	Pause(ctx context.Context, p ports.Pause) (ports.Pause, error)
	Unpause(ctx context.Context, p ports.Pause) (bool, error)
	ListPauses(ctx context.Context, limit int) ([]ports.Pause, error)
}

// TemplateOperations are about the registered templates.
type TemplateOperations interface {
	ListTemplates(ctx context.Context, namespace string) ([]ports.StoredTemplate, error)
	GetTemplate(ctx context.Context, name task.Name) (ports.StoredTemplate, error)
	RegisterTemplates(ctx context.Context, text []byte, revise bool) ([]ports.StoredTemplate, error)
	ValidateTemplates(ctx context.Context, text []byte) (TemplateReport, error)
	DisableTemplate(ctx context.Context, name task.Name, by, why string) error
	EnableTemplate(ctx context.Context, name task.Name) error
}

// DeadLetterOperations are the investigation of dead letters.
type DeadLetterOperations interface {
	ListDeadLetters(ctx context.Context, f ports.LetterFilter, skip, limit int) ([]ports.Letter, error)
	GetDeadLetter(ctx context.Context, id ident.TaskID) (ports.Letter, error)
	FileDeadLetter(ctx context.Context, id ident.TaskID, by, why string) (ports.Letter, error)
	UpdateDeadLetter(ctx context.Context, id deadletter.EntryID, u ports.LetterUpdate) (ports.Letter, error)
	DeadLetterFailures(ctx context.Context, id deadletter.EntryID, limit int) ([]ports.LetterFailure, error)
	DeadLetterGroups(ctx context.Context, f ports.LetterFilter, limit int) ([]ports.LetterGroup, error)
	DeadLetterStats(ctx context.Context) ([]ports.LetterStat, error)
	InvestigationQueue(ctx context.Context, limit int) ([]ports.Investigation, error)
	Staleness(ctx context.Context, limit int) ([]StaleTask, error)
}

// ResumeOperations let dead letters run again, one or many.
type ResumeOperations interface {
	ResumeDeadLetter(ctx context.Context, r ResumeOne) (Task, error)
	ResumeDeadLetters(ctx context.Context, r ResumeMany) (ports.BulkResume, error)
	ListResumes(ctx context.Context, limit int) ([]ports.BulkResume, error)
	GetResume(ctx context.Context, id string) (ports.BulkResume, error)
	CancelResume(ctx context.Context, id, by, why string) (ports.BulkResume, error)
}

// ReportOperations only look: at a task as a whole, at how it all goes, and at
// the settings.
type ReportOperations interface {
	GetTaskSummary(ctx context.Context, id ident.TaskID) (Summary, error)
	GetTaskContext(ctx context.Context, id ident.TaskID) (TaskContext, error)
	PerformanceMetrics(ctx context.Context, hours int64) (Performance, error)
	BottleneckAnalysis(ctx context.Context, limit, minExecutions int64) (Bottlenecks, error)
	GetConfig(ctx context.Context) (Configuration, error)
}
