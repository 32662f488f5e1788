package ratelimit

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is what a bucket lets through.
type Rate struct {
	PerSecond float64 // in the long run
	Burst     int     // at once, after a rest; at least 1
}

// rest is how long it takes an empty bucket to be full again. A bucket that was
// left alone for so long is as good as a new one.
func (r Rate) rest() time.Duration {
	return time.Duration(float64(r.Burst) / r.PerSecond * float64(time.Second))
}

// buckets holds a token bucket for each of the names that were seen of late, the
// most recent of them where there are more than it may hold.
type buckets struct {
	rate Rate
	most int

	mu     sync.Mutex
	byName map[string]*list.Element
	recent *list.List // of *bucket, the most recent in front
}

type bucket struct {
	name    string
	limiter *rate.Limiter
	used    time.Time
}

func newBuckets(r Rate, most int) *buckets {
	return &buckets{rate: r, most: most, byName: map[string]*list.Element{}, recent: list.New()}
}

// take takes a token of the name and returns 0, or takes none and returns when
// there will be one.
func (b *buckets) take(name string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, known := b.byName[name]
	if known {
		b.recent.MoveToFront(e)
	} else {
		b.makeRoom(now)
		e = b.recent.PushFront(&bucket{name: name, limiter: rate.NewLimiter(rate.Limit(b.rate.PerSecond), b.rate.Burst)})
		b.byName[name] = e
	}
	mine, _ := e.Value.(*bucket)
	mine.used = now
	r := mine.limiter.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// makeRoom forgets names that have rested, two for each that comes, and the one
// that was seen least recently where there are too many.
func (b *buckets) makeRoom(now time.Time) {
	for range 2 {
		last := b.recent.Back()
		if last == nil {
			return
		}
		old, _ := last.Value.(*bucket)
		if b.recent.Len() < b.most && now.Sub(old.used) < b.rate.rest() {
			return
		}
		b.recent.Remove(last)
		delete(b.byName, old.name)
	}
}

func (b *buckets) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.recent.Len()
}
