package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/templates"
)

func TestShapesAreWhatTheyAreCalled(t *testing.T) {
	t.Parallel()
	texts, err := templateTexts([]string{"other"})
	require.NoError(t, err)
	texts["unserved"] = unserved(fanned)
	packed, err := files(texts)
	require.NoError(t, err)
	all, warnings, err := templates.LoadFS(packed)
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Len(t, all, len(shapes)+2)
	served := handlers()
	want := map[string]int{"single": 1, "linear4": 4, "diamond4": 4, "dag7": 7, "tree8": 8, "fanout1000": 1002, "unserved": 1000}
	for _, tmpl := range all {
		require.Len(t, tmpl.Steps, want[tmpl.Name], tmpl.Name)
		for _, s := range tmpl.Steps {
			require.Equal(t, tmpl.Name != "unserved", served[s.Handler.Callable] != nil, "%s is served", s.Handler.Callable)
		}
	}
	for i := range shapes {
		require.Equal(t, want[shapes[i].name], shapes[i].steps())
	}
}

func TestCommitsAreCounted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		open  bool // a transaction, before
		texts []string
		want  int
	}{
		"a statement on its own":              {false, []string{"select 1"}, 1},
		"statements in one pipeline":          {false, []string{"select 1", "select 2"}, 1},
		"a whole transaction":                 {false, []string{"begin", "select 1", "COMMIT"}, 1},
		"the beginning of a transaction":      {false, []string{"BEGIN isolation level serializable", "select 1"}, 0},
		"the middle of one":                   {true, []string{"select 1"}, 0},
		"the end of one":                      {true, []string{"update t set a = 1", "commit"}, 1},
		"the end of one, and more":            {true, []string{"commit", "select 1"}, 2},
		"a transaction taken back":            {true, []string{"rollback"}, 0},
		"taken back to a savepoint, and on":   {true, []string{"rollback to s", "select 1"}, 0},
		"a pipeline that begins after others": {false, []string{"select 1", "begin"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, commits(c.open, c.texts))
		})
	}
}

func TestLabelsLeaveCommentsOut(t *testing.T) {
	t.Parallel()
	require.Equal(t, "select a from t", label("-- why\n  select a -- this\nfrom   t\n"))
	require.LessOrEqual(t, len([]rune(label(strings.Repeat("word ", 100)))), 91)
}

func TestQuantiles(t *testing.T) {
	t.Parallel()
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	given := slices.Clone(hundred)
	require.InDelta(t, 50.5, median(hundred), 0)
	require.InDelta(t, 95, quantile(hundred, 0.95), 0)
	require.InDelta(t, 99, quantile(hundred, 0.99), 0)
	require.Equal(t, given, hundred, "the values stay in their order")
	require.InDelta(t, 2, median([]float64{3, 1, 2}), 0)
	require.InDelta(t, 7, quantile([]float64{7}, 0.99), 0)
	require.Zero(t, median(nil))
	require.Equal(t, []float64{2, 0.5}, over([]float64{4, 1, 9, 9}, []float64{2, 2, 0}), "nothing is divided by nothing")
}

func TestFiguresForPeople(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{1234567: "1,234,567", 999.6: "1000", 123.4: "123", 12.34: "12.3", 1.234: "1.23", 0.0214: "0.021", 0: "0.000"} {
		require.Equal(t, want, found(v))
	}
	require.InDelta(t, 7123, rounded(7123.4), 0)
	require.InDelta(t, 0.02143, rounded(0.021428), 1e-9)
	require.Zero(t, rounded(0))
}

func TestProcessStat(t *testing.T) {
	t.Parallel()
	const text = "4242 (postgres: a) b (c)) S 17 4242 4242 0 -1 4194560 1 2 3 4 150 50 700 30 20 0 1 0 100 0 0\n"
	s, err := parseStat(text)
	require.NoError(t, err)
	require.Equal(t, processStat{parent: 17, own: 2 * time.Second, reaped: 7300 * time.Millisecond}, s)
	for _, bad := range []string{"", "1 (x) S 1 2", strings.Replace(text, " 700 ", " x ", 1)} {
		_, err := parseStat(bad)
		require.Error(t, err, bad)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	marks := func(r *report) map[string]string {
		got := map[string]string{}
		for _, v := range judge(r) {
			got[v.What] = v.mark()
		}
		return got
	}
	for what, mark := range marks(&report{}) {
		require.Equal(t, "not measured", mark, what)
	}

	postgres := 0.2
	diamond := shapeFigures{
		Name: "diamond4", Mode: inProcess, LatencyToRiver: 4.5, StepsToRiver: 0.34, Samples: 300,
		PerStep: perStep{SQL: 0.3, Transactions: 0.06, WAL: 3501, Server: 0.21, Postgres: &postgres},
	}
	wide := shapeFigures{Name: "fanout1000", Mode: inProcess, PerStep: perStep{SQL: 0.1}}
	got := marks(&report{Shapes: []shapeFigures{diamond, wide}, RSS: 100, Idle: &idle{SQL: 2, SQL20: 2.1}, Slots: &slotFigures{Ratio: 0.6}})
	require.Equal(t, map[string]string{
		"linear4 in process, p50 ÷ River's insert-to-work p50":     "not measured",
		"diamond4 in process, p50 ÷ the same":                      "ok",
		"diamond4 in process, steps/s ÷ River's raw jobs/s":        "SHORT",
		"diamond4 over gRPC ÷ in process, tasks/s":                 "not measured",
		"diamond4 in bulk, SQL statements per step":                "ok",
		"diamond4 in bulk, transactions per step":                  "ok",
		"diamond4 in bulk, WAL bytes per step":                     "SHORT",
		"diamond4 in bulk, CPU-ms per step, server and PostgreSQL": "SHORT",
		"fanout1000 ÷ diamond4, SQL per step":                      "ok",
		"idle, SQL/s with 1 namespace":                             "ok",
		"idle, SQL/s with 20 namespaces":                           "SHORT",
		"idle, CPU % of one core, server and PostgreSQL":           "not measured",
		"diamond4, steps/s with 50 slots ÷ with 1,000":             "ok",
		"resident memory of the server at the end, MB":             "ok",
	}, got)
}

// The names in bench.json are a contract with those who compare runs.
func TestReportFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bench.json")
	r := &report{
		Limits: limits{1, 2, 3, 4}, RSS: 42, Idle: &idle{},
		Shapes: []shapeFigures{{Name: "linear4", Mode: overGRPC}},
	}
	require.NoError(t, r.write(path))
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(raw, &got))
	require.Equal(t, map[string]any{
		"commits_per_s_1": 1.0, "commits_per_s_16": 2.0, "river_jobs_per_s": 3.0, "river_latency_ms_p50": 4.0,
	}, got["limits"])
	require.InDelta(t, 42, got["rss_mb"], 0)
	require.Contains(t, got["idle"], "sql_per_s")
	require.Contains(t, got["idle"], "sql_per_s_20_namespaces")
	require.Contains(t, got["idle"], "cpu_percent_of_core")
	shape := got["shapes"].([]any)[0].(map[string]any)
	require.Equal(t, "linear4", shape["name"])
	require.Equal(t, "grpc", shape["mode"])
	for _, name := range []string{"tasks_per_s", "steps_per_s"} {
		require.Contains(t, shape, name)
	}
	for _, name := range []string{"p50", "p95", "p99"} {
		require.Contains(t, shape["latency_ms"], name)
	}
	for _, name := range []string{"sql", "tx", "wal_bytes", "cpu_ms_server", "cpu_ms_postgres"} {
		require.Contains(t, shape["per_step"], name)
	}
}
