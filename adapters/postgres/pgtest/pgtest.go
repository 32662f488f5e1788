// Package pgtest gives each test a PostgreSQL database of its own, cloned from a
// template that is migrated once. It knows no schema: the caller brings the
// migrations.
//
// The cluster is the one that TASKER_TEST_DATABASE_URL names (cmd/testpg sets
// it), so that all test packages share it. Without that, each test process
// starts a temporary one, which ends with the process however that ends.
package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// EnvURL names the cluster to use: the connection string, as a URL, of a
// superuser and any database.
const EnvURL = "TASKER_TEST_DATABASE_URL"

const cleanupTimeout = 30 * time.Second

// Schema is what a test database holds at first.
type Schema struct {
	// Files are the migrations. Only their names and contents count: schemas with
	// equal files share a template.
	Files fs.FS
	// Migrate applies them to the empty database at url, and leaves no connection
	// open.
	Migrate func(ctx context.Context, url string) error
}

// Database is an isolated database.
type Database struct {
	URL string
}

// New returns a database with the schema, which is dropped, with whatever is
// still connected to it, when the test is over. Tests may run in parallel.
func New(t testing.TB, s Schema) *Database {
	t.Helper()
	ctx := t.Context()
	cluster, err := shared()
	require.NoError(t, err, "start PostgreSQL for tests")
	template, err := templateFor(ctx, cluster, s)
	require.NoError(t, err, "make the template database")

	name := "test_" + strings.ToLower(rand.Text())
	dbURL, err := withDatabase(cluster, name)
	require.NoError(t, err)
	require.NoError(t, clone(ctx, cluster, name, template), "clone the template database")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		require.NoError(t, execute(ctx, cluster, "drop database if exists "+quoted(name)+" with (force)"))
	})
	return &Database{URL: dbURL}
}

// Empty returns a database with nothing in it, for tests of migrations.
func Empty(t testing.TB) *Database {
	t.Helper()
	return New(t, Schema{Migrate: func(context.Context, string) error { return nil }})
}

// Main runs the tests and then stops the cluster that they started, if any. Call
// it from TestMain; without it the cluster is killed when the process has ended.
func Main(m *testing.M) {
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
	}
	os.Exit(code)
}

// templates holds the name of each schema's template, once made.
var templates struct {
	sync.Mutex
	names map[string]string // by cluster and key
}

// templateFor returns the name of the schema's template database in the cluster,
// made now if nobody has made it yet.
func templateFor(ctx context.Context, cluster string, s Schema) (string, error) {
	key, err := keyOf(s.Files)
	if err != nil {
		return "", err
	}
	templates.Lock() // held while migrating: the other tests need the result
	defer templates.Unlock()
	if name, ok := templates.names[cluster+key]; ok {
		return name, nil
	}
	name := "template_" + key
	if err := makeTemplate(ctx, cluster, name, s.Migrate); err != nil {
		return "", err
	}
	if templates.names == nil {
		templates.names = map[string]string{}
	}
	templates.names[cluster+key] = name
	return name, nil
}

// keyOf hashes the migrations, and the versions of the modules linked in, some
// of which bring migrations of their own.
func keyOf(files fs.FS) (string, error) {
	h := sha256.New()
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			fmt.Fprintln(h, d.Path, d.Version)
		}
	}
	if files != nil {
		err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(files, path)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%q %d\n%s", path, len(text), text)
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("hash the migrations: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:12]), nil
}

// makeTemplate makes the template unless it is there. The advisory lock keeps
// other test processes waiting meanwhile; a database that is not yet marked as a
// template is what a killed one has left.
func makeTemplate(ctx context.Context, cluster, name string, migrate func(context.Context, string) error) (err error) {
	conn, err := pgx.Connect(ctx, cluster)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }() // frees the lock too
	sum := sha256.Sum256([]byte(name))
	lock := int64(binary.BigEndian.Uint64(sum[:8])) //nolint:gosec // G115: any number will do
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", lock); err != nil {
		return err
	}
	var ready bool
	err = conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1 and datistemplate)", name).Scan(&ready)
	if err != nil || ready {
		return err
	}
	for _, sql := range []string{"drop database if exists " + quoted(name) + " with (force)", "create database " + quoted(name)} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	dbURL, err := withDatabase(cluster, name)
	if err != nil {
		return err
	}
	if err := migrate(ctx, dbURL); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "alter database "+quoted(name)+" with is_template true allow_connections false")
	return err
}

// objectInUse: a backend that has just left the template is still seen there.
const objectInUse = "55006"

func clone(ctx context.Context, cluster, name, template string) error {
	sql := "create database " + quoted(name) + " template " + quoted(template) + " strategy " + strategy
	for {
		err := execute(ctx, cluster, sql)
		if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != objectInUse {
			return err
		}
		// PostgreSQL itself waits five seconds before it says so: no pause needed.
	}
}

// strategy is the faster way to copy a small database: see BenchmarkClone.
const strategy = "file_copy"

func execute(ctx context.Context, dbURL, sql string) error {
	conn, err := pgx.Connect(ctx, dbURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

// withDatabase returns the connection string of another database of the cluster.
func withDatabase(cluster, name string) (string, error) {
	u, err := url.Parse(cluster)
	if err != nil || u.Scheme == "" {
		return "", fmt.Errorf("%s must be a URL such as postgres://user@host/database", EnvURL)
	}
	u.Path = "/" + name
	return u.String(), nil
}
