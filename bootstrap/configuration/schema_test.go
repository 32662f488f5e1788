package configuration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTagsMakeSense(t *testing.T) {
	t.Parallel()
	variables := map[string]string{}
	for _, l := range keys().leaves {
		require.Regexp(t, `^[a-z_]+(\.[a-z_]+)+$`, l.key)
		require.NotContains(t, l.key, "__", "would not survive as an environment variable")
		for _, name := range []string{l.variable(), l.env} {
			require.Empty(t, variables[name], "%s is set by %s and %s", name, variables[name], l.key)
			if name != "" {
				variables[name] = l.key
			}
		}
		if l.format != "" {
			require.Contains(t, formats, l.format, l.key)
		}
		if l.inherit != "" {
			require.Equal(t, keys().byKey[l.inherit].typ, l.typ, l.key)
		}
		if l.kind == kindInt || l.kind == kindFloat || l.kind == kindDuration {
			require.True(t, l.bounded, "%s has no range", l.key)
		}
	}
	for _, f := range flags {
		for _, key := range f.Keys {
			require.Contains(t, keys().byKey, key)
		}
	}
	for _, key := range []string{keyAuthEnabled, keyListEnabled, keyAPIKey, keyAPIKeys, keyInsecure, keyWebHost, keyGRPCHost, keyWebhook, keySigning, keyPlain} {
		require.Contains(t, keys().byKey, key)
	}
}

// Each default, given by hand, is read back as itself: so it is in range, and
// what the reference shows is what one would write.
func TestDefaultsPassTheirOwnRules(t *testing.T) {
	t.Parallel()
	for _, l := range keys().leaves {
		shown := strings.Trim(show(l, Default()), "[]")
		if l.kind == kindAddress || l.kind == kindTables {
			continue
		}
		c, _, err := Load(Sources{Overrides: map[string]any{l.key: shown}})
		require.NoError(t, err, l.key)
		require.Equal(t, show(l, Default()), show(l, c))
	}
}

func TestEveryBoundIsEnforced(t *testing.T) {
	t.Parallel()
	for _, l := range keys().leaves {
		if !l.bounded {
			continue
		}
		below, above := fmt.Sprint(l.min-1), fmt.Sprint(int64(l.max)+1)
		if l.kind != kindFloat {
			below = fmt.Sprint(int64(l.min) - 1)
		}
		for _, value := range []string{below, above} {
			_, _, err := Load(Sources{Overrides: map[string]any{l.key: value}})
			low, high, _ := strings.Cut(l.bounds, "..")
			require.ErrorContains(t, err, "must be between "+low+" and "+high, l.key)
		}
	}
}

// A key that is added must also stand in the shipped files, where operators
// look first; those with a default from elsewhere stay out.
func TestShippedBaseSpellsOutEveryKey(t *testing.T) {
	t.Parallel()
	set := map[string]bool{}
	section := ""
	for _, name := range []string{"common.toml", "orchestration.toml"} {
		content, err := os.ReadFile(filepath.Join("../../config/tasker/base", name))
		require.NoError(t, err)
		for _, line := range strings.Split(string(content), "\n") {
			if m := regexp.MustCompile(`^\[([a-z_.]+)\]$`).FindStringSubmatch(line); m != nil {
				section = m[1]
			} else if m := regexp.MustCompile(`^([a-z_]+) = `).FindStringSubmatch(line); m != nil {
				set[section+"."+m[1]] = true
			}
		}
	}
	for _, l := range keys().leaves {
		require.Equal(t, l.inherit == "" && l.unset == "" && l.kind != kindAddress, set[l.key], l.key)
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"port", "port", 0}, {"prot", "port", 1}, {"port", "ports", 1}, {"port", "", 4}, {"host", "port", 2}} {
		require.Equal(t, tt.want, distance(tt.a, tt.b), "%s %s", tt.a, tt.b)
		require.Equal(t, tt.want, distance(tt.b, tt.a), "%s %s", tt.b, tt.a)
	}
}

// One slip of the finger in the last part of a key is always understood.
func TestNearestForgivesOneSlip(t *testing.T) {
	t.Parallel()
	names := keys().keyNames()
	rapid.Check(t, func(rt *rapid.T) {
		key := rapid.SampledFrom(names).Draw(rt, "key")
		at := rapid.IntRange(strings.LastIndex(key, ".")+1, len(key)-1).Draw(rt, "at")
		slip := key[:at] + rapid.SampledFrom([]string{"", "q", "qq"}).Draw(rt, "instead") + key[at+1:]
		require.LessOrEqual(rt, distance(slip, nearest(slip, names)), distance(slip, key))
		require.LessOrEqual(rt, distance(slip, key), 2)
	})
}
