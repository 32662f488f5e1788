package access_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/access"
)

// The page says what the roles have.
func TestThePageKnowsTheRoles(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/security.md")
	require.NoError(t, err)
	roles := access.DefaultRoles()
	written := func(list []access.Permission) string {
		var words []string
		for _, p := range list {
			words = append(words, "`"+string(p)+"`")
		}
		return strings.Join(words, " ")
	}
	viewer, operator := roles[access.Viewer], roles[access.Operator]
	require.Equal(t, viewer, operator[:len(viewer)])
	for _, row := range []string{
		"| `viewer` | " + written(viewer) + " |",
		"| `operator` | what `viewer` has, and " + written(operator[len(viewer):]) + " |",
		"| `worker` | " + written(roles[access.Worker]) + " |",
	} {
		require.Contains(t, string(page), row)
	}
}
