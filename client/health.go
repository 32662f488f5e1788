package client

import "context"

// Health is how a server is.
type Health struct {
	Status string                 `json:"status"` // healthy or degraded
	Checks map[string]HealthCheck `json:"checks"`
	Info   HealthInfo             `json:"info"`
}

// HealthCheck is how a part is.
type HealthCheck struct {
	Status     string `json:"status"` // healthy, degraded, unhealthy or unknown
	Message    string `json:"message"`
	DurationMS int64  `json:"duration_ms"`
}

// HealthInfo is facts about the server.
type HealthInfo struct {
	Version             string `json:"version"`
	Environment         string `json:"environment"`
	OperationalState    string `json:"operational_state"`
	CircuitBreakerState string `json:"circuit_breaker_state"`
}

// Ready returns nil if work should be sent to the server, and ErrNotReady if
// not. It asks once.
func (c *Client) Ready(ctx context.Context) error {
	_, err := once(ctx, c.timeout, func(ctx context.Context) (none, error) { return none{}, c.t.ready(ctx) })
	return err
}

// Health tells how every part of the server is.
func (c *Client) Health(ctx context.Context) (Health, error) {
	return do(ctx, c, anyway, c.t.health)
}
