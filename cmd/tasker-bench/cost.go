package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// processCPU returns the CPU time, user and system, that this process has used.
func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentMiB returns the memory of this process that is resident, as the
// operating system sees it.
func residentMiB(ctx context.Context) (float64, error) {
	const kib = 1024
	if text, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
				return kb / kib, err
			}
		}
	}
	out, err := exec.CommandContext(ctx, "ps", "-o", "rss=", "-p", strconv.Itoa(os.Getpid())).Output() //nolint:gosec // G204: a number
	if err != nil {
		return 0, fmt.Errorf("resident memory: %w", err)
	}
	kb, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return kb / kib, err
}

// clockTick is what /proc counts CPU time in: USER_HZ, 100 on every Linux that
// Go runs on.
const clockTick = time.Second / 100

// processStat is what /proc says of a process.
type processStat struct {
	parent int
	own    time.Duration // CPU time of the process
	reaped time.Duration // and of its children that have ended
}

// parseStat reads the content of /proc/<pid>/stat.
func parseStat(text string) (processStat, error) {
	// The name, in parentheses, may hold anything, parentheses included.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const state, parent, utime, stime, cutime, cstime = 0, 1, 11, 12, 13, 14
	if len(fields) <= cstime {
		return processStat{}, fmt.Errorf("unreadable /proc/…/stat after state %q", strings.Join(fields[:min(len(fields), state+1)], ""))
	}
	var n [cstime + 1]int64
	for _, i := range []int{parent, utime, stime, cutime, cstime} {
		var err error
		if n[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return processStat{}, err
		}
	}
	return processStat{
		parent: int(n[parent]),
		own:    time.Duration(n[utime]+n[stime]) * clockTick,
		reaped: time.Duration(n[cutime]+n[cstime]) * clockTick,
	}, nil
}

func readStat(pid int) (processStat, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return processStat{}, err
	}
	return parseStat(string(text))
}

// postgresCPU returns the CPU time of a postmaster and all its children, those
// that have ended included; false where that cannot be told.
func postgresCPU(postmaster int) (time.Duration, bool) {
	if postmaster == 0 || runtime.GOOS != "linux" {
		return 0, false
	}
	top, err := readStat(postmaster)
	if err != nil {
		return 0, false
	}
	sum := top.own + top.reaped
	all, err := os.ReadDir("/proc")
	if err != nil {
		return 0, false
	}
	for _, entry := range all {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil && s.parent == postmaster { // PostgreSQL's tree has one level
			sum += s.own + s.reaped
		}
	}
	return sum, true
}

// postmasterOf returns the process that a connection's backend is a child of,
// or 0 when it does not run on this machine.
func postmasterOf(ctx context.Context, conn *pgx.Conn) int {
	var backend int
	if err := conn.QueryRow(ctx, "select pg_backend_pid()").Scan(&backend); err != nil {
		return 0
	}
	name, err := os.ReadFile("/proc/" + strconv.Itoa(backend) + "/cmdline")
	if err != nil || !strings.HasPrefix(string(name), "postgres:") {
		return 0
	}
	s, err := readStat(backend)
	if err != nil {
		return 0
	}
	return s.parent
}

// meter reads what running things costs.
type meter struct {
	conn       *pgx.Conn // to the cluster; its own statements are few
	postmaster int
	counter    *counter
}

// reading is what had been used at one moment.
type reading struct {
	at       time.Time
	counted  counted
	wal      int64 // position, in bytes
	server   time.Duration
	postgres time.Duration
	known    bool // whether postgres is
}

func (m *meter) read(ctx context.Context) (reading, error) {
	r := reading{counted: m.counter.read(), server: processCPU()}
	err := m.conn.QueryRow(ctx, "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").Scan(&r.wal)
	if err != nil {
		return r, fmt.Errorf("read the WAL's position: %w", err)
	}
	r.postgres, r.known = postgresCPU(m.postmaster)
	r.at = time.Now()
	return r, nil
}

// used is what was used between two readings.
type used struct {
	time             time.Duration
	counted          counted
	wal              int64
	server, postgres time.Duration
	known            bool
}

func (r reading) since(earlier reading) used {
	return used{
		time: r.at.Sub(earlier.at), counted: r.counted.since(earlier.counted), wal: r.wal - earlier.wal,
		server: r.server - earlier.server, postgres: r.postgres - earlier.postgres, known: r.known && earlier.known,
	}
}
