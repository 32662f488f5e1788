package tasker

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tasker-go/tasker/bootstrap"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// keysCommand is the first argument that makes Main manage API keys instead of
// serving.
const keysCommand = "keys"

// keysAsked is what the command line says.
type keysAsked struct {
	action, id string
	key        app.NewKey
	expires    string
	grace      string
	reason     string
}

// keys manages the API keys of a database, and returns the exit code: 0, or 1
// when it was not done.
func keys(ctx context.Context, args []string, out, errs io.Writer) int {
	err := runKeys(ctx, args, out)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		keysUsage(out)
		return 0
	default:
		fmt.Fprintf(errs, "%s %s: %v\n", program(), keysCommand, err)
		return 1
	}
}

func runKeys(ctx context.Context, args []string, out io.Writer) error {
	src := sources()
	asked, err := parseKeys(&src, args)
	if err != nil {
		return err
	}
	cfg, _, err := configuration.Load(src)
	if err != nil {
		return err
	}
	if _, given := src.Overrides["common.telemetry.log_level"]; !given {
		cfg.Common.Telemetry.LogLevel = "warn" // the output is the answer
	}
	return bootstrap.Keys(ctx, bootstrap.SecurityOptions{Config: cfg}, func(ctx context.Context, s *app.Security) error {
		return asked.run(ctx, s, out)
	})
}

// keyFlag is a flag of the command and the actions that take it.
type keyFlag struct {
	name, value, usage string
	actions            []string
	set                func(k *keysAsked, v string)
}

var keyFlags = []keyFlag{
	{"name", "NAME", "whose key it is", []string{"create"}, func(k *keysAsked, v string) { k.key.Name = v }},
	{"role", "ROLE", "a role that it has: viewer, operator, worker, admin or a configured one; may be repeated", []string{"create"},
		func(k *keysAsked, v string) { k.key.Roles = append(k.key.Roles, v) }},
	{"permission", "PERMISSION", "what it may do, such as tasks:read or tasks:*; may be repeated", []string{"create"},
		func(k *keysAsked, v string) { k.key.Permissions = append(k.key.Permissions, v) }},
	{"namespace", "NAMESPACE", "a namespace that it is kept to; may be repeated (default all)", []string{"create"},
		func(k *keysAsked, v string) { k.key.Namespaces = append(k.key.Namespaces, v) }},
	{"expires", "DURATION", "when it ends, from now: 90d, 12h (default never)", []string{"create"},
		func(k *keysAsked, v string) { k.expires = v }},
	{"grace", "DURATION", "how long the old secret is accepted, such as 1h, or 0s (default 24h)", []string{"rotate"},
		func(k *keysAsked, v string) { k.grace = v }},
	{"reason", "TEXT", "why; kept in the audit log", []string{"revoke"}, func(k *keysAsked, v string) { k.reason = v }},
}

// keyActions are what the command does; those with true need the id of a key.
var keyActions = map[string]bool{"create": false, "list": false, "rotate": true, "revoke": true}

func parseKeys(src *configuration.Sources, args []string) (*keysAsked, error) {
	asked := &keysAsked{}
	set := flag.NewFlagSet(program()+" "+keysCommand, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	define(set, src)
	for _, f := range keyFlags {
		set.Func(f.name, f.usage, func(v string) error { f.set(asked, v); return nil })
	}
	// The action and the id may stand before, between and after the flags.
	var words []string
	for rest := args; ; {
		if err := set.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, fmt.Errorf("%w (see %s --help)", err, keysCommand)
		}
		if set.NArg() == 0 {
			break
		}
		words, rest = append(words, set.Arg(0)), set.Args()[1:]
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("say what to do: create, list, rotate or revoke (see %s --help)", keysCommand)
	}
	needsID, known := keyActions[words[0]]
	switch {
	case !known:
		return nil, fmt.Errorf("%q is none of create, list, rotate and revoke (see %s --help)", words[0], keysCommand)
	case needsID && len(words) == 1:
		return nil, fmt.Errorf("%s needs the id of a key; %s list shows them", words[0], keysCommand)
	case needsID && len(words) > 2, !needsID && len(words) > 1:
		return nil, fmt.Errorf("unexpected argument %q (see %s --help)", words[len(words)-1], keysCommand)
	}
	asked.action = words[0]
	if needsID {
		asked.id = words[1]
	}
	var err error
	set.Visit(func(given *flag.Flag) {
		for _, f := range keyFlags {
			if f.name == given.Name && !slices.Contains(f.actions, asked.action) {
				err = fmt.Errorf("--%s is not for %s", f.name, asked.action)
			}
		}
	})
	return asked, err
}

func (k *keysAsked) run(ctx context.Context, s *app.Security, out io.Writer) error {
	switch k.action {
	case "create":
		if k.expires != "" {
			d, err := days(k.expires)
			if err != nil || d <= 0 {
				return errors.New("--expires must be a duration from now, such as 90d or 12h")
			}
			k.key.ExpiresAt = time.Now().Add(d)
		}
		return issue(ctx, s, app.CreateKey, out, func(ctx context.Context) (app.IssuedKey, error) { return s.CreateKey(ctx, k.key) })
	case "rotate":
		grace := app.DefaultGrace
		if k.grace != "" {
			var err error
			if grace, err = days(k.grace); err != nil {
				return errors.New("--grace must be a duration, such as 1h or 0s")
			}
		}
		return issue(ctx, s, app.RotateKey, out, func(ctx context.Context) (app.IssuedKey, error) { return s.RotateKey(ctx, k.id, grace) })
	case "revoke":
		return recorded(ctx, s, app.RevokeKey, func(ctx context.Context) error {
			key, err := s.RevokeKey(ctx, k.id, k.reason)
			if err == nil {
				_, err = fmt.Fprintf(out, "key %s (%s) is revoked\n", key.ID, key.Name)
			}
			return err
		})
	default:
		all, err := s.ListKeys(ctx)
		if err != nil {
			return err
		}
		return listKeys(all, out)
	}
}

// recorded has the audit log say what becomes of it, as for clients of a server.
func recorded(ctx context.Context, s *app.Security, op app.Operation, do func(context.Context) error) error {
	ctx, record := s.BeginChange(ctx, op, app.Caller{Door: "cli"})
	err := do(ctx)
	if err == nil {
		record(ports.ChangeOK)
		return nil
	}
	record(string(fault.Of(err).Code))
	return err
}

func issue(ctx context.Context, s *app.Security, op app.Operation, out io.Writer, do func(context.Context) (app.IssuedKey, error)) error {
	return recorded(ctx, s, op, func(ctx context.Context) error {
		made, err := do(ctx)
		if err == nil {
			_, err = fmt.Fprintf(out, "key %s (%s); it is not shown again:\n%s\n", made.ID, made.Name, made.Text)
		}
		return err
	})
}

func listKeys(all []access.Key, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSTATUS\tROLES\tPERMISSIONS\tNAMESPACES\tCREATED\tEXPIRES\tLAST USED")
	for i := range all {
		k := &all[i]
		permissions := make([]string, len(k.Permissions))
		for j, p := range k.Permissions {
			permissions[j] = string(p)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Status(time.Now()), words(k.Roles, "-"), words(permissions, "-"),
			words(k.Namespaces, "all"), day(k.CreatedAt), day(k.ExpiresAt), day(k.LastUsed))
	}
	return w.Flush()
}

func words(all []string, none string) string {
	if len(all) == 0 {
		return none
	}
	return strings.Join(all, ",")
}

func day(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// days reads a duration, which may be in days.
func days(text string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(text, "d"); ok {
		const longest = 36500
		count, err := strconv.ParseUint(n, 10, 16)
		if err != nil || count > longest {
			return 0, fmt.Errorf("%q is not a number of days", text)
		}
		return time.Duration(count) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

func keysUsage(w io.Writer) {
	fmt.Fprintf(w, `Manages the API keys in a database. Servers may run meanwhile; they hear of it
within a second. An embedded PostgreSQL that does not run is started for as long
as it takes. Whoever can reach the database may give out any rights.

Usage: %[1]s %[2]s create --name NAME --role ROLE [flags]
       %[1]s %[2]s list [flags]
       %[1]s %[2]s rotate ID [flags]
       %[1]s %[2]s revoke ID [flags]

create and rotate print the key, which is not shown again.

Flags:
`, program(), keysCommand)
	for _, f := range keyFlags {
		fmt.Fprintf(w, "  --%s %s\n        %s: %s\n", f.name, f.value, strings.Join(f.actions, ", "), f.usage)
	}
	for _, f := range configuration.Flags() {
		if slices.Contains(checkFlags, f.Name) {
			printFlag(w, f)
		}
	}
	fmt.Fprint(w, "  --help\n        print this text and exit\n")
}
