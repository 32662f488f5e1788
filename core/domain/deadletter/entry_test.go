package deadletter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
)

func TestNamesAreReadInBothSpellings(t *testing.T) {
	t.Parallel()
	for _, r := range deadletter.Reasons() {
		for _, text := range []string{r.String(), deadletter.Pascal(r.String())} {
			got, err := deadletter.ParseReason(text)
			require.NoError(t, err)
			require.Equal(t, r, got)
		}
		require.Positive(t, r.Weight())
	}
	for _, s := range deadletter.Statuses() {
		for _, text := range []string{s.String(), deadletter.Pascal(s.String())} {
			got, err := deadletter.ParseStatus(text)
			require.NoError(t, err)
			require.Equal(t, s, got)
		}
	}
	require.Equal(t, "MaxRetriesExceeded", deadletter.Pascal("max_retries_exceeded"))
	_, err := deadletter.ParseReason("none")
	require.ErrorContains(t, err, "staleness_timeout")
	_, err = deadletter.ParseStatus("")
	require.ErrorContains(t, err, "manually_resolved")
}

func TestIDsAreDerived(t *testing.T) {
	t.Parallel()
	a, b := ident.TaskID{1}, ident.TaskID{2}
	require.Equal(t, "2353c9ff-57bc-550c-95ec-167501131560", deadletter.ID(a, 1).String(), "it stays the same for ever")
	require.NotEqual(t, deadletter.ID(a, 1), deadletter.ID(a, 2))
	require.NotEqual(t, deadletter.ID(a, 1), deadletter.ID(b, 1))
	got, err := deadletter.ParseID(deadletter.ID(a, 1).String())
	require.NoError(t, err)
	require.Equal(t, deadletter.ID(a, 1), got)
	_, err = deadletter.ParseID("x")
	require.ErrorIs(t, err, ident.ErrMalformed)
}

func TestFingerprintsGroupWhatDiffersInValuesAlone(t *testing.T) {
	t.Parallel()
	of := func(message string) string { return deadletter.Fingerprint("ns", "t", "s", "timeout", message) }
	same := of(`order 17 of "anna" at 0x1f: 3f2504e0-4f89-11d3-9a0c-0305e82c3301 is gone`)
	require.Equal(t, same, of(`order 4711 of "bert" at 0xff: 00000000-4f89-11d3-9a0c-0305e82c3301 is gone`))
	require.NotEqual(t, same, of("something else"))
	require.NotEqual(t, of("x"), deadletter.Fingerprint("ns", "t", "other", "timeout", "x"))
	require.NotEqual(t, of("x"), deadletter.Fingerprint("ns", "t", "s", "other", "x"))
	require.Len(t, same, 16)
}
