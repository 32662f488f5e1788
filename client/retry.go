package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

type retries struct {
	attempts    int
	first, most time.Duration
}

// repeat says when a call may be made again.
type repeat bool

const (
	anyway      repeat = true  // it reads, or a second time changes nothing
	ifUntouched repeat = false // only where surely nothing has happened
)

// do makes a call, and makes it again where that helps and does no harm. Each
// attempt has the timeout of the client.
func do[T any](ctx context.Context, c *Client, again repeat, call func(context.Context) (T, error)) (T, error) {
	return attempt(ctx, c, c.timeout, again, call)
}

// attempt is do with a timeout of its own; 0 for none.
func attempt[T any](ctx context.Context, c *Client, timeout time.Duration, again repeat, call func(context.Context) (T, error)) (T, error) {
	for n := 1; ; n++ {
		out, err := once(ctx, timeout, call)
		if err == nil {
			return out, nil
		}
		var e *Error
		if !errors.As(err, &e) || n >= c.retry.attempts || !e.Retryable() || ctx.Err() != nil || !(bool(again) || e.before) {
			return out, err
		}
		if !sleep(ctx, c.retry.wait(n, e.RetryAfter)) {
			return out, err
		}
	}
}

func once[T any](ctx context.Context, timeout time.Duration, call func(context.Context) (T, error)) (T, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return call(ctx)
}

// wait returns how long to wait after attempt n: any time up to a bound that
// doubles, and no less than the server asks for.
func (r retries) wait(n int, asked time.Duration) time.Duration {
	bound := r.first
	for i := 1; i < n && bound < r.most; i++ {
		bound *= 2
	}
	return asked + rand.N(min(bound, r.most)) //nolint:gosec // G404: keeps clients apart
}

// sleep reports whether the time has passed; it does not begin to wait for what
// the context has no time for.
func sleep(ctx context.Context, d time.Duration) bool {
	if end, has := ctx.Deadline(); has && time.Until(end) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
