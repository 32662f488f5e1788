package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/webhook"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

const secret = "0123456789abcdef"

func letter() ports.Letter {
	id := ident.TaskID{0x01, 0x9a}
	return ports.Letter{
		ID: deadletter.ID(id, 2), Task: id, Ordinal: 2, Name: task.Name{Namespace: "shop", Name: "order", Version: "1.0.0"},
		OriginalState: task.BlockedByFailures, Reason: deadletter.MaxRetriesExceeded, Status: deadletter.Pending,
		At:          time.Date(2026, 3, 1, 10, 0, 0, 123456000, time.FixedZone("", 3600)),
		CreatedAt:   time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		UpdatedAt:   time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		Fingerprint: "00ff",
		Snapshot: json.RawMessage(`{"current_state": "blocked_by_failures", "total_steps": 3, "failed_steps": 1,
			"context": {"card": "4111"}, "task_details": {"correlation_id": "c-1", "priority": 7}, "steps": [
			{"name": "charge", "state": "error", "attempts": 3, "error": {"error_type": "timeout", "message": "no answer", "context": {"card": "4111"}}},
			{"name": "ship", "state": "pending", "attempts": 0}]}`),
	}
}

// receiver is a server that a test answers for.
func receiver(t *testing.T, answer http.HandlerFunc) (*httptest.Server, *webhook.Webhook) {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s, hook(s.URL + "/hook?key=hunter2")
}

func hook(url string) *webhook.Webhook {
	return webhook.New(webhook.Config{URL: url, Secret: secret}, slog.New(slog.DiscardHandler))
}

func TestADeliveryIsWhatReceiversExpect(t *testing.T) {
	t.Parallel()
	var body []byte
	var headers http.Header
	_, w := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		headers = r.Header
	})
	l := letter()
	require.NoError(t, w.Announce(t.Context(), l))
	require.JSONEq(t, fmt.Sprintf(`{
		"event": "dead_letter.opened",
		"dead_letter": {"dlq_entry_uuid": %q, "task_uuid": %q, "original_state": "blocked_by_failures",
			"dlq_reason": "MaxRetriesExceeded", "dlq_timestamp": "2026-03-01T09:00:00.123456", "resolution_status": "Pending",
			"resolution_timestamp": null, "ordinal": 2, "fingerprint": "00ff",
			"created_at": "2026-03-01T09:00:00.000000", "updated_at": "2026-03-01T09:00:00.000000"},
		"task": {"task_uuid": %[2]q, "namespace": "shop", "name": "order", "version": "1.0.0", "status": "blocked_by_failures",
			"correlation_id": "c-1", "priority": 7, "total_steps": 3},
		"failures": {"count": 1, "steps": [{"name": "charge", "attempts": 3, "error_type": "timeout", "message": "no answer"}]}
	}`, l.ID, l.Task), string(body))
	require.NotContains(t, string(body), "4111", "the task's context is nobody's business")
	require.Equal(t, "application/json", headers.Get("Content-Type"))
	require.Equal(t, l.ID.String(), headers.Get(webhook.HeaderDelivery))
	require.Equal(t, "dead_letter.opened", headers.Get(webhook.HeaderEvent))

	// As a receiver checks it.
	signature := headers.Get(webhook.HeaderSignature)
	at, _, found := strings.Cut(strings.TrimPrefix(signature, "t="), ",v1=")
	require.True(t, found)
	seconds, err := strconv.ParseInt(at, 10, 64)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), time.Unix(seconds, 0), time.Minute)
	require.Equal(t, signature, webhook.Sign(secret, time.Unix(seconds, 0), body))
}

// Computed with: printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef
func TestTheSignatureIsStandard(t *testing.T) {
	t.Parallel()
	at := time.Unix(1700000000, 0)
	require.Equal(t, "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e", webhook.Sign(secret, at, []byte("{}")))
	require.NotEqual(t, webhook.Sign(secret, at, nil), webhook.Sign(secret, at.Add(time.Second), nil))
}

// Redacted fields keep nothing else back, whatever they held.
func TestRedactedSnapshotsAreRead(t *testing.T) {
	t.Parallel()
	var body []byte
	s, _ := receiver(t, func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) })
	l := letter()
	l.Snapshot = jsondoc.Redact(l.Snapshot, []string{"Message", "priority", "error_type"})
	require.NoError(t, hook(s.URL).Announce(t.Context(), l))
	require.NotContains(t, string(body), "no answer")
	require.Contains(t, string(body), `"message":"[redacted]"`)
	require.Contains(t, string(body), `"count":1`)
	require.Contains(t, string(body), `"priority":0`)
}

// A body stays small whatever the task holds.
func TestABodyIsBounded(t *testing.T) {
	t.Parallel()
	var body []byte
	s, _ := receiver(t, func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) })
	l := letter()
	step := fmt.Sprintf(`{"name": "s", "state": "error", "attempts": 1, "error": {"message": %q}}`, strings.Repeat("é", 100_000))
	l.Snapshot = json.RawMessage(`{"failed_steps": 400, "steps": [` + step + strings.Repeat(","+step, 399) + `]}`)
	require.NoError(t, hook(s.URL).Announce(t.Context(), l))
	require.Less(t, len(body), 16<<10)
	require.True(t, utf8.Valid(body))
	require.Contains(t, string(body), `"count":400`)
	require.NotContains(t, string(body), "�")
}

func TestAnswersThatAreNoSuccessAreErrors(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 400, 404, 429, 500, 503} {
		_, w := receiver(t, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status) })
		require.ErrorContains(t, w.Announce(t.Context(), letter()), fmt.Sprint(status))
	}
	for _, status := range []int{200, 202, 204} {
		_, w := receiver(t, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status) })
		require.NoError(t, w.Announce(t.Context(), letter()))
	}
}

// What is sent goes to the configured host alone, and whole.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	var moved []byte
	redirect := func(to string, status int) *webhook.Webhook {
		_, w := receiver(t, func(rw http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/moved":
				moved, _ = io.ReadAll(r.Body)
			default:
				http.Redirect(rw, r, to, status)
			}
		})
		return w
	}
	require.NoError(t, redirect("/moved", http.StatusTemporaryRedirect).Announce(t.Context(), letter()))
	require.Contains(t, string(moved), "dead_letter.opened")
	for name, w := range map[string]*webhook.Webhook{
		"to another host": redirect(other.URL, http.StatusTemporaryRedirect),
		"to a GET":        redirect("/moved", http.StatusFound),
		"in a circle":     redirect("/again", http.StatusPermanentRedirect),
	} {
		require.ErrorContains(t, w.Announce(t.Context(), letter()), "redirects", name)
	}
	require.Zero(t, elsewhere.Load())
}

// Neither the address, which may hold a key, nor the secret is in an error.
func TestErrorsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	s, w := receiver(t, nil)
	s.Close()
	broken := hook("http://user:hunter2@127.0.0.1:1/\x7fhunter2")
	for _, w := range []*webhook.Webhook{w, broken} {
		err := w.Announce(t.Context(), letter())
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
		require.NotContains(t, err.Error(), secret)
	}
}

// A receiver that is down is left alone; one that refuses a delivery is not down.
func TestTheBreaker(t *testing.T) {
	t.Parallel()
	for status, reached := range map[int]int64{http.StatusInternalServerError: 5, http.StatusTooManyRequests: 5, http.StatusBadRequest: 8} {
		var calls atomic.Int64
		_, w := receiver(t, func(rw http.ResponseWriter, _ *http.Request) {
			calls.Add(1)
			rw.WriteHeader(status)
		})
		for range 8 {
			require.Error(t, w.Announce(t.Context(), letter()))
		}
		require.Equal(t, reached, calls.Load(), status)
	}
}

// A stopping server says nothing about the receiver.
func TestACancelledDeliveryIsNoFailure(t *testing.T) {
	t.Parallel()
	_, w := receiver(t, func(http.ResponseWriter, *http.Request) {})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		require.ErrorIs(t, w.Announce(ctx, letter()), context.Canceled)
	}
	require.NoError(t, w.Announce(t.Context(), letter()))
}

type failing struct{ calls int }

func (f *failing) Announce(context.Context, ports.Letter) error {
	f.calls++
	return io.ErrUnexpectedEOF
}

// However often a delivery is tried, the log and the metric tell once.
func TestEachDeadLetterIsLoggedAndCountedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	counted := map[deadletter.Reason]int{}
	next := &failing{}
	a := webhook.NewLogged(next, func(r deadletter.Reason) { counted[r]++ }, slog.New(slog.NewTextHandler(&log, nil)))
	for range 3 {
		require.ErrorIs(t, a.Announce(t.Context(), letter()), io.ErrUnexpectedEOF)
	}
	require.Equal(t, 3, next.calls)
	require.Equal(t, 1, strings.Count(log.String(), "a task needs a person"))
	require.Contains(t, log.String(), "level=WARN")
	require.Contains(t, log.String(), "reason=max_retries_exceeded")
	require.NotContains(t, log.String(), "4111")
	require.Equal(t, map[deadletter.Reason]int{deadletter.MaxRetriesExceeded: 1}, counted)

	alone := webhook.NewLogged(nil, func(r deadletter.Reason) { counted[r]++ }, slog.New(slog.DiscardHandler))
	require.NoError(t, alone.Announce(t.Context(), letter()))
	require.Equal(t, 2, counted[deadletter.MaxRetriesExceeded])
}
