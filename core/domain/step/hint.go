package step

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tasker-go/tasker/core/domain/fault"
)

// HintType says who a wish for a wait came from.
type HintType string

// The types of hints of the contract.
const (
	ServerRequested    HintType = "ServerRequested"
	RateLimit          HintType = "RateLimit"
	ServiceUnavailable HintType = "ServiceUnavailable"
	Custom             HintType = "Custom"
)

// HintTypes returns all types.
func HintTypes() []HintType {
	return []HintType{ServerRequested, RateLimit, ServiceUnavailable, Custom}
}

// Hint is a handler's judgement of how long to wait: the contract's
// backoff_hint.
type Hint struct {
	Type    HintType
	Delay   time.Duration // whole seconds, not negative
	Context string        // why, for people
}

// hintText is the text form of a Hint.
type hintText struct {
	Type    HintType `json:"backoff_type"`
	Seconds *int64   `json:"delay_seconds"`
	Context string   `json:"context,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (h Hint) MarshalJSON() ([]byte, error) {
	seconds := int64(h.Delay / time.Second)
	return json.Marshal(hintText{Type: h.Type, Seconds: &seconds, Context: h.Context})
}

// UnmarshalJSON implements json.Unmarshaler. The error is a fault.
func (h *Hint) UnmarshalJSON(raw []byte) error {
	var text hintText
	if err := json.Unmarshal(raw, &text); err != nil {
		return fault.In("backoff_hint", fault.CodeMalformed,
			`backoff_hint is not an object {"backoff_type": text, "delay_seconds": whole number, "context": text}`).Because(err)
	}
	switch text.Type {
	case ServerRequested, RateLimit, ServiceUnavailable, Custom:
	default:
		return fault.In("backoff_hint.backoff_type", fault.CodeInvalidField,
			"backoff_type is none of ServerRequested, RateLimit, ServiceUnavailable, Custom")
	}
	if text.Seconds == nil || *text.Seconds < 0 || *text.Seconds > math.MaxUint32 {
		return fault.In("backoff_hint.delay_seconds", fault.CodeInvalidField,
			"delay_seconds is not a whole number from 0 to %d", uint32(math.MaxUint32))
	}
	*h = Hint{Type: text.Type, Delay: time.Duration(*text.Seconds) * time.Second, Context: text.Context}
	return nil
}

// retryAfter is the name of the header in lower case.
const retryAfter = "retry-after"

// Wanted returns the wait that a handler asks for with the headers it passes on
// and its hint, either of which may be missing; 0 is no wish. A Retry-After
// header goes before the hint: it is the word of the service itself, the hint a
// guess at it. Names of headers are compared without case; of several
// Retry-After the longest wait counts. A header that cannot be read, or asks
// for no wait, leaves the say to the hint.
func Wanted(headers map[string]string, hint *Hint, now time.Time) time.Duration {
	var longest time.Duration
	for name, value := range headers {
		if !strings.EqualFold(name, retryAfter) {
			continue
		}
		d, _ := ParseRetryAfter(value, now)
		longest = max(longest, d)
	}
	if longest == 0 && hint != nil {
		return max(0, hint.Delay)
	}
	return longest
}

// dates are the forms of a date in Retry-After, with zones as offsets: that of
// RFC 2822 and of HTTP today, that of RFC 850, that of asctime.
var dates = func() []string {
	var all []string
	for _, weekday := range []string{"Mon, ", "Mon,", ""} {
		for _, clock := range []string{"15:04:05", "15:04"} {
			all = append(all, weekday+"2 Jan 2006 "+clock+" -0700")
		}
	}
	return append(all, rfc850, asctime)
}()

const (
	rfc850  = "Monday, 02-Jan-06 15:04:05 -0700"
	asctime = "Mon Jan _2 15:04:05 2006"
)

// zones are the names that RFC 2822 still allows for offsets.
var zones = map[string]string{
	"GMT": "+0000", "UTC": "+0000", "UT": "+0000", "Z": "+0000",
	"EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500",
	"MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700",
}

// longestWait is what an absurd number of seconds amounts to. Policies cap it.
const longestWait time.Duration = math.MaxInt64 - math.MaxInt64%time.Second

// ParseRetryAfter reads the value of a Retry-After header: whole seconds, or a
// date as RFC 2822 or HTTP write it (IMF-fixdate, RFC 850, asctime), which it
// turns into the time from now until then. It reports whether the value is one
// of these. A date that is past is understood and asks for no wait, like 0
// seconds: then the caller's own policy decides, as clocks differ and a service
// that has just refused is not to be asked again at once. The wait is never
// negative.
func ParseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	value = strings.Trim(value, " \t")
	if value != "" && strings.Trim(value, "0123456789") == "" {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n > int64(longestWait/time.Second) {
			return longestWait, true // all digits, so it is too large
		}
		return time.Duration(n) * time.Second, true
	}
	at, ok := parseDate(value, now)
	if !ok {
		return 0, false
	}
	return max(0, at.Sub(now)), true
}

func parseDate(value string, now time.Time) (time.Time, bool) {
	if last := strings.LastIndexByte(value, ' '); last >= 0 {
		if offset, ok := zones[strings.ToUpper(value[last+1:])]; ok {
			value = value[:last+1] + offset
		}
	}
	for _, form := range dates {
		at, err := time.Parse(form, value)
		if err != nil {
			continue
		}
		if form == rfc850 {
			at = inCentury(at, now)
		}
		return at, true
	}
	return time.Time{}, false
}

// inCentury sets the century of a date with two digits of a year: one that
// seems to be more than 50 years ahead is past (RFC 9110, 5.6.7).
func inCentury(at, now time.Time) time.Time {
	year := now.UTC().Year()
	at = at.AddDate(year-year%100-at.Year()+at.Year()%100, 0, 0)
	switch {
	case at.After(now.AddDate(50, 0, 0)):
		return at.AddDate(-100, 0, 0)
	case at.Before(now.AddDate(-50, 0, 0)):
		return at.AddDate(100, 0, 0)
	default:
		return at
	}
}
