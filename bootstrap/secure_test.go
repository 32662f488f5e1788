package bootstrap_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/adapters/tlsfiles/tlstest"
	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/bootstrap/configuration"
)

// Both doors as they are configured: encrypted, one of them for clients with a
// certificate, and counted together.
func TestSecuredDoors(t *testing.T) {
	t.Parallel()
	web, rpc := tlstest.New(t), tlstest.New(t)
	web.Issue(t, "web", time.Hour)
	rpc.Issue(t, "rpc", time.Hour)
	s := startWith(t, pgtest.New(t, schema).URL, twoSteps, nil, func(c *configuration.Config) {
		o := &c.Orchestration
		o.Web.TLS = configuration.TLS{Enabled: true, CertPath: web.Certificate, KeyPath: web.Key, ClientAuth: configuration.ClientAuthNone}
		o.GRPC.TLS = configuration.TLS{
			Enabled: true, CertPath: rpc.Certificate, KeyPath: rpc.Key, ClientCAPath: rpc.Authority, ClientAuth: configuration.ClientAuthRequire,
		}
		o.Web.CORS.AllowedOrigins = []string{"https://console.example"}
		o.Web.RateLimit = configuration.RateLimit{Enabled: true, RequestsPerSecond: 0.01, Burst: 2, FailuresPerSecond: 1, FailureBurst: 1}
	})
	local := func(addr string) string {
		_, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		return "localhost:" + port
	}
	transport := &http.Transport{TLSClientConfig: web.Client(), ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	get := func(path string) (code int, proto string, header http.Header, body string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+local(s.http)+path, nil)
		require.NoError(t, err)
		r.Header.Set("Origin", "https://console.example")
		a, err := transport.RoundTrip(r)
		require.NoError(t, err)
		raw, err := io.ReadAll(a.Body)
		require.NoError(t, err)
		require.NoError(t, a.Body.Close())
		return a.StatusCode, a.Proto, a.Header, string(raw)
	}
	code, proto, header, _ := get("/v1/tasks")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "HTTP/2.0", proto)
	require.Equal(t, "https://console.example", header.Get("Access-Control-Allow-Origin"))
	require.NotEmpty(t, header.Get("Strict-Transport-Security"))

	ask := func(c *tls.Config) error {
		conn, err := grpc.NewClient(local(s.grpc), grpc.WithTransportCredentials(credentials.NewTLS(c)))
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close()) }()
		_, err = taskerv1.NewTaskServiceClient(conn).ListTasks(t.Context(), &taskerv1.ListTasksRequest{})
		return err
	}
	require.Equal(t, codes.Unavailable, status.Code(ask(rpc.Client())), "no certificate")
	known := rpc.Client()
	known.Certificates = []tls.Certificate{rpc.ClientCertificate(t, "worker", time.Hour)}
	require.NoError(t, ask(known))
	require.Equal(t, codes.ResourceExhausted, status.Code(ask(known)), "the third call of this machine")
	code, _, _, _ = get("/v1/tasks")
	require.Equal(t, http.StatusTooManyRequests, code)
	code, _, _, metrics := get("/metrics")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, metrics, `tasker_rate_limited_total{by="address"} 2`)
	require.Contains(t, metrics, `tasker_tls_certificate_not_after_seconds{door="http"}`)
	require.Contains(t, metrics, `tasker_tls_certificate_not_after_seconds{door="grpc"}`)
}
