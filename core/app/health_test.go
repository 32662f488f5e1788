package app_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/ports"
)

func facts() app.HealthInfo { return app.HealthInfo{Version: "1.2.3"} }

func always(name string, ready bool, s app.CheckStatus) app.Probe {
	return app.Probe{Name: name, Ready: ready, Look: func(context.Context) (app.CheckStatus, string) { return s, "so it is" }}
}

func TestReadinessAsksOnlyWhatItNeeds(t *testing.T) {
	t.Parallel()
	h := app.NewHealth(facts, always("db", true, app.Healthy), always("queue", false, app.Degraded))
	ready := h.Ready(t.Context())
	require.True(t, ready.OK)
	require.Equal(t, "ready", ready.Status)
	require.Len(t, ready.Checks, 1)
	require.Equal(t, "db", ready.Checks[0].Name)
	require.Equal(t, "1.2.3", ready.Info.Version)

	all := h.Detailed(t.Context())
	require.False(t, all.OK)
	require.Equal(t, "degraded", all.Status)
	require.Equal(t, []string{"db", "queue"}, []string{all.Checks[0].Name, all.Checks[1].Name})

	for _, s := range []app.CheckStatus{app.Degraded, app.Unhealthy, app.Unknown} {
		report := app.NewHealth(facts, always("db", true, s)).Ready(t.Context())
		require.Equal(t, "not_ready", report.Status, s)
	}
}

func TestAProbeThatHangsOrPanicsIsUnhealthy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := app.NewHealth(facts,
			app.Probe{Name: "hangs", Ready: true, Look: func(ctx context.Context) (app.CheckStatus, string) {
				<-ctx.Done()
				time.Sleep(time.Second) // in the bubble's time: it takes a while to notice
				return app.Healthy, ""
			}},
			app.Probe{Name: "slow", Ready: true, Look: func(context.Context) (app.CheckStatus, string) {
				time.Sleep(900 * time.Millisecond)
				return app.Healthy, ""
			}},
			app.Probe{Name: "panics", Ready: true, Look: func(context.Context) (app.CheckStatus, string) { panic("secret") }},
		)
		began := time.Now()
		r := h.Ready(t.Context())
		require.Equal(t, time.Second, time.Since(began), "the probes look at the same time, for a second at most")
		require.Equal(t, app.Unhealthy, r.Checks[0].Status)
		require.Equal(t, "no answer within 1s", r.Checks[0].Message)
		require.Equal(t, app.Healthy, r.Checks[1].Status)
		require.Equal(t, 900*time.Millisecond, r.Checks[1].Duration)
		require.Equal(t, app.Unhealthy, r.Checks[2].Status)
		require.NotContains(t, r.Checks[2].Message, "secret")
		time.Sleep(2 * time.Second)
	})
}

type pinger struct{ err error }

func (p pinger) Ping(context.Context) error { return p.err }

type mailbox struct{ depth, capacity int }

func (mailbox) Name() string    { return "task_request" }
func (m mailbox) Depth() int    { return m.depth }
func (m mailbox) Capacity() int { return m.capacity }

type queues map[string]int64

func (q queues) QueueDepths(context.Context) (map[string]int64, error) {
	if q == nil {
		return nil, errors.New("connect to 10.0.0.7")
	}
	return q, nil
}

func (queues) Counts(context.Context) ([]ports.StateCount, error) { return nil, nil }

func TestProbes(t *testing.T) {
	t.Parallel()
	state := func(s string) func() string { return func() string { return s } }
	pool := func(active int) func() []app.PoolUse {
		return func() []app.PoolUse { return []app.PoolUse{{Name: "core", Active: active, Max: 100}} }
	}
	for name, c := range map[string]struct {
		probe   app.Probe
		status  app.CheckStatus
		message string
	}{
		"database":           {app.ProbeDatabase("web_database", pinger{}), app.Healthy, ""},
		"database gone":      {app.ProbeDatabase("web_database", pinger{errors.New("10.0.0.7 refused")}), app.Unhealthy, "the database does not answer"},
		"breaker closed":     {app.ProbeBreaker(state("closed")), app.Healthy, ""},
		"breaker half open":  {app.ProbeBreaker(state("half_open")), app.Healthy, ""},
		"breaker open":       {app.ProbeBreaker(state("open")), app.Degraded, "the circuit breaker around database writes is open"},
		"running":            {app.ProbeSystem(state("Normal")), app.Healthy, ""},
		"stopping":           {app.ProbeSystem(state("GracefulShutdown")), app.Unhealthy, "the server is in state GracefulShutdown"},
		"actors keep up":     {app.ProbeActors(mailbox{9, 10}), app.Healthy, ""},
		"an actor is behind": {app.ProbeActors(mailbox{0, 10}, mailbox{10, 10}), app.Unhealthy, "the mailbox of task_request is full (10)"},
		"mailboxes empty":    {app.ProbeMailboxes(mailbox{7, 10}), app.Healthy, ""},
		"mailboxes filling":  {app.ProbeMailboxes(mailbox{8, 10}, mailbox{1, 10}), app.Degraded, "the mailbox of task_request is 80 % full"},
		"mailboxes full":     {app.ProbeMailboxes(mailbox{8, 10}, mailbox{10, 10}), app.Unhealthy, "the mailbox of task_request is 100 % full"},
		"pool idle":          {app.ProbePools(pool(10)), app.Healthy, ""},
		"pool busy":          {app.ProbePools(pool(85)), app.Degraded, "85 % of the connections of core are in use"},
		"pool used up":       {app.ProbePools(pool(100)), app.Unhealthy, "100 % of the connections of core are in use"},
		"queues short":       {app.ProbeQueues(queues{"a": 999}), app.Healthy, ""},
		"queues long":        {app.ProbeQueues(queues{"a": 1, "b": 1000}), app.Degraded, "1000 jobs wait in b"},
		"queues too long":    {app.ProbeQueues(queues{"a": 5000}), app.Unhealthy, "5000 jobs wait in a"},
		"queues unreadable":  {app.ProbeQueues(queues(nil)), app.Unknown, "the depth of the queues cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, message := c.probe.Look(t.Context())
			require.Equal(t, c.status, status)
			require.Equal(t, c.message, message)
		})
	}
}
