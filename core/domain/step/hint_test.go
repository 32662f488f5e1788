package step_test

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/step"
)

// noon is a Monday.
var noon = time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	const longest time.Duration = math.MaxInt64 - math.MaxInt64%time.Second
	for value, want := range map[string]time.Duration{
		"0":                    0,
		"120":                  2 * time.Minute,
		" 007\t":               7 * time.Second,
		"9223372036":           longest,
		"9223372037":           longest,
		"99999999999999999999": longest,

		"Mon, 23 Nov 2026 12:01:00 GMT":    time.Minute, // IMF-fixdate
		"Monday, 23-Nov-26 12:01:00 GMT":   time.Minute, // RFC 850
		"Mon Nov 23 12:01:00 2026":         time.Minute, // asctime
		"Tue Dec  1 12:00:00 2026":         8 * 24 * time.Hour,
		"Mon, 23 Nov 2026 14:01:00 +0200":  time.Minute, // RFC 2822
		"23 Nov 2026 07:01 -0500":          time.Minute,
		"Mon,23 Nov 2026 07:01:00 EST":     time.Minute,
		"Tue, 1 Dec 2026 12:00:00 gmt":     8 * 24 * time.Hour,
		"Friday, 23-Nov-75 12:00:00 GMT":   time.Date(2075, 11, 23, 12, 0, 0, 0, time.UTC).Sub(noon),
		"Tue, 23 Nov 9999 12:00:00 GMT":    math.MaxInt64, // the longest that there is
		"Mon, 23 Nov 2026 12:00:00 GMT":    0,
		"Mon, 23 Nov 2026 11:59:59 GMT":    0,
		"Monday, 23-Nov-77 12:00:00 GMT":   0, // 1977
		"Thursday, 23-Nov-99 12:00:00 GMT": 0, // 1999
	} {
		got, ok := step.ParseRetryAfter(value, noon)
		require.True(t, ok, value)
		require.Equal(t, want, got, value)
	}
	for _, wrong := range []string{
		"", " ", "-1", "+1", "1.5", "1e3", "60s", "0x10", "1 2", "soon", "١٢", "2026-11-23T12:01:00Z",
		"Mon, 32 Nov 2026 12:01:00 GMT", "Mon, 23 Nov 2026 12:01:00 CET", "Mon, 23 Nov 2026", "GMT", " GMT", "12\n",
	} {
		got, ok := step.ParseRetryAfter(wrong, noon)
		require.False(t, ok, "%q", wrong)
		require.Zero(t, got, "%q", wrong)
	}
}

func TestTwoDigitsOfAYearAreWithin50Years(t *testing.T) {
	t.Parallel()
	late := time.Date(2090, time.November, 23, 12, 0, 0, 0, time.UTC)
	for year, want := range map[string]int{"90": 2090, "10": 2110, "39": 2139} {
		d, ok := step.ParseRetryAfter("Monday, 23-Nov-"+year+" 12:01:00 GMT", late)
		require.True(t, ok)
		require.Equal(t, time.Date(want, time.November, 23, 12, 1, 0, 0, time.UTC).Sub(late), d, year)
	}
}

func TestParseRetryAfterHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.String(),
			rapid.StringMatching(`[0-9+\-., ]{0,30}`),
			rapid.StringMatching(`((Mon|Monday),? )?[0-9]{1,2}[ \-](Jan|Feb|Nov)[ \-][0-9]{2,5} [0-9]{2}:[0-9]{2}:[0-9]{2}( (GMT|[+\-][0-9]{4}))?`),
		).Draw(t, "value")
		now := time.Unix(rapid.Int64Range(-62_135_596_800, 253_402_300_799).Draw(t, "now"), 0)
		d, ok := step.ParseRetryAfter(value, now)
		require.GreaterOrEqual(t, d, time.Duration(0))
		if !ok {
			require.Zero(t, d)
		}
	})
}

func TestParseRetryAfterReadsWhatServersWrite(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// Within 50 years either way: no century is in doubt.
		n := rapid.Int64Range(-1_500_000_000, 1_500_000_000).Draw(t, "seconds")
		at := noon.Add(time.Duration(n) * time.Second)
		want := time.Duration(max(n, 0)) * time.Second
		for _, text := range []string{
			at.Format(http.TimeFormat), at.Format(time.ANSIC), at.Format(time.RFC1123Z),
			at.Format("Monday, 02-Jan-06 15:04:05 GMT"), strconv.FormatInt(max(n, 0), 10),
		} {
			d, ok := step.ParseRetryAfter(text, noon)
			require.True(t, ok, text)
			require.Equal(t, want, d, text)
		}
	})
}

func TestHintIsTheContracts(t *testing.T) {
	t.Parallel()
	for _, typ := range step.HintTypes() {
		var h step.Hint
		require.NoError(t, json.Unmarshal([]byte(`{"backoff_type":"`+string(typ)+`","delay_seconds":90,"context":"quota"}`), &h))
		require.Equal(t, step.Hint{Type: typ, Delay: 90 * time.Second, Context: "quota"}, h)
		raw, err := json.Marshal(h)
		require.NoError(t, err)
		require.JSONEq(t, `{"backoff_type":"`+string(typ)+`","delay_seconds":90,"context":"quota"}`, string(raw))
	}
	for text, field := range map[string]string{
		`{"backoff_type":"rate_limit","delay_seconds":1}`:               "backoff_hint.backoff_type",
		`{"delay_seconds":1}`:                                           "backoff_hint.backoff_type",
		`{"backoff_type":"Custom"}`:                                     "backoff_hint.delay_seconds",
		`{"backoff_type":"Custom","delay_seconds":-1}`:                  "backoff_hint.delay_seconds",
		`{"backoff_type":"Custom","delay_seconds":4294967296}`:          "backoff_hint.delay_seconds",
		`{"backoff_type":"Custom","delay_seconds":1.5}`:                 "backoff_hint",
		`{"backoff_type":"Custom","delay_seconds":9223372036854775808}`: "backoff_hint",
		`{"backoff_type":"Custom","delay_seconds":"1"}`:                 "backoff_hint",
		`[]`: "backoff_hint",
	} {
		var h step.Hint
		err := json.Unmarshal([]byte(text), &h)
		require.Error(t, err, text)
		require.Equal(t, field, fault.Of(err).Field, text)
		require.Zero(t, h, text)
	}
}

func TestHeadersAndHintsAskForAWait(t *testing.T) {
	t.Parallel()
	hint := &step.Hint{Type: step.RateLimit, Delay: 5 * time.Second}
	for name, c := range map[string]struct {
		headers map[string]string
		hint    *step.Hint
		want    time.Duration
	}{
		"nothing":                        {},
		"a hint":                         {hint: hint, want: 5 * time.Second},
		"a hint for less than nothing":   {hint: &step.Hint{Delay: -1}},
		"a header":                       {headers: map[string]string{"rEtRy-aFtEr": "60"}, want: time.Minute},
		"a date":                         {headers: map[string]string{"Retry-After": "Mon, 23 Nov 2026 12:01:00 GMT"}, want: time.Minute},
		"the header before the hint":     {headers: map[string]string{"Retry-After": "2"}, hint: hint, want: 2 * time.Second},
		"a header that cannot be read":   {headers: map[string]string{"Retry-After": "soon"}, hint: hint, want: 5 * time.Second},
		"a header that asks for nothing": {headers: map[string]string{"Retry-After": "0"}, hint: hint, want: 5 * time.Second},
		"two headers":                    {headers: map[string]string{"Retry-After": "2", "retry-after": "3"}, want: 3 * time.Second},
		"other headers":                  {headers: map[string]string{"X-Retry-After": "9", "Age": "9"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 30 { // maps have no order
				require.Equal(t, c.want, step.Wanted(c.headers, c.hint, noon))
			}
		})
	}
}
