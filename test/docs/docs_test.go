// Package docs_test holds the documents to the code: what they link to and name
// exists, and what the README shows is run.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// root is the folder of the module, as seen from here.
const root = "../.."

// document is a Markdown file.
type document struct {
	path  string // from the root, with slashes
	text  string
	prose string // without blocks of code
}

var fence = regexp.MustCompile("(?ms)^ *```.*?^ *```")

// read returns one document.
func read(t *testing.T, path string) document {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	text := string(raw)
	return document{path: path, text: text, prose: fence.ReplaceAllString(text, "")}
}

// documents returns all documents for people, by their paths.
func documents(t *testing.T) map[string]document {
	t.Helper()
	all := map[string]document{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, file := range found {
			path, err := filepath.Rel(root, file)
			require.NoError(t, err)
			all[filepath.ToSlash(path)] = read(t, filepath.ToSlash(path))
		}
	}
	require.Contains(t, all, "README.md")
	require.Contains(t, all, "docs/concepts.md")
	return all
}

var (
	codeSpan = regexp.MustCompile("`[^`\n]+`")
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	noAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the fragments that a document's headings answer to.
func (d document) anchors() map[string]bool {
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(d.prose, -1) {
		text := noAnchor.ReplaceAllString(strings.ToLower(m[1]), "")
		all[strings.ReplaceAll(strings.TrimSpace(text), " ", "-")] = true
	}
	return all
}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := documents(t)
	for path, d := range all {
		for _, m := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(d.prose, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, fragment, _ := strings.Cut(m[1], "#")
			target := path
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(path), file))
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
				continue
			}
			if fragment != "" && !all[target].anchors()[fragment] {
				t.Errorf("%s links to %s, and %s has no such heading", path, m[1], target)
			}
		}
	}
}

func TestEveryDecisionIsListed(t *testing.T) {
	t.Parallel()
	index := read(t, "docs/decisions/README.md")
	for path, d := range documents(t) {
		name, isDecision := strings.CutPrefix(path, "docs/decisions/")
		if !isDecision || name == "README.md" {
			continue
		}
		require.Contains(t, index.text, "("+name+")", "docs/decisions/README.md")
		for _, part := range []string{"## Context", "## Choice", "## Cost"} {
			require.Contains(t, d.text, part, path)
		}
	}
}
