package app

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// CheckStatus is the verdict on one part of the server.
type CheckStatus string

// The verdicts of the contract.
const (
	Healthy   CheckStatus = "healthy"
	Degraded  CheckStatus = "degraded"  // works, with something to look at
	Unhealthy CheckStatus = "unhealthy" // does not work
	Unknown   CheckStatus = "unknown"   // not looked at yet
)

// Check is what a probe found.
type Check struct {
	Name     string
	Status   CheckStatus
	Message  string // for people; safe to show to anybody; empty for none
	Duration time.Duration
}

// Probe looks at one part of the server.
type Probe struct {
	Name  string
	Ready bool // no work can be taken while it finds anything but healthy
	// Look returns what it finds. The message is shown to whoever asks, without
	// credentials. It has to return when ctx ends.
	Look func(ctx context.Context) (status CheckStatus, message string)
}

// HealthReport is how the server is.
type HealthReport struct {
	Status string // ready, not_ready; healthy, degraded
	OK     bool   // every check is healthy
	Checks []Check
	Info   HealthInfo
	At     time.Time
}

// HealthInfo is facts about the server.
type HealthInfo struct {
	Version             string
	Environment         string
	OperationalState    string // Normal, Startup, GracefulShutdown, Stopped or Emergency
	CircuitBreakerState string // Closed, Open or HalfOpen
	Pools               []PoolUse
}

// PoolUse is how busy a pool of connections is.
type PoolUse struct {
	Name                                       string
	Active, Idle, Max                          int
	TotalAcquires, SlowAcquires, AcquireErrors int64
	AverageAcquire, MaxAcquire                 time.Duration
}

// Open returns how many connections are open.
func (p PoolUse) Open() int { return p.Active + p.Idle }

// Percent returns how much of the pool is in use.
func (p PoolUse) Percent() float64 {
	if p.Max == 0 {
		return 0
	}
	return 100 * float64(p.Active) / float64(p.Max)
}

// probeTime is how long a probe may look. One that has not returned by then
// counts as unhealthy.
const probeTime = time.Second

// Health asks probes how the server is. It is safe for concurrent use.
type Health struct {
	probes []Probe
	info   func() HealthInfo
}

// NewHealth returns health by these probes; info is asked for every report.
func NewHealth(info func() HealthInfo, probes ...Probe) *Health {
	return &Health{probes: probes, info: info}
}

// Ready reports whether work should be sent here: ready or not_ready.
func (h *Health) Ready(ctx context.Context) HealthReport {
	var needed []Probe
	for _, p := range h.probes {
		if p.Ready {
			needed = append(needed, p)
		}
	}
	return h.report(ctx, needed, "ready", "not_ready")
}

// Detailed reports on every part: healthy or degraded.
func (h *Health) Detailed(ctx context.Context) HealthReport {
	return h.report(ctx, h.probes, "healthy", "degraded")
}

// report asks the probes at the same time.
func (h *Health) report(ctx context.Context, probes []Probe, good, bad string) HealthReport {
	r := HealthReport{Status: good, OK: true, Checks: make([]Check, len(probes)), Info: h.info()}
	var all sync.WaitGroup
	for i, p := range probes {
		all.Go(func() { r.Checks[i] = p.check(ctx) })
	}
	all.Wait()
	for _, c := range r.Checks {
		if c.Status != Healthy {
			r.Status, r.OK = bad, false
		}
	}
	r.At = time.Now().UTC() //nolint:forbidigo // when the report was made
	return r
}

func (p Probe) check(ctx context.Context) Check {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	began := time.Now() //nolint:forbidigo // measures the check
	found := make(chan Check, 1)
	go func() { // ends when Look returns, which ctx sees to
		defer func() {
			if recover() != nil {
				found <- Check{Name: p.Name, Status: Unhealthy, Message: "the check itself failed"}
			}
		}()
		status, message := p.Look(ctx)
		found <- Check{Name: p.Name, Status: status, Message: message}
	}()
	var c Check
	select {
	case c = <-found:
	case <-ctx.Done():
		c = Check{Name: p.Name, Status: Unhealthy, Message: fmt.Sprintf("no answer within %s", probeTime)}
	}
	c.Duration = time.Since(began) //nolint:forbidigo // measures the check
	return c
}
