// Package configuration turns defaults, files, environment and flags into one
// checked value, and says everything that is wrong with them at once. It knows
// nothing of what the settings are used for: each section is a plain struct
// that bootstrap hands to the one constructor that needs it.
//
// The structs of this package are the only list of keys: file keys,
// environment variables, ranges and docs/configuration.md derive from their
// fields, tags and comments.
//
// The tags: toml is the key; range is min..max in the unit of the key, both
// included; oneof lists the permitted words; format names a rule of text; env
// is an environment variable beside the general one; inherit names the key
// that supplies the value when nobody sets this one; unset says in words what
// stands in for a default that depends on other keys.
package configuration

import "time"

// Config is the whole configuration of a server: complete, checked, and not
// to be changed after Load. It may be printed: secrets show as [redacted].
type Config struct {
	Environment   string        // development, test, production, or a name of the operator's
	Common        Common        `toml:"common"`
	Orchestration Orchestration `toml:"orchestration"`
}

// Common holds what any process of the system may need.
type Common struct {
	Database        Database        `toml:"database"`
	Backoff         Backoff         `toml:"backoff"`
	CircuitBreakers CircuitBreakers `toml:"circuit_breakers"`
	Telemetry       Telemetry       `toml:"telemetry"`
}

// Database says which PostgreSQL keeps everything.
type Database struct {
	// Connection string of a PostgreSQL server, version 15 or newer
	// (`postgresql://user:password@host:5432/database`). Empty: the server
	// runs its own PostgreSQL in `data_dir`.
	URL Secret `toml:"url" format:"postgres_url" env:"DATABASE_URL"`
	// Folder of the embedded PostgreSQL; a relative path starts at the working
	// directory. Not used when `url` is set.
	DataDir string `toml:"data_dir" format:"not_empty" env:"TASKER_DATA_DIR"`
	// Folder with the PostgreSQL programs (`initdb`, `postgres`, …) for the
	// embedded server. Empty: they are searched for.
	BinDir string `toml:"bin_dir"`
	// What to do about the schema at start: `auto` brings it up to date,
	// `check` refuses to start when it is not, `off` does not look.
	Migrate MigrateMode `toml:"migrate" oneof:"auto check off"`
	// Connections.
	Pool Pool `toml:"pool"`
}

// MigrateMode is what happens to the schema at start.
type MigrateMode string

// The modes of MigrateMode.
const (
	MigrateAuto  MigrateMode = "auto"
	MigrateCheck MigrateMode = "check"
	MigrateOff   MigrateMode = "off"
)

// Pool bounds the connections to the database.
type Pool struct {
	// Most connections open at once.
	MaxConnections int `toml:"max_connections" range:"1..1000"`
	// Connections idle for longer are closed.
	IdleTimeout time.Duration `toml:"idle_timeout_seconds" range:"1..3600"`
	// Connections older than this are replaced.
	MaxLifetime time.Duration `toml:"max_lifetime_seconds" range:"60..86400"`
}

// Backoff is how the waits before retries, which each template's `retry` asks
// for, are spread.
type Backoff struct {
	// Spread waits, so that steps that failed together do not return together.
	JitterEnabled bool `toml:"jitter_enabled"`
	// Largest spread, either way, as a fraction of the wait.
	JitterMax float64 `toml:"jitter_max_percentage" range:"0..1"`
}

// CircuitBreakers stop calls to a dependency that fails.
type CircuitBreakers struct {
	Default    DefaultBreaker `toml:"default_config"`
	Components Breakers       `toml:"component_configs"`
}

// DefaultBreaker supplies what a single breaker leaves unset.
type DefaultBreaker struct {
	// Fraction of calls that must fail within the window to open the breaker.
	FailureRatio float64 `toml:"failure_ratio" range:"0.01..1"`
	// Calls within the window below which the ratio means nothing; as many
	// failures in a row open the breaker, too.
	MinimumVolume int `toml:"minimum_volume" range:"1..1000000"`
	// Length of the window in which calls are counted.
	Window time.Duration `toml:"window_seconds" range:"1..3600"`
	// Successful probes that close the breaker again.
	Probes int `toml:"probes" range:"1..100"`
}

// Breakers holds one breaker per dependency.
type Breakers struct {
	DatabaseWrites Breaker `toml:"database_writes"`
}

// Breaker is the circuit breaker around the database writes of the actors.
type Breaker struct {
	// Fraction of writes that must fail within the window to open the breaker.
	FailureRatio float64 `toml:"failure_ratio" range:"0.01..1" inherit:"common.circuit_breakers.default_config.failure_ratio"`
	// Writes within the window below which the ratio means nothing; as many
	// failures in a row open the breaker, too.
	MinimumVolume int `toml:"minimum_volume" range:"1..1000000" inherit:"common.circuit_breakers.default_config.minimum_volume"`
	// Length of the window in which writes are counted.
	Window time.Duration `toml:"window_seconds" range:"1..3600" inherit:"common.circuit_breakers.default_config.window_seconds"`
	// Time open before probes are let through; also the `Retry-After` of what
	// is refused meanwhile.
	Timeout time.Duration `toml:"timeout_ms" range:"10..300000"`
	// Successful probes that close the breaker again.
	Probes int `toml:"probes" range:"1..100" inherit:"common.circuit_breakers.default_config.probes"`
}

// Telemetry says what the process tells about itself.
type Telemetry struct {
	// Least important level that is logged.
	LogLevel LogLevel `toml:"log_level" oneof:"debug info warn error" env:"LOG_LEVEL"`
	// `text` for people, `json` for collectors.
	LogFormat LogFormat `toml:"log_format" oneof:"text json"`
	// Garbage collector target of the Go runtime, in percent. More is faster
	// and takes more memory.
	GOGC int `toml:"gogc" range:"10..2000"`
}

// LogLevel names a level of log/slog.
type LogLevel string

// The levels of LogLevel.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// LogFormat is the form of log lines.
type LogFormat string

// The forms of LogFormat.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)
