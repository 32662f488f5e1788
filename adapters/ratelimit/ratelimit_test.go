package ratelimit_test

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/adapters/ratelimit"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

var shop = access.Principal{Subject: "shop"}

func limits(told *[]string) *ratelimit.Limits {
	return ratelimit.New(ratelimit.Config{
		Calls:    ratelimit.Rate{PerSecond: 2, Burst: 3},
		Failures: ratelimit.Rate{PerSecond: 0.5, Burst: 1},
		Names:    100,
		Limited:  func(by string) { *told = append(*told, by) },
	})
}

// wait returns for how long a call was turned away.
func wait(t *testing.T, err error) time.Duration {
	t.Helper()
	require.Error(t, err)
	f := fault.Of(err)
	require.Equal(t, fault.CodeRateLimited, f.Code)
	return f.RetryAfter
}

func TestACallerIsLetThroughAtItsRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []string
		l := limits(&told)
		for range 3 {
			require.NoError(t, l.Call(shop, "192.0.2.1:1"))
		}
		require.Equal(t, 500*time.Millisecond, wait(t, l.Call(shop, "192.0.2.1:1")))
		require.Equal(t, 500*time.Millisecond, wait(t, l.Call(shop, "192.0.2.2:1")), "from anywhere, and what was turned away costs nothing")
		require.NoError(t, l.Call(access.Principal{Subject: "other"}, "192.0.2.1:1"), "others are not held back")
		time.Sleep(499 * time.Millisecond)
		require.Equal(t, time.Millisecond, wait(t, l.Call(shop, "")).Round(time.Microsecond))
		time.Sleep(2 * time.Millisecond)
		require.NoError(t, l.Call(shop, ""))
		require.Error(t, l.Call(shop, ""))
		time.Sleep(time.Hour)
		for range 3 {
			require.NoError(t, l.Call(shop, ""), "a rest fills the bucket, and no more")
		}
		require.Error(t, l.Call(shop, ""))
		require.Equal(t, []string{"principal", "principal", "principal", "principal", "principal"}, told)
	})
}

func TestWhoIsToldApartByWhat(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		one, other string
		same       bool
	}{
		"ports of one address":               {"192.0.2.1:1", "192.0.2.1:2", true},
		"two addresses":                      {"192.0.2.1:1", "192.0.2.2:1", false},
		"an address in the form of IPv6":     {"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		"two addresses of one customer":      {"[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:1", true},
		"two customers":                      {"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
		"a zone is no part of the address":   {"[fe80::1%eth0]:1", "[fe80::1%eth1]:1", true},
		"what is no address stands for all":  {"bufconn", "bufconn", true},
		"what is no address is not the next": {"bufconn", "@", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told []string
				l := limits(&told)
				require.NoError(t, l.Failure(c.one))
				err := l.Failure(c.other)
				for range 3 {
					require.NoError(t, l.Call(access.Anonymous(), c.one), "failures are counted apart")
				}
				without := l.Call(access.Anonymous(), c.other)
				if c.same {
					require.Equal(t, 2*time.Second, wait(t, err))
					require.Equal(t, 500*time.Millisecond, wait(t, without))
					require.Equal(t, []string{"address", "address"}, told)
				} else {
					require.NoError(t, err)
					require.NoError(t, without)
				}
			})
		})
	}
}

func TestAKeyCalledLikeAnAddressIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []string
		l := limits(&told)
		for range 3 {
			require.NoError(t, l.Call(access.Anonymous(), "192.0.2.1:1"))
		}
		require.NoError(t, l.Call(access.Principal{Subject: "192.0.2.1"}, "192.0.2.9:1"))
	})
}

// Whatever callers do, nobody gets more through than their burst and what the
// rate gives in the time since, nor less than their due when they keep to it.
func TestNobodyGetsMoreThanTheRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(0, 0)
		r := ratelimit.Rate{PerSecond: rapid.Float64Range(0.1, 50).Draw(t, "rate"), Burst: rapid.IntRange(1, 20).Draw(t, "burst")}
		l := ratelimit.New(ratelimit.Config{Calls: r, Failures: r, Names: 10, Now: func() time.Time { return now }})
		through := 0
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.IntRange(0, int(2*time.Second)).Draw(t, "later")))
			err := l.Call(shop, "")
			if err == nil {
				through++
				continue
			}
			wait := fault.Of(err).RetryAfter
			require.Positive(t, wait)
			now = now.Add(wait + time.Microsecond) // rounding of floats
			require.NoError(t, l.Call(shop, ""), "who waits as told is let through")
			through++
		}
		require.LessOrEqual(t, float64(through), float64(r.Burst)+math.Ceil(r.PerSecond*now.Sub(time.Unix(0, 0)).Seconds()))
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := ratelimit.New(ratelimit.Config{
		Calls: ratelimit.Rate{PerSecond: 1, Burst: 1}, Failures: ratelimit.Rate{PerSecond: 1, Burst: 1}, Names: 50,
		Now: func() time.Time { return now },
	})
	for i := range 1000 {
		require.NoError(t, l.Failure(fmt.Sprintf("192.0.%d.%d:1", i/250, i%250)))
	}
	_, failures := l.Remembered()
	require.Equal(t, 50, failures)
	require.Error(t, l.Failure("192.0.3.249:1"), "the last is remembered")
	require.NoError(t, l.Failure("192.0.0.0:1"), "the first is forgotten")
	now = now.Add(time.Second)
	for i := range 25 { // those that have rested are forgotten as others come
		require.NoError(t, l.Failure(fmt.Sprintf("198.51.100.%d:1", i)))
	}
	_, failures = l.Remembered()
	require.Equal(t, 25, failures)
}

func BenchmarkCall(b *testing.B) {
	l := ratelimit.New(ratelimit.Config{
		Calls: ratelimit.Rate{PerSecond: 1e9, Burst: 1e9}, Failures: ratelimit.Rate{PerSecond: 1, Burst: 1}, Names: 10_000,
	})
	b.ReportAllocs()
	for b.Loop() {
		if l.Call(shop, "192.0.2.1:1") != nil {
			b.Fatal("limited")
		}
	}
}
