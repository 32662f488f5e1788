package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// answers keeps what was computed a moment ago, by the question. Its zero value
// is ready; it is safe for concurrent use.
type answers[Q comparable, A any] struct {
	mu    sync.Mutex
	kept  map[Q]answer[A]
	group singleflight.Group
}

type answer[A any] struct {
	value A
	at    time.Time
}

// maxAnswers bounds what is kept, whatever is asked.
const maxAnswers = 64

// cached returns the answer to q, if it is fresh, or computes it: once, however
// many ask at the same time. Errors are not kept. Who asks may leave; the
// computation goes on for the others, under its own limit of time.
func cached[Q comparable, A any](ctx context.Context, all *answers[Q, A], q Q, compute func(context.Context) (A, error)) (A, error) {
	if value, fresh := all.fresh(q); fresh {
		return value, nil
	}
	done := all.group.DoChan(fmt.Sprint(q), func() (any, error) {
		if value, fresh := all.fresh(q); fresh { // computed between the two looks
			return value, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), computeTime)
		defer cancel()
		value, err := compute(ctx)
		if err == nil {
			all.keep(q, answer[A]{value, time.Now()}) //nolint:forbidigo // the age of an answer
		}
		return value, err
	})
	select {
	case r := <-done:
		return r.Val.(A), r.Err
	case <-ctx.Done():
		var none A
		return none, ctx.Err()
	}
}

func (all *answers[Q, A]) fresh(q Q) (A, bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	a, ok := all.kept[q]
	return a.value, ok && time.Since(a.at) < analyticsAge //nolint:forbidigo // the age of an answer
}

// computeTime is how long an answer may take.
const computeTime = 15 * time.Second

func (all *answers[Q, A]) keep(q Q, a answer[A]) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.kept == nil || len(all.kept) >= maxAnswers {
		all.kept = map[Q]answer[A]{}
	}
	all.kept[q] = a
}
