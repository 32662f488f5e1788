package main

import (
	"fmt"
	"strconv"
)

// verdict is a target and what was measured.
type verdict struct {
	What  string  `json:"what"`
	Want  string  `json:"want"`
	Got   float64 `json:"got"`
	Known bool    `json:"known"` // whether this run measured it
	OK    bool    `json:"ok"`
}

func (v verdict) mark() string {
	switch {
	case !v.Known:
		return "not measured"
	case v.OK:
		return "ok"
	default:
		return "SHORT"
	}
}

func atMost(what string, bound, got float64, known bool) verdict {
	return verdict{What: what, Want: "≤ " + plain(bound), Got: rounded(got), Known: known, OK: known && got <= bound}
}

func atLeast(what string, bound, got float64, known bool) verdict {
	return verdict{What: what, Want: "≥ " + plain(bound), Got: rounded(got), Known: known, OK: known && got >= bound}
}

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// judge holds a report to the targets that the project has set itself.
func judge(r *report) []verdict {
	linear, hasLinear := r.shape("linear4", inProcess)
	diamond, hasDiamond := r.shape("diamond4", inProcess)
	remote, hasRemote := r.shape("diamond4", overGRPC)
	wide, hasWide := r.shape("fanout1000", inProcess)
	cpu := 0.0
	knowsCPU := hasDiamond && diamond.PerStep.Postgres != nil
	if knowsCPU {
		cpu = diamond.PerStep.Server + *diamond.PerStep.Postgres
	}
	ratio := func(a, b float64) float64 {
		if b == 0 {
			return 0
		}
		return a / b
	}
	vs := []verdict{
		atMost("linear4 in process, p50 ÷ River's insert-to-work p50", 4, linear.LatencyToRiver, hasLinear && linear.Samples > 0),
		atMost("diamond4 in process, p50 ÷ the same", 4.5, diamond.LatencyToRiver, hasDiamond && diamond.Samples > 0),
		atLeast("diamond4 in process, steps/s ÷ River's raw jobs/s", 0.35, diamond.StepsToRiver, hasDiamond),
		atLeast("diamond4 over gRPC ÷ in process, tasks/s", 0.65, r.gRPCShare, hasDiamond && hasRemote && remote.TasksPerSecond > 0),
		atMost("diamond4 in bulk, SQL statements per step", 0.35, diamond.PerStep.SQL, hasDiamond),
		atMost("diamond4 in bulk, transactions per step", 0.06, diamond.PerStep.Transactions, hasDiamond),
		atMost("diamond4 in bulk, WAL bytes per step", 3500, diamond.PerStep.WAL, hasDiamond),
		atMost("diamond4 in bulk, CPU-ms per step, server and PostgreSQL", 0.40, cpu, knowsCPU),
		atMost("fanout1000 ÷ diamond4, SQL per step", 1, ratio(wide.PerStep.SQL, diamond.PerStep.SQL), hasDiamond && hasWide),
	}
	known := r.Idle != nil
	i := idle{}
	if known {
		i = *r.Idle
	}
	percent, hasPercent := 0.0, i.CPU != nil
	if hasPercent {
		percent = *i.CPU
	}
	slots := slotFigures{}
	if r.Slots != nil {
		slots = *r.Slots
	}
	return append(vs,
		atMost("idle, SQL/s with 1 namespace", 2, i.SQL, known),
		atMost("idle, SQL/s with 20 namespaces", 2, i.SQL20, known),
		atMost("idle, CPU % of one core, server and PostgreSQL", 1, percent, hasPercent),
		atLeast("diamond4, steps/s with 50 slots ÷ with 1,000", 0.6, slots.Ratio, r.Slots != nil),
		atMost("resident memory of the server at the end, MB", 100, r.RSS, r.RSS > 0),
	)
}

// found writes a figure for people.
func found(v float64) string {
	switch {
	case v >= 1000:
		s := strconv.FormatFloat(v, 'f', 0, 64)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

func foundIf(v *float64) string {
	if v == nil {
		return "–"
	}
	return found(*v)
}
