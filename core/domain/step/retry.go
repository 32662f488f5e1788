package step

import "time"

// Backoff is the way in which waits grow from one attempt to the next.
type Backoff string

// The kinds of backoff.
const (
	None        Backoff = "none"        // no wait
	Fixed       Backoff = "fixed"       // base
	Linear      Backoff = "linear"      // base × n
	Exponential Backoff = "exponential" // base × 2^(n-1)
	Fibonacci   Backoff = "fibonacci"   // base × F(n): 1 1 2 3 5 …
)

// Policy says whether and when a failed step runs again.
type Policy struct {
	Retryable   bool
	MaxAttempts int32 // attempts in all, the first included; 0 means 1
	Backoff     Backoff
	Base        time.Duration
	Max         time.Duration // no wait is longer, jitter and wishes of the handler included
	Jitter      float64       // share of the wait, each way, over which it is spread; 0 for none
}

// Again reports whether a step that has failed attempts times may run again.
func (p Policy) Again(attempts int32) bool {
	return p.Retryable && attempts < p.MaxAttempts
}

// Delay returns the wait after the n-th failed attempt, counted from 1. Chance
// in [0,1) picks the place within the jitter. It never exceeds Max and is never
// negative.
func (p Policy) Delay(n int32, chance float64) time.Duration {
	return p.spread(p.grown(n), chance)
}

// Wait returns how long a step waits after the n-th failed attempt, counted
// from 1: what its handler asked for, else what its sort of trouble needs (see
// Classify), else Delay. Only what the handler asked for has no jitter: servers
// that name a time mean it, while classes would bring all their steps back at
// once. It never exceeds Max and is never negative.
func (p Policy) Wait(f Failure, n int32, chance float64) time.Duration {
	if f.RetryAfter > 0 {
		return p.Wanted(f.RetryAfter)
	}
	if d := Classify(f, n).Delay; d > 0 {
		return p.spread(p.capped(d), chance)
	}
	return p.Delay(n, chance)
}

func (p Policy) spread(raw time.Duration, chance float64) time.Duration {
	if p.Jitter == 0 {
		return raw // to the nanosecond: a float64 has fewer digits than a Duration
	}
	spread := float64(raw) * (1 + p.Jitter*(2*chance-1))
	if spread >= float64(p.Max) {
		return max(0, p.Max)
	}
	return p.capped(time.Duration(spread))
}

// Wanted returns the wait that a handler asked for, capped like any other and
// without jitter.
func (p Policy) Wanted(d time.Duration) time.Duration { return p.capped(d) }

func (p Policy) grown(n int32) time.Duration {
	n = max(n, 1)
	switch p.Backoff {
	case Fixed:
		return p.capped(p.Base)
	case Linear:
		if p.Base > 0 && int64(n) > int64(p.Max/p.Base) {
			return p.Max
		}
		return p.Base * time.Duration(n)
	case Fibonacci:
		a, b := time.Duration(0), p.Base
		for range n - 1 {
			if b > p.Max-a { // the sum, without overflow
				return p.Max
			}
			a, b = b, a+b
		}
		return p.capped(b)
	case Exponential:
		d := p.Base
		for range n - 1 {
			if d > p.Max/2 {
				return p.Max
			}
			d *= 2
		}
		return p.capped(d)
	case None:
		return 0
	default:
		return 0
	}
}

func (p Policy) capped(d time.Duration) time.Duration { return max(0, min(d, p.Max)) }
