// Package arch holds the arrows of the hexagon: who may import whom.
package arch

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/tasker-go/tasker"

// list runs go list and returns its words.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}

// imports returns what the packages of a pattern import directly, in code that
// is shipped.
func imports(t *testing.T, pattern string) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}}: {{join .Imports " "}}`, pattern)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	require.NoError(t, err)
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		pkg, deps, _ := strings.Cut(strings.TrimSpace(line), ":")
		all[pkg] = strings.Fields(deps)
	}
	require.NotEmpty(t, all, pattern)
	return all
}

func standard(pkg string) bool { return !strings.Contains(strings.SplitN(pkg, "/", 2)[0], ".") }

func within(pkg string, prefixes ...string) bool {
	for _, p := range prefixes {
		if pkg == p || strings.HasPrefix(pkg, p+"/") {
			return true
		}
	}
	return false
}

// The domain knows the standard library and UUIDs, all the way down.
func TestTheDomainKnowsNothing(t *testing.T) {
	t.Parallel()
	for _, pkg := range list(t, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./core/domain/...") {
		require.True(t, within(pkg, module+"/core/domain", "github.com/google/uuid"), pkg)
	}
	for pkg, deps := range imports(t, "./core/domain/...") {
		for _, dep := range deps {
			for _, forbidden := range []string{"context", "log", "log/slog", "math/rand", "math/rand/v2", "net/http", "database/sql"} {
				require.NotEqual(t, forbidden, dep, pkg)
			}
		}
	}
}

// Each arrow of the design: what a part may import of this module, and of
// others.
func TestArrowsPointOneWay(t *testing.T) {
	t.Parallel()
	core := module + "/core"
	for pattern, allowed := range map[string][]string{
		"./core/ports":   {core + "/domain", "github.com/google/uuid"},
		"./core/app/...": {core + "/domain", core + "/ports", core + "/app", "github.com/google/uuid", "golang.org/x/sync"},
		"./worker/...":   {module + "/api", core + "/domain", module + "/worker"},
		".":              {module + "/bootstrap", module + "/worker", core}, // and no adapter
		"./client/...": {
			module + "/api", core + "/domain", "google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto",
		},
		"./cmd/tasker-server": {module},
	} {
		for pkg, deps := range imports(t, pattern) {
			for _, dep := range deps {
				if !standard(dep) {
					require.True(t, within(dep, allowed...), "%s imports %s", pkg, dep)
				}
			}
		}
	}
}

// No adapter knows another.
func TestAdaptersDoNotKnowEachOther(t *testing.T) {
	t.Parallel()
	adapters := module + "/adapters/"
	for pkg, deps := range imports(t, "./adapters/...") {
		if strings.HasSuffix(pkg, "/pgtest") {
			continue // starts a database for tests, and is in no program
		}
		mine, _, _ := strings.Cut(strings.TrimPrefix(pkg, adapters), "/")
		for _, dep := range deps {
			require.False(t, within(dep, module+"/bootstrap"), "%s imports %s", pkg, dep)
			if strings.HasPrefix(dep, adapters) {
				theirs, _, _ := strings.Cut(strings.TrimPrefix(dep, adapters), "/")
				require.Equal(t, mine, theirs, "%s imports %s", pkg, dep)
			}
		}
	}
}

// Test code is in no program.
func TestProgramsHoldNoTestCode(t *testing.T) {
	t.Parallel()
	for _, pkg := range list(t, "-deps", "./cmd/tasker-server", "./examples/...", "./cmd/tasker-bench") {
		require.False(t, within(pkg, "github.com/stretchr/testify", "pgregory.net/rapid", "testing/fstest"), pkg)
		require.NotContains(t, pkg, "pgtest")
		require.NotContains(t, pkg, "portstest")
	}
	for _, pkg := range list(t, "-deps", "./cmd/tasker-server") {
		require.False(t, within(pkg, module+"/examples", module+"/adapters/memory"), pkg)
	}
}
