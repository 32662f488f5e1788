package configuration_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/bootstrap/configuration"
)

const shipped = "../../config/tasker"

// folder writes a configuration folder: path below it to content.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, content := range files {
		path = filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return dir
}

// one returns sources with content as the only file.
func one(t *testing.T, content string) configuration.Sources {
	t.Helper()
	return configuration.Sources{File: filepath.Join(folder(t, map[string]string{"c.toml": content}), "c.toml")}
}

func problems(t *testing.T, src configuration.Sources) []configuration.Problem {
	t.Helper()
	c, warnings, err := configuration.Load(src)
	require.Nil(t, c)
	require.Nil(t, warnings)
	var e *configuration.Error
	require.ErrorAs(t, err, &e)
	return e.Problems
}

func load(t *testing.T, src configuration.Sources) (*configuration.Config, []configuration.Warning) {
	t.Helper()
	c, warnings, err := configuration.Load(src)
	require.NoError(t, err)
	return c, warnings
}

func TestWithoutAnyFileTheDefaultsHold(t *testing.T) {
	t.Parallel()
	c, warnings := load(t, configuration.Sources{})
	require.Equal(t, configuration.Default(), c)
	require.Empty(t, warnings)
}

func TestShippedBaseIsTheBuiltInDefaults(t *testing.T) {
	t.Parallel()
	files := map[string]string{"environments/development/orchestration.toml": ""}
	for _, name := range []string{"base/common.toml", "base/orchestration.toml"} {
		content, err := os.ReadFile(filepath.Join(shipped, name))
		require.NoError(t, err)
		files[name] = string(content)
	}
	c, warnings := load(t, configuration.Sources{Dir: folder(t, files)})
	require.Empty(t, warnings)
	want := configuration.Default()
	want.Orchestration.Web.Auth.APIKeys = []configuration.APIKey{} // written out as an empty list
	want.Orchestration.Web.Auth.Roles = map[string][]string{}      // likewise
	require.Equal(t, want, c)
}

func TestShippedEnvironmentsLoad(t *testing.T) {
	t.Parallel()
	for environment, check := range map[string]func(*testing.T, *configuration.Config){
		"development": func(t *testing.T, c *configuration.Config) {
			require.Equal(t, 15*time.Second, c.Orchestration.ShutdownTimeout)
		},
		"test": func(t *testing.T, c *configuration.Config) {
			require.Equal(t, time.Hour, c.Common.Database.Pool.MaxLifetime)
		},
		"production": func(t *testing.T, c *configuration.Config) {
			require.Equal(t, configuration.LogJSON, c.Common.Telemetry.LogFormat)
			require.False(t, c.Orchestration.GRPC.EnableReflection)
		},
	} {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			c, warnings := load(t, configuration.Sources{Dir: shipped, Environ: []string{"TASKER_ENV=" + environment}})
			require.Empty(t, warnings)
			require.Equal(t, environment, c.Environment)
			check(t, c)
		})
	}
}

func TestEachLayerWinsOverTheOneBefore(t *testing.T) {
	t.Parallel()
	const key = "[orchestration.web]\nport = %d\n"
	dir := folder(t, map[string]string{
		"base/orchestration.toml":                    fmt.Sprintf(key, 1001) + "request_timeout_ms = 1500\n",
		"base/common.toml":                           fmt.Sprintf(key, 1002),
		"environments/production/orchestration.toml": fmt.Sprintf(key, 1003),
		"environments/production/common.toml":        fmt.Sprintf(key, 1004),
		"environments/bare/README":                   "no overlay file",
	})
	environ := []string{"TASKER_ENV=production"}
	port := func(src configuration.Sources) int {
		src.Dir = dir
		c, _ := load(t, src)
		require.Equal(t, 1500*time.Millisecond, c.Orchestration.Web.RequestTimeout, "tables merge deeply")
		return c.Orchestration.Web.Port
	}
	require.Equal(t, 1002, port(configuration.Sources{Environment: "bare", Environ: environ}))
	require.Equal(t, 1004, port(configuration.Sources{Environ: environ}))
	environ = append(environ, "TASKER_WEB_BIND_ADDRESS=localhost:1005")
	require.Equal(t, 1005, port(configuration.Sources{Environ: environ}))
	environ = append(environ, "TASKER__ORCHESTRATION__WEB__PORT=1006")
	require.Equal(t, 1006, port(configuration.Sources{Environ: environ}))
	require.Equal(t, 1007, port(configuration.Sources{
		Environ: environ, Overrides: map[string]any{"orchestration.web.port": 1007},
	}))
}

func TestWebhooksThatAreAllowed(t *testing.T) {
	t.Parallel()
	const file = "[orchestration.dlq]\nwebhook_url = %q\nwebhook_secret = \"0123456789abcdef\"\nwebhook_allow_insecure = %v\n" +
		"[orchestration.dlq.staleness_detection.thresholds]\nwaiting_for_retry_minutes = 90"
	for url, plain := range map[string]bool{
		"https://example.com/hook": false, "http://localhost:8080/hook": false, "http://[::1]/": false, "http://example.com/hook": true,
	} {
		c, warnings := load(t, one(t, fmt.Sprintf(file, url, plain)))
		require.Equal(t, plain, len(warnings) == 1, url)
		require.Equal(t, url, c.Orchestration.DLQ.WebhookURL.Reveal())
		require.Equal(t, 90*time.Minute, c.Orchestration.DLQ.Staleness.Thresholds.WaitingForRetry)
	}
}

func TestNamedEnvironmentVariables(t *testing.T) {
	t.Parallel()
	c, warnings := load(t, configuration.Sources{Environ: []string{
		"DATABASE_URL=postgres://u:p@db/x", "TASKER_WEB_BIND_ADDRESS=0.0.0.0:8081",
		"TASKER_ORCHESTRATION_GRPC_BIND_ADDRESS=[::1]:0", "TASKER_API_KEY=secret", "TASKER_TEMPLATE_PATH=t",
		"TASKER_ENV=test", "TASKER_DATA_DIR=/data", "LOG_LEVEL=WARN",
	}})
	require.Equal(t, "postgres://u:p@db/x", c.Common.Database.URL.Reveal())
	require.Equal(t, "0.0.0.0:8081", c.Orchestration.Web.Address())
	require.Equal(t, "[::1]:0", c.Orchestration.GRPC.Address())
	require.True(t, c.Orchestration.Web.Auth.Enabled)
	require.Equal(t, "secret", c.Orchestration.Web.Auth.Keys()[0].Key.Reveal())
	require.Equal(t, "t", c.Orchestration.Templates.Path)
	require.Equal(t, "test", c.Environment)
	require.Equal(t, "/data", c.Common.Database.DataDir)
	require.Equal(t, configuration.LogWarn, c.Common.Telemetry.LogLevel)
	require.Len(t, warnings, 1, "an environment without files has no overlay")

	c, _ = load(t, configuration.Sources{Environ: []string{"DATABASE_URL=", "LOG_LEVEL=", "TASKER_CONFIG_PATH="}})
	require.Equal(t, configuration.Default(), c, "empty is not set")
}

func TestGeneralVariablesReachEveryType(t *testing.T) {
	t.Parallel()
	c, _ := load(t, configuration.Sources{Environ: []string{
		"TASKER__ORCHESTRATION__WEB__ENABLED=false",
		"TASKER__COMMON__BACKOFF__JITTER_MAX_PERCENTAGE=0.5",
		"TASKER__ORCHESTRATION__SHUTDOWN_TIMEOUT_MS=2500",
		"TASKER__COMMON__DATABASE__MIGRATE=off",
		`TASKER__ORCHESTRATION__WEB__AUTH__API_KEYS=[{"key":"k1","permissions":["tasks:*"],"description":"d"}]`,
	}})
	require.False(t, c.Orchestration.Web.Enabled)
	require.InDelta(t, 0.5, c.Common.Backoff.JitterMax, 0)
	require.Equal(t, 2500*time.Millisecond, c.Orchestration.ShutdownTimeout)
	require.Equal(t, configuration.MigrateOff, c.Common.Database.Migrate)
	want := []configuration.APIKey{{Key: "k1", Permissions: []string{"tasks:*"}, Description: "d"}}
	require.Equal(t, want, c.Orchestration.Web.Auth.APIKeys)
	require.Equal(t, want, c.Orchestration.Web.Auth.Keys(), "a list with a key is in use")
}

func TestSubstitution(t *testing.T) {
	t.Parallel()
	src := one(t, `
[common.database]
url = "postgresql://app:${DB_PASSWORD}@${DB_HOST:-localhost}/app"
data_dir = "${EMPTY:-fallback}/$${kept}"
bin_dir = "${LITERAL}${EMPTY}"
[orchestration.web]
port = "${PORT:-8088}"
enabled = "${ON:-false}"
[[orchestration.web.auth.api_keys]]
key = "${SHOP_KEY}"
permissions = ["${RESOURCE}:read", "${OTHER:-steps}:read"]
`)
	src.Environ = []string{"DB_PASSWORD=p", "LITERAL=${x}", "EMPTY=", "SHOP_KEY=k", "RESOURCE=tasks"}
	c, _ := load(t, src)
	require.Equal(t, "postgresql://app:p@localhost/app", c.Common.Database.URL.Reveal())
	require.Equal(t, "fallback/${kept}", c.Common.Database.DataDir)
	require.Equal(t, "${x}", c.Common.Database.BinDir, "values are not expanded again")
	require.Equal(t, 8088, c.Orchestration.Web.Port)
	require.False(t, c.Orchestration.Web.Enabled)
	require.Equal(t, []configuration.APIKey{{Key: "k", Permissions: []string{"tasks:read", "steps:read"}}}, c.Orchestration.Web.Auth.APIKeys)
}

func TestTheBreakerTakesFromTheDefaultWhatItLeavesUnset(t *testing.T) {
	t.Parallel()
	c, _ := load(t, one(t, `
[common.circuit_breakers.default_config]
failure_ratio = 0.25
window_seconds = 60
[common.circuit_breakers.component_configs.database_writes]
window_seconds = 5
`))
	require.Equal(t, configuration.Breaker{
		FailureRatio: 0.25, MinimumVolume: 10, Window: 5 * time.Second, Timeout: time.Second, Probes: 2,
	}, c.Common.CircuitBreakers.Components.DatabaseWrites)
}

func TestFlagsReachTheirKeys(t *testing.T) {
	t.Parallel()
	given := map[string]string{
		"database-url": "postgresql://db/x", "data-dir": "d", "migrate": "check", "bind": "::1",
		"web-port": "1", "grpc-port": "2", "templates": "t", "log-level": "debug", "log-format": "json",
		"config-dir": shipped, "environment": "test",
	}
	var src configuration.Sources
	for _, f := range configuration.Flags() {
		require.Contains(t, given, f.Name)
		require.NotEmpty(t, f.Usage)
		f.Apply(&src, given[f.Name])
		delete(given, f.Name)
	}
	require.Empty(t, given)
	c, _ := load(t, src)
	require.Equal(t, "postgresql://db/x", c.Common.Database.URL.Reveal())
	require.Equal(t, "d", c.Common.Database.DataDir)
	require.Equal(t, configuration.MigrateCheck, c.Common.Database.Migrate)
	require.Equal(t, "[::1]:1", c.Orchestration.Web.Address())
	require.Equal(t, "[::1]:2", c.Orchestration.GRPC.Address())
	require.Equal(t, "t", c.Orchestration.Templates.Path)
	require.Equal(t, configuration.LogDebug, c.Common.Telemetry.LogLevel)
	require.Equal(t, configuration.LogJSON, c.Common.Telemetry.LogFormat)
	require.Equal(t, 5*time.Second, c.Orchestration.ShutdownTimeout, "the test overlay")
}

func TestFlagsShowTheirDefaults(t *testing.T) {
	t.Parallel()
	shown := map[string]string{}
	for _, f := range configuration.Flags() {
		shown[f.Name] = f.Default()
	}
	require.Equal(t, map[string]string{
		"database-url": "", "data-dir": ".tasker/postgres", "migrate": "auto", "bind": "127.0.0.1",
		"web-port": "8080", "grpc-port": "9190", "templates": "", "config-dir": "config/tasker",
		"environment": "development", "log-level": "info", "log-format": "text",
	}, shown)
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, key, message string }{
		"keys that nobody asks for": {
			"[orchestration.web.auth]\nenabled = false\napi_key = \"k\"", "orchestration.web.auth.enabled", "not asked for",
		},
		"single key beside the list": {
			"[orchestration.web.auth]\napi_key = \"k\"\napi_keys = [{key = \"l\", permissions = [\"tasks:*\"]}]",
			"orchestration.web.auth.api_key", "is not accepted",
		},
		"open to strangers": {
			"[orchestration.web]\nallow_insecure = true\nhost = \"0.0.0.0\"", "orchestration.web.allow_insecure",
			"whoever reaches orchestration.web.host may do everything",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, warnings := load(t, one(t, tt.file))
			require.Len(t, warnings, 1)
			require.Equal(t, tt.key, warnings[0].Key)
			require.Contains(t, warnings[0].Message, tt.message)
		})
	}
}

func TestSecretsShowNowhere(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	c, _ := load(t, configuration.Sources{Environ: []string{
		"DATABASE_URL=postgresql://u:" + secret + "@db/x", "TASKER_API_KEY=" + secret,
		`TASKER__ORCHESTRATION__WEB__AUTH__API_KEYS=[{"key":"` + secret + `","permissions":["tasks:*"]}]`,
	}})
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb, c, *c)
		fmt.Fprintf(&out, verb, c.Common.Database.URL)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("configuration", "all", c, "url", c.Common.Database.URL, "keys", c.Orchestration.Web.Auth.Keys())
	}
	asJSON, err := json.Marshal(c)
	require.NoError(t, err)
	out.Write(asJSON)
	require.NotContains(t, out.String(), secret)
	require.NotContains(t, out.String(), fmt.Sprintf("%x", secret))
	require.Contains(t, out.String(), "[redacted]")
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "localhost": true, "LOCALHOST": true, "::ffff:127.0.0.1": true,
		"": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "localhost.example.com": false, "db": false,
	} {
		require.Equal(t, want, configuration.Loopback(host), host)
	}
}

// Whatever stands in a file or a variable, Load answers with a configuration
// or with an *Error, and the answer never shows a value.
func TestLoadNeverPanicsAndNeverTells(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.toml")
	names := []string{"port", "host", "url", "api_key", "api_keys", "max_backoff_seconds", "jitter_max_percentage", "bind_address", "enabled", "x"}
	sections := []string{"orchestration.web", "orchestration.web.auth", "common.database", "common.backoff", "orchestration", "y"}
	values := []string{`"sesame"`, `["sesame"]`, `{sesame_key = "sesame"}`, `[{key = "sesame"}]`, `"${sesame"`, `sesame`, "1", "-1.5", "true"}
	rapid.Check(t, func(rt *rapid.T) {
		content := fmt.Sprintf("[%s]\n%s = %s\n", rapid.SampledFrom(sections).Draw(rt, "section"),
			rapid.SampledFrom(names).Draw(rt, "name"), rapid.SampledFrom(values).Draw(rt, "value"))
		require.NoError(rt, os.WriteFile(path, []byte(content), 0o600))
		variable := "TASKER__" + strings.ToUpper(strings.ReplaceAll(rapid.SampledFrom(sections).Draw(rt, "vs"), ".", "__")) +
			"__" + strings.ToUpper(rapid.SampledFrom(names).Draw(rt, "vn"))
		c, _, err := configuration.Load(configuration.Sources{File: path, Environ: []string{variable + "=sesame"}})
		if err == nil {
			require.NotNil(rt, c)
			return
		}
		var e *configuration.Error
		require.ErrorAs(rt, err, &e)
		require.NotEmpty(rt, e.Problems)
		require.NotContains(rt, strings.ReplaceAll(err.Error(), "sesame_key", ""), "sesame", content)
	})
}
