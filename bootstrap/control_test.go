package bootstrap

import (
	"context"
	"crypto/hmac"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/adapters/telemetry"
	"github.com/tasker-go/tasker/adapters/webhook"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/ports"
	"github.com/tasker-go/tasker/migrations"
)

// announcing is a river.Control that announces letters it makes up.
type announcing struct {
	ports.Announcer
	swept, reconciled chan struct{}
}

func (a announcing) AnnounceDeadLetter(ctx context.Context, id deadletter.EntryID) error {
	return a.Announce(ctx, ports.Letter{ID: id, Reason: deadletter.ManualDLQ, Status: deadletter.Pending})
}

func (a announcing) ContinueResume(context.Context, uuid.UUID) (bool, time.Duration, error) {
	return false, 0, nil
}

func (a announcing) SweepStaleness(context.Context) error { tell(a.swept); return nil }
func (a announcing) Reconcile(context.Context) error      { tell(a.reconciled); return nil }

func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// A dead letter's job, inserted in a transaction, ends as a signed delivery and
// a figure; the periodic jobs run; and all of it stops in good order.
func TestControlJobsAnnounceDeadLetters(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef"
	type delivery struct{ id, signature, body string }
	delivered := make(chan delivery, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		delivered <- delivery{r.Header.Get(webhook.HeaderDelivery), r.Header.Get(webhook.HeaderSignature), string(body)}
	}))
	t.Cleanup(receiver.Close)
	db := database{url: pgtest.New(t, pgtest.Schema{
		Files: migrations.Files,
		Migrate: func(ctx context.Context, url string) error {
			return migrate(ctx, url, postgres.MigrateAuto, slog.New(slog.DiscardHandler))
		},
	}).URL}
	cfg := configuration.Default()
	cfg.Orchestration.DLQ.WebhookURL = configuration.Secret(receiver.URL)
	cfg.Orchestration.DLQ.WebhookSecret = secret
	metrics := telemetry.NewMetrics("test")
	swept, reconciled := make(chan struct{}, 1), make(chan struct{}, 1)
	app := fxtest.New(t,
		fx.Supply(Options{}, db, cfg, metrics, slog.New(slog.DiscardHandler)),
		fx.Provide(func(a ports.Announcer) river.Control { return announcing{a, swept, reconciled} }),
		controlModule,
	)
	app.RequireStart()

	id := deadletter.ID(ident.TaskID{1}, 1)
	conn, err := pgx.Connect(t.Context(), db.url)
	require.NoError(t, err)
	var b pgx.Batch
	river.QueueAnnouncements(&b, []deadletter.EntryID{id})
	require.NoError(t, conn.SendBatch(t.Context(), &b).Close())
	require.NoError(t, conn.Close(t.Context()))

	got := <-delivered
	require.Equal(t, id.String(), got.id)
	require.Contains(t, got.body, "ManualDlq")
	at, _, _ := strings.Cut(strings.TrimPrefix(got.signature, "t="), ",")
	seconds, err := strconv.ParseInt(at, 10, 64)
	require.NoError(t, err)
	require.True(t, hmac.Equal([]byte(got.signature), []byte(webhook.Sign(secret, time.Unix(seconds, 0), []byte(got.body)))))
	<-swept
	<-reconciled
	shown := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(shown, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Contains(t, shown.Body.String(), `tasker_dlq_entries_announced_total{dlq_reason="manual_dlq"} 1`)
	app.RequireStop()
}

// Without a webhook the log and the metric are all.
func TestWithoutAWebhookAnnouncingSucceeds(t *testing.T) {
	t.Parallel()
	a := newAnnouncer(configuration.Default(), telemetry.NewMetrics("test"), slog.New(slog.DiscardHandler))
	require.NoError(t, a.Announce(t.Context(), ports.Letter{Reason: deadletter.ManualDLQ}))
}
