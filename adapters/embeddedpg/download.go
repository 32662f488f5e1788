package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	library "github.com/fergusstrange/embedded-postgres"
)

const (
	downloadHost = "https://repo1.maven.org/maven2" // the library's own default
	reachTimeout = 3 * time.Second
	fetchTimeout = 3 * time.Minute
)

// downloads are the releases that the library knows, by major version.
var downloads = map[int]library.PostgresVersion{
	15: library.V15, 16: library.V16, 17: library.V17, 18: library.V18,
}

const newestDownload = 18

// download fetches the programs with the embedded-postgres library into the
// cache, where the next start finds them. Where the host cannot be reached it
// fails within seconds.
func download(ctx context.Context, s search) (binaries, error) {
	major := s.major
	if major == 0 {
		major = newestDownload
	}
	release, ok := downloads[major]
	if !ok {
		return binaries{}, fmt.Errorf("no download of PostgreSQL %d", major)
	}
	home := filepath.Join(s.cache, "postgresql-"+strconv.Itoa(major))
	if b, err := s.inspect(ctx, filepath.Join(home, "bin")); err == nil {
		return b, nil
	}
	if err := reachable(ctx, s.host); err != nil {
		return binaries{}, err
	}
	if err := os.MkdirAll(s.cache, 0o755); err != nil { //nolint:gosec // G301: programs for PostgreSQL's user too
		return binaries{}, err
	}
	s.log.Info("no PostgreSQL is installed that will do; downloading one", "version", string(release), "to", home)
	scratch, err := os.MkdirTemp(s.cache, "download-")
	if err != nil {
		return binaries{}, err
	}
	defer http.DefaultClient.CloseIdleConnections() // the library's client; nothing else is to be fetched
	// The library cannot be told to stop: when time is up, its goroutine is left
	// behind and ends with its transfer, in a directory that nobody uses.
	done := make(chan error, 1)
	go func() { done <- fetch(s.host, release, scratch) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-time.After(fetchTimeout):
		err = errors.New("download took too long")
	}
	if err == nil {
		err = s.install(ctx, filepath.Join(scratch, "programs"), home)
	}
	if err = errors.Join(err, os.RemoveAll(scratch)); err != nil {
		return binaries{}, err
	}
	return s.inspect(ctx, filepath.Join(home, "bin"))
}

// install moves programs to home, unless another server has been faster: its own
// may be running already.
func (s search) install(ctx context.Context, programs, home string) error {
	err := os.Rename(programs, home)
	if err == nil {
		return nil
	}
	if _, found := s.inspect(ctx, filepath.Join(home, "bin")); found == nil {
		return nil
	}
	return errors.Join(os.RemoveAll(home), os.Rename(programs, home)) // what is there does not work
}

// cacheDir returns where downloaded programs are kept: in the user's cache, or,
// for programs that root fetches for another user, in the machine's. Without
// either they stay beside the data.
func cacheDir(dataDir string, a account) string {
	if a.foreign {
		if dir := "/var/cache/tasker"; passable(dir) == nil {
			return dir
		}
	} else if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "tasker")
	}
	return filepath.Dir(dataDir)
}

// reachable reports whether host answers at all.
func reachable(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, host+"/", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		err = fmt.Errorf("%s: %s", host, resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}

// fetch unpacks the release into scratch/programs. The library has no call for
// that alone, so it is asked to start on data that cannot be started, and what
// counts is whether the programs are there afterwards.
func fetch(host string, release library.PostgresVersion, scratch string) error {
	data := filepath.Join(scratch, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	major, _, _ := strings.Cut(string(release), ".")
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(major+"\n"), 0o600); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // no wait
	if err != nil {
		return err
	}
	port := l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // of a TCP listener
	if err := l.Close(); err != nil {
		return err
	}
	programs := filepath.Join(scratch, "programs")
	err = library.NewDatabase(library.DefaultConfig().
		Version(release).
		BinaryRepositoryURL(host).
		CachePath(filepath.Join(scratch, "cache")).
		RuntimePath(filepath.Join(scratch, "run")).
		BinariesPath(programs).
		DataPath(data).
		Port(uint32(port)). //nolint:gosec // G115: a port
		Logger(io.Discard).
		StartTimeout(time.Second)).Start()
	if _, found := os.Stat(filepath.Join(programs, "bin", "initdb")); found == nil {
		return nil
	}
	return err
}
