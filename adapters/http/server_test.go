package http_test

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tasker-go/tasker/adapters/auth"
	httpapi "github.com/tasker-go/tasker/adapters/http"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/task"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.ask("GET", "/api-docs/openapi.json", "")
	require.Equal(t, "application/json", a.Header().Get("Content-Type"))
	require.Equal(t, a.Body.String(), d.ask("GET", "/openapi.json", "").Body.String())
	const golden = "testdata/openapi.golden.json"
	if *update {
		require.NoError(t, os.WriteFile(golden, append(a.Body.Bytes(), '\n'), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), a.Body.String()+"\n", "the contract has changed: look at it, then go test ./adapters/http -run TestOpenAPI -update")

	var doc struct {
		OpenAPI    string `json:"openapi"`
		Info       struct{ Title, Version string }
		Paths      map[string]map[string]map[string]any
		Components struct {
			SecuritySchemes map[string]struct{ In, Name string }
		}
	}
	require.NoError(t, json.Unmarshal(a.Body.Bytes(), &doc))
	require.True(t, strings.HasPrefix(doc.OpenAPI, "3.1"))
	require.Equal(t, "Tasker Web API", doc.Info.Title)
	require.Equal(t, "X-API-Key", doc.Components.SecuritySchemes["api_key_auth"].Name)
	require.Equal(t, "tasks:create", doc.Paths["/v1/tasks"]["post"]["x-required-permission"])
	for _, path := range []string{"/health", "/v1/tasks", "/v1/tasks/{uuid}", "/metrics"} {
		require.Contains(t, doc.Paths, path)
	}
	require.NotContains(t, a.Body.String(), `"$schema"`)
	for path, methods := range doc.Paths {
		for method, op := range methods {
			require.NotEmpty(t, op["summary"], path+method)
			require.NotContains(t, op["responses"], "422", path)
		}
	}
}

func TestEveryOperationHasARoute(t *testing.T) {
	t.Parallel()
	routes := httpapi.Routes()
	for op := range app.Operations() {
		require.Contains(t, routes, op)
	}
	require.Equal(t, "DELETE /v1/tasks/{uuid}", routes[app.CancelTask])
}

func TestTheReferenceNamesEveryRouteAndCode(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/rest-api.md")
	require.NoError(t, err)
	for op, r := range httpapi.Routes() {
		require.Contains(t, string(page), r, op)
	}
	for _, code := range fault.Codes() {
		require.Contains(t, string(page), "`"+string(code)+"`")
	}
	for _, c := range readiness.Codes() {
		require.Contains(t, string(page), "`"+string(c.Code)+"`")
	}
	for op, p := range app.Operations() {
		if r, ok := httpapi.Routes()[op]; ok && p != access.Public {
			require.Contains(t, string(page), "| `"+r+"` | `"+string(p)+"` |")
		}
	}
}

func TestTheDocumentationNeedsNothingFromOutside(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.ask("GET", "/docs", "")
	require.Equal(t, "text/html; charset=utf-8", a.Header().Get("Content-Type"))
	page := a.Body.String()
	require.Equal(t, page, d.ask("GET", "/api-docs/ui", "").Body.String())
	require.NotRegexp(t, `(?i:https?:)//|//[a-z0-9-]+\.[a-z]|@import|[^a-zA-Z]url\(`, page)
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		require.Contains(t, []string{"data:,", "openapi.json"}, m[1])
	}
	policy := a.Header().Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.NotContains(t, policy, "unsafe")
	require.NotContains(t, page, "/*page.", "the parts are in their places")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	d := open(t)
	now := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`)
	for path, word := range map[string]string{"/health": "healthy", "/health/live": "alive", "/health/ready": "ready", "/health/detailed": "degraded"} {
		a := d.ask("GET", path, "")
		require.Equal(t, 200, a.Code, path)
		require.Equal(t, word, a.json()["status"], path)
		require.Regexp(t, now, a.json()["timestamp"])
	}
	ready := d.ask("GET", "/health/ready", "").json()
	require.Equal(t, map[string]any{"status": "healthy", "message": nil, "duration_ms": 0.0}, ready["checks"].(map[string]any)["web_database"])
	info := ready["info"].(map[string]any)
	require.EqualValues(t, 4, info["web_database_pool_size"])
	require.InDelta(t, 1.5, info["pool_utilization"].(map[string]any)["tasker_pool"].(map[string]any)["average_acquire_time_ms"], 0)
	require.Len(t, d.ask("GET", "/health/detailed", "").json()["checks"], 2)

	*d.status = app.Unhealthy
	a := d.ask("GET", "/health/ready", "")
	m := a.problem(503, "not_ready", "SERVICE_UNAVAILABLE")
	require.Equal(t, "1", a.Header().Get("Retry-After"))
	require.Equal(t, "the database does not answer", m["checks"].(map[string]any)["web_database"].(map[string]any)["message"])
	require.Equal(t, "1.2.3", m["info"].(map[string]any)["version"])
	require.Equal(t, 200, d.ask("GET", "/health", "").Code)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	a := open(t).ask("GET", "/metrics", "")
	require.Equal(t, "up 1\n", a.Body.String())
	require.Equal(t, "text/plain; version=0.0.4", a.Header().Get("Content-Type"))
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	d := open(t)
	seen := map[string]bool{}
	for _, path := range []string{"/health", "/v1/tasks", "/nowhere", "/docs", "/v1/tasks/x"} {
		h := d.ask("GET", path, "", "X-Request-Id: mine").Header()
		id := h.Get("X-Request-Id")
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, id)
		require.False(t, seen[id])
		seen[id] = true
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		require.NotEmpty(t, h.Get("Content-Security-Policy"))
		require.Equal(t, "no-store", h.Get("Cache-Control"))
		require.Empty(t, h.Get("Access-Control-Allow-Origin"))
	}
}

// run serves until the test ends.
func run(t *testing.T, cfg httpapi.Config, s httpapi.Service) (*httpapi.Server, func() error) {
	t.Helper()
	srv, err := httpapi.New(cfg, s, app.NewHealth(func() app.HealthInfo { return app.HealthInfo{} }), auth.New(nil, ""),
		http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, srv.Listen())
	served := make(chan error, 1)
	go func() { served <- srv.Serve() }()
	return srv, func() error { return <-served }
}

func client(t *testing.T) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestServe(t *testing.T) {
	t.Parallel()
	cfg := httpapi.Config{Host: "127.0.0.1", RequestTimeout: 5 * time.Second, MaxBodyBytes: 1 << 20}
	f := newFake()
	entered, leave := make(chan struct{}), make(chan struct{})
	f.hold = func(context.Context) error { close(entered); <-leave; return nil }
	f.add(task.Complete)
	srv, served := run(t, cfg, f)
	c := client(t)

	head, err := c.Head("http://" + srv.Addr() + "/health")
	require.NoError(t, err)
	require.NoError(t, head.Body.Close())
	require.Equal(t, 200, head.StatusCode)
	require.Equal(t, "HTTP/1.1", head.Proto)
	require.Positive(t, head.ContentLength)

	// A request in work is answered, though the server stops meanwhile.
	answered := make(chan string, 1)
	go func() {
		r, err := c.Get("http://" + srv.Addr() + "/v1/tasks")
		if err != nil {
			answered <- err.Error()
			return
		}
		defer func() { _ = r.Body.Close() }()
		body, _ := io.ReadAll(r.Body)
		answered <- r.Status + " " + string(body)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Shutdown(t.Context()) }()
	require.NoError(t, served())
	close(leave)
	require.NoError(t, <-stopped)
	require.Contains(t, <-answered, `200 OK {"tasks":[{`)
	require.NoError(t, srv.Shutdown(t.Context()))
	_, err = net.Dial("tcp", srv.Addr())
	require.Error(t, err)
}

func TestShutdownCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	f := newFake()
	entered := make(chan struct{})
	f.hold = func(ctx context.Context) error { close(entered); <-ctx.Done(); return ctx.Err() }
	srv, served := run(t, httpapi.Config{Host: "127.0.0.1", RequestTimeout: time.Minute, MaxBodyBytes: 1 << 20}, f)
	got := make(chan error, 1)
	c := client(t)
	go func() {
		r, err := c.Get("http://" + srv.Addr() + "/v1/tasks")
		if err == nil {
			_ = r.Body.Close()
		}
		got <- err
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, srv.Shutdown(ctx), context.DeadlineExceeded)
	require.NoError(t, served())
	require.Error(t, <-got)
}

func TestTheTimeOfARequestIsBounded(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.hold = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	srv, served := run(t, httpapi.Config{Host: "127.0.0.1", RequestTimeout: 20 * time.Millisecond, MaxBodyBytes: 1 << 20}, f)
	r, err := client(t).Get("http://" + srv.Addr() + "/v1/tasks")
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestTimeout, r.StatusCode)
	require.NoError(t, r.Body.Close())
	require.NoError(t, srv.Shutdown(t.Context()))
	require.NoError(t, served())
}

func TestABusyPortNamesTheSetting(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	port := l.Addr().(*net.TCPAddr).Port
	srv, err := httpapi.New(httpapi.Config{Host: "127.0.0.1", Port: port}, newFake(), app.NewHealth(nil), auth.New(nil, ""),
		http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	err = srv.Listen()
	require.Regexp(t, `^port \d+ is in use: set \[orchestration.web\] port, TASKER_WEB_BIND_ADDRESS or --web-port$`, err.Error())
	require.Empty(t, srv.Addr())
	require.Error(t, srv.Serve())
	require.NoError(t, srv.Shutdown(t.Context()), "a server that never served can be stopped")

	bad, err := httpapi.New(httpapi.Config{Host: "203.0.113.7"}, newFake(), app.NewHealth(nil), auth.New(nil, ""),
		http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.ErrorContains(t, bad.Listen(), "cannot listen on 203.0.113.7:0: set [orchestration.web] host")
}
