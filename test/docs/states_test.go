package docs_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

var update = flag.Bool("update", false, "write docs/states.md from the tables")

// The page about states is what the tables say.
func TestTheStatesPageIsTheTables(t *testing.T) {
	t.Parallel()
	const page = "../../docs/states.md"
	want := statesPage()
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(want), 0o600))
	}
	got, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "run go test ./test/docs -run TestTheStatesPageIsTheTables -update")
}

func statesPage() string {
	var b strings.Builder
	b.WriteString(`# States

Made from the tables in core/domain/task and core/domain/step, which are the only law: nothing else changes a state, and
each change is one row of them, applied only while the stored state is still the one that the row begins with.

A task or step is only ever seen *at rest*. The states marked as passed through are entered and left inside one
transaction; history names them in its column ` + "`path`" + `.

## Tasks

`)
	var drawn, unused []string
	for _, m := range task.Moves() {
		if m.Unused == "" {
			drawn = append(drawn, fmt.Sprintf("    %s --> %s: %s", m.From, m.To, m.On))
		} else {
			unused = append(unused, fmt.Sprintf("| `%s` | `%s` | `%s` | %s |", m.From, m.On, m.To, m.Unused))
		}
	}
	b.WriteString(diagram(drawn))
	b.WriteString("\n| State | | |\n|---|---|---|\n")
	for _, s := range task.States() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s, mark(s.Passing(), "passed through"), mark(s.Terminal(), "terminal"))
	}
	b.WriteString(rest(unused))
	b.WriteString("\n## Steps\n\n")
	drawn, unused = nil, nil
	for _, m := range step.Moves() {
		if m.Unused == "" {
			drawn = append(drawn, fmt.Sprintf("    %s --> %s: %s", m.From, m.To, m.On))
		} else {
			unused = append(unused, fmt.Sprintf("| `%s` | `%s` | `%s` | %s |", m.From, m.On, m.To, m.Unused))
		}
	}
	b.WriteString(diagram(drawn))
	b.WriteString("\n| State | | | |\n|---|---|---|---|\n")
	for _, s := range step.States() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s, mark(s.Passing(), "passed through"), mark(s.Settled(), "will not run again"),
			mark(s.Satisfies(), "dependants may start"))
	}
	b.WriteString(rest(unused))
	return b.String()
}

func diagram(moves []string) string {
	return "```mermaid\nstateDiagram-v2\n" + strings.Join(moves, "\n") + "\n```\n"
}

func mark(is bool, word string) string {
	if is {
		return word
	}
	return ""
}

func rest(rows []string) string {
	return "\nRows of the contract that are never taken, and why:\n\n| From | On | To | Why not |\n|---|---|---|---|\n" +
		strings.Join(rows, "\n") + "\n"
}
