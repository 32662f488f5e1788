package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	adoptedPoll      = 250 * time.Millisecond // how soon the death of a process not our child is seen
	immediateTimeout = 5 * time.Second
)

// settings suit a server that shares two cores with its database.
var settings = map[string]string{
	"cluster_name":                 "tasker",
	"fsync":                        "on",
	"synchronous_commit":           "on",
	"shared_buffers":               "128MB",
	"max_connections":              "100",
	"max_wal_size":                 "2GB",
	"checkpoint_timeout":           "15min",
	"checkpoint_completion_target": "0.9",
	"jit":                          "off",
	"timezone":                     "UTC",
	"lc_messages":                  "C", // spawn's error is read by this package
	// One file for each hour of a day, begun anew the next day: bounded.
	"logging_collector":        "on",
	"log_destination":          "stderr",
	"log_directory":            "log",
	"log_filename":             "postgresql-%H.log",
	"log_rotation_age":         "60",
	"log_rotation_size":        "0",
	"log_truncate_on_rotation": "on",
	"log_timezone":             "UTC",
	// Values in statements are the users' business, not the log's.
	"log_parameter_max_length_on_error": "0",
}

// postmaster is one process that serves the data directory: our child, or one
// that a killed server left behind.
type postmaster struct {
	pid     int
	adopted bool
	exited  chan struct{} // closed when the process is gone
	done    <-chan struct{}
}

// spawn starts a postmaster. The caller holds the lock and has seen that none is
// alive.
func (s *Server) spawn() (*postmaster, error) {
	if err := s.endpoint.clear(); err != nil {
		return nil, fmt.Errorf("remove the socket of a dead PostgreSQL: %w", err)
	}
	out, err := openOwn(s.earlyLog(), os.O_WRONLY|os.O_APPEND, s.account)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	defer out.Close() //nolint:errcheck // the child has its own
	if err := out.Truncate(0); err != nil {
		return nil, err
	}
	all := maps.Clone(settings)
	maps.Copy(all, s.cfg.Settings)
	maps.Copy(all, s.endpoint.arguments())
	args := []string{"-D", s.dataDir}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "-c", name+"="+all[name])
	}
	// No context: PostgreSQL ends by Stop, never by a kill. A file, not a pipe:
	// it may outlive us.
	cmd := s.account.command(context.Background(), filepath.Dir(s.dataDir), s.binaries.program("postgres"), args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	p := &postmaster{pid: cmd.Process.Pid, exited: make(chan struct{}), done: s.abandon}
	go func() {
		_ = cmd.Wait() // how it ended stands in its log; that it ended is what counts
		close(p.exited)
	}()
	return p, nil
}

func (s *Server) earlyLog() string { return s.dataDir + ".log" }

// adopt returns process pid as the postmaster of the data directory, or nil if
// it is not that, or is dead.
func (s *Server) adopt(pid int) *postmaster {
	if !serves(pid, s.dataDir) {
		return nil
	}
	p := &postmaster{pid: pid, adopted: true, exited: make(chan struct{}), done: s.abandon}
	go func() {
		tick := time.NewTicker(adoptedPoll)
		defer tick.Stop()
		for serves(p.pid, s.dataDir) {
			select {
			case <-tick.C:
			case <-p.done:
				return
			}
		}
		close(p.exited)
	}()
	return p
}

// stop ends the process: in order while ctx lasts, then at once.
func (p *postmaster) stop(ctx context.Context) error {
	if p.signal(syscall.SIGINT); p.gone(ctx) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), immediateTimeout)
	defer cancel()
	if p.signal(syscall.SIGQUIT); p.gone(ctx) {
		return errors.New("PostgreSQL took too long to shut down and was stopped at once; it recovers at the next start")
	}
	return fmt.Errorf("PostgreSQL, process %d, does not stop", p.pid)
}

func (p *postmaster) signal(sig syscall.Signal) {
	select {
	case <-p.exited: // the number may be somebody else's by now
	default:
		_ = syscall.Kill(p.pid, sig) // gone in this moment, then exited says so
	}
}

func (p *postmaster) gone(ctx context.Context) bool {
	select {
	case <-p.exited:
		return true
	case <-ctx.Done():
		return false
	}
}

// pidFile is what a postmaster says of itself in postmaster.pid.
type pidFile struct {
	pid       int
	port      int
	socketDir string
	whole     bool // false while the postmaster is still writing it
}

func pidPath(dataDir string) string { return filepath.Join(dataDir, "postmaster.pid") }

// readPIDFile returns false when there is none.
func readPIDFile(dataDir string) (f pidFile, ok bool) {
	text, err := os.ReadFile(pidPath(dataDir))
	if err != nil {
		return pidFile{}, false
	}
	// Process, data directory, start time, port, socket directory, address, …
	lines := strings.Split(string(text), "\n")
	if f.pid, err = strconv.Atoi(strings.TrimSpace(lines[0])); err != nil || len(lines) < 7 {
		return f, true
	}
	f.port, err = strconv.Atoi(strings.TrimSpace(lines[3]))
	f.socketDir = strings.TrimSpace(lines[4])
	f.whole = err == nil
	return f, true
}

// endpoint returns the door that the postmaster of the file has.
func (f pidFile) endpoint(dataDir string) (endpoint, error) {
	e := endpoint{socketDir: f.socketDir, port: f.port}
	if e.socketDir != "" {
		return e, nil
	}
	var err error
	e.password, err = readPassword(dataDir)
	return e, err
}

// serves reports whether process pid is alive and is the postmaster of dataDir:
// a number can be used again, by anything, after a crash or a reboot.
func serves(pid int, dataDir string) bool {
	if pid <= 1 || syscall.Kill(pid, 0) != nil {
		return false
	}
	if runtime.GOOS == "linux" {
		// A postmaster works in its data directory; a zombie works nowhere.
		cwd, err := os.Stat("/proc/" + strconv.Itoa(pid) + "/cwd")
		if err == nil {
			data, err := os.Stat(dataDir)
			return err == nil && os.SameFile(cwd, data)
		}
		if !errors.Is(err, fs.ErrPermission) {
			return false
		}
	}
	out, err := exec.Command("ps", "-o", "stat=,command=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec,noctx // a number
	return err == nil && !strings.HasPrefix(string(out), "Z") && strings.Contains(string(out), "postgres")
}
