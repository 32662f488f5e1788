package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tasker-go/tasker/core/ports"
)

// countsAge is how long figures from the database are shown before they are
// read again: scrapes must not become load.
const countsAge = 5 * time.Second

var (
	tasksDesc = prometheus.NewDesc("tasker_tasks", "Tasks per template and state.",
		[]string{"namespace", "name", "version", "state"}, nil)
	stepsDesc = prometheus.NewDesc("tasker_steps", "Steps per template and state.",
		[]string{"namespace", "name", "version", "state"}, nil)
	queueDesc = prometheus.NewDesc("tasker_queue_depth", "Steps that wait in a queue for a worker.", []string{"queue"}, nil)
	poolDesc  = prometheus.NewDesc("tasker_db_pool_connections", "Connections of a pool.", []string{"pool", "state"}, nil)
	sizeDesc  = prometheus.NewDesc("tasker_orchestration_db_pool_size", "Open connections of all pools.", nil, nil)
)

// counts collects figures that are kept in the database.
type counts struct {
	stats ports.Statistics
	log   *slog.Logger

	mu     sync.Mutex
	read   time.Time
	states []ports.StateCount
	queues map[string]int64
}

// Counts shows tasks and steps per state, and how much waits in queues. Between
// readings, and while the database is away, it shows the last ones.
func (m *Metrics) Counts(stats ports.Statistics, log *slog.Logger) {
	m.registry.MustRegister(&counts{stats: stats, log: log})
}

// Describe implements prometheus.Collector.
func (c *counts) Describe(ch chan<- *prometheus.Desc) {
	ch <- tasksDesc
	ch <- stepsDesc
	ch <- queueDesc
}

// Collect implements prometheus.Collector.
func (c *counts) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.read) > countsAge {
		c.refresh()
	}
	for _, s := range c.states {
		desc := stepsDesc
		if s.Kind == "task" {
			desc = tasksDesc
		}
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(s.Count), s.Namespace, s.Name, s.Version, s.State)
	}
	for queue, n := range c.queues {
		ch <- prometheus.MustNewConstMetric(queueDesc, prometheus.GaugeValue, float64(n), queue)
	}
}

func (c *counts) refresh() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	states, err := c.stats.Counts(ctx)
	if err == nil {
		var queues map[string]int64
		if queues, err = c.stats.QueueDepths(ctx); err == nil {
			c.states, c.queues = merged(states), queues
		}
	}
	if err != nil {
		c.log.Warn("cannot read counts for metrics", "error", err)
	}
	c.read = time.Now()
}

// merged adds up revisions of the same version, which share their labels.
func merged(states []ports.StateCount) []ports.StateCount {
	at := map[ports.StateCount]int{}
	var out []ports.StateCount
	for _, s := range states {
		key := s
		key.Template, key.Count = 0, 0
		if i, ok := at[key]; ok {
			out[i].Count += s.Count
			continue
		}
		at[key] = len(out)
		out = append(out, s)
	}
	return out
}

// PoolFigures is how busy a pool of connections is.
type PoolFigures struct {
	Name         string
	Active, Idle int32
}

type pools struct{ read func() []PoolFigures }

// Pools shows the pools of connections.
func (m *Metrics) Pools(read func() []PoolFigures) { m.registry.MustRegister(pools{read}) }

// Describe implements prometheus.Collector.
func (pools) Describe(ch chan<- *prometheus.Desc) { ch <- poolDesc; ch <- sizeDesc }

// Collect implements prometheus.Collector.
func (p pools) Collect(ch chan<- prometheus.Metric) {
	var open int32
	for _, f := range p.read() {
		ch <- prometheus.MustNewConstMetric(poolDesc, prometheus.GaugeValue, float64(f.Active), f.Name, "active")
		ch <- prometheus.MustNewConstMetric(poolDesc, prometheus.GaugeValue, float64(f.Idle), f.Name, "idle")
		open += f.Active + f.Idle
	}
	ch <- prometheus.MustNewConstMetric(sizeDesc, prometheus.GaugeValue, float64(open))
}
