package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Limited returns what counts the calls that are turned away because there were
// too many, by what they were counted by: one of those named. It may be asked for
// once.
func (m *Metrics) Limited(by ...string) func(by string) {
	limited := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tasker_rate_limited_total", Help: "Calls turned away because their caller, principal or address, made too many.",
	}, []string{"by"})
	m.registry.MustRegister(limited)
	for _, b := range by {
		limited.WithLabelValues(b)
	}
	return func(by string) { limited.WithLabelValues(by).Inc() }
}

// Certificate shows when the certificate of a door runs out.
func (m *Metrics) Certificate(door string, notAfter func() time.Time) {
	m.gauge("tasker_tls_certificate_not_after_seconds", "When the certificate that a door uses runs out, as a Unix time.",
		prometheus.Labels{"door": door}, func() float64 { return float64(notAfter().Unix()) })
}
