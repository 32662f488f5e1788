package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
)

// TestMain is also the load process of the tests, which starts its own program.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == loadCommand {
		if err := loadMain(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	pgtest.Main(m)
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a shape that is none": {[]string{"-shapes", "single,circle"}, `there is no shape "circle", only single, linear4`},
		"a mode that is none":  {[]string{"-modes", "rest"}, `there is no mode "rest", only inprocess and grpc`},
		"fewer than none":      {[]string{"-unserved", "-1"}, "cannot be negative"},
		"a stray word":         {[]string{"quick"}, `unexpected argument "quick"`},
		"an unknown flag":      {[]string{"-fast"}, "flag provided but not defined: -fast"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(c.args, &bytes.Buffer{})
			require.ErrorContains(t, err, c.want)
		})
	}

	c, err := parse([]string{"-shapes", "tree8, single", "-modes", "grpc", "-quick"}, &bytes.Buffer{})
	require.NoError(t, err)
	require.Len(t, c.shapes, 2)
	require.Equal(t, "tree8", c.shapes[0].name)
	require.Equal(t, []string{overGRPC}, c.modes)
	require.Equal(t, 1, c.rounds)

	c, err = parse(nil, &bytes.Buffer{})
	require.NoError(t, err)
	require.Equal(t, 5, c.rounds)
	require.Equal(t, []string{inProcess, overGRPC}, c.modes)
	for _, s := range c.shapes {
		if s.name != "fanout1000" {
			require.GreaterOrEqual(t, c.scaled(s.samples), 200, s.name)
			require.Equal(t, 2000, c.scaled(s.tasks), s.name)
		}
	}
}
