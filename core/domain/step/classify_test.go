package step_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/step"
)

// Every row of the contract's classification, after the first, third and tenth
// attempt.
func TestClassify(t *testing.T) {
	t.Parallel()
	const (
		s  = time.Second
		ms = time.Millisecond
	)
	type waits [3]time.Duration
	always := func(d time.Duration) waits { return waits{d, d, d} }
	for name, c := range map[string]struct {
		typ, message string
		status       int
		category     step.Category
		retryable    bool
		waits        waits
		code         string // as the type if empty
	}{
		"timeout": {typ: "EXECUTION_TIMEOUT", category: step.Timeout, retryable: true, waits: waits{60 * s, 240 * s, 300 * s}},

		"database connection": {typ: "DATABASE_CONNECTION_ERROR", category: step.Network, retryable: true},
		"database lock":       {typ: "DATABASE_LOCK_ERROR", category: step.StateInconsistency, retryable: true},
		"database constraint": {typ: "DATABASE_CONSTRAINT_VIOLATION", category: step.Permanent},
		"database, other":     {typ: "DATABASE_GENERAL_ERROR", category: step.Transient, retryable: true},

		"state, concurrent": {typ: "STATE_TRANSITION_ERROR", message: "a concurrent change of the state", category: step.StateInconsistency, retryable: true, waits: waits{500 * ms, 1500 * ms, 5000 * ms}},
		"state, lock":       {typ: "STATE_TRANSITION_ERROR", message: "could not get the lock", category: step.StateInconsistency, retryable: true, waits: waits{500 * ms, 1500 * ms, 5000 * ms}},
		"state, other":      {typ: "STATE_TRANSITION_ERROR", message: "the order is blocked by its owner", category: step.Permanent},

		"configuration": {typ: "CONFIGURATION_ERROR", category: step.Configuration},
		"validation":    {typ: "VALIDATION_ERROR", category: step.Permanent},
		"retry limit":   {typ: "RETRY_LIMIT_EXCEEDED", category: step.Permanent},
		"unknown":       {typ: "UNKNOWN_ERROR", category: step.Unknown, retryable: true},

		"words: timeout":       {typ: "STEP_EXECUTION_FAILED", message: "read tcp: i/o timeout", category: step.Timeout, retryable: true, waits: always(30 * s)},
		"words: network":       {typ: "STEP_EXECUTION_FAILED", message: "Network is down", category: step.Network, retryable: true, waits: waits{5 * s, 15 * s, 50 * s}},
		"words: connection":    {typ: "STEP_EXECUTION_FAILED", message: "java.net.ConnectionRefused", category: step.Network, retryable: true, waits: waits{5 * s, 15 * s, 50 * s}},
		"words: rate":          {typ: "STEP_EXECUTION_FAILED", message: "rate exceeded", category: step.RateLimited, retryable: true, waits: always(60 * s)},
		"words: limit":         {typ: "STEP_EXECUTION_FAILED", message: "LIMIT reached", category: step.RateLimited, retryable: true, waits: always(60 * s)},
		"words: resource":      {typ: "STEP_EXECUTION_FAILED", message: "resource_exhausted", category: step.ResourceExhaustion, retryable: true, waits: always(30 * s)},
		"words: memory":        {typ: "STEP_EXECUTION_FAILED", message: "OutOfMemoryError", category: step.ResourceExhaustion, retryable: true, waits: always(30 * s)},
		"words: disk":          {typ: "STEP_EXECUTION_FAILED", message: "no space left on disk", category: step.ResourceExhaustion, retryable: true, waits: always(30 * s)},
		"words: permission":    {typ: "STEP_EXECUTION_FAILED", message: "permission denied", category: step.Configuration},
		"words: auth":          {typ: "STEP_EXECUTION_FAILED", message: "auth: token expired", category: step.Configuration},
		"words: none":          {typ: "STEP_EXECUTION_FAILED", message: "the kiln is cold", category: step.Transient, retryable: true},
		"words: the first row": {typ: "STEP_EXECUTION_FAILED", message: "auth service: connection timeout", category: step.Timeout, retryable: true, waits: always(30 * s)},
		"words: parts do not count": {typ: "STEP_EXECUTION_FAILED", category: step.Transient, retryable: true,
			message: "the author cannot operate a diskette; unlimited networking"},
		"status before words": {typ: "STEP_EXECUTION_FAILED", message: "timeout", status: 403, category: step.Configuration},
		"status: too fast":    {typ: "STEP_EXECUTION_FAILED", message: "no", status: 429, category: step.RateLimited, retryable: true, waits: always(60 * s)},
		"status: no answer":   {typ: "STEP_EXECUTION_FAILED", message: "no", status: 504, category: step.Timeout, retryable: true, waits: always(30 * s)},
		"status: not there":   {typ: "STEP_EXECUTION_FAILED", message: "no", status: 503, category: step.Network, retryable: true, waits: waits{5 * s, 15 * s, 50 * s}},
		"status: no space":    {typ: "STEP_EXECUTION_FAILED", message: "no", status: 507, category: step.ResourceExhaustion, retryable: true, waits: always(30 * s)},
		"status: any other":   {typ: "STEP_EXECUTION_FAILED", message: "no", status: 500, category: step.Transient, retryable: true},

		"handler: error":       {typ: step.TypeHandlerError, message: "permission denied", category: step.Transient, retryable: true, code: "STEP_EXECUTION_FAILED"},
		"handler: timeout":     {typ: step.TypeHandlerTimeout, category: step.Timeout, retryable: true, code: "EXECUTION_TIMEOUT"},
		"handler: panic":       {typ: step.TypeHandlerPanic, category: step.Permanent, code: "STEP_EXECUTION_FAILED"},
		"handler: not there":   {typ: step.TypeHandlerNotFound, category: step.Configuration, code: "CONFIGURATION_ERROR"},
		"handler: bad result":  {typ: step.TypeInvalidResult, category: step.Transient, retryable: true, code: "STEP_EXECUTION_FAILED"},
		"handler: leases lost": {typ: step.TypeWorkerUnavailable, category: step.ResourceExhaustion},

		"no type":                        {typ: "", category: step.Unknown, retryable: true, code: "UNKNOWN_ERROR"},
		"a type of its own":              {typ: "card_declined", message: "permission timeout", category: step.Transient, retryable: true},
		"a type of its own, with status": {typ: "carrier", status: 429, category: step.RateLimited, retryable: true},
		"a type of its own, forbidden":   {typ: "carrier", status: 403, category: step.Configuration, retryable: true},
		"other spelling is another type": {typ: "validation_error", category: step.Transient, retryable: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code := c.code
			if code == "" {
				code = c.typ
			}
			f := step.Failure{Type: c.typ, Message: c.message, StatusCode: c.status, Retryable: true}
			for i, attempt := range []int32{1, 3, 10} {
				require.Equal(t, step.Class{Category: c.category, Retryable: c.retryable, Delay: c.waits[i], Code: code},
					step.Classify(f, attempt), "attempt %d", attempt)
			}
			require.Equal(t, step.Classify(f, 1), step.Classify(f, 0), "before the first counts as the first")

			f.Retryable = false
			final := step.Classify(f, 1)
			require.False(t, final.Retryable, "the worker's no is a no")
			require.Zero(t, final.Delay)
			require.Equal(t, code, final.Code)
			if c.retryable {
				require.Equal(t, step.Permanent, final.Category)
			} else {
				require.Equal(t, c.category, final.Category)
			}
		})
	}
}

func failures() *rapid.Generator[step.Failure] {
	return rapid.Custom(func(t *rapid.T) step.Failure {
		return step.Failure{
			Type: rapid.OneOf(rapid.SampledFrom([]string{
				step.TypeExecutionTimeout, step.TypeDatabaseConnection, step.TypeDatabaseLock, step.TypeDatabaseConstraint,
				step.TypeDatabaseGeneral, step.TypeStateTransition, step.TypeConfiguration, step.TypeValidation,
				step.TypeStepExecutionFailed, step.TypeRetryLimitExceeded, step.TypeUnknown, step.TypeHandlerError,
				step.TypeHandlerTimeout, step.TypeHandlerPanic, step.TypeHandlerNotFound, step.TypeInvalidResult,
				step.TypeWorkerUnavailable,
			}), rapid.String()).Draw(t, "type"),
			Message: rapid.OneOf(rapid.String(),
				rapid.StringMatching(`(timeout|Lock|connection|rate|disk|auth|the| |\.){0,6}`)).Draw(t, "message"),
			Retryable:  rapid.Bool().Draw(t, "retryable"),
			StatusCode: rapid.SampledFrom([]int{0, -1, 200, 401, 429, 503, 504, 507, 999}).Draw(t, "status"),
			RetryAfter: time.Duration(rapid.Int64().Draw(t, "retry after")),
		}
	})
}

func TestClassesHold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, attempt := failures().Draw(t, "failure"), rapid.Int32().Draw(t, "attempt")
		c := step.Classify(f, attempt)
		require.True(t, slices.Contains(step.Categories(), c.Category), "%q is no category", c.Category)
		require.NotEmpty(t, c.Code)
		require.False(t, c.Retryable && (c.Category == step.Permanent || !f.Retryable), "permanent wins")
		require.GreaterOrEqual(t, c.Delay, time.Duration(0))
		require.LessOrEqual(t, c.Delay, 300*time.Second)
		if !c.Retryable {
			require.Zero(t, c.Delay)
		}
		if attempt < math.MaxInt32 {
			require.LessOrEqual(t, c.Delay, step.Classify(f, attempt+1).Delay, "waits do not shrink")
		}
	})
}

func TestWait(t *testing.T) {
	t.Parallel()
	const s = time.Second
	p := step.Policy{Backoff: step.Fixed, Base: s, Max: 45 * s}
	for name, c := range map[string]struct {
		failure step.Failure
		want    time.Duration
	}{
		"the policy's":                    {step.Failure{Retryable: true}, s},
		"the class's before the policy's": {step.Failure{Retryable: true, Type: step.TypeStepExecutionFailed, StatusCode: 504}, 30 * s},
		"the class's, capped":             {step.Failure{Retryable: true, Type: step.TypeStepExecutionFailed, StatusCode: 429}, 45 * s},
		"the handler's before all":        {step.Failure{Retryable: true, Type: step.TypeStepExecutionFailed, StatusCode: 429, RetryAfter: 2 * s}, 2 * s},
		"the handler's, capped":           {step.Failure{Retryable: true, RetryAfter: 50 * s}, 45 * s},
		"a wish for less than nothing":    {step.Failure{Retryable: true, RetryAfter: -s}, s},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, p.Wait(c.failure, 1, 0.5))
		})
	}
}

func TestWaitsOfAClassAreSpread(t *testing.T) {
	t.Parallel()
	p := step.Policy{Backoff: step.Fixed, Base: time.Second, Max: time.Hour, Jitter: 0.1}
	f := step.Failure{Retryable: true, Type: step.TypeStepExecutionFailed, StatusCode: 429}
	require.Equal(t, 54*time.Second, p.Wait(f, 1, 0))
	require.Equal(t, 60*time.Second, p.Wait(f, 1, 0.5))
	f.RetryAfter = time.Minute
	require.Equal(t, time.Minute, p.Wait(f, 1, 0), "a wish is not spread")
}

func TestWaitsAreWithinThePolicy(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := policies().Draw(t, "policy")
		d := p.Wait(failures().Draw(t, "failure"), rapid.Int32().Draw(t, "n"), rapid.Float64Range(0, 0.999).Draw(t, "chance"))
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, max(0, p.Max))
	})
}
