package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/tasker-go/tasker/test/crash/checker"
	"github.com/tasker-go/tasker/test/crash/program"
)

// shown is how many violations are printed.
const shown = 40

// report is what came of a run.
type report struct {
	began      time.Time
	took       time.Duration
	kills      []kill
	retried    int
	existing   int
	torn       int
	checked    *checker.Report
	violations []string
}

func (r *report) violate(who, format string, args ...any) {
	r.violations = append(r.violations, who+": "+fmt.Sprintf(format, args...))
}

// storm takes over what the harness itself has seen.
func (r *report) storm(s *storm) {
	r.took = time.Since(r.began)
	c := s.clients
	r.retried, r.existing, r.torn = c.retried, c.existing, s.runs.Torn
	for _, a := range c.unexpected {
		r.violate("client", "an answer that no server may give here: %s", a)
	}
	if len(c.ids) != s.o.tasks {
		r.violate("client", "%d tasks are acknowledged, want %d", len(c.ids), s.o.tasks)
	}
	seen := map[string]bool{}
	for _, id := range c.ids {
		if seen[id] {
			r.violate("client", "task %s was given for two requests", id)
		}
		seen[id] = true
	}
	if r.torn > s.o.kills {
		r.violate("log", "%d lines of the handlers' log cannot be read, and at most one is cut off by a kill", r.torn)
	}
}

func (r *report) print(w io.Writer) {
	{
		c := r.checked
		killed := map[program.Casualty]int{}
		var server, postgres time.Duration // slowest recoveries
		hit := 0
		for _, k := range r.kills {
			killed[k.target]++
			hit += k.running
			if k.target == serverDies {
				server = max(server, k.took)
			} else {
				postgres = max(postgres, k.took)
			}
		}
		dead := killed[program.PostmasterDies] + killed[program.BackendDies] + killed[program.AllDie]
		for _, line := range []string{
			fmt.Sprintf("%d tasks, %d steps, all %d rows of history checked, in %s", c.Tasks, c.Steps, c.Moves, r.took.Round(time.Second/10)),
			fmt.Sprintf("%d kills of the server, %d of PostgreSQL (postmaster %d, a backend %d, everything %d); %d steps were running",
				killed[serverDies], dead, killed[program.PostmasterDies], killed[program.BackendDies], killed[program.AllDie], hit),
			fmt.Sprintf("%d handler runs: %d returned, %d failed on purpose, %d were cut off; %d of them were repeats of an attempt",
				c.Runs, c.Ended, c.Failed, c.CutOff, c.Repeats),
			fmt.Sprintf("%d retries; %d leases recovered, the slowest %s after the kill before it", c.Retries, len(c.Released), r.slowestRelease()),
			fmt.Sprintf("slowest recovery: %s after a kill of the server, %s after one of PostgreSQL",
				server.Round(time.Millisecond), postgres.Round(time.Millisecond)),
			fmt.Sprintf("%d requests were made again; %d of them found their task created", r.retried, r.existing),
		} {
			fmt.Fprintln(w, line)
		}
	}
	for i, v := range r.violations {
		if i == shown {
			fmt.Fprintf(w, "… and %d more\n", len(r.violations)-shown)
			break
		}
		fmt.Fprintln(w, "VIOLATION", v)
	}
	fmt.Fprintf(w, "%d violations\n", len(r.violations))
}

// slowestRelease is the longest time from the last kill before a lease was
// given up.
func (r *report) slowestRelease() time.Duration {
	var slowest time.Duration
	for _, at := range r.checked.Released {
		var since time.Duration
		for _, k := range r.kills {
			if k.at.Before(at) {
				since = at.Sub(k.at)
			}
		}
		slowest = max(slowest, since)
	}
	return slowest.Round(time.Millisecond)
}

// faultsIn looks for what a server must never say, and returns the first of it.
func faultsIn(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close() //nolint:errcheck // nothing was written
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		for _, bad := range []string{"DATA RACE", "panic:", "panicked", "fatal error:"} {
			if strings.Contains(lines.Text(), bad) {
				return "its log has: " + lines.Text()
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err.Error()
	}
	return ""
}
