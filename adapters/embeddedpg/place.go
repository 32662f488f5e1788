package embeddedpg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// settle returns where the data lie: at wanted, or, when the account cannot get
// there, at a place derived from wanted. The parent of that place exists.
func settle(ctx context.Context, wanted string, a account, logger *slog.Logger) (string, error) {
	dir, err := resolve(wanted)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil { //nolint:gosec // G301: the data directory below is 0700
		return "", fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if ok, err := a.canEnter(ctx, parent); ok || err != nil {
		return dir, err
	}
	if _, err := os.Stat(filepath.Join(dir, "PG_VERSION")); err == nil {
		return "", fmt.Errorf("%w: user %s, which PostgreSQL runs as, cannot enter %s, where its data lie: "+
			"give others the right to pass through the folders above (chmod o+x)", ErrDataDir, a.name, parent)
	}
	moved, err := elsewhere(ctx, dir, a)
	if err != nil {
		return "", err
	}
	logger.Warn("PostgreSQL's user cannot enter the data directory; the data lie elsewhere",
		"wanted", wanted, "data_dir", moved, "user", a.name)
	// A convenience: people and the next start find the data from the folder.
	if err := os.Symlink(moved, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		logger.Debug("no link to the moved data", "error", err)
	}
	return moved, nil
}

// resolve follows wanted, and the folder it is in, to a path without links. The
// end of a dangling link is where the data are to be.
func resolve(wanted string) (string, error) {
	if target, err := os.Readlink(wanted); err == nil {
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(wanted), target)
		}
		wanted = target
	}
	if full, err := filepath.EvalSymlinks(wanted); err == nil {
		return full, nil
	}
	parent := filepath.Dir(wanted)
	if err := os.MkdirAll(parent, 0o755); err != nil { //nolint:gosec // G301: see settle
		return "", err
	}
	full, err := filepath.EvalSymlinks(parent)
	if err != nil {
		return "", err
	}
	return filepath.Join(full, filepath.Base(wanted)), nil
}

// elsewhere returns a place for the data that belong at dir. The name carries a
// hash of dir, so that each folder has its own and always the same.
func elsewhere(ctx context.Context, dir string, a account) (string, error) {
	sum := sha256.Sum256([]byte(dir))
	id := hex.EncodeToString(sum[:6])
	var tried []error
	// The temporary directory does not outlive a reboot everywhere: last.
	for _, base := range []string{"/var/lib/tasker", filepath.Join(os.TempDir(), "tasker-"+strconv.Itoa(os.Geteuid()))} {
		parent := filepath.Join(base, id)
		if err := errors.Join(passable(base), passable(parent)); err != nil {
			tried = append(tried, err)
			continue
		}
		ok, err := a.canEnter(ctx, parent)
		if ok || err != nil {
			return filepath.Join(parent, "postgres"), err
		}
		tried = append(tried, fmt.Errorf("user %s cannot enter %s", a.name, parent))
	}
	return "", fmt.Errorf("%w: user %s, which PostgreSQL runs as, cannot enter %s, and no other place was found: %w",
		ErrDataDir, a.name, filepath.Dir(dir), errors.Join(tried...))
}

// passable makes path a directory of ours that others can pass through but
// neither list nor change.
func passable(path string) error {
	if err := os.MkdirAll(path, 0o711); err != nil { //nolint:gosec // G301: PostgreSQL's user must pass
		return err
	}
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if owner, _ := ownerOf(st); !st.IsDir() || owner != os.Geteuid() || st.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a directory that only user %s can write", path, userName(os.Geteuid()))
	}
	return nil
}

// dataMajor returns the major version that the data in dir belong to, or zero
// when there are none yet.
func dataMajor(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "PG_VERSION")) //nolint:gosec // G304: the caller's data directory
	if errors.Is(err, fs.ErrNotExist) {
		return 0, emptyOrAbsent(dir)
	}
	if errors.Is(err, fs.ErrPermission) {
		owner := "another user"
		if st, err := os.Stat(dir); err == nil {
			uid, _ := ownerOf(st)
			owner = "user " + userName(uid)
		}
		return 0, fmt.Errorf("%w: %s belongs to %s: start as that user or as root, or give another data directory",
			ErrDataDir, dir, owner)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%w: %s holds data of PostgreSQL %q, and the oldest supported is %d: "+
			"move them to a newer one with pg_dump, or give another data directory",
			ErrVersion, dir, strings.TrimSpace(string(text)), MinMajor)
	}
	return major, nil
}

func emptyOrAbsent(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: %s is not a directory", ErrDataDir, dir)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%w: %s is not empty and holds no PostgreSQL data: empty it, or give another data directory",
			ErrDataDir, dir)
	}
	return nil
}
