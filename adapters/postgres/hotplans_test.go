package postgres_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres"
)

// sequential finds a scan of a whole table that grows.
var sequential = regexp.MustCompile(`Seq Scan on (tasks|workflow_steps|task_identities|river_job)`)

// Every hot statement finds its rows by index, on a fresh database as well: a
// plan that is made while tables are nearly empty stays cached.
func TestHotStatementsUseIndexes(t *testing.T) {
	t.Parallel()
	f := open(t)
	cfg, err := pgx.ParseConfig(f.url)
	require.NoError(t, err)
	for name, value := range postgres.HotSettings {
		cfg.RuntimeParams[name] = value
	}
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	for name, sql := range postgres.HotStatements {
		described, err := conn.Prepare(t.Context(), name, sql)
		require.NoError(t, err, name)
		args := strings.TrimSuffix(strings.Repeat("null,", len(described.ParamOIDs)), ",")
		rows, err := conn.Query(t.Context(), `explain (costs off) execute "`+name+`"(`+args+`)`)
		require.NoError(t, err, name)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err, name)
		text := strings.Join(lines, "\n")
		require.False(t, sequential.MatchString(text), "%s:\n%s", name, text)
		require.NotContains(t, text, "Hash Join", name)
		require.NotContains(t, text, "Merge Join", name)
		for i, line := range lines {
			// An index scan without a condition reads the whole index; only the
			// index of waiting steps may be read so, from its start, and that of
			// templates, which are few.
			scan := strings.Contains(line, "Index Scan using") || strings.Contains(line, "Index Only Scan using")
			if !scan || strings.Contains(line, "workflow_steps_wake") || strings.Contains(line, "tasks_wake") || strings.Contains(line, " on templates") {
				continue
			}
			require.Contains(t, strings.Join(lines[i:min(i+2, len(lines))], "\n"), "Index Cond", "%s:\n%s", name, text)
			if strings.Contains(line, "workflow_steps_pkey") && name != "lock_all_steps" && name != "leases_of" {
				require.Contains(t, lines[i+1], "step_no =", "a step is found by its whole key: %s:\n%s", name, text)
			}
		}
	}
}
