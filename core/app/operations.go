package app

import "github.com/tasker-go/tasker/core/domain/access"

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
