package embeddedpg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Find returns the connection string of the PostgreSQL that runs on a data
// directory now, whoever started it, and the empty string when none does. It
// makes and changes nothing; without data there it returns ErrDataDir.
func Find(dataDir string) (string, error) {
	if dataDir == "" {
		return "", fmt.Errorf("%w: none was given", ErrDataDir)
	}
	wanted, err := filepath.Abs(dataDir)
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrDataDir, dataDir, err)
	}
	dir, err := filepath.EvalSymlinks(wanted)
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "PG_VERSION"))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: there are no data in %s", ErrDataDir, wanted)
	case err != nil:
		return "", fmt.Errorf("%w: look into it as the user that PostgreSQL runs as, or as root: %w", ErrDataDir, err)
	}
	f, ok := readPIDFile(dir)
	if !ok || !f.whole || !serves(f.pid, dir) {
		return "", nil
	}
	e, err := f.endpoint(dir)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	return e.url(databaseName), nil
}
