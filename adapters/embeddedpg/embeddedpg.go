// Package embeddedpg is the PostgreSQL that the program brings itself: it finds
// the programs, makes the data directory, starts the postmaster as a user that
// may, restarts it when it dies and stops it at the end. It knows nothing of
// what is stored in it; to the rest of the program it is a connection string.
//
// # Who may get in
//
// The only door is a unix socket in a directory of mode 0700 that belongs to the
// user PostgreSQL runs as, so that user and root can connect and nobody else;
// within it no password is asked. Where unix sockets do not work, a free port on
// 127.0.0.1 takes its place, with a random password that is kept beside the data
// (mode 0600).
//
// # Which user
//
// PostgreSQL refuses to run as root. Started by root, it runs as the owner of
// the data directory if there is one already, else as "postgres", else as
// "nobody". Any other user runs it as itself.
//
// # Where the data lies
//
// In Config.DataDir. Only when root starts it and PostgreSQL's user cannot enter
// the folder (a clone in /root, say), the data lies in a directory below
// /var/lib/tasker whose name derives from DataDir, and DataDir becomes a symbolic
// link to it: the next start from the same folder finds the same data. Beside the
// data directory "x" stand x.lock (held by the live server), x.log (what
// PostgreSQL says before its own log in x/log is open), x.password and x.run (the
// socket).
package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"
)

// Errors that callers may want to tell apart. Their texts, as wrapped by Start,
// say what to do.
var (
	// ErrInUse: another live server holds the data directory.
	ErrInUse = errors.New("data directory in use")
	// ErrNoBinaries: no PostgreSQL of a supported version was found.
	ErrNoBinaries = errors.New("no PostgreSQL found")
	// ErrVersion: the data directory belongs to a major version that the
	// programs found cannot serve.
	ErrVersion = errors.New("PostgreSQL version mismatch")
	// ErrDataDir: the data directory cannot be used as it is.
	ErrDataDir = errors.New("unusable data directory")
)

// MinMajor is the oldest supported major version of PostgreSQL.
const MinMajor = 15

const (
	roleName            = "tasker" // superuser of the cluster
	databaseName        = "tasker"
	defaultStartTimeout = 5 * time.Minute
)

// Config says which PostgreSQL to run, and where.
type Config struct {
	// DataDir is the data directory; it is made when it does not exist. Its
	// parent must be writable. A relative path counts from the working directory.
	DataDir string
	// BinDir holds the programs "postgres" and "initdb". Empty means: search.
	BinDir string
	// StartTimeout limits the wait for PostgreSQL to accept connections, crash
	// recovery included. Zero means five minutes.
	StartTimeout time.Duration
	// Settings are PostgreSQL settings over this package's own, by name.
	Settings map[string]string
}

// Server is a running PostgreSQL. All methods may be called concurrently.
type Server struct {
	cfg      Config
	log      *slog.Logger
	account  account
	dataDir  string
	binaries binaries
	endpoint endpoint
	version  string
	lock     *dirLock

	lifetime   context.Context // ends when Stop begins
	endLife    context.CancelFunc
	abandon    chan struct{} // closed when Stop is over: watchers of other processes end
	supervised chan struct{} // closed when the supervisor has ended

	mu         sync.Mutex
	postmaster *postmaster

	stopOnce sync.Once
	stopErr  error
}

// Start runs PostgreSQL on cfg.DataDir and returns once it accepts connections.
// A PostgreSQL that a killed server left running there is taken over. From then
// on a postmaster that dies is started again, under the same URL, until Stop.
// Ending ctx gives up the start; it has no effect afterwards.
func Start(ctx context.Context, cfg Config, logger *slog.Logger) (_ *Server, err error) {
	if cfg.DataDir == "" {
		return nil, fmt.Errorf("%w: none was given", ErrDataDir)
	}
	if cfg.StartTimeout <= 0 {
		cfg.StartTimeout = defaultStartTimeout
	}
	wanted, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDataDir, cfg.DataDir, err)
	}
	s := &Server{cfg: cfg, log: logger, abandon: make(chan struct{}), supervised: make(chan struct{})}
	s.lifetime, s.endLife = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, s.giveUp())
		}
	}()

	if s.account, err = chooseAccount(wanted); err != nil {
		return nil, err
	}
	if s.dataDir, err = settle(ctx, wanted, s.account, logger); err != nil {
		return nil, err
	}
	if s.lock, err = lockDir(s.dataDir, s.account); err != nil {
		return nil, err
	}
	major, err := dataMajor(s.dataDir)
	if err != nil {
		return nil, err
	}
	if s.binaries, err = findBinaries(ctx, search{
		explicit: cfg.BinDir, major: major, dataDir: s.dataDir, account: s.account,
		places: packagePlaces, host: downloadHost, cache: cacheDir(s.dataDir, s.account), log: logger,
	}); err != nil {
		return nil, err
	}
	if major == 0 {
		if err = initialise(ctx, s.binaries, s.dataDir, s.account, logger); err != nil {
			return nil, err
		}
	}
	if s.endpoint, err = chooseEndpoint(s.dataDir, s.account); err != nil {
		return nil, err
	}
	startCtx, cancel := context.WithTimeoutCause(ctx, cfg.StartTimeout,
		fmt.Errorf("PostgreSQL did not accept connections within %s", cfg.StartTimeout))
	defer cancel()
	if err = s.launch(startCtx); err != nil {
		return nil, err
	}
	if s.version, err = s.prepare(startCtx); err != nil {
		return nil, err
	}
	go s.supervise()
	logger.Info("PostgreSQL is ready", "version", s.version, "data_dir", s.dataDir, "pid", s.PID())
	return s, nil
}

// URL returns the connection string, in the form that pgx reads. It stays the
// same as long as the server lives.
func (s *Server) URL() string { return s.endpoint.url(databaseName) }

// DataDir returns the directory where the data really lies.
func (s *Server) DataDir() string { return s.dataDir }

// Version returns the version that runs, such as "15.12".
func (s *Server) Version() string { return s.version }

// PID returns the process ID of the present postmaster.
func (s *Server) PID() int {
	if p := s.current(); p != nil {
		return p.pid
	}
	return 0
}

// Stop shuts PostgreSQL down: sessions are ended, and data are written, so that
// the next start needs no recovery. When ctx ends first, it is stopped at once
// and recovers at the next start; the error says so. Later calls return the
// result of the first.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() {
		s.endLife()
		<-s.supervised
		s.stopErr = s.shutdown(ctx)
	})
	return s.stopErr
}

// giveUp undoes a start that failed.
func (s *Server) giveUp() error {
	s.endLife()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.shutdown(ctx)
}

func (s *Server) shutdown(ctx context.Context) error {
	var err error
	if p := s.current(); p != nil {
		err = p.stop(ctx)
	}
	close(s.abandon)
	if s.endpoint.temporary {
		s.endpoint.remove()
	}
	return errors.Join(err, s.lock.release())
}

func (s *Server) current() *postmaster {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.postmaster
}

func (s *Server) setCurrent(p *postmaster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.postmaster = p
}
