package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/client"
)

// flaky answers with what is said for each request in turn, and then well.
func flaky(t *testing.T, says ...http.HandlerFunc) (*client.Client, *atomic.Int32, *[]string) {
	t.Helper()
	var asked atomic.Int32
	bodies := &[]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		*bodies = append(*bodies, string(raw))
		if n := int(asked.Add(1)); n <= len(says) {
			says[n-1](w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		_, _ = io.WriteString(w, `{"task_uuid":"1","status":"complete"}`)
	}))
	t.Cleanup(s.Close)
	return dial(t, s.URL, client.WithBackoff(time.Millisecond, 2*time.Millisecond)), &asked, bodies
}

func refuse(status int, code string, wait string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if wait != "" {
			w.Header().Set("Retry-After", wait)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "detail": "not now"})
	}
}

func cut(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func TestWhatIsSafeIsTriedAgain(t *testing.T) {
	t.Parallel()
	plain := client.NewTask{Name: "n", Namespace: "t", Version: "1"}
	keyed, strict := plain, plain
	keyed.IdempotencyKey, strict.StrictIdentity = "k", true
	create := func(n client.NewTask) func(*client.Client) error {
		return func(c *client.Client) error { _, err := c.CreateTask(t.Context(), n); return err }
	}
	read := func(c *client.Client) error { _, err := c.GetTask(t.Context(), "1"); return err }
	act := func(c *client.Client) error { _, err := c.CancelTask(t.Context(), "1", ""); return err }
	down, full := refuse(503, "database_unavailable", ""), refuse(503, "mailbox_full", "")
	for name, c := range map[string]struct {
		says  []http.HandlerFunc
		call  func(*client.Client) error
		asked int32
		code  client.Code // empty for success
	}{
		"a read":                         {[]http.HandlerFunc{down, cut, full}, read, 4, ""},
		"a read, but not for ever":       {[]http.HandlerFunc{down, down, down, down}, read, 4, client.ErrDatabaseDown},
		"a read of what is not there":    {[]http.HandlerFunc{refuse(404, "task_not_found", "")}, read, 1, client.ErrTaskNotFound},
		"a read that meets a defect":     {[]http.HandlerFunc{refuse(500, "internal", "")}, read, 1, client.ErrInternal},
		"a gateway that is alone":        {[]http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }}, read, 2, ""},
		"a create with a key":            {[]http.HandlerFunc{down, cut}, create(keyed), 3, ""},
		"a create of strict identity":    {[]http.HandlerFunc{cut}, create(strict), 2, ""},
		"a create of unknown outcome":    {[]http.HandlerFunc{down}, create(plain), 1, client.ErrDatabaseDown},
		"a create that was cut":          {[]http.HandlerFunc{cut}, create(plain), 1, client.ErrUnreachable},
		"a create that was not begun":    {[]http.HandlerFunc{full, refuse(429, "rate_limited", "")}, create(plain), 3, ""},
		"an action of unknown outcome":   {[]http.HandlerFunc{down}, act, 1, client.ErrDatabaseDown},
		"an action that was not begun":   {[]http.HandlerFunc{full}, act, 2, ""},
		"a duplicate is one with a key":  {[]http.HandlerFunc{refuse(409, "task_exists", "")}, create(keyed), 1, client.ErrTaskExists},
		"a page of a proxy is no answer": {[]http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }}, read, 1, client.ErrBadAnswer},
		"an answer that is not JSON":     {[]http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }}, read, 1, client.ErrBadAnswer},
		"a redirect, which may lead away": {[]http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.org", http.StatusFound)
		}}, read, 1, client.ErrBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl, asked, _ := flaky(t, c.says...)
			err := c.call(cl)
			if c.code == "" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, c.code)
			}
			require.Equal(t, c.asked, asked.Load())
		})
	}
}

// After an attempt of unknown outcome, the task that it may have made is asked
// for; a first attempt, or one after a refusal, wants what the caller said.
func TestARepeatedCreateTakesTheTaskThatItMade(t *testing.T) {
	t.Parallel()
	cl, _, bodies := flaky(t, refuse(503, "mailbox_full", ""), cut)
	_, err := cl.CreateTask(t.Context(), client.NewTask{Name: "n", Namespace: "t", Version: "1", IdempotencyKey: "k"})
	require.NoError(t, err)
	require.Len(t, *bodies, 3)
	require.NotContains(t, (*bodies)[0]+(*bodies)[1], "on_duplicate")
	require.Contains(t, (*bodies)[2], `"on_duplicate":"return"`)
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	cl, asked, _ := flaky(t, refuse(503, "mailbox_full", "1"))
	began := time.Now()
	_, err := cl.GetTask(t.Context(), "1")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), time.Second)
	require.Equal(t, int32(2), asked.Load())

	// A caller who has no time for it is told at once.
	cl, asked, _ = flaky(t, refuse(503, "mailbox_full", "60"))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	began = time.Now()
	_, err = cl.GetTask(ctx, "1")
	require.ErrorIs(t, err, client.ErrMailboxFull)
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, time.Minute, e.RetryAfter)
	require.Less(t, time.Since(began), 4*time.Second)
	require.Equal(t, int32(1), asked.Load())
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	for _, scheme := range []string{"http://", "grpc://"} {
		c := dial(t, scheme+address, client.WithAttempts(2), client.WithBackoff(time.Millisecond, time.Millisecond))
		_, err := c.GetTask(t.Context(), "1")
		require.ErrorIs(t, err, client.ErrUnreachable, scheme)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = c.GetTask(ctx, "1")
		require.ErrorIs(t, err, context.Canceled, scheme)
	}
}

func TestATimeoutIsOfEachAttempt(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			hang(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"task_uuid":"1"}`)
	}))
	t.Cleanup(s.Close)
	c := dial(t, s.URL, client.WithTimeout(200*time.Millisecond))
	got, err := c.GetTask(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, "1", got.ID)
}

// A stream that is cut goes on after what was told.
func TestWatchGoesOnAfterACut(t *testing.T) {
	t.Parallel()
	var last []string
	event := func(n int, state string) string {
		return fmt.Sprintf("id: 1-%d-0\nevent: task\ndata: {\"state\":%q,\"at\":\"2026-03-01T10:00:00Z\"}\n\n", n, state)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last = append(last, r.Header.Get("Last-Event-ID"))
		switch len(last) {
		case 1: // broken off within the second event
			_, _ = io.WriteString(w, "retry: 1000\n\n"+event(1, "pending")+": still here\n\n"+strings.TrimSpace(event(2, "error")))
			_ = http.NewResponseController(w).Flush()
			cut(w, r)
		case 2:
			refuse(503, "shutting_down", "")(w, r)
		case 3: // an error that was not the end
			_, _ = io.WriteString(w, event(2, "error")+event(3, "steps_in_process"))
		default:
			_, _ = io.WriteString(w, event(4, "complete"))
		}
	}))
	t.Cleanup(s.Close)
	c := dial(t, s.URL, client.WithBackoff(time.Millisecond, time.Millisecond))
	var states []client.TaskState
	for e, err := range c.WatchTask(t.Context(), "7", "") {
		require.NoError(t, err)
		require.Equal(t, "7", e.TaskID)
		states = append(states, e.State)
	}
	require.Equal(t, []client.TaskState{client.TaskPending, client.TaskError, client.TaskStepsInProcess, client.TaskComplete}, states)
	require.Equal(t, []string{"0-0-0", "1-1-0", "1-1-0", "1-3-0"}, last)
}

// A watch ends with its listener, its context, and a server that is gone.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	d := start(t, nil, client.WithAttempts(2), client.WithBackoff(time.Millisecond, time.Millisecond))
	made, err := d.rest.CreateTask(t.Context(), client.NewTask{Name: "idle", Namespace: "t", Version: "1.0.0"})
	require.NoError(t, err)
	for _, c := range []*client.Client{d.rest, d.grpc} {
		for _, err := range c.WatchTask(t.Context(), made.ID, "") {
			require.NoError(t, err)
			break
		}
		ctx, cancel := context.WithCancel(t.Context())
		var last error
		for _, err := range c.WatchTask(ctx, made.ID, "") {
			last = err
			cancel()
		}
		cancel()
		require.ErrorIs(t, last, context.Canceled)
	}
	var last [2]error
	for i, c := range []*client.Client{d.rest, d.grpc} {
		for _, err := range c.WatchTask(t.Context(), made.ID, "") {
			if last[i] = err; err == nil {
				d.stop()
			}
		}
	}
	for _, err := range last {
		var e *client.Error
		require.ErrorAs(t, err, &e)
		require.True(t, e.Retryable(), "%v", err)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *configuration.Config) {
		c.Orchestration.Web.Auth.Enabled = true
		c.Orchestration.Web.Auth.APIKeysEnabled = true
		c.Orchestration.Web.Auth.APIKeys = []configuration.APIKey{
			{Key: "reader", Permissions: []string{"tasks:list"}, Description: "dashboard"},
		}
	}, client.WithAPIKey("reader"))
	d.each(t, func(t *testing.T, c *client.Client) {
		_, err := c.TaskPage(t.Context(), client.TaskQuery{}, "")
		require.NoError(t, err)
		_, err = c.CancelTask(t.Context(), "01890a5d-ac96-774b-bcce-b302099a8057", "")
		require.ErrorIs(t, err, client.ErrPermissionDenied)
		var e *client.Error
		require.ErrorAs(t, err, &e)
		require.NotEqual(t, e.HTTPStatus == http.StatusForbidden, e.GRPCCode == codes.PermissionDenied)
	})
	for _, address := range []string{d.restAddr, d.grpcAddr} {
		_, err := dial(t, address).TaskPage(t.Context(), client.TaskQuery{}, "")
		require.ErrorIs(t, err, client.ErrUnauthenticated)
		_, err = dial(t, address, client.WithToken("nonsense")).TaskPage(t.Context(), client.TaskQuery{}, "")
		require.ErrorIs(t, err, client.ErrUnauthenticated)
		none := errors.New("no token today")
		_, err = dial(t, address, client.WithTokenSource(func(context.Context) (string, error) { return "", none })).TaskPage(t.Context(), client.TaskQuery{}, "")
		require.ErrorIs(t, err, none)
		require.NoError(t, dial(t, address).Ready(t.Context()))
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"localhost:8080":       "no host",
		"ftp://localhost":      "begins with none of",
		"http://":              "no host",
		"http://u:secret@host": "more than scheme",
		"grpc://host:1/path":   "no use for",
		"http://host?key=1":    "more than scheme",
		"http://ho st":         "address of the server",
	} {
		_, err := client.New(address)
		require.ErrorContains(t, err, want, address)
		require.NotContains(t, err.Error(), "secret")
	}
	for _, opt := range []client.Option{client.WithTimeout(0), client.WithAttempts(0), client.WithBackoff(0, 0)} {
		_, err := client.New("http://localhost", opt)
		require.Error(t, err)
	}
	_, err := client.New("http://localhost", client.WithAPIKey("k"), client.WithToken("t"))
	require.ErrorContains(t, err, "not both")
}
