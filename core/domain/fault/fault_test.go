package fault_test

import (
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/fault"
)

func TestEveryCodeHasItsKindAndSpelling(t *testing.T) {
	t.Parallel()
	spelling := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[fault.Kind]bool{}
	for _, c := range fault.Codes() {
		require.Regexp(t, spelling, string(c))
		require.Equal(t, c.Kind(), fault.New(c, "x").Kind)
		require.Equal(t, c == fault.CodeInternal, c.Kind() == fault.Internal, "%s: only the internal code is internal", c)
		seen[c.Kind()] = true
	}
	for _, k := range fault.Kinds() {
		require.True(t, seen[k], "no code is of the kind %s", k)
	}
}

func TestKindsHaveNames(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, k := range fault.Kinds() {
		require.False(t, names[k.String()], "two kinds are called %s", k)
		names[k.String()] = true
	}
	require.Equal(t, "internal", fault.Kind(200).String(), "a kind that nobody knows says too little")
}

func TestAnErrorThatIsNoFaultTellsNothing(t *testing.T) {
	t.Parallel()
	cause := errors.New("password=secret")
	f := fault.Of(fmt.Errorf("open: %w", cause))
	require.Equal(t, fault.Internal, f.Kind)
	require.Equal(t, fault.CodeInternal, f.Code)
	require.NotContains(t, f.Message, "secret")
	require.ErrorIs(t, f, cause, "the log has the cause")
	require.False(t, fault.Is(cause, fault.CodeInternal))
}

func TestFaultsAreFoundInChains(t *testing.T) {
	t.Parallel()
	f := fault.In("name", fault.CodeInvalidField, "%s is wrong", "it")
	err := fmt.Errorf("create: %w", f)
	require.Same(t, f, fault.Of(err))
	require.True(t, fault.Is(err, fault.CodeInvalidField))
	require.False(t, fault.Is(err, fault.CodeMalformed))
	require.Equal(t, "invalid_field: it is wrong", f.Error())
	require.Equal(t, "invalid_field: it is wrong: why", f.Because(errors.New("why")).Error())
}

func TestFaultsAreNotChangedByAddingToThem(t *testing.T) {
	t.Parallel()
	base := fault.New(fault.CodeTaskExists, "x").With("a", "1")
	more := base.With("b", "2").Later(time.Second).Because(errors.New("y"))
	require.Equal(t, map[string]string{"a": "1"}, base.Meta)
	require.Equal(t, map[string]string{"a": "1", "b": "2"}, more.Meta)
	require.Zero(t, base.RetryAfter)
	require.NoError(t, base.Err)
	require.Equal(t, time.Second, more.RetryAfter)
}
