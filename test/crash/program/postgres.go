package program

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresURL returns the connection string of the embedded PostgreSQL that
// serves a data directory, from what PostgreSQL itself says there.
func PostgresURL(dataDir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if err != nil {
		return "", err
	}
	// Process, data directory, start time, port, socket directory, …
	lines := strings.Split(string(text), "\n")
	if len(lines) < 5 || strings.TrimSpace(lines[4]) == "" {
		return "", fmt.Errorf("the PostgreSQL of %s names no socket", dataDir)
	}
	q := url.Values{"host": {strings.TrimSpace(lines[4])}, "port": {strings.TrimSpace(lines[3])}, "sslmode": {"disable"}}
	u := url.URL{Scheme: "postgres", User: url.User("tasker"), Path: "/tasker", RawQuery: q.Encode()}
	return u.String(), nil
}

// Casualty is which part of PostgreSQL is killed.
type Casualty string

// The casualties. The postmaster alone leaves its backends to notice; a backend
// has the postmaster end all others at once and recover; all at the same time
// is what a machine without memory does.
const (
	PostmasterDies Casualty = "postmaster"
	BackendDies    Casualty = "backend"
	AllDie         Casualty = "everything"
)

// KillPostgres kills a part of the PostgreSQL that serves a data directory. The
// processes are asked for beforehand, so that nothing stands between the first
// kill and the last.
func KillPostgres(ctx context.Context, dataDir string, what Casualty) error {
	postmaster, alive := Postmaster(dataDir)
	if !alive {
		return fmt.Errorf("no PostgreSQL serves %s", dataDir)
	}
	victims := []int{postmaster}
	if what != PostmasterDies {
		backends, err := backends(ctx, dataDir, what == AllDie)
		if err != nil {
			return err
		}
		if what == BackendDies {
			victims = backends[:1]
		} else {
			victims = append(victims, backends...)
		}
	}
	for _, pid := range victims {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("kill PostgreSQL's process %d: %w", pid, err)
		}
	}
	return nil
}

// backends lists the processes that serve the server's own connections, the
// busiest first, or all but the postmaster.
func backends(ctx context.Context, dataDir string, all bool) ([]int, error) {
	u, err := PostgresURL(dataDir)
	if err != nil {
		return nil, err
	}
	conn, err := connect(ctx, u)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, `
		select pid from pg_stat_activity
		where pid <> pg_backend_pid() and ($1 or application_name = 'tasker')
		order by state = 'active' desc nulls last, state_change desc`, all)
	if err != nil {
		return nil, err
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err == nil && len(pids) == 0 {
		err = fmt.Errorf("the PostgreSQL of %s has no connection of a server", dataDir)
	}
	return pids, err
}

// connect waits while PostgreSQL recovers.
func connect(ctx context.Context, u string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, u)
		if err == nil || ctx.Err() != nil {
			return conn, err
		}
		<-tick.C
	}
}
