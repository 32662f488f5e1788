package app

import "github.com/tasker-go/tasker/core/domain/access"

// Operation is something that clients can ask for, by whatever door.
type Operation string

// The operations.
const (
	CreateTask    Operation = "CreateTask"
	GetTask       Operation = "GetTask"
	ListTasks     Operation = "ListTasks"
	CancelTask    Operation = "CancelTask"
	WatchTask     Operation = "WatchTask"
	ListSteps     Operation = "ListSteps"
	GetStep       Operation = "GetStep"
	ListTemplates Operation = "ListTemplates"
	GetTemplate   Operation = "GetTemplate"
	CheckHealth   Operation = "CheckHealth"
	CheckLive     Operation = "CheckLiveness"
	CheckReady    Operation = "CheckReadiness"
	CheckDetailed Operation = "CheckDetailedHealth"
)

// operations is the catalogue: both doors register from it.
var operations = map[Operation]access.Permission{
	CreateTask:    access.TasksCreate,
	GetTask:       access.TasksRead,
	ListTasks:     access.TasksList,
	CancelTask:    access.TasksCancel,
	WatchTask:     access.TasksRead,
	ListSteps:     access.StepsRead,
	GetStep:       access.StepsRead,
	ListTemplates: access.TemplatesRead,
	GetTemplate:   access.TemplatesRead,
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
