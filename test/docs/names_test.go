package docs_test

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// code returns the texts of the module's Go files, by path from the root.
func code(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "tools" || name == "bin") {
			return fs.SkipDir
		}
		if entry.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		raw, err := os.ReadFile(path)
		rel, relErr := filepath.Rel(root, path)
		if err != nil || relErr != nil {
			return err
		}
		all[filepath.ToSlash(rel)] = string(raw)
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// pathLike is a code span that begins with a folder or file of the root and
// has no place holders in it.
var pathLike = regexp.MustCompile("`((?:\\./)?[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*/?)`")

func TestPathsExist(t *testing.T) {
	t.Parallel()
	top, err := os.ReadDir(root)
	require.NoError(t, err)
	known := map[string]bool{}
	for _, entry := range top {
		known[entry.Name()] = true
	}
	seen := 0
	for path, d := range documents(t) {
		for _, m := range pathLike.FindAllStringSubmatch(d.prose, -1) {
			first, _, nested := strings.Cut(m[1], "/")
			if !nested || !known[first] || first == "bin" || first == "examples" && strings.Contains(m[1], "/hello") {
				continue // not a path of the repository; the README's reader makes examples/hello
			}
			seen++
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s names %s, which is not there", path, m[1])
			}
		}
	}
	require.Greater(t, seen, 50, "few paths were found; is the pattern still right?")
}

func TestRecipesNameOnlyWhatExists(t *testing.T) {
	t.Parallel()
	_, table, found := strings.Cut(read(t, "CONTRIBUTING.md").text, "## Recipes")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n## ")
	rows := 0
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| a") && !strings.HasPrefix(line, "| s") {
			continue
		}
		rows++
		cells := strings.Split(line, "|")
		require.Len(t, cells, 5, line)
		require.Contains(t, cells[2], "`", "a recipe without a file: %s", line)
		require.NotEmpty(t, strings.TrimSpace(cells[3]), "a recipe without a test: %s", line)
		for _, span := range codeSpan.FindAllString(cells[2]+cells[3], -1) {
			name := strings.Trim(span, "`")
			if strings.HasPrefix(name, "make ") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				t.Errorf("CONTRIBUTING.md: %s is not there, in the recipe for%s", name, cells[1])
			}
		}
	}
	require.Greater(t, rows, 15)
}

func TestMakeTargetsExist(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	targets := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(string(raw), -1) {
		targets[m[1]] = true
	}
	named := map[string]bool{}
	inSpan, inBlock := regexp.MustCompile("`make ([a-z -]+)`"), regexp.MustCompile(`(?m)^make ([a-z-]+)`)
	for path, d := range documents(t) {
		for _, m := range append(inSpan.FindAllStringSubmatch(d.prose, -1), inBlock.FindAllStringSubmatch(d.text, -1)...) {
			for _, name := range strings.Fields(m[1]) {
				named[name] = true
				require.True(t, targets[name], "%s names make %s, and the Makefile has no such target", path, name)
			}
		}
	}
	for _, must := range []string{"run", "test", "bench", "crash", "lint", "generate", "verify"} {
		require.True(t, named[must], "no document names make %s", must)
	}
}

func TestTestsThatAreNamedExist(t *testing.T) {
	t.Parallel()
	var tests []string
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for path, text := range code(t) {
		if !strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, m := range declared.FindAllStringSubmatch(text, -1) {
			tests = append(tests, m[1])
		}
	}
	named := regexp.MustCompile("`(Test[A-Z]\\w+)`")
	count := 0
	for path, d := range documents(t) {
		for _, m := range named.FindAllStringSubmatch(d.prose, -1) {
			count++
			require.Contains(t, tests, m[1], "%s names a test", path)
		}
	}
	require.Greater(t, count, 10)
}

// metric is the name of a metric of this server, as code and documents spell it.
var metric = regexp.MustCompile(`["\x60](tasker_[a-z_]+)["\x60]`)

func TestMetricsAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	var inCode []string
	for path, text := range code(t) {
		if !strings.HasPrefix(path, "adapters/telemetry/") && !strings.HasPrefix(path, "bootstrap/") || strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, m := range metric.FindAllStringSubmatch(text, -1) {
			inCode = append(inCode, m[1])
		}
	}
	slices.Sort(inCode)
	inCode = slices.Compact(inCode)
	_, table, found := strings.Cut(read(t, "docs/operations.md").text, "| Metric |")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	var inTable []string
	for _, m := range metric.FindAllStringSubmatch(table, -1) {
		inTable = append(inTable, m[1])
	}
	slices.Sort(inTable)
	require.Equal(t, inCode, inTable, "docs/operations.md has a table of all metrics")
	for path, d := range documents(t) {
		for _, m := range metric.FindAllStringSubmatch(d.prose, -1) {
			require.Contains(t, inCode, m[1], "%s names a metric", path)
		}
	}
}

func TestConfigurationKeysAreThoseOfTheReference(t *testing.T) {
	t.Parallel()
	reference := read(t, "docs/configuration.md").text
	keys := map[string]bool{}
	variables := map[string]bool{}
	section := ""
	row := regexp.MustCompile("^\\| `([a-z_]+)` \\|")
	variable := regexp.MustCompile(`\b(?:TASKER_[A-Z_]+|DATABASE_URL|LOG_LEVEL)\b`)
	lines := bufio.NewScanner(strings.NewReader(reference))
	for lines.Scan() {
		line := lines.Text()
		if name, isSection := strings.CutPrefix(line, "## ["); isSection {
			section = strings.Trim(name, "[]")
			keys[section] = true
		}
		if m := row.FindStringSubmatch(line); m != nil {
			keys[section+"."+m[1]] = true
		}
		for _, name := range variable.FindAllString(line, -1) {
			variables[name] = true
		}
	}
	require.NoError(t, lines.Err())
	flags := map[string]bool{"--help": true, "--version": true, "--grace": true, "--quiet": true} // the latter two of check
	for _, name := range regexp.MustCompile("`(--[a-z-]+)").FindAllStringSubmatch(reference, -1) {
		flags[name[1]] = true
	}
	// Variables that are read outside the configuration, by tests and tools.
	for _, name := range []string{"TASKER_TEST_DATABASE_URL", "TASKER_CONFIG_PATH", "TASKER_ENV"} {
		variables[name] = true
	}

	count := 0
	key := regexp.MustCompile("`((?:common|orchestration)(?:\\.[a-z_]+)+)(?: = [^`]+)?`")
	flag := regexp.MustCompile("`(--[a-z-]+)")
	for path, d := range documents(t) {
		if path == "docs/configuration.md" {
			continue
		}
		for _, m := range key.FindAllStringSubmatch(d.prose, -1) {
			count++
			require.True(t, keys[m[1]], "%s names the key %s, which docs/configuration.md has not", path, m[1])
		}
		for _, name := range variable.FindAllString(d.text, -1) {
			count++
			require.True(t, variables[name], "%s names the variable %s, which docs/configuration.md has not", path, name)
		}
		if path == "docs/benchmarks.md" {
			continue // its flags are those of the bench
		}
		for _, m := range flag.FindAllStringSubmatch(d.prose, -1) {
			count++
			require.True(t, flags[m[1]], "%s names the flag %s, which docs/configuration.md has not", path, m[1])
		}
	}
	require.Greater(t, count, 20)
}

func TestEveryDirectDependencyHasItsReason(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	var direct []string
	inBlock := false
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "require (":
			inBlock = true
		case line == ")":
			inBlock = false
		case (inBlock || strings.HasPrefix(line, "require ")) && !strings.HasSuffix(line, "// indirect"):
			direct = append(direct, strings.Fields(strings.TrimPrefix(line, "require "))[0])
		}
	}
	var listed []string
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.+) \\|$")
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/dependencies.md").text, -1) {
		listed = append(listed, m[1])
		require.NotEmpty(t, strings.TrimSpace(m[2]))
	}
	slices.Sort(direct)
	require.Equal(t, direct, listed, "docs/dependencies.md lists what go.mod requires directly, in order")
}
