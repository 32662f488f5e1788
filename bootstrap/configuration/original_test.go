package configuration

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// originalKeys is every key of the original system, in order.
//
//go:embed testdata/original_keys.txt
var originalKeys string

// loadFile loads content as the one merged file.
func loadFile(t *testing.T, content string, environ ...string) (*Config, []Warning, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.toml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return Load(Sources{File: path, Environ: environ})
}

// Each key of the original is either a key here or in the table, never both:
// a key that is added here must leave the table.
func TestEveryKeyOfTheOriginalIsKnown(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for key := range strings.Lines(originalKeys) {
		key = strings.TrimSpace(key)
		o, foreign := ofOriginal(key)
		require.NotEqual(t, foreign, keys().byKey[key] != nil, key)
		if foreign {
			used[o.why] = true
		}
	}
	for _, o := range originals {
		require.True(t, used[o.why], "the original has none of %v", o.keys)
	}
	for _, l := range keys().leaves {
		_, foreign := ofOriginal(l.key)
		require.False(t, foreign, l.key)
	}
}

// A file with everything that the original has and this server has not starts
// the server as if it were empty, and each row of the table says so.
func TestAFileOfTheOriginalStartsTheServer(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	for key := range strings.Lines(originalKeys) {
		key = strings.TrimSpace(key)
		if _, foreign := ofOriginal(key); foreign {
			dot := strings.LastIndex(key, ".")
			section, value := key[:dot], `"${NOT_SET}"`
			if o, _ := ofOriginal(key); o.only != "" {
				value = o.only
			}
			fmt.Fprintf(&file, "%s.%s = %s\n", section, key[dot+1:], value)
		}
	}
	c, warnings, err := loadFile(t, file.String())
	require.NoError(t, err)
	require.Equal(t, Default(), c)
	said := map[string]string{}
	for _, w := range warnings {
		require.NotEmpty(t, w.Source)
		require.Empty(t, said[w.Key], "%s is said twice", w.Key)
		said[w.Key] = w.Message
	}
	for _, o := range originals {
		for _, key := range o.keys {
			require.Equal(t, "has no effect here: "+o.why+"; remove it", said[key], key)
			delete(said, key)
		}
	}
	require.Empty(t, said)
}

func TestOnlyTheNamesOfTheOriginalAreForgiven(t *testing.T) {
	t.Parallel()
	for content, problem := range map[string]string{
		"[common.backoff]\nmax_backof_seconds = 1":       "common.backoff.max_backof_seconds: no such key",
		"[orchestration.dispatch]\nvisibility_ms = 1000": "orchestration.dispatch.visibility_ms: no such key",
		"[workers]\nx = 1":                               "workers: no such section",
		"[common.queue]\nbackend = \"pgmq\"":             "common.queue: no such section",
	} {
		_, _, err := loadFile(t, content)
		require.ErrorContains(t, err, problem)
	}
}

// TLS that was asked for and is not there is no matter for a warning.
func TestTLSThatIsAskedForStopsTheStart(t *testing.T) {
	t.Parallel()
	const message = "orchestration.grpc.tls_enabled: may be false or be removed, nothing else: " +
		"TLS needs a certificate, so it is switched on in [orchestration.grpc.tls]"
	for _, value := range []string{"true", `"true"`, `"${TLS}"`, "1"} {
		_, _, err := loadFile(t, "[orchestration.grpc]\ntls_enabled = "+value, "TLS=true")
		require.ErrorContains(t, err, message, value)
	}
	_, _, err := Load(Sources{Environ: []string{"TASKER__ORCHESTRATION__GRPC__TLS_ENABLED=true"}})
	require.ErrorContains(t, err, message)
}

func TestNamesOfTheOriginalInOtherSources(t *testing.T) {
	t.Parallel()
	_, warnings, err := Load(Sources{
		Environ: []string{
			"TASKER__WORKER__WEB__BIND_ADDRESS=hunter2", "TASKER__ORCHESTRATION__GRPC__TLS_ENABLED=false",
		},
		Overrides: map[string]any{"common.backoff.backoff_multiplier": 3.0},
	})
	require.NoError(t, err)
	said := make([]string, len(warnings))
	for i, w := range warnings {
		said[i] = w.Source + ": " + w.Key
		require.NotContains(t, w.String(), "hunter2")
	}
	require.Equal(t, []string{
		"environment variable TASKER__ORCHESTRATION__GRPC__TLS_ENABLED: orchestration.grpc.tls_enabled",
		"environment variable TASKER__WORKER__WEB__BIND_ADDRESS: worker.web.bind_address",
		"override: common.backoff.backoff_multiplier",
	}, said)
}
