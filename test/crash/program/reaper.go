package program

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// reaperArgument starts a program as the reaper of another; see Reap.
const reaperArgument = "-reap"

// Reaper is a process that outlives this one, to end what it has started: the
// kernel closes the pipe however we end. All methods are safe for concurrent
// use, and do nothing on a nil Reaper.
type Reaper struct {
	cmd *exec.Cmd

	mu   sync.Mutex
	pipe io.WriteCloser
}

// StartReaper starts this program once more, as the reaper. The program must
// call Reap first of all.
func StartReaper() (*Reaper, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, reaperArgument)
	cmd.Dir, cmd.Stderr = "/", os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no Ctrl-C from the terminal
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the reaper: %w", err)
	}
	return &Reaper{cmd: cmd, pipe: pipe}, nil
}

// Process has a process killed at the end.
func (r *Reaper) Process(pid int) { r.tell("process", strconv.Itoa(pid)) }

// Ended takes back Process: the number may come to mean something else.
func (r *Reaper) Ended(pid int) { r.tell("ended", strconv.Itoa(pid)) }

// Postgres has the PostgreSQL that serves a data directory ended at the end.
func (r *Reaper) Postgres(dataDir string) { r.tell("postgres", dataDir) }

// Remove has a folder removed at the end.
func (r *Reaper) Remove(dir string) { r.tell("remove", dir) }

func (r *Reaper) tell(what, about string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintln(r.pipe, what, about) // without a reaper there is only our own cleaning up
}

// Close has the reaper do its work, and waits for it.
func (r *Reaper) Close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	_ = r.pipe.Close()
	r.mu.Unlock()
	return r.cmd.Wait()
}

// Reap is the reaper's life, if this program was started as one: it waits until
// its starter has ended, cleans up after it, and does not return.
func Reap() {
	if len(os.Args) < 2 || os.Args[1] != reaperArgument {
		return
	}
	processes := map[int]bool{}
	var dataDirs, folders []string
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		what, about, _ := strings.Cut(orders.Text(), " ")
		pid, _ := strconv.Atoi(about)
		switch what {
		case "process":
			processes[pid] = true
		case "ended":
			delete(processes, pid)
		case "postgres":
			dataDirs = append(dataDirs, about)
		case "remove":
			folders = append(folders, about)
		}
	}
	for pid := range processes {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	failed := false
	for _, dir := range dataDirs {
		failed = !endPostgres(dir) || failed
	}
	for _, dir := range append(moved(dataDirs), folders...) {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "clean up:", err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
	os.Exit(0)
}

// moved returns the folders of data that a server has put elsewhere, where it
// left a link to them.
func moved(dataDirs []string) []string {
	var dirs []string
	for _, dir := range dataDirs {
		if target, err := os.Readlink(dir); err == nil && filepath.Base(target) == filepath.Base(dir) {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	return dirs
}

// Postmaster returns the process that serves a data directory, and false when
// none is alive.
func Postmaster(dataDir string) (pid int, alive bool) {
	text, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(text), "\n")
	if pid, err = strconv.Atoi(strings.TrimSpace(first)); err != nil || syscall.Kill(pid, 0) != nil {
		return 0, false
	}
	// The number may be somebody else's: a postmaster works in its data
	// directory. Where that cannot be seen, the file's word must do.
	works, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return pid, !os.IsNotExist(err) || !onLinux()
	}
	data, err := os.Stat(dataDir)
	return pid, err == nil && os.SameFile(works, data)
}

// Works reports whether a process is at work. One that has ended, and whose end
// its parent has not asked for yet, is not.
func Works(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	_, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid)) // a zombie has none
	return err == nil || !onLinux()
}

func onLinux() bool {
	_, err := os.Stat("/proc/self/cwd")
	return err == nil
}

// endPostgres stops a PostgreSQL at once, and reports whether it is gone.
func endPostgres(dataDir string) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range 500 {
		pid, alive := Postmaster(dataDir)
		if !alive {
			return true
		}
		sig := syscall.SIGQUIT
		if i > 250 {
			sig = syscall.SIGKILL
		}
		_ = syscall.Kill(pid, sig)
		<-tick.C
	}
	fmt.Fprintln(os.Stderr, "clean up: PostgreSQL does not stop:", dataDir)
	return false
}
