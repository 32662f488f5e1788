package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/http"
	"github.com/tasker-go/tasker/core/domain/fault"
)

var (
	codeWord    = regexp.MustCompile("`([a-z]+(?:_[a-z]+)+)`")
	clientNames = regexp.MustCompile(`client\.([A-Z]\w+)`)
	goFence     = regexp.MustCompile("(?s)```go\n(.*?)```")
	ownRoute    = regexp.MustCompile("`(?:GET|POST|PATCH|DELETE) (/v1/[^`?]*)")
)

// The page of both doors names routes, codes and names of the client that exist.
func TestTheAPIPageNamesWhatExists(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(root, "docs", "api.md"))
	require.NoError(t, err)
	page := string(raw)

	_, again, found := strings.Cut(page, "\n## Trying again\n")
	require.True(t, found)
	table, _, _ := strings.Cut(again, "\n\n**")
	named := 0
	codes := map[string]bool{}
	for _, c := range fault.Codes() {
		codes[string(c)] = true
	}
	for _, m := range codeWord.FindAllStringSubmatch(table, -1) {
		require.True(t, codes[m[1]], "%s is no code", m[1])
		named++
	}
	require.GreaterOrEqual(t, named, 7)

	declared := ""
	for path, text := range code(t) {
		if strings.HasPrefix(path, "client/") && !strings.HasSuffix(path, "_test.go") {
			declared += text
		}
	}
	snippets := strings.Join(goFence.FindAllString(page, -1), "\n")
	names := clientNames.FindAllStringSubmatch(snippets+page, -1)
	require.Greater(t, len(names), 4)
	for _, m := range names {
		require.Regexp(t, `(?m)(^func (\(c \*Client\) )?|^type |^\t)`+m[1]+`\b`, declared, m[0])
	}

	for _, page := range []string{"api.md", "migrating-from-tasker-core.md"} {
		raw, err := os.ReadFile(filepath.Join(root, "docs", page))
		require.NoError(t, err)
		paths := map[string]bool{}
		for _, route := range http.Routes() {
			_, path, _ := strings.Cut(route, " ")
			paths[path] = true
		}
		all := ownRoute.FindAllStringSubmatch(string(raw), -1)
		require.NotEmpty(t, all)
		for _, m := range all {
			require.True(t, paths[m[1]], "%s names %s, which is no route", page, m[1])
		}
	}
}
