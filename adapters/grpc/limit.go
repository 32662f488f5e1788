package grpc

import (
	"context"

	"google.golang.org/grpc/peer"

	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// Limiter says who asks too often. Its errors are faults rate_limited that say
// when to come back. Addresses are host:port.
type Limiter interface {
	// Call counts a call of a principal; a stream is one.
	Call(who access.Principal, remote string) error
	// Failure counts a call whose credentials were refused.
	Failure(remote string) error
}

// limit counts a call, after its credentials were looked at. It returns why the
// call is refused: because there were too many, or as its credentials were.
func (g *gate) limit(ctx context.Context, who access.Principal, refused error) error {
	if g.limiter == nil {
		return refused
	}
	var tooMany error
	switch {
	case refused == nil:
		tooMany = g.limiter.Call(who, remoteOf(ctx))
	case fault.Is(refused, fault.CodeUnauthenticated):
		tooMany = g.limiter.Failure(remoteOf(ctx))
	}
	if tooMany != nil {
		return tooMany
	}
	return refused
}

// remoteOf returns the address of a client, host:port over TCP.
func remoteOf(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok {
		return p.Addr.String()
	}
	return ""
}
