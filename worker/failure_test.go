package worker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/worker"
)

// fail returns what is reported of a handler that returns err.
func fail(t *testing.T, err error) *worker.Failure {
	t.Helper()
	var got worker.Outcome
	h := worker.Func(func(context.Context, *worker.Step) (any, error) { return nil, err })
	worker.Run(t.Context(), h, worker.NewStep(worker.Step{}, worker.Inputs{}), 0, func(o worker.Outcome) { got = o })
	require.NotNil(t, got.Failure)
	return got.Failure
}

func TestWishesForAWait(t *testing.T) {
	t.Parallel()
	err := errors.New("busy")
	ahead := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		err  error
		want time.Duration
	}{
		"none":                      {err, 0},
		"after":                     {worker.RetryAfter(err, time.Minute), time.Minute},
		"at":                        {worker.RetryAt(err, ahead), time.Hour},
		"at a time that is past":    {worker.RetryAt(err, ahead.Add(-2*time.Hour)), 0},
		"header of seconds":         {worker.RetryAfterHeader(err, "90"), 90 * time.Second},
		"header with a date":        {worker.RetryAfterHeader(err, ahead.UTC().Format(http.TimeFormat)), time.Hour},
		"header of a date past":     {worker.RetryAfterHeader(err, "Mon, 23 Nov 1999 12:00:00 GMT"), 0},
		"header that nobody reads":  {worker.RetryAfterHeader(err, "soon"), 0},
		"no header":                 {worker.RetryAfterHeader(err, ""), 0},
		"the last that says it":     {worker.RetryAfter(worker.RetryAfterHeader(err, "90"), time.Second), time.Second},
		"kept by what is around it": {fmt.Errorf("ship: %w", worker.RetryAfter(err, time.Minute)), time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := fail(t, c.err)
			require.True(t, f.Retryable)
			require.InDelta(t, c.want.Seconds(), f.RetryAfter.Seconds(), 20)
			require.Equal(t, c.want == 0, f.RetryAfter == 0)
			require.ErrorIs(t, c.err, err)
		})
	}
}

func TestNoErrorStaysNone(t *testing.T) {
	t.Parallel()
	require.NoError(t, worker.Permanent(nil))
	require.NoError(t, worker.RetryAfter(nil, time.Second))
	require.NoError(t, worker.RetryAt(nil, time.Now()))
	require.NoError(t, worker.RetryAfterHeader(nil, "9"))
}

func TestAWrapperForgetsNothing(t *testing.T) {
	t.Parallel()
	declined := &worker.Error{
		Err: errors.New("declined"), Type: "card_declined", StatusCode: 402, Permanent: true,
		Context: map[string]any{"card": "visa"},
	}
	f := fail(t, worker.RetryAfterHeader(fmt.Errorf("charge: %w", declined), "60"))
	require.Equal(t, "charge: declined", f.Message)
	require.Equal(t, "card_declined", f.Type)
	require.Equal(t, 402, f.StatusCode)
	require.JSONEq(t, `{"card":"visa"}`, string(f.Context))
	require.False(t, f.Retryable, "a wish for a wait does not make it retryable")
	require.Zero(t, declined.RetryAfter, "the inner error stays as it was")

	f = fail(t, worker.Permanent(worker.RetryAfter(errors.New("x"), time.Second)))
	require.False(t, f.Retryable)
}

func TestTypesOfErrorsAreClassified(t *testing.T) {
	t.Parallel()
	f := fail(t, &worker.Error{Err: errors.New("no such price list"), Type: worker.TypeConfiguration})
	require.False(t, step.Classify(*f, 1).Retryable)
	f = fail(t, &worker.Error{Err: errors.New("slow down"), Type: worker.TypeStepExecutionFailed, StatusCode: 429})
	require.Equal(t, time.Minute, step.Classify(*f, 1).Delay)
}
