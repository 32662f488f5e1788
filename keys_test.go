package tasker

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func runKeysCommand(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e strings.Builder
	code = keys(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

var keyText = regexp.MustCompile(`tsk_([a-z2-7]+)_[a-z2-7]+`)

// A key made at the command line opens a running server, on which it also makes
// others; what it does is recorded, and no secret with it.
func TestKeysOfARunningServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "postgres")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ready, ended := make(chan Server, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{
			Args:  []string{"--data-dir", dir, "--web-port", "0", "--grpc-port", "0", "--log-level", "error"},
			Ready: func(_ context.Context, s Server) { ready <- s },
		})
	}()
	var s Server
	select {
	case s = <-ready:
	case err := <-ended:
		require.NoError(t, err)
	}
	ask := func(method, path, key, body string) (int, map[string]any) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.HTTPAddr+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		if key != "" {
			r.Header.Set("X-API-Key", key)
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer func() { require.NoError(t, resp.Body.Close()) }()
		var got map[string]any
		_ = json.NewDecoder(resp.Body).Decode(&got) // a list is no object
		return resp.StatusCode, got
	}
	becomes := func(status int, key string) {
		t.Helper()
		require.Eventually(t, func() bool {
			got, _ := ask(http.MethodGet, "/v1/audit", key, "")
			return got == status
		}, time.Second, 10*time.Millisecond)
	}
	becomes(http.StatusOK, "")

	db := []string{"--data-dir", dir}
	code, out, errs := runKeysCommand(t, append(db, "create", "--name", "root", "--role", "admin", "--expires", "90d")...)
	require.Equal(t, 0, code, errs)
	first := keyText.FindStringSubmatch(out)
	require.NotNil(t, first, out)
	becomes(http.StatusUnauthorized, "")
	becomes(http.StatusOK, first[0])

	status, made := ask(http.MethodPost, "/v1/keys", first[0], `{"name":"shop","permissions":["tasks:create","system:keys"],"namespaces":["orders"]}`)
	require.Equal(t, http.StatusCreated, status, made)
	second, _ := made["api_key"].(string)
	status, got := ask(http.MethodPost, "/v1/keys", second, `{"name":"more","roles":["viewer"],"namespaces":["orders"]}`)
	require.Equal(t, http.StatusForbidden, status, got)
	status, got = ask(http.MethodPost, "/v1/keys", second, `{"name":"wider","permissions":["tasks:create"]}`)
	require.Equal(t, http.StatusForbidden, status, got)
	status, got = ask(http.MethodPost, "/v1/keys/"+first[1]+"/rotate", second, "")
	require.Equal(t, http.StatusNotFound, status, "a key of all namespaces is not seen from one: %v", got)

	code, out, errs = runKeysCommand(t, append(db, "rotate", first[1], "--grace", "0s")...)
	require.Equal(t, 0, code, errs)
	rotated := keyText.FindString(out)
	becomes(http.StatusUnauthorized, first[0])
	becomes(http.StatusOK, rotated)
	id, _ := made["key_id"].(string)
	code, _, errs = runKeysCommand(t, append(db, "revoke", id, "--reason", "leaked")...)
	require.Equal(t, 0, code, errs)
	becomes(http.StatusUnauthorized, second)
	code, out, errs = runKeysCommand(t, append(db, "list")...)
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "revoked")
	require.Contains(t, out, "root")

	conn, err := pgx.Connect(t.Context(), s.DatabaseURL)
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), "select concat_ws(' ', door, principal_kind, operation, target_kind, outcome) from tasker.audit_log order by audit_id")
	require.NoError(t, err)
	log, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{
		"cli command CreateKey key ok", "http key CreateKey key ok", "http key CreateKey key permission_denied",
		"http key CreateKey key permission_denied", "http key RotateKey key key_not_found", "cli command RotateKey key ok", "cli command RevokeKey key ok",
	}, log)
	var everything string
	require.NoError(t, conn.QueryRow(t.Context(),
		"select (select string_agg(k::text, ' ') from tasker.api_keys k) || (select string_agg(a::text, ' ') from tasker.audit_log a)").Scan(&everything))
	require.NoError(t, conn.Close(t.Context()))
	for _, key := range []string{first[0], rotated, second} {
		require.NotContains(t, everything+out, key[strings.LastIndex(key, "_")+1:])
	}
	stop()
	require.NoError(t, <-ended)
}

func TestKeysThatAreNotManaged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nothing":         {nil, "create, list, rotate or revoke"},
		"something else":  {[]string{"destroy"}, `"destroy"`},
		"no key":          {[]string{"revoke"}, "needs the id"},
		"two keys":        {[]string{"revoke", "a", "b"}, `"b"`},
		"another's flag":  {[]string{"list", "--role", "admin"}, "--role is not for list"},
		"no such flag":    {[]string{"create", "--nonsense"}, "keys --help"},
		"no such data":    {[]string{"list", "--data-dir", filepath.Join(t.TempDir(), "none")}, "there are no data in"},
		"no such server":  {[]string{"list", "--database-url", "postgres://127.0.0.1:1/none"}, "127.0.0.1"},
		"too many to add": {[]string{"create", "x"}, `"x"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := runKeysCommand(t, c.args...)
			require.Equal(t, 1, code)
			require.Empty(t, out)
			require.Contains(t, errs, c.want)
		})
	}
	code, out, _ := runKeysCommand(t, "--help")
	require.Equal(t, 0, code)
	require.Contains(t, out, "--expires")
}
