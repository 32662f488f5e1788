package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tasker-go/tasker/core/app/actor"
	"github.com/tasker-go/tasker/core/app/orchestrate"
	"github.com/tasker-go/tasker/core/app/upkeep"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/step"
)

// Metrics are the figures that /metrics shows. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	batch    *prometheus.HistogramVec
	queued   *prometheus.HistogramVec
	worked   *prometheus.HistogramVec
	messages *prometheus.CounterVec
	verdicts *prometheus.CounterVec
	letters  *prometheus.CounterVec
	told     *prometheus.CounterVec
	healed   prometheus.Counter
	stale    *prometheus.CounterVec
}

var (
	_ actor.Observer              = (*Metrics)(nil)
	_ orchestrate.VerdictObserver = (*Metrics)(nil)
	_ orchestrate.Observer        = (*Metrics)(nil)
)

// NewMetrics returns metrics of a server of the given version.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tasker_actor_batch_size", Help: "Messages in the batches that an actor worked on.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256},
		}, []string{"actor"}),
		queued: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tasker_actor_queued_seconds", Help: "How long the oldest message of a batch had waited.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10),
		}, []string{"actor"}),
		worked: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tasker_actor_transaction_seconds", Help: "How long the work on a batch took, its transaction included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"actor"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tasker_actor_messages_total", Help: "Messages by actor and outcome: handled, refused, failed or abandoned.",
		}, []string{"actor", "outcome"}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tasker_step_results_total", Help: "Results of steps by what became of them: applied, duplicate or stale.",
		}, []string{"verdict"}),
		letters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tasker_dlq_entries_created_total", Help: "Dead letters that this server opened.",
		}, []string{"dlq_reason", "original_state"}),
		told: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tasker_dlq_entries_announced_total", Help: "Dead letters that this server has announced, whoever opened them.",
		}, []string{"dlq_reason"}),
		healed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tasker_reconciler_healed_total", Help: "Steps and tasks that nothing had woken in time. Zero in a healthy system.",
		}),
	}
	m.stale = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tasker_staleness_tasks_detected_total", Help: "Tasks found standing still, by what was done: filed, failed, or filed as unserved.",
	}, []string{"outcome"})
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tasker_orchestration_info", Help: "Always 1; the version is a label.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	m.registry.MustRegister(m.batch, m.queued, m.worked, m.messages, m.verdicts, m.letters, m.told, m.healed, m.stale, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, v := range []step.Verdict{step.Applied, step.Duplicate, step.Stale} {
		m.verdicts.WithLabelValues(v.String())
	}
	for _, r := range deadletter.Reasons() {
		m.told.WithLabelValues(r.String())
	}
	return m
}

// Batch implements actor.Observer.
func (m *Metrics) Batch(name string, size int, queued, worked time.Duration) {
	m.batch.WithLabelValues(name).Observe(float64(size))
	m.queued.WithLabelValues(name).Observe(queued.Seconds())
	m.worked.WithLabelValues(name).Observe(worked.Seconds())
}

// Message implements actor.Observer.
func (m *Metrics) Message(name, outcome string, n int) {
	m.messages.WithLabelValues(name, outcome).Add(float64(n))
}

// Verdict implements orchestrate.VerdictObserver.
func (m *Metrics) Verdict(v step.Verdict) { m.verdicts.WithLabelValues(v.String()).Inc() }

// DeadLetter implements orchestrate.Observer.
func (m *Metrics) DeadLetter(reason, state string) { m.letters.WithLabelValues(reason, state).Inc() }

// Swept counts what a search for tasks that stand still has found.
func (m *Metrics) Swept(s upkeep.Swept) {
	m.stale.WithLabelValues("filed").Add(float64(s.Stale))
	m.stale.WithLabelValues("failed").Add(float64(s.Failed))
	m.stale.WithLabelValues("unserved").Add(float64(s.Unserved))
}

// Healed counts what the reconciler had to wake.
func (m *Metrics) Healed(n int) { m.healed.Add(float64(n)) }

// Announced counts a dead letter that this server has announced.
func (m *Metrics) Announced(r deadletter.Reason) { m.told.WithLabelValues(r.String()).Inc() }

// Mailbox is an actor's mailbox.
type Mailbox interface {
	Name() string
	Depth() int
	Capacity() int
}

// Mailboxes shows the depth of actors' mailboxes and how near they are to full.
func (m *Metrics) Mailboxes(all ...Mailbox) {
	for _, b := range all {
		labels := prometheus.Labels{"actor": b.Name()}
		for _, outcome := range []string{actor.Handled, actor.Refused, actor.Failed, actor.Abandoned} {
			m.messages.WithLabelValues(b.Name(), outcome)
		}
		m.gauge("tasker_actor_mailbox_depth", "Messages that wait for an actor.", labels,
			func() float64 { return float64(b.Depth()) })
		m.gauge("tasker_actor_mailbox_capacity", "Messages that may wait for an actor.", labels,
			func() float64 { return float64(b.Capacity()) })
		m.gauge("tasker_orchestration_channel_health", "0 healthy, 1 degraded (80 % full), 2 critical (95 % full).",
			prometheus.Labels{"channel_name": b.Name(), "component": "actor"},
			func() float64 { return Saturation(b.Depth(), b.Capacity()) })
	}
}

// Saturation returns 0 below 80 % full, 1 below 95 %, else 2.
func Saturation(depth, capacity int) float64 {
	switch {
	case depth*100 >= capacity*95:
		return 2
	case depth*100 >= capacity*80:
		return 1
	default:
		return 0
	}
}

// Gauge shows a figure that is read when it is asked for.
func (m *Metrics) Gauge(name, help string, read func() float64) { m.gauge(name, help, nil, read) }

func (m *Metrics) gauge(name, help string, labels prometheus.Labels, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, read))
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
