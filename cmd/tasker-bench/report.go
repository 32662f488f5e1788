package main

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"time"
)

// report is what is written to bench.json. Its names are a contract with those
// who compare runs; figures are medians over the rounds.
type report struct {
	Limits  limits         `json:"limits"`
	Shapes  []shapeFigures `json:"shapes"`
	Idle    *idle          `json:"idle"`
	RSS     float64        `json:"rss_mb"`            // of the server's process, at the end
	RSSLoad float64        `json:"rss_mb_after_load"` // and right after the last load of the shapes
	Slots   *slotFigures   `json:"slots,omitempty"`
	Targets []verdict      `json:"targets"`
	Machine machine        `json:"machine"`

	gRPCShare float64 // median of the rounds' ratios of diamond4's tasks/s, gRPC ÷ in process
}

type limits struct {
	Commits1     float64 `json:"commits_per_s_1"`
	Commits16    float64 `json:"commits_per_s_16"`
	RiverJobs    float64 `json:"river_jobs_per_s"`
	RiverLatency float64 `json:"river_latency_ms_p50"`
}

type shapeFigures struct {
	Name           string    `json:"name"`
	Mode           string    `json:"mode"`
	Latency        quantiles `json:"latency_ms"`
	TasksPerSecond float64   `json:"tasks_per_s"`
	StepsPerSecond float64   `json:"steps_per_s"`
	PerStep        perStep   `json:"per_step"`
	Samples        int       `json:"samples"`
	Tasks          int       `json:"tasks_per_round"`
	LatencyToRiver float64   `json:"latency_p50_to_river"` // median of the rounds' ratios
	StepsToRiver   float64   `json:"steps_per_s_to_river"`
}

type quantiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

type perStep struct {
	SQL          float64  `json:"sql"`
	Transactions float64  `json:"tx"`
	WAL          float64  `json:"wal_bytes"`
	Server       float64  `json:"cpu_ms_server"`   // in process, the client's share included
	Postgres     *float64 `json:"cpu_ms_postgres"` // null where the system does not tell
	Client       *float64 `json:"cpu_ms_client"`   // null when it is part of the server's
}

type idle struct {
	SQL   float64  `json:"sql_per_s"`
	SQL20 float64  `json:"sql_per_s_20_namespaces"`
	CPU   *float64 `json:"cpu_percent_of_core"` // server and PostgreSQL
	CPU20 *float64 `json:"cpu_percent_of_core_20_namespaces"`
}

type slotFigures struct {
	Few   float64 `json:"steps_per_s_50"`
	Many  float64 `json:"steps_per_s_1000"`
	Ratio float64 `json:"ratio"` // median of the rounds' ratios
}

// machine says what the figures were measured on.
type machine struct {
	OS       string     `json:"os"`
	CPUs     int        `json:"cpus"`
	CPU      string     `json:"cpu"`
	Go       string     `json:"go"`
	Postgres pgSettings `json:"postgres"`
	At       time.Time  `json:"at"`
	Took     float64    `json:"took_s"`
	Load     string     `json:"load_before"` // of the last minutes, before the run
	Rounds   int        `json:"rounds"`
}

func (r *report) shape(name, mode string) (shapeFigures, bool) {
	i := slices.IndexFunc(r.Shapes, func(s shapeFigures) bool { return s.Name == name && s.Mode == mode })
	if i < 0 {
		return shapeFigures{}, false
	}
	return r.Shapes[i], true
}

func (r *report) write(path string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644) //nolint:gosec // G306: for everybody to read
}

// median returns the middle of values; 0 for none.
func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile returns the value below which the share q of values lies, by the
// nearest rank; the mean of the two middle ones for a median of an even number.
func quantile(values []float64, q float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	if q == 0.5 && n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[min(n, max(1, int(math.Ceil(q*float64(n)))))-1]
}

func milliseconds(took []time.Duration) []float64 {
	ms := make([]float64, len(took))
	for i, d := range took {
		ms[i] = float64(d) / float64(time.Millisecond)
	}
	return ms
}

// over divides value by value, for ratios within one round.
func over(a, b []float64) []float64 {
	out := make([]float64, 0, len(a))
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			out = append(out, a[i]/b[i])
		}
	}
	return out
}

// rounded cuts figures to four digits: the rest is noise.
func rounded(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}
