// Package access says who may do what.
package access

import "strings"

// Permission is "resource:action", as in credentials.
type Permission string

// The permissions of the operations that exist; Public is for those that need
// none.
const (
	Public            Permission = ""
	TasksCreate       Permission = "tasks:create"
	TasksRead         Permission = "tasks:read"
	TasksList         Permission = "tasks:list"
	TasksCancel       Permission = "tasks:cancel"
	TasksManage       Permission = "tasks:manage" // give up, resolve, retry, pause
	TasksPurge        Permission = "tasks:purge"
	StepsRead         Permission = "steps:read"
	StepsResolve      Permission = "steps:resolve"
	TemplatesRead     Permission = "templates:read"
	TemplatesManage   Permission = "templates:manage" // register, disable, pause
	TemplatesValidate Permission = "templates:validate"
	SystemManage      Permission = "system:manage" // pause a whole namespace
	DLQRead           Permission = "dlq:read"
	DLQUpdate         Permission = "dlq:update"
	DLQStats          Permission = "dlq:stats"
	DLQResume         Permission = "dlq:resume"
)

// Principal is who asks. The zero Principal is nobody and may do only what is
// public.
type Principal struct {
	Subject     string
	Permissions []Permission // exact, or "resource:*"
	All         bool         // may do everything
}

// Anonymous is who asks a server that asks for no credentials.
func Anonymous() Principal { return Principal{Subject: "anonymous", All: true} }

// May reports whether p may do what needs the permission.
func (p Principal) May(need Permission) bool {
	if need == Public || p.All {
		return true
	}
	resource, _, _ := strings.Cut(string(need), ":")
	for _, have := range p.Permissions {
		if have == need || string(have) == resource+":*" {
			return true
		}
	}
	return false
}
