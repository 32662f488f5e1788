// Package access says who may do what.
package access

import (
	"slices"
	"strings"
)

// Permission is "resource:action", as in credentials.
type Permission string

// The permissions of the operations that exist, and those of the contract that
// no operation needs yet; Public is for operations that need none.
const (
	Public              Permission = ""
	TasksCreate         Permission = "tasks:create"
	TasksRead           Permission = "tasks:read"
	TasksList           Permission = "tasks:list"
	TasksCancel         Permission = "tasks:cancel"
	TasksContextRead    Permission = "tasks:context_read"
	TasksManage         Permission = "tasks:manage" // give up, resolve, retry, pause
	TasksPurge          Permission = "tasks:purge"
	StepsRead           Permission = "steps:read"
	StepsResolve        Permission = "steps:resolve"
	TemplatesRead       Permission = "templates:read"
	TemplatesManage     Permission = "templates:manage" // register, disable, pause
	TemplatesValidate   Permission = "templates:validate"
	SystemManage        Permission = "system:manage" // pause a whole namespace
	SystemConfigRead    Permission = "system:config_read"
	SystemHandlersRead  Permission = "system:handlers_read"
	SystemAnalyticsRead Permission = "system:analytics_read"
	SystemKeys          Permission = "system:keys"       // create, read, rotate and revoke stored API keys
	SystemAuditRead     Permission = "system:audit_read" // read who changed what
	DLQRead             Permission = "dlq:read"
	DLQUpdate           Permission = "dlq:update"
	DLQStats            Permission = "dlq:stats"
	DLQResume           Permission = "dlq:resume"
	WorkerConfigRead    Permission = "worker:config_read"
	WorkerTemplatesRead Permission = "worker:templates_read"
)

// known is every permission but Public.
var known = []Permission{
	TasksCreate, TasksRead, TasksList, TasksCancel, TasksContextRead, TasksManage, TasksPurge,
	StepsRead, StepsResolve,
	TemplatesRead, TemplatesManage, TemplatesValidate,
	SystemManage, SystemConfigRead, SystemHandlersRead, SystemAnalyticsRead, SystemKeys, SystemAuditRead,
	DLQRead, DLQUpdate, DLQStats, DLQResume,
	WorkerConfigRead, WorkerTemplatesRead,
}

// Permissions returns every permission that a credential may name, apart from
// "resource:*".
func Permissions() []Permission { return slices.Clone(known) }

// Resource returns what p is about: the part before the colon.
func (p Permission) Resource() string {
	resource, _, _ := strings.Cut(string(p), ":")
	return resource
}

// every is all permissions on the resource of p.
func (p Permission) every() Permission { return Permission(p.Resource() + ":*") }

// Known reports whether p is a permission, or "resource:*" of a resource that
// has any. A "*" alone is not.
func Known(p Permission) bool {
	return slices.ContainsFunc(known, func(k Permission) bool { return p == k || p == k.every() })
}

// Kind is how a principal has shown who it is.
type Kind string

// The kinds of principal; the zero Kind is that of nobody.
const (
	KindAnonymous Kind = "anonymous" // no credentials are asked for
	KindKey       Kind = "key"
	KindJWT       Kind = "jwt"
	KindCommand   Kind = "command" // who runs the program at the command line
)

// Principal is who asks. The zero Principal is nobody and may do only what is
// public.
type Principal struct {
	Kind        Kind
	ID          string       // tells principals of a kind apart, and never is a secret
	Subject     string       // who it is, for people
	Permissions []Permission // exact, or "resource:*"
	All         bool         // has every permission
	Namespaces  []string     // what it may see and touch; empty for all
}

// Anonymous is who asks a server that asks for no credentials.
func Anonymous() Principal {
	return Principal{Kind: KindAnonymous, ID: "anonymous", Subject: "anonymous", All: true}
}

// Scoped reports whether p is kept to some namespaces.
func (p Principal) Scoped() bool { return len(p.Namespaces) > 0 }

// Within reports whether p may see and touch what is in the namespace.
func (p Principal) Within(namespace string) bool {
	return !p.Scoped() || slices.Contains(p.Namespaces, namespace)
}

// May reports whether p may do what needs the permission.
func (p Principal) May(need Permission) bool {
	if need == Public || p.All {
		return true
	}
	resource := need.Resource()
	for _, have := range p.Permissions {
		if have == need {
			return true
		}
		if whole, is := strings.CutSuffix(string(have), ":*"); is && whole == resource {
			return true
		}
	}
	return false
}
