package http_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/auth"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

func TestEveryFaultHasItsStatus(t *testing.T) {
	t.Parallel()
	kinds := map[fault.Kind]struct {
		status int
		legacy string
	}{
		fault.Internal: {500, "INTERNAL_ERROR"}, fault.Invalid: {400, "BAD_REQUEST"}, fault.NotFound: {404, "NOT_FOUND"},
		fault.Conflict: {409, "CONFLICT"}, fault.Refused: {400, "BAD_REQUEST"}, fault.Unauthenticated: {401, "AUTHENTICATION_FAILED"},
		fault.PermissionDenied: {403, "AUTHORIZATION_FAILED"}, fault.TooLarge: {413, "PAYLOAD_TOO_LARGE"},
		fault.Unavailable: {503, "SERVICE_UNAVAILABLE"}, fault.RateLimited: {429, "RATE_LIMITED"}, fault.Timeout: {408, "TIMEOUT"},
	}
	codes := map[fault.Code]struct {
		status int
		legacy string
	}{
		fault.CodeInvalidUUID: {400, "INVALID_UUID"}, fault.CodeUnsupportedMedia: {415, "UNSUPPORTED_MEDIA_TYPE"},
		fault.CodeMethodNotAllowed: {405, "METHOD_NOT_ALLOWED"}, fault.CodeMailboxFull: {503, "BACKPRESSURE"},
		fault.CodeBreakerOpen: {503, "CIRCUIT_BREAKER_OPEN"}, fault.CodeClientClosed: {499, "CLIENT_CLOSED_REQUEST"},
	}
	require.Len(t, kinds, len(fault.Kinds()))
	d := open(t)
	for _, code := range fault.Codes() {
		t.Run(string(code), func(t *testing.T) { //nolint:paralleltest // each says what the same door fails with
			want := kinds[code.Kind()]
			if exception, ok := codes[code]; ok {
				want = exception
			}
			d.log.Reset()
			d.fail = fmt.Errorf("reading: %w", fault.In("f", code, "it is so").Because(errors.New("secret cause")))
			m := d.ask("GET", "/v1/tasks/"+d.add(task.Complete).ID.String(), "").problem(want.status, string(code), want.legacy)
			require.Equal(t, "it is so", m["detail"])
			require.Equal(t, []any{map[string]any{"field": "f", "message": "it is so"}}, m["errors"])
			require.NotContains(t, fmt.Sprint(m), "secret")
			require.Contains(t, d.log.String(), "secret cause")
			require.Contains(t, d.log.String(), m["instance"].(string)[len("urn:uuid:"):])
		})
	}
}

func TestWhatIsNoFaultIsTranslated(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.fail = errors.New("password=hunter2")
	m := d.ask("GET", "/v1/tasks", "").problem(500, "internal", "INTERNAL_ERROR")
	require.NotContains(t, fmt.Sprint(m), "hunter2")
	require.Contains(t, d.log.String(), "hunter2")
	require.Contains(t, d.log.String(), "operation=ListTasks")

	d.fail = fmt.Errorf("list: %w: dial 10.0.0.7", ports.ErrOutage)
	a := d.ask("GET", "/v1/tasks", "")
	m = a.problem(503, "database_unavailable", "SERVICE_UNAVAILABLE")
	require.NotContains(t, fmt.Sprint(m), "10.0.0.7")
	require.Equal(t, "2", a.Header().Get("Retry-After"))

	d.fail = fault.New(fault.CodeMailboxFull, "full").Later(1500 * time.Millisecond)
	a = d.ask("POST", "/v1/tasks", minimal)
	m = a.problem(503, "mailbox_full", "BACKPRESSURE")
	require.Equal(t, "2", a.Header().Get("Retry-After"))
	require.EqualValues(t, 2, m["retry_after_seconds"])
	require.EqualValues(t, 2, m["error"].(map[string]any)["retry_after_seconds"])

	several := fault.New(fault.CodeInvalidInput, "two things")
	several.Details = []fault.Detail{{Field: "context.a", Message: "one"}, {Field: "context.b", Message: "two"}}
	d.fail = several
	require.Len(t, d.ask("POST", "/v1/tasks", minimal).problem(400, "input_schema_mismatch", "BAD_REQUEST")["errors"], 2)
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	body := func(extra string) string {
		return `{"name":"order","namespace":"orders","version":"1.0.0",` + extra + `}`
	}
	deep := strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50)
	abyss := strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000)
	d := open(t)
	for name, c := range map[string]struct {
		body, field, code string
	}{
		"empty object":             {`{}`, "name", "invalid_field"},
		"required null":            {`{"name":null}`, "name", "invalid_field"},
		"not JSON":                 {`{"name":`, "name", "malformed_body"},
		"words":                    {`hello`, "", "malformed_body"},
		"white space":              {` `, "", "malformed_body"},
		"an array":                 {`[]`, "", "malformed_body"},
		"a string":                 {`"x"`, "", "malformed_body"},
		"null":                     {`null`, "", "malformed_body"},
		"two documents":            {minimal + `{}`, "", "malformed_body"},
		"something after":          {minimal + ` x`, "", "malformed_body"},
		"a bracket after":          {minimal + `}`, "", "malformed_body"},
		"trailing comma":           {`{"name":"order",}`, "", "malformed_body"},
		"single quotes":            {`{'name':'order'}`, "", "malformed_body"},
		"a byte order mark":        {"\ufeff" + minimal, "", "malformed_body"},
		"NUL between":              {"{\x00}", "", "malformed_body"},
		"a field twice":            {body(`"name":"other"`), "name", "malformed_body"},
		"name a number":            {`{"name":5}`, "name", "invalid_field"},
		"name an object":           {`{"name":{"x":1}}`, "name", "invalid_field"},
		"NUL in the name":          {`{"name":"a\u0000b"}`, "name", "invalid_field"},
		"half a pair in the name":  {`{"name":"\ud800"}`, "name", "invalid_field"},
		"bad UTF-8 in the name":    {"{\"name\":\"a\xff\"}", "name", "malformed_body"},
		"bad UTF-8 in the context": {body("\"context\":{\"k\":\"a\xff\"}"), "context.k", "malformed_body"},
		"NUL in the context":       {body(`"context":{"k":"\u0000"}`), "context.k", "invalid_field"},
		"deep context":             {body(`"context":` + deep), "context.a.a.a.a.a.a.a.a.a.a", "invalid_field"},
		"abyss in the context":     {body(`"context":` + abyss), "context", "invalid_field"},
		"abyss in an unknown":      {body(`"x":` + abyss), "x", "invalid_field"},
		"abyss in the tags":        {body(`"tags":` + abyss), "tags", "invalid_field"},
		"abyss alone":              {abyss, "", "malformed_body"},
		"tags a string":            {body(`"tags":"a"`), "tags", "invalid_field"},
		"a tag a number":           {body(`"tags":["a",1]`), "tags[1]", "invalid_field"},
		"a tag null":               {body(`"tags":[null]`), "tags[0]", "invalid_field"},
		"priority a string":        {body(`"priority":"1"`), "priority", "invalid_field"},
		"priority a fraction":      {body(`"priority":1.5`), "priority", "invalid_field"},
		"priority an exponent":     {body(`"priority":1e1`), "priority", "invalid_field"},
		"priority out of range":    {body(`"priority":99999999999`), "priority", "invalid_field"},
		"no time":                  {body(`"requested_at":"yesterday"`), "requested_at", "invalid_field"},
		"a time as a number":       {body(`"requested_at":1772359200`), "requested_at", "invalid_field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := d.ask("POST", "/v1/tasks", c.body).problem(400, c.code, "BAD_REQUEST")
			if c.field != "" {
				require.True(t, strings.HasPrefix(m["errors"].([]any)[0].(map[string]any)["field"].(string), c.field), m["errors"])
			}
			require.NotContains(t, m["detail"], "yesterday")
			require.Empty(t, d.tasks, "nothing was made")
		})
	}
}

func TestAllFieldsOfTheWrongTypeAreNamed(t *testing.T) {
	t.Parallel()
	m := open(t).ask("POST", "/v1/tasks", `{"name":1,"priority":"x","tags":{},"reason":[]}`).problem(400, "invalid_field", "BAD_REQUEST")
	require.Len(t, m["errors"], 4)
}

func TestBadParameters(t *testing.T) {
	t.Parallel()
	for query, field := range map[string]string{
		"page=0": "page", "page=-1": "page", "page=x": "page", "page=": "page", "page=1&page=2": "page", "page=99999999999": "page",
		"per_page=0": "per_page", "per_page=101": "per_page", "per_page=1.5": "per_page", "per_page=": "per_page",
		"status=a&status=b": "status", "cursor=%21": "cursor", "cursor=AAAA": "cursor",
		"namespace=a&namespace=a": "namespace",
	} {
		a := open(t).ask("GET", "/v1/tasks?"+query, "")
		require.Equal(t, 400, a.Code, query)
		require.Equal(t, field, a.json()["errors"].([]any)[0].(map[string]any)["field"], query)
	}
	open(t).ask("GET", "/v1/tasks?page=%zz", "").problem(400, "invalid_field", "BAD_REQUEST")
	require.Equal(t, 200, open(t).ask("GET", "/v1/tasks?colour=red&status=&namespace=", "").Code, "others are ignored")
}

func TestBodiesOfTheWrongKindOrSize(t *testing.T) {
	t.Parallel()
	for contentType, status := range map[string]int{
		"application/json": 201, "application/json; charset=utf-8": 201, "application/vnd.tasker+json": 201, "APPLICATION/JSON": 201,
		"": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415, "application/xml": 415, "json": 415, ";": 415, "text/a+json": 415,
	} {
		a := open(t).ask("POST", "/v1/tasks", minimal, "Content-Type: "+contentType)
		require.Equal(t, status, a.Code, contentType)
		if status == 415 {
			a.problem(415, "unsupported_media_type", "UNSUPPORTED_MEDIA_TYPE")
		}
	}
	open(t).ask("POST", "/v1/tasks", "", "Content-Type: application/json").problem(400, "malformed_body", "BAD_REQUEST")

	padded := func(n int) string { return minimal + strings.Repeat(" ", n-len(minimal)) }
	require.Equal(t, 201, open(t).ask("POST", "/v1/tasks", padded(maxBody)).Code, "the limit itself is let in")
	open(t).ask("POST", "/v1/tasks", padded(maxBody+1)).problem(413, "payload_too_large", "PAYLOAD_TOO_LARGE")
	chunked := func(d *door, body io.Reader) answer {
		r := d.request("POST", "/v1/tasks", body)
		r.ContentLength = -1
		return d.serve(r)
	}
	chunked(open(t), strings.NewReader(padded(maxBody+1))).problem(413, "payload_too_large", "PAYLOAD_TOO_LARGE")
	chunked(open(t), iotest.ErrReader(io.ErrUnexpectedEOF)).problem(400, "malformed_body", "BAD_REQUEST")
}

func TestOtherPathsAndMethods(t *testing.T) {
	t.Parallel()
	d := open(t, auth.Key{Key: "k"})
	for _, path := range []string{"/", "/v1", "/v1/tasks/", "/v1//tasks", "/v1/../v1/tasks", "/health/", "/ready", "/v2/tasks"} {
		a := d.ask("GET", path, "")
		a.problem(404, "route_not_found", "NOT_FOUND")
		require.Empty(t, a.Header().Get("Location"))
	}
	for path, c := range map[string]struct {
		method string
		allow  []string
	}{
		"/v1/tasks":   {"PUT", []string{"GET", "HEAD", "POST"}},
		"/v1/tasks/x": {"PATCH", []string{"GET", "HEAD", "DELETE"}},
		"/health":     {"POST", []string{"GET", "HEAD"}},
		"/metrics":    {"OPTIONS", []string{"GET", "HEAD"}},
	} {
		a := d.ask(c.method, path, "")
		a.problem(405, "method_not_allowed", "METHOD_NOT_ALLOWED")
		require.Equal(t, c.allow, a.Header().Values("Allow"), path)
		require.Empty(t, a.Header().Get("Access-Control-Allow-Origin"))
	}
}

// unread fails the test when a body is read before its sender may send it.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	d := open(t,
		auth.Key{Key: "all", Subject: "root"},
		auth.Key{Key: "reader", Subject: "eve", Permissions: []access.Permission{access.TasksRead, "templates:*"}},
	)
	id := d.add(task.StepsInProcess).ID.String()
	refused := func(status int, code, legacy, reason, severity, wait string, headers ...string) {
		r := d.request("POST", "/v1/tasks", unread{t}, headers...)
		a := d.serve(r)
		a.problem(status, code, legacy)
		require.Equal(t, reason, a.Header().Get("X-Auth-Failure-Reason"))
		require.Equal(t, severity, a.Header().Get("X-Auth-Failure-Severity"))
		require.Equal(t, wait, a.Header().Get("Retry-After"))
		require.Equal(t, status == 401, a.Header().Get("WWW-Authenticate") != "")
	}
	refused(401, "unauthenticated", "AUTHENTICATION_FAILED", "missing", "low", "")
	refused(401, "unauthenticated", "AUTHENTICATION_FAILED", "invalid", "high", "60", "X-API-Key: wrong")
	refused(401, "unauthenticated", "AUTHENTICATION_FAILED", "malformed", "high", "60", "X-API-Key: wr\xffng")
	refused(401, "unauthenticated", "AUTHENTICATION_FAILED", "invalid", "high", "60", "Authorization: Bearer x", "X-API-Key: all")
	refused(403, "permission_denied", "AUTHORIZATION_FAILED", "forbidden", "medium", "5", "X-API-Key: reader")
	require.Contains(t, d.ask("DELETE", "/v1/tasks/"+id, "", "X-API-Key: reader").json()["detail"], "tasks:cancel")

	require.Equal(t, 200, d.ask("GET", "/v1/tasks/"+id, "", "X-API-Key: reader").Code)
	require.Equal(t, 200, d.ask("GET", "/v1/templates", "", "X-API-Key: reader").Code)
	require.Equal(t, 403, d.ask("GET", "/v1/tasks", "", "X-API-Key: reader").Code)
	require.Equal(t, 200, d.ask("DELETE", "/v1/tasks/"+id, "", "X-API-Key: all").Code)
	require.Equal(t, "root", d.by)
	for _, public := range []string{"/health", "/health/live", "/health/ready", "/health/detailed", "/metrics", "/docs", "/api-docs/ui", "/openapi.json", "/api-docs/openapi.json"} {
		require.Equal(t, 200, d.ask("GET", public, "").Code, public)
	}
	require.Equal(t, 201, open(t).ask("POST", "/v1/tasks", minimal, "X-API-Key: any", "Authorization: Bearer x").Code,
		"without keys, credentials are not looked at")
}

func TestTheEndOfTheRequest(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.hold = func(ctx context.Context) error {
		<-ctx.Done()
		return fmt.Errorf("%w: %w", ports.ErrOutage, ctx.Err())
	}
	r := d.request("GET", "/v1/tasks", http.NoBody)
	ctx, cancel := context.WithTimeout(r.Context(), time.Millisecond)
	defer cancel()
	d.serve(r.WithContext(ctx)).problem(408, "deadline_exceeded", "TIMEOUT")

	ctx, cancel = context.WithCancel(r.Context())
	cancel()
	d.serve(r.WithContext(ctx)).problem(499, "client_closed_request", "CLIENT_CLOSED_REQUEST")
}

func TestAPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.hold = func(context.Context) error { panic("secret") }
	a := d.ask("GET", "/v1/tasks", "")
	require.NotContains(t, fmt.Sprint(a.problem(500, "internal", "INTERNAL_ERROR")), "secret")
	require.Contains(t, d.log.String(), "a request panicked")
	require.Contains(t, d.log.String(), a.Header().Get("X-Request-Id"))
}
