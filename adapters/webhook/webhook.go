// Package webhook tells the world of dead letters: a signed POST to a configured
// address, and before it a log line and a metric. It knows how to deliver, not
// when: whoever calls it tries again until it returns nil.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/tasker-go/tasker/core/ports"
)

// The headers of a delivery.
const (
	// HeaderDelivery names the delivery; it is the same each time that one is
	// tried again, so that a receiver can tell.
	HeaderDelivery = "X-Tasker-Delivery"
	// HeaderEvent is the event of the body.
	HeaderEvent = "X-Tasker-Event"
	// HeaderSignature is t=<Unix seconds>,v1=<hexadecimal HMAC-SHA-256 of t.body>.
	HeaderSignature = "X-Tasker-Signature"
)

const (
	// timeout bounds a delivery, from the connection to the answer.
	timeout = 10 * time.Second
	// redirects that are followed, to the same host alone.
	redirects = 3
	// answerBytes of an answer are read, so that its connection can be used again.
	answerBytes = 64 << 10
	// failuresToOpen in a row open the breaker; openFor later one delivery probes.
	failuresToOpen = 5
	openFor        = 30 * time.Second
)

// Config says where and how dead letters are announced.
type Config struct {
	URL    string // https, or http; not empty
	Secret string // signs what is sent; not empty
}

// Webhook is a ports.Announcer that delivers over HTTP. Behind it is a circuit
// breaker: an address that does not answer is left alone for a while. It is safe
// for concurrent use.
type Webhook struct {
	cfg     Config
	client  *http.Client
	breaker *gobreaker.CircuitBreaker[struct{}]
	now     func() time.Time
}

var _ ports.Announcer = (*Webhook)(nil)

// New returns a webhook.
func New(cfg Config, log *slog.Logger) *Webhook {
	return &Webhook{
		cfg: cfg, now: time.Now, client: &http.Client{Timeout: timeout, CheckRedirect: sameHost},
		breaker: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
			Name: "webhook", MaxRequests: 1, Timeout: openFor,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failuresToOpen },
			OnStateChange: func(name string, from, to gobreaker.State) {
				log.Warn("circuit breaker", "breaker", name, "from", from.String(), "to", to.String())
			},
			IsSuccessful: func(err error) bool { return !isOutage(err) },
			IsExcluded:   func(err error) bool { return errors.Is(err, context.Canceled) },
		}),
	}
}

// Announce implements ports.Announcer. Its errors hold neither the URL nor the
// secret.
func (w *Webhook) Announce(ctx context.Context, l ports.Letter) error {
	body, err := encode(l)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	_, err = w.breaker.Execute(func() (struct{}, error) { return struct{}{}, w.deliver(ctx, l.ID.String(), body) })
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	return nil
}

func (w *Webhook) deliver(ctx context.Context, delivery string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return bare(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tasker")
	req.Header.Set(HeaderDelivery, delivery)
	req.Header.Set(HeaderEvent, eventOpened)
	req.Header.Set(HeaderSignature, Sign(w.cfg.Secret, w.now(), body))
	resp, err := w.client.Do(req)
	if err != nil {
		return bare(err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing is lost by it
	_, _ = io.CopyN(io.Discard, resp.Body, answerBytes)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return refused(resp.StatusCode)
	}
	return nil
}

// Sign returns the signature of a body that is sent at a moment. A receiver
// computes it anew from the t of the header, compares in constant time, and
// refuses a t that is minutes old.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(t + ".")) // a hash never fails
	_, _ = mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// refused is an answer that is no success: its status.
type refused int

// Error implements error.
func (r refused) Error() string {
	return fmt.Sprintf("the receiver answered %d %s", int(r), http.StatusText(int(r)))
}

// isOutage reports whether the receiver does not work, rather than not want this
// delivery.
func isOutage(err error) bool {
	if status, is := errors.AsType[refused](err); is {
		return status >= 500 || status == http.StatusTooManyRequests
	}
	return err != nil
}

// errRedirect is returned for redirects that are not followed.
var errRedirect = errors.New("the receiver redirects to another host, or in a way that loses the body; configure the address that it names")

// sameHost follows redirects that keep the method and the host: what is sent is
// for the configured host alone.
func sameHost(req *http.Request, via []*http.Request) error {
	if first := via[0]; len(via) > redirects || req.Method != first.Method || req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme {
		return errRedirect
	}
	return nil
}

// bare takes the URL off an error: it may hold a secret.
func bare(err error) error {
	if u, is := errors.AsType[*url.Error](err); is {
		return u.Err
	}
	return err
}
