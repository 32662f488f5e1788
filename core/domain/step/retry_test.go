package step_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/step"
)

func TestDelay(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, c := range map[string]struct {
		policy step.Policy
		waits  []time.Duration // after the 1st, 2nd, … failure
	}{
		"none":                  {step.Policy{Backoff: step.None, Base: s, Max: 9 * s}, []time.Duration{0, 0, 0}},
		"fixed":                 {step.Policy{Backoff: step.Fixed, Base: s, Max: 9 * s}, []time.Duration{s, s, s}},
		"linear":                {step.Policy{Backoff: step.Linear, Base: 2 * s, Max: 7 * s}, []time.Duration{2 * s, 4 * s, 6 * s, 7 * s, 7 * s}},
		"exponential":           {step.Policy{Backoff: step.Exponential, Base: s, Max: 9 * s}, []time.Duration{s, 2 * s, 4 * s, 8 * s, 9 * s, 9 * s}},
		"fibonacci":             {step.Policy{Backoff: step.Fibonacci, Base: s, Max: 9 * s}, []time.Duration{s, s, 2 * s, 3 * s, 5 * s, 8 * s, 9 * s, 9 * s}},
		"a base over the limit": {step.Policy{Backoff: step.Fixed, Base: 9 * s, Max: s}, []time.Duration{s, s}},
		"just under the limit":  {step.Policy{Backoff: step.Exponential, Base: 2, Max: 5}, []time.Duration{2, 4, 5}},
		"no base":               {step.Policy{Backoff: step.Exponential, Max: s}, []time.Duration{0, 0, 0}},
		"no such backoff":       {step.Policy{Backoff: "x", Base: s, Max: s}, []time.Duration{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, want := range c.waits {
				require.Equal(t, want, c.policy.Delay(int32(i+1), 0.7), "after failure %d", i+1)
			}
			require.Equal(t, c.waits[0], c.policy.Delay(0, 0), "before the first counts as the first")
		})
	}
}

func policies() *rapid.Generator[step.Policy] {
	return rapid.Custom(func(t *rapid.T) step.Policy {
		// Up to the longest time that there is: sums and products must not wrap.
		durations := rapid.OneOf(
			rapid.Custom(func(t *rapid.T) time.Duration {
				return time.Duration(math.MaxInt64 >> rapid.IntRange(0, 62).Draw(t, "bits"))
			}),
			rapid.Custom(func(t *rapid.T) time.Duration {
				return time.Duration(rapid.Int64Range(0, 3_600_000).Draw(t, "ms")) * time.Millisecond
			}),
		)
		return step.Policy{
			Backoff: rapid.SampledFrom([]step.Backoff{step.None, step.Fixed, step.Linear, step.Exponential, step.Fibonacci}).Draw(t, "backoff"),
			Base:    durations.Draw(t, "base"),
			Max:     durations.Draw(t, "max"),
			Jitter:  rapid.SampledFrom([]float64{0, 0.1, 0.5, 1}).Draw(t, "jitter"),
		}
	})
}

func TestDelayKeepsItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := policies().Draw(t, "policy")
		n := rapid.Int32Range(1, 1000).Draw(t, "n")
		chance := rapid.Float64Range(0, 0.999999).Draw(t, "chance")

		d := p.Delay(n, chance)
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, p.Max)

		plain := p
		plain.Jitter = 0
		exact := plain.Delay(n, chance)
		require.Equal(t, exact, plain.Delay(n, 0), "without jitter chance does not count")
		require.LessOrEqual(t, exact, plain.Delay(n+1, chance), "without jitter waits do not shrink")

		// A float64 has 53 bits: one part in 2^50 may be lost.
		slack := float64(exact)/(1<<50) + 1
		require.GreaterOrEqual(t, float64(d), float64(exact)*(1-p.Jitter)-slack)
		require.LessOrEqual(t, float64(d), float64(exact)*(1+p.Jitter)+slack)
	})
}

// TestTheWaitIsExactWithoutJitter compares with the plain definitions.
func TestTheWaitIsExactWithoutJitter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := policies().Draw(t, "policy")
		p.Jitter = 0
		n := rapid.Int32Range(1, 30).Draw(t, "n")
		var factor float64
		switch p.Backoff {
		case step.None:
		case step.Fixed:
			factor = 1
		case step.Linear:
			factor = float64(n)
		case step.Exponential:
			factor = math.Pow(2, float64(n-1))
		case step.Fibonacci:
			a, b := 0.0, 1.0
			for range n - 1 {
				a, b = b, a+b
			}
			factor = b
		}
		want := math.Min(float64(p.Base)*factor, float64(p.Max))
		require.InEpsilon(t, want+1, float64(p.Delay(n, 0))+1, 1e-12)
	})
}

func TestWanted(t *testing.T) {
	t.Parallel()
	p := step.Policy{Backoff: step.None, Max: time.Minute, Jitter: 0.5}
	require.Equal(t, time.Second, p.Wanted(time.Second))
	require.Equal(t, time.Minute, p.Wanted(time.Hour))
	require.Zero(t, p.Wanted(-time.Second))
}

func TestAgain(t *testing.T) {
	t.Parallel()
	p := step.Policy{Retryable: true, MaxAttempts: 3}
	require.True(t, p.Again(1))
	require.True(t, p.Again(2))
	require.False(t, p.Again(3))
	require.False(t, p.Again(4))
	require.False(t, step.Policy{MaxAttempts: 3}.Again(1), "not retryable")
	require.False(t, step.Policy{Retryable: true}.Again(1), "no limit means one attempt")
}
