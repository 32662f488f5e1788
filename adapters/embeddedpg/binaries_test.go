package embeddedpg

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// install puts programs into dir that say they are of the version.
func install(t *testing.T, dir, version string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"postgres", "initdb"} {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s'\n", name, version)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
}

// major returns the number that version begins with.
func major(version string) string { return digits.FindString(version) }

// machine has the packages of some versions; nothing can be downloaded.
func machine(t *testing.T, versions ...string) search {
	t.Helper()
	root, err := os.MkdirTemp("", "machine-") //nolint:usetesting // every user must be able to enter it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(root)) })
	require.NoError(t, os.Chmod(root, 0o755))
	for _, v := range versions {
		install(t, filepath.Join(root, major(v), "bin"), v)
	}
	a, err := chooseAccount(filepath.Join(root, "data"))
	require.NoError(t, err)
	return search{
		dataDir: filepath.Join(root, "data"), account: a,
		places: []string{root + "/*/bin"},
		host:   "http://127.0.0.1:1", // refuses connections
		cache:  filepath.Join(root, "cache"),
		log:    slog.New(slog.DiscardHandler),
	}
}

func TestSearchForBinaries(t *testing.T) {
	t.Setenv("PATH", "/nowhere") // what is installed on this machine must not count
	for name, c := range map[string]struct {
		installed []string
		major     int    // of the data
		want      string // version
		is        error
		says      string
	}{
		"the newest of several":        {installed: []string{"9.6.24", "15.12", "17.4", "16.8"}, want: "17.4"},
		"two digits beat one":          {installed: []string{"9.6.24", "15.12"}, want: "15.12"},
		"a beta":                       {installed: []string{"19beta1"}, want: "19beta1"},
		"the one that fits the data":   {installed: []string{"15.12", "17.4"}, major: 15, want: "15.12"},
		"none for the data":            {installed: []string{"15.12", "17.4"}, major: 16, is: ErrVersion, says: "postgresql-16"},
		"none for the data, says what": {installed: []string{"15.12"}, major: 16, is: ErrVersion, says: "found: 15.12 in "},
		"only old ones":                {installed: []string{"13.9", "14.1"}, is: ErrNoBinaries, says: "found: 14.1 in"},
		"none":                         {is: ErrNoBinaries, says: "apt-get install postgresql"},
		"data that are too old":        {installed: []string{"14.1"}, major: 14, is: ErrVersion, says: "pg_upgrade"},
	} {
		t.Run(name, func(t *testing.T) {
			s := machine(t, c.installed...)
			s.major = c.major
			b, err := findBinaries(t.Context(), s)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
				require.ErrorContains(t, err, c.says)
				require.NotContains(t, err.Error(), "\n", "one line")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, b.version)
		})
	}
}

func TestPathComesFirst(t *testing.T) {
	s := machine(t, "17.4")
	root := filepath.Dir(s.dataDir)
	target := filepath.Join(root, "opt", "lib", "bin")
	install(t, target, "16.8")
	links := filepath.Join(root, "links") // has no initdb, as on a machine with one link
	require.NoError(t, os.Mkdir(links, 0o755))
	require.NoError(t, os.Symlink(filepath.Join(target, "postgres"), filepath.Join(links, "postgres")))
	t.Setenv("PATH", links+":"+os.Getenv("PATH"))
	b, err := findBinaries(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, "16.8", b.version)
	require.Equal(t, target, b.dir)
}

func TestExplicitDirectoryIsTheOnlyOne(t *testing.T) {
	t.Parallel()
	s := machine(t, "15.12", "14.1")
	root := filepath.Dir(s.dataDir)

	s.explicit = filepath.Join(root, "15") // the directory above bin will do
	b, err := findBinaries(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "15", "bin"), b.dir)

	s.explicit = filepath.Join(root, "nothing")
	_, err = findBinaries(t.Context(), s)
	require.ErrorIs(t, err, ErrNoBinaries)
	require.ErrorContains(t, err, s.explicit)

	s.explicit = filepath.Join(root, "14")
	_, err = findBinaries(t.Context(), s)
	require.ErrorIs(t, err, ErrNoBinaries)
	require.ErrorContains(t, err, "14.1, and the oldest supported is 15")

	s.explicit, s.major = filepath.Join(root, "15"), 16
	_, err = findBinaries(t.Context(), s)
	require.ErrorIs(t, err, ErrVersion)
}

func TestProgramsThatTheUserCannotRunDoNotCount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root runs PostgreSQL as another user")
	}
	s := machine(t, "17.4", "16.8")
	require.NoError(t, os.Chmod(filepath.Join(filepath.Dir(s.dataDir), "17"), 0o700))
	t.Setenv("PATH", "/nowhere")
	b, err := findBinaries(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, "16.8", b.version)
}

func TestDownloadFailsFastWhereItIsNotReachable(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"nobody answers":      func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a proxy refuses":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"a mirror without it": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			s := machine(t)
			s.host = server.URL
			begin := time.Now()
			_, err := download(t.Context(), s)
			require.Error(t, err)
			require.Less(t, time.Since(begin), reachTimeout+5*time.Second)
			left, err := filepath.Glob(filepath.Join(s.cache, "*"))
			require.NoError(t, err)
			require.Empty(t, left, "nothing is left behind")
		})
	}
}

func TestDownload(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	s := machine(t)
	s.host = downloadHost
	if err := reachable(t.Context(), s.host); err != nil {
		t.Skip("no download from here: ", err)
	}
	s.major = 16
	b, err := findBinaries(t.Context(), s)
	if err != nil && errors.Is(err, ErrVersion) {
		t.Skip("the host answers, but has no PostgreSQL: ", err)
	}
	require.NoError(t, err)
	require.Equal(t, 16, b.major)

	s.host = "http://127.0.0.1:1"
	again, err := findBinaries(t.Context(), s)
	require.NoError(t, err, "kept for the next start")
	require.Equal(t, b, again)
}
