package embeddedpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// initialise makes a new cluster at dataDir. It grows in a directory beside it
// and is renamed when whole, so that a crash leaves no half-made one behind.
func initialise(ctx context.Context, b binaries, dataDir string, a account, logger *slog.Logger) error {
	logger.Info("making a new PostgreSQL data directory", "data_dir", dataDir, "version", b.version, "user", a.name)
	password, err := makePassword(dataDir, a)
	if err != nil {
		return err
	}
	growing := dataDir + ".new"
	if err := os.RemoveAll(growing); err != nil {
		return fmt.Errorf("remove a half-made data directory: %w", err)
	}
	if err := a.privateDir(growing); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	cmd := a.command(ctx, filepath.Dir(dataDir), b.program("initdb"),
		"--pgdata="+growing, "--username="+roleName, "--pwfile="+password,
		"--auth-local=trust", "--auth-host=scram-sha-256",
		// Bytewise order: the same on every machine, and no index to rebuild when
		// the C library changes its mind.
		"--encoding=UTF8", "--locale=C", "--data-checksums")
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("make a PostgreSQL data directory: %w: %s", err, lastLines(string(out), 5))
	}
	// An empty directory that the user has made is in the way of the rename.
	if err := os.Remove(dataDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		if errors.Is(err, syscall.EBUSY) {
			return fmt.Errorf("%w: %s is a mount point: give a folder inside it, such as %s",
				ErrDataDir, dataDir, filepath.Join(dataDir, "postgres"))
		}
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if err := os.Rename(growing, dataDir); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	return syncDir(filepath.Dir(dataDir))
}

func passwordPath(dataDir string) string { return dataDir + ".password" }

// makePassword writes a fresh password beside the data and returns the file.
func makePassword(dataDir string, a account) (string, error) {
	path := passwordPath(dataDir)
	if err := removeIfThere(path); err != nil {
		return "", fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	f, err := openOwn(path, os.O_WRONLY, a)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	_, err = f.WriteString(rand.Text() + "\n")
	return path, errors.Join(err, f.Sync(), f.Close())
}

func readPassword(dataDir string) (string, error) {
	text, err := os.ReadFile(passwordPath(dataDir))
	if err != nil {
		return "", fmt.Errorf("unix sockets do not work here, and the password for TCP cannot be read: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func syncDir(path string) error {
	d, err := os.Open(path) //nolint:gosec // G304: parent of the data directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// lastLines returns the last n lines of text, joined in one.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, " | ")
}
