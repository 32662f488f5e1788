package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// table is rows of text under a head.
type table struct {
	title string
	head  []string
	rows  [][]string
}

// tables returns the report for people.
func (r *report) tables() []table {
	ts := []table{{
		title: "The machine's own limits", head: []string{"", "median"},
		rows: [][]string{
			{"single-row commits/s, 1 client", found(r.Limits.Commits1)},
			{"single-row commits/s, 16 clients", found(r.Limits.Commits16)},
			{"River, no-op jobs/s inserted and worked", found(r.Limits.RiverJobs)},
			{"River, insert to work, p50 ms", found(r.Limits.RiverLatency)},
		},
	}}
	speed := table{
		title: "Speed", head: []string{"shape", "mode", "p50 ms", "p95", "p99", "tasks/s", "steps/s", "p50 ÷ River", "steps/s ÷ River"},
	}
	cost := table{
		title: "Cost per step, in bulk", head: []string{"shape", "mode", "SQL", "transactions", "WAL bytes", "CPU-ms server", "CPU-ms PostgreSQL", "CPU-ms client"},
	}
	for _, s := range r.Shapes {
		speed.rows = append(speed.rows, []string{
			s.Name, s.Mode, found(s.Latency.P50), found(s.Latency.P95), found(s.Latency.P99),
			found(s.TasksPerSecond), found(s.StepsPerSecond), found(s.LatencyToRiver), found(s.StepsToRiver),
		})
		client := foundIf(s.PerStep.Client)
		if s.Mode == inProcess {
			client = "in server"
		}
		cost.rows = append(cost.rows, []string{
			s.Name, s.Mode, found(s.PerStep.SQL), found(s.PerStep.Transactions), found(s.PerStep.WAL),
			found(s.PerStep.Server), foundIf(s.PerStep.Postgres), client,
		})
	}
	ts = append(ts, speed, cost)
	other := table{title: "Other", head: []string{"", "found"}}
	if r.Slots != nil {
		other.rows = append(other.rows,
			[]string{"diamond4 with 50 slots, steps/s", found(r.Slots.Few)},
			[]string{"diamond4 with 1,000 slots, steps/s", found(r.Slots.Many)})
	}
	if r.Idle != nil {
		other.rows = append(other.rows,
			[]string{"idle with 1 namespace, SQL/s", found(r.Idle.SQL)},
			[]string{"idle with 1 namespace, CPU % of one core", foundIf(r.Idle.CPU)},
			[]string{"idle with 20 namespaces, SQL/s", found(r.Idle.SQL20)},
			[]string{"idle with 20 namespaces, CPU % of one core", foundIf(r.Idle.CPU20)})
	}
	other.rows = append(other.rows,
		[]string{"resident memory of the server right after the load, MB", found(r.RSSLoad)},
		[]string{"resident memory of the server at the end, MB", found(r.RSS)})
	return append(ts, other, verdicts("Targets", r.Targets))
}

func verdicts(title string, vs []verdict) table {
	t := table{title: title, head: []string{"", "target", "found", ""}}
	for _, v := range vs {
		got := "–"
		if v.Known {
			got = found(v.Got)
		}
		t.rows = append(t.rows, []string{v.What, v.Want, got, v.mark()})
	}
	return t
}

// String describes the machine in one line.
func (m machine) String() string {
	cpu := m.CPU
	if cpu == "" {
		cpu = "CPU"
	}
	return fmt.Sprintf("%s × %d, %s, %s, PostgreSQL %s (fsync %s, synchronous_commit %s, shared_buffers %s), load before %s; %s, %d rounds in %s s",
		cpu, m.CPUs, m.OS, m.Go, m.Postgres.Version, m.Postgres.Fsync, m.Postgres.SynchronousCommit, m.Postgres.SharedBuffers,
		m.Load, m.At.Format("2006-01-02 15:04 MST"), m.Rounds, found(m.Took))
}

// printText prints tables for a terminal.
func printText(w io.Writer, m machine, ts []table) error {
	fmt.Fprintln(w, m)
	for _, t := range ts {
		fmt.Fprintf(w, "\n%s\n", t.title)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.head}, t.rows...) {
			for _, cell := range row {
				fmt.Fprintf(tw, "%s\t", cell)
			}
			fmt.Fprintln(tw)
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// printMarkdown prints tables for docs/benchmarks.md.
func printMarkdown(w io.Writer, m machine, ts []table) error {
	if _, err := fmt.Fprintln(w, m); err != nil {
		return err
	}
	for _, t := range ts {
		fmt.Fprintf(w, "\n**%s**\n\n", t.title)
		rule := make([]string, len(t.head))
		for i := range rule {
			rule[i] = "---"
		}
		for _, row := range append([][]string{t.head, rule}, t.rows...) {
			fmt.Fprint(w, "|")
			for _, cell := range row {
				fmt.Fprintf(w, " %s |", cell)
			}
			fmt.Fprintln(w)
		}
	}
	return nil
}
