package access_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/access"
)

func TestDefaultRoles(t *testing.T) {
	t.Parallel()
	roles := access.DefaultRoles()
	require.Equal(t, []string{"admin", "operator", "viewer", "worker"}, roles.Names())
	may := func(role string, p access.Permission) bool {
		granted, unknown, unknownRoles := roles.Grant(nil, []string{role})
		require.Empty(t, unknown)
		require.Empty(t, unknownRoles)
		return access.Principal{Permissions: granted}.May(p)
	}
	for _, p := range access.Permissions() {
		require.True(t, may(access.Admin, p), p)
	}
	for p, who := range map[access.Permission]struct{ viewer, operator, worker bool }{
		access.TasksRead:        {true, true, false},
		access.TasksCreate:      {false, true, false},
		access.TasksPurge:       {false, false, false},
		access.StepsResolve:     {false, true, false},
		access.DLQResume:        {false, true, false},
		access.TemplatesManage:  {false, false, false},
		access.SystemManage:     {false, false, false},
		access.WorkerConfigRead: {false, false, true},
		access.TemplatesRead:    {true, true, true},
	} {
		require.Equal(t, who.viewer, may(access.Viewer, p), p)
		require.Equal(t, who.operator, may(access.Operator, p), p)
		require.Equal(t, who.worker, may(access.Worker, p), p)
	}
}

func TestGrant(t *testing.T) {
	t.Parallel()
	own := access.Roles{"clerk": {access.TasksCreate, access.TasksRead}, access.Viewer: {access.TasksRead}}
	roles := own.Over(access.DefaultRoles())
	granted, unknown, unknownRoles := roles.Grant(
		[]access.Permission{access.StepsRead, "steps:fly", "*", "planes:*"}, []string{"clerk", access.Viewer, "boss"})
	require.Equal(t, []access.Permission{access.StepsRead, access.TasksCreate, access.TasksRead}, granted)
	require.Equal(t, []access.Permission{"steps:fly", "*", "planes:*"}, unknown)
	require.Equal(t, []string{"boss"}, unknownRoles)
}

func TestKnown(t *testing.T) {
	t.Parallel()
	for p, known := range map[access.Permission]bool{
		access.TasksCreate: true, "tasks:*": true, "worker:*": true, access.SystemAnalyticsRead: true,
		"": false, "*": false, "*:*": false, "tasks": false, "tasks:": false, "tasks:fly": false, "task:*": false, "tasks:*:*": false,
	} {
		require.Equal(t, known, access.Known(p), p)
	}
}

func TestWithin(t *testing.T) {
	t.Parallel()
	require.True(t, access.Anonymous().Within("shop"))
	require.False(t, access.Anonymous().Scoped())
	scoped := access.Principal{Namespaces: []string{"shop", "billing"}}
	require.True(t, scoped.Scoped())
	require.True(t, scoped.Within("billing"))
	require.False(t, scoped.Within("bill"))
	require.False(t, scoped.Within(""))
}
