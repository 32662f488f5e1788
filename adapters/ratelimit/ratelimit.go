// Package ratelimit says who asks too often: token buckets for principals, and
// smaller ones for addresses that present bad credentials. Both doors ask it; it
// knows nothing of what they are asked.
package ratelimit

import (
	"net/netip"
	"time"

	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// Config says how much is let through.
type Config struct {
	Calls    Rate             // of each principal
	Failures Rate             // of each address: calls whose credentials were refused
	Names    int              // principals, and addresses, that are remembered at once
	Limited  func(by string)  // told of each call that is turned away: ByPrincipal or ByAddress; nil for nobody
	Now      func() time.Time // nil for the clock
}

// What calls are counted by.
const (
	ByPrincipal = "principal"
	ByAddress   = "address"
)

// Limits counts calls. It is safe for concurrent use. What it counts is counted
// by this server alone, over both doors.
type Limits struct {
	cfg      Config
	calls    *buckets
	failures *buckets
}

// New returns limits under which nobody has called yet.
func New(cfg Config) *Limits {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Limits{cfg: cfg, calls: newBuckets(cfg.Calls, cfg.Names), failures: newBuckets(cfg.Failures, cfg.Names)}
}

// Call counts a call of a principal. The error is a fault rate_limited that says
// when to come back. Where no credentials are asked for, callers are told apart
// by their address, host:port.
func (l *Limits) Call(who access.Principal, remote string) error {
	name, by := ByPrincipal+" "+who.Subject, ByPrincipal
	if who.Subject == access.Anonymous().Subject {
		name, by = ByAddress+" "+network(remote), ByAddress
	}
	wait := l.calls.take(name, l.cfg.Now())
	if wait == 0 {
		return nil
	}
	l.told(by)
	return fault.New(fault.CodeRateLimited, "too many requests by this caller, want at most %g a second", l.cfg.Calls.PerSecond).Later(wait)
}

// Failure counts a call whose credentials were refused. The error is the same as
// Call's. Good credentials from the same address are not held back: it may be
// that of a proxy.
func (l *Limits) Failure(remote string) error {
	wait := l.failures.take(network(remote), l.cfg.Now())
	if wait == 0 {
		return nil
	}
	l.told(ByAddress)
	return fault.New(fault.CodeRateLimited, "too many requests with bad credentials from this address").Later(wait)
}

func (l *Limits) told(by string) {
	if l.cfg.Limited != nil {
		l.cfg.Limited(by)
	}
}

// customers is how many leading bits of an IPv6 address one customer of a
// provider usually has.
const customers = 64

// network names who is behind an address: the address itself, or the network of
// an IPv6 one, whose owner has more addresses than anybody could remember.
func network(remote string) string {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote // such as that of a connection within the process
	}
	addr := ap.Addr().Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	p, err := addr.Prefix(customers)
	if err != nil {
		return addr.String()
	}
	return p.String()
}
