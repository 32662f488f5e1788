package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Lost returns what counts rows that the audit log lacks.
func (m *Metrics) Lost() func() {
	lost := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tasker_audit_log_lost_total", Help: "Changes that could not be written to the audit log.",
	})
	m.registry.MustRegister(lost)
	return lost.Inc
}
