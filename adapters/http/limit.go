package http

import (
	"github.com/danielgtaylor/huma/v2"

	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// Limiter says who asks too often. Its errors are faults rate_limited that say
// when to come back. Addresses are host:port.
type Limiter interface {
	// Call counts a call of a principal.
	Call(who access.Principal, remote string) error
	// Failure counts a call whose credentials were refused.
	Failure(remote string) error
}

// limit counts a call, after its credentials were looked at. It returns why the
// call is refused: because there were too many, or as its credentials were.
func (a *api) limit(hctx huma.Context, who access.Principal, refused error) error {
	if a.cfg.Limiter == nil {
		return refused
	}
	var tooMany error
	switch {
	case refused == nil:
		tooMany = a.cfg.Limiter.Call(who, hctx.RemoteAddr())
	case fault.Is(refused, fault.CodeUnauthenticated):
		tooMany = a.cfg.Limiter.Failure(hctx.RemoteAddr())
	}
	if tooMany != nil {
		return tooMany
	}
	return refused
}
