package configuration

import "slices"

// Flag is a command line flag of the server. The flag package that defines it
// is the caller's choice.
type Flag struct {
	Name  string   // without dashes
	Value string   // what stands for the value in a help text: "URL"
	Usage string   // one line
	Keys  []string // the keys that it sets; none for the two that choose files
}

// Names of the flags that choose files rather than set keys.
const (
	flagConfigDir   = "config-dir"
	flagEnvironment = "environment"
)

var flags = []Flag{
	{
		Name: "database-url", Value: "URL", Keys: []string{"common.database.url"},
		Usage: "PostgreSQL to use instead of the embedded one: postgresql://user:password@host:5432/database",
	},
	{
		Name: "data-dir", Value: "DIR", Keys: []string{"common.database.data_dir"},
		Usage: "folder of the embedded PostgreSQL",
	},
	{
		Name: "migrate", Value: "MODE", Keys: []string{"common.database.migrate"},
		Usage: "schema at start: auto updates it, check refuses to start when it is old, off does not look",
	},
	{
		Name: "bind", Value: "HOST", Keys: []string{"orchestration.web.host", "orchestration.grpc.host"},
		Usage: "address that HTTP and gRPC listen on; beyond this machine it needs API keys",
	},
	{
		Name: "web-port", Value: "PORT", Keys: []string{"orchestration.web.port"},
		Usage: "port of HTTP; 0 takes a free one",
	},
	{
		Name: "grpc-port", Value: "PORT", Keys: []string{"orchestration.grpc.port"},
		Usage: "port of gRPC; 0 takes a free one",
	},
	{
		Name: "templates", Value: "PATH", Keys: []string{"orchestration.templates.path"},
		Usage: "folder or file with task templates to register at start",
	},
	{
		Name: flagConfigDir, Value: "DIR",
		Usage: "folder with base/ and environments/; built-in defaults are used where there is none",
	},
	{
		Name: flagEnvironment, Value: "NAME",
		Usage: "overlay below environments/ in that folder: development, test, production",
	},
	{
		Name: "log-level", Value: "LEVEL", Keys: []string{"common.telemetry.log_level"},
		Usage: "debug, info, warn or error",
	},
	{
		Name: "log-format", Value: "FORMAT", Keys: []string{"common.telemetry.log_format"},
		Usage: "text or json",
	},
}

// Flags returns the flags, in the order of a help text.
func Flags() []Flag { return slices.Clone(flags) }

// Apply notes in s that the flag was given. A value that is wrong is reported
// by Load, with everything else.
func (f Flag) Apply(s *Sources, value string) {
	switch f.Name {
	case flagConfigDir:
		s.Dir = value
	case flagEnvironment:
		s.Environment = value
	}
	if s.Overrides == nil {
		s.Overrides = map[string]any{}
	}
	for _, key := range f.Keys {
		s.Overrides[key] = value
	}
}

// Default returns the value that holds when nothing is set, for a help text;
// nothing when that is empty.
func (f Flag) Default() string {
	switch {
	case f.Name == flagConfigDir:
		return defaultDir
	case f.Name == flagEnvironment:
		return defaultEnvironment
	default:
		return show(keys().byKey[f.Keys[0]], Default())
	}
}

// flagOf returns the flag that sets key, if there is one.
func flagOf(key string) (Flag, bool) {
	for _, f := range flags {
		if slices.Contains(f.Keys, key) {
			return f, true
		}
	}
	return Flag{}, false
}
