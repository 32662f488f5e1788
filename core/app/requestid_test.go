package app_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/app"
)

func TestSoundRequestID(t *testing.T) {
	t.Parallel()
	for id, sound := range map[string]bool{
		"0198c5a0-1234-7000-8000-000000000000": true, "job.42_attempt-1": true, "12345678": true, strings.Repeat("a", 128): true,
		"": false, "1234567": false, strings.Repeat("a", 129): false, "line\nbreaks": false, "with space": false,
		"per%20cent": false, "tüv-geprüft": false, "<script>alert": false, "nul\x00nul\x00": false,
	} {
		require.Equal(t, sound, app.SoundRequestID(id), "%q", id)
	}
	require.Empty(t, app.RequestIDOf(t.Context()))
	require.Equal(t, "x", app.RequestIDOf(app.WithRequestID(t.Context(), "x")))
}
