package access

import (
	"maps"
	"slices"
)

// Roles are named sets of permissions.
type Roles map[string][]Permission

// The roles that there are unless the configuration says otherwise.
const (
	Viewer   = "viewer"   // sees everything, changes nothing
	Operator = "operator" // runs workflows and puts right what has failed
	Worker   = "worker"   // carries out steps
	Admin    = "admin"    // may do everything
)

// DefaultRoles returns the roles that there are unless the configuration says
// otherwise.
func DefaultRoles() Roles {
	viewer := []Permission{
		TasksRead, TasksList, TasksContextRead, StepsRead, TemplatesRead, TemplatesValidate,
		DLQRead, DLQStats, SystemConfigRead, SystemHandlersRead, SystemAnalyticsRead,
	}
	var admin []Permission
	for _, p := range known {
		if whole := p.every(); !slices.Contains(admin, whole) {
			admin = append(admin, whole)
		}
	}
	return Roles{
		Viewer:   viewer,
		Operator: append(slices.Clone(viewer), TasksCreate, TasksCancel, TasksManage, StepsResolve, DLQUpdate, DLQResume),
		Worker:   {"worker:*", TemplatesRead},
		Admin:    admin,
	}
}

// Over returns the roles of both; where both have a role of a name, r's.
func (r Roles) Over(others Roles) Roles {
	all := maps.Clone(others)
	maps.Copy(all, r)
	return all
}

// Names returns the names of the roles in order.
func (r Roles) Names() []string { return slices.Sorted(maps.Keys(r)) }

// Grant returns the permissions, and those of the named roles, each once. It
// also returns what of either is unknown: such a permission or role grants
// nothing.
func (r Roles) Grant(permissions []Permission, roles []string) (granted, unknown []Permission, unknownRoles []string) {
	add := func(p Permission) {
		switch {
		case !Known(p):
			unknown = append(unknown, p)
		case !slices.Contains(granted, p):
			granted = append(granted, p)
		}
	}
	for _, p := range permissions {
		add(p)
	}
	for _, name := range roles {
		has, ok := r[name]
		if !ok {
			unknownRoles = append(unknownRoles, name)
		}
		for _, p := range has {
			add(p)
		}
	}
	return granted, unknown, unknownRoles
}
