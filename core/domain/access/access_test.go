package access_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/access"
)

func TestMay(t *testing.T) {
	t.Parallel()
	some := access.Principal{Subject: "s", Permissions: []access.Permission{access.TasksRead, "steps:*"}}
	for name, c := range map[string]struct {
		who  access.Principal
		need access.Permission
		may  bool
	}{
		"nobody may do what is public":      {access.Principal{}, access.Public, true},
		"nobody may do nothing else":        {access.Principal{}, access.TasksRead, false},
		"an exact permission":               {some, access.TasksRead, true},
		"another action of the resource":    {some, access.TasksCreate, false},
		"every action of a resource":        {some, access.StepsRead, true},
		"another resource":                  {some, access.TemplatesRead, false},
		"a resource that begins alike":      {access.Principal{Permissions: []access.Permission{"task:*"}}, access.TasksRead, false},
		"a star alone is no permission":     {access.Principal{Permissions: []access.Permission{"*"}}, access.TasksRead, false},
		"everything":                        {access.Principal{All: true}, access.TasksCancel, true},
		"whoever asks a server without any": {access.Anonymous(), access.TasksCreate, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.may, c.who.May(c.need))
		})
	}
}
