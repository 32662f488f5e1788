package http_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/auth"
	httpapi "github.com/tasker-go/tasker/adapters/http"
	"github.com/tasker-go/tasker/adapters/ratelimit"
	"github.com/tasker-go/tasker/adapters/tlsfiles"
	"github.com/tasker-go/tasker/adapters/tlsfiles/tlstest"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
)

var plain = httpapi.Config{Host: "127.0.0.1", RequestTimeout: 5 * time.Second, MaxBodyBytes: maxBody}

// secure is a door to the fake with other settings.
func secure(t testing.TB, cfg httpapi.Config, keys ...auth.Key) *door {
	t.Helper()
	d := &door{fake: newFake(), t: t, log: &bytes.Buffer{}}
	server, err := httpapi.New(cfg, d.fake, app.NewHealth(func() app.HealthInfo { return app.HealthInfo{} }), auth.New(keys, ""),
		http.NotFoundHandler(), slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(t, err)
	d.handler = server.Handler()
	return d
}

func TestSecurityHeadersOfEveryRoute(t *testing.T) {
	t.Parallel()
	d := open(t, auth.Key{Key: "k"})
	asked := map[string]string{"GET /nowhere": "", "GET //twice": "", "BREW /v1/tasks": "", "OPTIONS /v1/tasks": "", "GET /v1/tasks?page=x": "X-API-Key: k"}
	for _, r := range httpapi.Routes() {
		method, path, _ := strings.Cut(r, " ")
		path = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "0198c5a0-0000-7000-8000-000000000000")
		asked[method+" "+path] = ""
		asked[method+" "+path+"?"] = "X-API-Key: k"
	}
	for _, more := range []string{"/metrics", "/docs", "/api-docs/ui", "/openapi.json", "/api-docs/openapi.json"} {
		asked["GET "+more] = ""
	}
	statuses := map[int]bool{}
	for r, header := range asked {
		method, path, _ := strings.Cut(r, " ")
		var headers []string
		if header != "" {
			headers = append(headers, header)
		}
		a := d.ask(method, path, "", headers...)
		statuses[a.Code] = true
		h := a.Header()
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), r)
		require.Equal(t, "DENY", h.Get("X-Frame-Options"), r)
		require.Equal(t, "no-referrer", h.Get("Referrer-Policy"), r)
		require.Equal(t, "no-store", h.Get("Cache-Control"), r)
		require.True(t, strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'"), r)
		require.NotEmpty(t, h.Get("X-Request-Id"), r)
		for _, none := range []string{"Server", "X-Powered-By", "Strict-Transport-Security", "Access-Control-Allow-Origin"} {
			require.NotContains(t, h, none, r)
		}
	}
	for _, status := range []int{200, 400, 401, 404, 405, 415} {
		require.True(t, statuses[status], "%d was not seen: %v", status, slices.Sorted(maps.Keys(statuses)))
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	d := open(t)
	made := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for given, instance := range map[string]string{
		"0198c5a0-1234-7000-8000-000000000000": "urn:uuid:0198c5a0-1234-7000-8000-000000000000",
		"job.42_attempt-1":                     "urn:x-request-id:job.42_attempt-1",
		"":                                     "", "short": "", "with space in it": "", "with\"quote\"": "", "with:colon:in:it": "",
		"with\tcontrol": "", "ümlauts-in-it": "", strings.Repeat("a", 129): "",
	} {
		a := d.ask("GET", "/nowhere", "", "X-Request-Id: "+given)
		id := a.Header().Get("X-Request-Id")
		if instance == "" {
			require.Regexp(t, made, id, given)
			instance = "urn:uuid:" + id
		} else {
			require.Equal(t, given, id)
		}
		require.Equal(t, instance, a.json()["instance"])
	}
	r := d.request("GET", "/nowhere", nil)
	r.Header["X-Request-Id"] = []string{"first-of-two", "second-of-two"}
	require.Regexp(t, made, d.serve(r).Header().Get("X-Request-Id"))
}

func TestTheIDOfARequestIsLogged(t *testing.T) {
	t.Parallel()
	d := secure(t, plain)
	d.ask("GET", "/v1/tasks", "", "X-Request-Id: job.42_attempt-1")
	require.Contains(t, d.log.String(), "request_id=job.42_attempt-1")
}

func TestCORS(t *testing.T) {
	t.Parallel()
	const console, stranger = "https://console.example", "https://evil.example"
	doors := map[string]*door{} // one for each setting: making one takes a while
	for name, c := range map[string]struct {
		allowed        []string
		origin         string
		method, path   string
		preflightFor   string
		status         int
		allowsOrigin   string
		allowsMethods  string
		exposes, varys bool
	}{
		"off":                              {nil, console, "GET", "/v1/tasks", "", 200, "", "", false, false},
		"off, preflight":                   {nil, console, "OPTIONS", "/v1/tasks", "POST", 405, "", "", false, false},
		"no origin":                        {[]string{console}, "", "GET", "/v1/tasks", "", 200, "", "", false, true},
		"allowed":                          {[]string{console}, console, "GET", "/v1/tasks", "", 200, console, "", true, true},
		"allowed, second of two":           {[]string{"https://a.example", console}, console, "GET", "/v1/tasks", "", 200, console, "", true, true},
		"allowed, not found":               {[]string{console}, console, "GET", "/nowhere", "", 404, console, "", true, true},
		"another origin":                   {[]string{console}, stranger, "GET", "/v1/tasks", "", 200, "", "", false, true},
		"an origin that begins alike":      {[]string{console}, console + ".evil.example", "GET", "/v1/tasks", "", 200, "", "", false, true},
		"another port":                     {[]string{console}, console + ":8443", "GET", "/v1/tasks", "", 200, "", "", false, true},
		"no page at all":                   {[]string{console}, "null", "GET", "/v1/tasks", "", 200, "", "", false, true},
		"any":                              {[]string{"*"}, stranger, "GET", "/v1/tasks", "", 200, "*", "", true, false},
		"preflight":                        {[]string{console}, console, "OPTIONS", "/v1/tasks", "POST", 204, console, "GET, HEAD, POST", false, true},
		"preflight of a task":              {[]string{console}, console, "OPTIONS", "/v1/tasks/x", "DELETE", 204, console, "GET, HEAD, DELETE", false, true},
		"preflight of any":                 {[]string{"*"}, stranger, "OPTIONS", "/v1/tasks", "POST", 204, "*", "GET, HEAD, POST", false, false},
		"preflight of nothing":             {[]string{console}, console, "OPTIONS", "/nowhere", "POST", 404, console, "", true, true},
		"preflight of another origin":      {[]string{console}, stranger, "OPTIONS", "/v1/tasks", "POST", 405, "", "", false, true},
		"OPTIONS that is not a preflight":  {[]string{console}, console, "OPTIONS", "/v1/tasks", "", 405, console, "", true, true},
		"a preflight that is no OPTIONS":   {[]string{console}, console, "GET", "/v1/tasks", "POST", 200, console, "", true, true},
		"refused for want of credentials":  {[]string{console}, console, "GET", "/v1/tasks?refused", "", 401, console, "", true, true},
		"a preflight needs no credentials": {[]string{console}, console, "OPTIONS", "/v1/tasks?refused", "POST", 204, console, "GET, HEAD, POST", false, true},
	} {
		cfg := plain
		cfg.AllowedOrigins = c.allowed
		var keys []auth.Key
		if strings.HasSuffix(c.path, "?refused") {
			keys = []auth.Key{{Key: "k"}}
		}
		setting := fmt.Sprint(c.allowed, len(keys))
		if doors[setting] == nil {
			doors[setting] = secure(t, cfg, keys...)
		}
		t.Run(name, func(t *testing.T) {
			d := *doors[setting]
			d.t = t
			var headers []string
			if c.origin != "" {
				headers = append(headers, "Origin: "+c.origin)
			}
			if c.preflightFor != "" {
				headers = append(headers, "Access-Control-Request-Method: "+c.preflightFor, "Access-Control-Request-Headers: x-api-key")
			}
			a := d.ask(c.method, strings.TrimSuffix(c.path, "?refused"), "", headers...)
			h := a.Header()
			require.Equal(t, c.status, a.Code)
			require.Equal(t, c.allowsOrigin, h.Get("Access-Control-Allow-Origin"))
			require.Equal(t, c.allowsMethods, h.Get("Access-Control-Allow-Methods"))
			require.Equal(t, c.varys, h.Get("Vary") == "Origin", h.Get("Vary"))
			require.NotContains(t, h, "Access-Control-Allow-Credentials")
			if c.exposes {
				require.Contains(t, h.Get("Access-Control-Expose-Headers"), "X-Request-Id, ")
			} else {
				require.NotContains(t, h, "Access-Control-Expose-Headers")
			}
			if c.allowsMethods != "" {
				require.Equal(t, "600", h.Get("Access-Control-Max-Age"))
				for _, header := range []string{"Authorization", "Content-Type", "X-API-Key", "Idempotency-Key"} {
					require.Contains(t, strings.Split(h.Get("Access-Control-Allow-Headers"), ", "), header)
				}
				require.Empty(t, a.Body.String())
			}
		})
	}
}

// limited is a door that lets through one call a second, two at once, and one
// failure.
func limited(t *testing.T, keys ...auth.Key) *door {
	t.Helper()
	cfg := plain
	cfg.Limiter = ratelimit.New(ratelimit.Config{
		Calls:    ratelimit.Rate{PerSecond: 1, Burst: 2},
		Failures: ratelimit.Rate{PerSecond: 0.1, Burst: 1}, Names: 10,
	})
	return secure(t, cfg, keys...)
}

func (d *door) from(remote, method, path, body, key string) answer {
	r := d.request(method, path, strings.NewReader(body))
	r.RemoteAddr = remote
	if key != "" {
		r.Header.Set("X-Api-Key", key)
	}
	return d.serve(r)
}

func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := limited(t, auth.Key{Key: "shop", Subject: "shop"}, auth.Key{Key: "other", Subject: "other"},
			auth.Key{Key: "none", Subject: "none", Permissions: []access.Permission{access.StepsRead}})
		const here, there = "192.0.2.1:1", "192.0.2.2:1"
		require.Equal(t, 200, d.from(here, "GET", "/v1/tasks", "", "shop").Code)
		require.Equal(t, 201, d.from(there, "POST", "/v1/tasks", minimal, "shop").Code)
		a := d.from(here, "POST", "/v1/tasks", minimal, "shop")
		m := a.problem(429, "rate_limited", "RATE_LIMITED")
		require.Equal(t, "1", a.Header().Get("Retry-After"))
		require.EqualValues(t, 1, m["retry_after_seconds"])
		require.EqualValues(t, 1, m["error"].(map[string]any)["retry_after_seconds"])
		require.NotContains(t, a.Header(), "X-Auth-Failure-Reason")
		require.Equal(t, 200, d.from(here, "GET", "/v1/tasks", "", "other").Code, "others are not held back")
		for _, path := range []string{"/health", "/health/live", "/health/ready", "/health/detailed", "/docs", "/openapi.json"} {
			require.NotEqual(t, 429, d.from(here, "GET", path, "", "shop").Code, path)
		}
		time.Sleep(time.Second)
		require.Equal(t, 200, d.from(here, "GET", "/v1/tasks", "", "shop").Code)
		require.Equal(t, 429, d.from(here, "GET", "/v1/tasks", "", "shop").Code)

		// Who may not ask this is counted all the same.
		d.from(here, "GET", "/v1/tasks", "", "none").problem(403, "permission_denied", "AUTHORIZATION_FAILED")
		d.from(here, "GET", "/v1/tasks", "", "none").problem(403, "permission_denied", "AUTHORIZATION_FAILED")
		d.from(here, "GET", "/v1/tasks", "", "none").problem(429, "rate_limited", "RATE_LIMITED")
	})
}

func TestTooManyFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := limited(t, auth.Key{Key: "shop", Subject: "shop"})
		const here, there = "192.0.2.1:1", "192.0.2.2:1"
		d.from(here, "GET", "/v1/tasks", "", "guess").problem(401, "unauthenticated", "AUTHENTICATION_FAILED")
		a := d.from(here, "GET", "/v1/tasks", "", "")
		a.problem(429, "rate_limited", "RATE_LIMITED")
		require.Equal(t, "10", a.Header().Get("Retry-After"))
		require.Equal(t, 401, d.from(there, "GET", "/v1/tasks", "", "guess").Code)
		require.Equal(t, 200, d.from(here, "GET", "/v1/tasks", "", "shop").Code, "a good key is not held back: it may be a proxy's address")
	})
}

// A body that is not read is no work: what is limited is refused before.
func TestLimitedBodiesAreNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := limited(t)
		for range 2 {
			require.Equal(t, 201, d.from("192.0.2.1:1", "POST", "/v1/tasks", minimal, "").Code)
		}
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/tasks", untouched{t})
		r.Header.Set("Content-Type", "application/json")
		r.RemoteAddr = "192.0.2.1:2"
		require.Equal(t, 429, d.serve(r).Code)
		require.Equal(t, 201, d.from("192.0.2.2:1", "POST", "/v1/tasks", minimal, "").Code, "without keys, by address")
	})
}

type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// encrypted serves TLS until it is stopped, or the test ends. The log may be read
// after that.
func encrypted(t *testing.T, ask tlsfiles.ClientAuth) (dir *tlstest.Dir, files *tlsfiles.Files, base string, d *door, stop func()) {
	t.Helper()
	dir = tlstest.New(t)
	dir.Issue(t, "first", time.Hour)
	files, err := tlsfiles.Open(tlsfiles.Config{
		Certificate: dir.Certificate, Key: dir.Key, ClientCA: dir.Authority, ClientAuth: ask, Protocols: []string{"h2", "http/1.1"},
	}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	cfg := plain
	cfg.TLS, cfg.Identity = files.TLS(), tlsfiles.Peer
	d = &door{fake: newFake(), t: t, log: &bytes.Buffer{}}
	srv, err := httpapi.New(cfg, d.fake, app.NewHealth(func() app.HealthInfo { return app.HealthInfo{} }), auth.New(nil, ""),
		http.NotFoundHandler(), slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(t, err)
	require.NoError(t, srv.Listen())
	served := make(chan error, 1)
	go func() { served <- srv.Serve() }()
	stop = sync.OnceFunc(func() {
		require.NoError(t, srv.Shutdown(context.WithoutCancel(t.Context())))
		require.NoError(t, <-served)
	})
	t.Cleanup(stop)
	_, port, err := net.SplitHostPort(srv.Addr())
	require.NoError(t, err)
	return dir, files, "https://localhost:" + port, d, stop
}

func browser(t *testing.T, c *tls.Config, http2 bool) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{TLSClientConfig: c, Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// fetched is an answer whose body was read.
type fetched struct {
	status int
	proto  string
	header http.Header
	server string // the name on its certificate
}

func fetch(t *testing.T, c *http.Client, url string) fetched {
	t.Helper()
	r, err := c.Get(url)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, r.Body)
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	f := fetched{status: r.StatusCode, proto: r.Proto, header: r.Header}
	if r.TLS != nil {
		f.server = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	return f
}

// refused is why a server cannot be asked.
func refused(t *testing.T, c *http.Client, url string) error {
	t.Helper()
	r, err := c.Get(url)
	if err == nil {
		_ = r.Body.Close()
	}
	return err
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir, files, base, _, _ := encrypted(t, tlsfiles.None)
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		r := fetch(t, browser(t, dir.Client(), http2), base+"/health")
		require.Equal(t, 200, r.status)
		require.Equal(t, proto, r.proto)
		require.Equal(t, "max-age=31536000", r.header.Get("Strict-Transport-Security"))
		require.NotContains(t, r.header, "Server")
	}
	old := dir.Client()
	old.MinVersion, old.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	require.ErrorContains(t, refused(t, browser(t, old, false), base+"/health"), "protocol version")
	r := fetch(t, client(t), strings.Replace(base, "https", "http", 1)+"/health")
	require.Equal(t, 400, r.status, "it is TLS or nothing")

	// A connection that is there lives on with the certificate that it knows.
	kept := browser(t, dir.Client(), true)
	require.Equal(t, "first", fetch(t, kept, base+"/health").server)
	dir.Issue(t, "second", time.Hour)
	files.Reload()
	require.Equal(t, "first", fetch(t, kept, base+"/health").server)
	require.Equal(t, "second", fetch(t, browser(t, dir.Client(), true), base+"/health").server)
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	dir, _, base, d, stop := encrypted(t, tlsfiles.Require)
	require.Error(t, refused(t, browser(t, dir.Client(), false), base+"/health"))
	c := dir.Client()
	c.Certificates = []tls.Certificate{dir.ClientCertificate(t, "w", time.Hour, "uri:spiffe://tasker/worker")}
	require.Equal(t, 200, fetch(t, browser(t, c, false), base+"/health").status)
	stop()
	require.Contains(t, d.log.String(), "certificate=spiffe://tasker/worker")
}
