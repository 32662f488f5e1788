package embeddedpg

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// dirLock is held by the one live server of a data directory. The kernel drops
// it with the process, however that ends.
type dirLock struct{ file *os.File }

// lockDir takes the lock of the data directory, or returns ErrInUse at once.
func lockDir(dataDir string, a account) (*dirLock, error) {
	path := dataDir + ".lock"
	f, err := openOwn(path, os.O_RDWR, a)
	if err != nil {
		return nil, fmt.Errorf("%w: lock it: %w", ErrDataDir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close() //nolint:errcheck // nothing was written
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: lock %s: %w", ErrDataDir, path, err)
		}
		holder := "another server"
		if text, err := io.ReadAll(io.LimitReader(f, 32)); err == nil && len(text) > 0 {
			holder = "another server, process " + strings.TrimSpace(string(text))
		}
		return nil, fmt.Errorf("%w: %s serves %s: stop it, or give this one another data directory", ErrInUse, holder, dataDir)
	}
	// The process ID is for people; the lock itself does not need it.
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: lock %s: %w", ErrDataDir, path, err), f.Close())
	}
	return &dirLock{file: f}, nil
}

// release gives the lock up. The file stays: removing it would let two servers
// lock two files of one name.
func (l *dirLock) release() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

// openOwn opens a file beside the data, making it for the account if need be. It
// does not follow a link, and does not use O_CREAT on a file that exists: in a
// sticky directory the kernel would refuse that to root.
func openOwn(path string, flags int, a account) (*os.File, error) {
	flags |= syscall.O_NOFOLLOW
	f, err := os.OpenFile(path, flags, 0) //nolint:gosec // G304: beside the data directory
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	f, err = os.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // G304: beside the data directory
	if errors.Is(err, fs.ErrExist) {
		return os.OpenFile(path, flags, 0) //nolint:gosec // G304: somebody was faster
	}
	if err != nil {
		return nil, err
	}
	if err := a.own(path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
