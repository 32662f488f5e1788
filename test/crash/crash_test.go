package main

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/test/crash/program"
)

func TestMain(m *testing.M) {
	hidden()
	pgtest.Main(m)
}

// onWrite calls do with all that was written so far.
type onWrite struct {
	bytes.Buffer
	do func(text []byte)
}

func (w *onWrite) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	w.do(w.Bytes())
	return n, err
}

// make crash, in small.
func TestNothingIsLostOrDoneTwice(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir, err := folder()
	require.NoError(t, err)
	var out bytes.Buffer
	report, err := run(ctx, options{tasks: 60, kills: 3, postgresKills: 1, seed: 1}, dir, &out)
	require.NoError(t, err, out.String())
	require.Empty(t, report.violations, out.String())
	require.Equal(t, 60, report.checked.Tasks)
	require.Equal(t, 240, report.checked.Steps)
	require.Len(t, report.kills, 4)
	for _, k := range report.kills {
		require.Positive(t, k.running, "a kill counts only when a step is running")
	}
	require.Positive(t, report.checked.CutOff)
	require.Positive(t, report.checked.Retries)
	require.NoDirExists(t, dir)
	report.print(&out)
	t.Log(out.String())
}

// An interrupted run leaves neither processes nor files.
func TestAnInterruptedRunCleansUp(t *testing.T) {
	t.Parallel()
	dir, err := folder()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	postmaster := 0
	out := onWrite{do: func(text []byte) {
		if postmaster == 0 && bytes.Contains(text, []byte("killed: ")) {
			postmaster, _ = program.Postmaster(dataIn(dir))
			cancel()
		}
	}}
	_, err = run(ctx, options{tasks: 100, kills: 5, seed: 1}, dir, &out)
	require.ErrorIs(t, err, context.Canceled)
	require.Positive(t, postmaster, out.String())
	require.False(t, program.Works(postmaster), "PostgreSQL still runs")
	_, err = os.Stat(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
}
