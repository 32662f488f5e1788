package configuration_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/bootstrap/configuration"
)

func TestFileProblems(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, key, message string }{
		"unknown key": {
			"[orchestration.web]\nprot = 1", "orchestration.web.prot", "no such key; the nearest is orchestration.web.port",
		},
		"key in the wrong section": {
			"[orchestration]\nport = 1", "orchestration.port", "no such key; the nearest is orchestration.web.port",
		},
		"unknown section": {
			"[orchestration.actor]\nx = 1\ny = 2", "orchestration.actor", "no such section; the nearest is [orchestration.actors]",
		},
		"unknown empty section": {
			"[comon]", "comon", "no such section; the nearest is [common]",
		},
		"value for a section": {
			"[orchestration]\nweb = 1", "orchestration.web", "is a section; write [orchestration.web] and its keys below",
		},
		"section for a value": {
			"[orchestration.web.port]\nx = 1", "orchestration.web.port", "must be a whole number, not a section",
		},
		"text for a number": {
			"[orchestration.web]\nport = \"8080\"", "orchestration.web.port", "must be a whole number, not text",
		},
		"fraction for a duration": {
			"[orchestration]\nshutdown_timeout_ms = 1000.5", "orchestration.shutdown_timeout_ms",
			"must be a whole number of milliseconds, not a decimal number",
		},
		"number for a switch": {
			"[orchestration.web]\nenabled = 1", "orchestration.web.enabled", "must be true or false, not a whole number",
		},
		"number for text": {
			"[common.database]\ndata_dir = 1", "common.database.data_dir", "must be text in quotes, not a whole number",
		},
		"date for text": {
			"[common.database]\ndata_dir = 2026-01-01", "common.database.data_dir", "must be text in quotes, not another type",
		},
		"number for a list": {
			"[[orchestration.web.auth.api_keys]]\nkey = \"k\"\npermissions = 1", "orchestration.web.auth.api_keys[0].permissions",
			"must be a list of texts, not a whole number",
		},
		"number in a list": {
			"[[orchestration.web.auth.api_keys]]\nkey = \"k\"\npermissions = [\"tasks:*\", 1]",
			"orchestration.web.auth.api_keys[0].permissions[1]", "must be text in quotes, not a whole number",
		},
		"out of range": {
			"[orchestration.web]\nrequest_timeout_ms = 99", "orchestration.web.request_timeout_ms",
			"must be between 100 and 300000 milliseconds",
		},
		"far out of range": {
			"[orchestration]\nshutdown_timeout_ms = 9223372036854775807", "orchestration.shutdown_timeout_ms",
			"must be between 1000 and 300000 milliseconds",
		},
		"fraction out of range": {
			"[common.backoff]\njitter_max_percentage = 15", "common.backoff.jitter_max_percentage", "must be between 0 and 1",
		},
		"not a number": {
			"[common.backoff]\njitter_max_percentage = nan", "common.backoff.jitter_max_percentage", "must be between 0 and 1",
		},
		"no such word": {
			"[common.database]\nmigrate = \"yes\"", "common.database.migrate", "must be one of auto, check, off",
		},
		"host with a port": {
			"[orchestration.web]\nhost = \"localhost:8080\"", "orchestration.web.host",
			"must be an IP address or a host name, without a port",
		},
		"address without a port": {
			"[orchestration.web]\nbind_address = \"localhost\"", "orchestration.web.bind_address",
			"must be host:port, such as 127.0.0.1:8080 or [::1]:8080",
		},
		"address twice": {
			"[orchestration.web]\nbind_address = \"localhost:1\"\nport = 1", "orchestration.web.bind_address",
			"is set together with orchestration.web.port in the same place; keep one of them",
		},
		"another database": {
			"[common.database]\nurl = \"mysql://x\"", "common.database.url", "must be postgresql://user:password@host:5432/database",
		},
		"unencoded password": {
			"[common.database]\nurl = \"postgresql://u:a%b@h/d\"", "common.database.url",
			"must be postgresql://user:password@host:5432/database; special characters of user and password are %-encoded",
		},
		"variable that is not set": {
			"[common.database]\ndata_dir = \"${NOWHERE}\"", "common.database.data_dir",
			"needs the environment variable NOWHERE, which is not set; set it or write ${NOWHERE:-default}",
		},
		"half a variable": {
			"[common.database]\ndata_dir = \"${NOWHERE\"", "common.database.data_dir",
			"${ must be followed by a name and }: ${NAME} or ${NAME:-default}; a plain ${ is written $${",
		},
		"unknown key of an API key": {
			"[[orchestration.web.auth.api_keys]]\nkey = \"k\"\npermission = [\"tasks:*\"]\npermissions = [\"tasks:*\"]",
			"orchestration.web.auth.api_keys[0].permission", "no such key; the nearest is permissions",
		},
		"API key without permissions": {
			"[[orchestration.web.auth.api_keys]]\nkey = \"k\"", "orchestration.web.auth.api_keys[0].permissions",
			"must name at least one permission, such as tasks:read or tasks:*, or roles one role",
		},
		"bare star": {
			"[[orchestration.web.auth.api_keys]]\nkey = \"k\"\npermissions = [\"*\"]",
			"orchestration.web.auth.api_keys[0].permissions[0]", "must be resource:action or resource:*, such as tasks:create or tasks:*",
		},
		"API key twice": {
			"[orchestration.web.auth]\napi_keys = [{key = \"k\", permissions = [\"tasks:*\"]}, {key = \"k\", permissions = [\"steps:*\"]}]",
			"orchestration.web.auth.api_keys[1].key", "is the same as orchestration.web.auth.api_keys[0].key",
		},
		"credentials asked for without a key": {
			"[orchestration.web.auth]\nenabled = true", "orchestration.web.auth.enabled",
			"is true, but there is no key to accept; set orchestration.web.auth.api_key (TASKER_API_KEY) or orchestration.web.auth.api_keys",
		},
		"HTTP open to strangers": {
			"[orchestration.web]\nhost = \"\"", "orchestration.web.host",
			"is reachable from other machines and no API key is configured: set orchestration.web.auth.api_key (TASKER_API_KEY), " +
				"or the host to 127.0.0.1, or orchestration.web.allow_insecure to true",
		},
		"gRPC open to strangers, keys switched off": {
			"[orchestration.grpc]\nhost = \"10.0.0.1\"\n[orchestration.web.auth]\nenabled = false\napi_key = \"k\"", "orchestration.grpc.host",
			"is reachable from other machines and orchestration.web.auth.enabled is false: remove that and " +
				"set orchestration.web.auth.api_key (TASKER_API_KEY), or the host to 127.0.0.1, or orchestration.web.allow_insecure to true",
		},
		"one port for two doors": {
			"[orchestration.grpc]\nport = 8080", "orchestration.grpc.port",
			"is also orchestration.web.port; the two need different ports",
		},
		"body below context": {
			"[orchestration.web]\nmax_body_bytes = 1048576", "orchestration.web.max_body_bytes",
			"must be more than orchestration.limits.max_context_bytes: a body holds the context and more",
		},
		"heartbeats too far apart": {
			"[orchestration.dispatch]\nheartbeat_interval_ms = 10001", "orchestration.dispatch.heartbeat_interval_ms",
			"must be at most a third of orchestration.dispatch.lease_duration_ms: one lost heartbeat must not cost a lease",
		},
		"webhook without a secret": {
			"[orchestration.dlq]\nwebhook_url = \"https://example.com/hook\"", "orchestration.dlq.webhook_url",
			"needs orchestration.dlq.webhook_secret, which signs what is sent",
		},
		"webhook with a short secret": {
			"[orchestration.dlq]\nwebhook_secret = \"hunter2\"", "orchestration.dlq.webhook_secret",
			"must be at least 16 visible ASCII characters without spaces",
		},
		"webhook that is no URL": {
			"[orchestration.dlq]\nwebhook_url = \"example.com\"", "orchestration.dlq.webhook_url", "must be https://host/path",
		},
		"webhook in the clear": {
			"[orchestration.dlq]\nwebhook_url = \"http://example.com/hook\"\nwebhook_secret = \"0123456789abcdef\"", "orchestration.dlq.webhook_url",
			"is plain HTTP beyond this machine; use https, or set orchestration.dlq.webhook_allow_insecure to true",
		},
		"staleness dry run": {
			"[orchestration.dlq.staleness_detection]\ndry_run = true", "orchestration.dlq.staleness_detection.dry_run",
			"may be false or be removed, nothing else: orchestration.dlq.staleness_detection.enabled = false leaves stale tasks alone, " +
				"and the view of them still tells",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := one(t, tt.file)
			want := configuration.Problem{Source: src.File, Key: tt.key, Message: tt.message}
			require.Equal(t, []configuration.Problem{want}, problems(t, src))
		})
	}
}

func TestDatabaseURLs(t *testing.T) {
	t.Parallel()
	for url, right := range map[string]bool{
		"":                                   true,
		"postgresql://localhost/tasker":      true,
		"postgres://u:p%25@h:5432/d?x=a@b":   true,
		"postgresql://u:p@h1:1,h2:2/d":       true,
		"postgresql:///d?host=/run/pg":       true,
		"host=/run/postgresql dbname=tasker": true,
		"localhost":                          false,
		"mysql://localhost/tasker":           false,
		"postgresql://u:a%b@h/d":             false,
		"postgresql://u:a/b@h/d":             false,
		"postgresql://u:a#b@h/d":             false,
		"postgresql://u:a b@h/d":             false,
	} {
		_, _, err := configuration.Load(configuration.Sources{Overrides: map[string]any{"common.database.url": url}})
		require.Equal(t, right, err == nil, url)
	}
}

func TestBrokenTOMLNamesThePlaceButNotTheText(t *testing.T) {
	t.Parallel()
	src := one(t, "[common.database]\nurl = \"postgresql://u:hunter2@h/d\n")
	found := problems(t, src)
	require.Len(t, found, 1)
	require.Equal(t, src.File, found[0].Source)
	require.Contains(t, found[0].Message, "line 2, column ")
	require.NotContains(t, found[0].Message, "hunter2")
}

func TestEnvironmentAndOverrideProblemsNameTheirSource(t *testing.T) {
	t.Parallel()
	found := problems(t, configuration.Sources{
		Environ: []string{
			"LOG_LEVEL=loud", "TASKER__ORCHESTRATION__WEB__PROT=1", "TASKER__ORCHESTRATION__GRPC__PORT=70000",
			"TASKER__ORCHESTRATION__WEB__AUTH__API_KEYS=hunter2", "TASKER__COMMON__BACKOFF__JITTER_ENABLED=maybe",
		},
		Overrides: map[string]any{"orchestration.web.port": "http", "common.database.ulr": "x", "common.telemetry.gogc": struct{}{}},
	})
	require.Equal(t, []configuration.Problem{
		{Source: "environment variable LOG_LEVEL", Key: "common.telemetry.log_level", Message: "must be one of debug, info, warn, error"},
		{
			Source: "environment variable TASKER__COMMON__BACKOFF__JITTER_ENABLED", Key: "common.backoff.jitter_enabled",
			Message: "must be true or false",
		},
		{
			Source: "environment variable TASKER__ORCHESTRATION__GRPC__PORT", Key: "orchestration.grpc.port",
			Message: "must be between 0 and 65535",
		},
		{
			Source: "environment variable TASKER__ORCHESTRATION__WEB__AUTH__API_KEYS", Key: "orchestration.web.auth.api_keys",
			Message: "must be a JSON array of objects",
		},
		{
			Source:  "environment variable TASKER__ORCHESTRATION__WEB__PROT",
			Message: "no such key; the nearest is TASKER__ORCHESTRATION__WEB__PORT (orchestration.web.port)",
		},
		{Source: "override", Key: "common.database.ulr", Message: "no such key; the nearest is common.database.url"},
		{Source: "override", Key: "common.telemetry.gogc", Message: "must be a whole number, not another type"},
		{Source: "flag --web-port", Key: "orchestration.web.port", Message: "must be a whole number"},
	}, found)
}

func TestEverythingWrongIsToldAtOnce(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"base/orchestration.toml":                     "[orchestration.web]\nprot = 1\nport = \"x\"\nhost = \"0.0.0.0\"",
		"environments/development/orchestration.toml": "not toml",
	})
	_, _, err := configuration.Load(configuration.Sources{Dir: dir, Environ: []string{"LOG_LEVEL=loud"}})
	require.EqualError(t, err, strings.ReplaceAll(`configuration: 5 problems
  - DIR/base/orchestration.toml: orchestration.web.port: must be a whole number, not text
  - DIR/base/orchestration.toml: orchestration.web.prot: no such key; the nearest is orchestration.web.port
  - DIR/environments/development/orchestration.toml: line 1, column 5: not TOML: expected character =
  - environment variable LOG_LEVEL: common.telemetry.log_level: must be one of debug, info, warn, error
  - DIR/base/orchestration.toml: orchestration.web.host: is reachable from other machines and no API key is configured: `+
		`set orchestration.web.auth.api_key (TASKER_API_KEY), or the host to 127.0.0.1, or orchestration.web.allow_insecure to true`,
		"DIR", dir))
}

func TestFilesThatAreNotThere(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none")
	file := filepath.Join(missing, "c.toml")
	require.Equal(t, []configuration.Problem{{Source: file, Message: "cannot be read: no such file or directory"}},
		problems(t, configuration.Sources{Environ: []string{"TASKER_CONFIG_PATH=" + file}}))
	require.Equal(t, []configuration.Problem{{
		Source: filepath.Join(missing, "base", "orchestration.toml"), Message: "cannot be read: no such file or directory",
	}}, problems(t, configuration.Sources{Dir: missing}))
	require.Equal(t, []configuration.Problem{{
		Source:  "TASKER_ENV",
		Message: "no overlay staging in " + shipped + "/environments; there are: development, production, test",
	}}, problems(t, configuration.Sources{Dir: shipped, Environ: []string{"TASKER_ENV=staging"}}))
	require.Equal(t, []configuration.Problem{{
		Source: "flag --environment", Message: "must be a name of small letters, digits, - and _, such as production",
	}}, problems(t, configuration.Sources{Environment: "../../etc"}))
}
