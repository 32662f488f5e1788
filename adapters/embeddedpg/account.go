package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that PostgreSQL runs as.
type account struct {
	uid, gid int
	name     string
	foreign  bool // not the user of this process, which is then root
}

// unprivileged are the users that root runs PostgreSQL as, best first.
var unprivileged = []string{"postgres", "_postgres", "nobody"}

// chooseAccount returns the user to run PostgreSQL as, for data at wanted.
func chooseAccount(wanted string) (account, error) {
	uid := os.Geteuid()
	if uid != 0 {
		return account{uid: uid, gid: os.Getegid(), name: userName(uid)}, nil
	}
	if st, err := os.Stat(filepath.Join(wanted, "PG_VERSION")); err == nil {
		owner, group := ownerOf(st)
		if owner == 0 {
			return account{}, fmt.Errorf("%w: %s belongs to root, and PostgreSQL does not run as root: chown -R it to an ordinary user",
				ErrDataDir, wanted)
		}
		return account{uid: owner, gid: group, name: userName(owner), foreign: true}, nil
	}
	for _, name := range unprivileged {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		id, err := strconv.Atoi(u.Uid)
		if err != nil || id == 0 {
			continue
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil {
			continue
		}
		return account{uid: id, gid: gid, name: name, foreign: true}, nil
	}
	return account{}, fmt.Errorf("%w: PostgreSQL does not run as root, and there is no user %q or %q to run it as: "+
		"add one, or start this program as an ordinary user", ErrDataDir, "postgres", "nobody")
}

// command returns a command that runs as the account, in its own session, so
// that a Ctrl-C in the terminal reaches this program alone.
func (a account) command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // G204: PostgreSQL's own programs, found or named by the operator
	cmd.Dir = dir
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if a.foreign {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)} //nolint:gosec // G115: from the OS
	}
	return cmd
}

// environment is what PostgreSQL's programs get to see: none of the PG* settings
// of the caller, which would change what they do, and none of its secrets.
func environment() []string {
	env := []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// canEnter reports whether the account can work in dir. The error is that of
// ctx, when it ended before there was an answer.
func (a account) canEnter(ctx context.Context, dir string) (bool, error) {
	if !a.foreign {
		return true, nil
	}
	// The kernel's word, since mode bits alone know nothing of ACLs: the child
	// changes to dir after it has become the user.
	err := a.command(ctx, dir, "/bin/sh", "-c", ":").Run()
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return err == nil, nil
}

// own gives path to the account.
func (a account) own(path string) error {
	if !a.foreign {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// privateDir makes path a directory of mode 0700 that belongs to the account,
// and refuses one that somebody else has put there.
func (a account) privateDir(path string) error {
	err := os.Mkdir(path, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err == nil {
		return a.own(path)
	}
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if owner, _ := ownerOf(st); !st.IsDir() || owner != a.uid || st.Mode().Perm() != 0o700 {
		return fmt.Errorf("%s is not a private directory of user %s", path, a.name)
	}
	return nil
}

func ownerOf(st fs.FileInfo) (uid, gid int) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, -1
	}
	return int(sys.Uid), int(sys.Gid)
}

func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}
