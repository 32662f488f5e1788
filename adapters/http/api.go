package http

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// api is what routes are registered with.
type api struct {
	huma.API
	cfg     Config
	auth    Authenticator
	changes app.ChangeRecorder
}

// humaErrors makes huma tell its own errors as we do. It changes variables of
// huma's package, so once is enough for a process.
var humaErrors = sync.OnceFunc(func() {
	huma.NewErrorWithContext = problemOfHuma
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return problemOfHuma(nil, status, message, errs...)
	}
})

// newHandler builds the whole door.
func newHandler(cfg Config, s Service, health *app.Health, auth Authenticator, metrics http.Handler, log *slog.Logger) (http.Handler, error) {
	humaErrors()
	mux := http.NewServeMux()
	a := &api{API: humago.New(mux, configOf(auth)), cfg: cfg, auth: auth, changes: s}
	registerTasks(a, s)
	registerEvents(a, s)
	registerBatches(a, s)
	registerManagement(a, s)
	registerExplain(a, s)
	registerSteps(a, s)
	registerResolve(a, s)
	registerPauses(a, s)
	registerTemplates(a, s)
	registerUploads(a, s)
	registerDeadLetters(a, s)
	registerResumes(a, s)
	registerSummary(a, s)
	registerAnalytics(a, s)
	registerConfig(a, s)
	registerSecurity(a, s)
	registerHealth(a, health)
	registerMetrics(a, metrics)
	if err := registerDocs(a); err != nil {
		return nil, err
	}
	mux.HandleFunc(everything, notRouted(mux))
	return frame(cfg, log, allowOrigins(cfg, auth.Header(), mux, clean(mux))), nil
}

// keyScheme is the name of API keys in the OpenAPI document.
const keyScheme = "api_key_auth"

// configOf is huma with our decisions: no links to schemas in bodies, JSON
// alone, and none of its own pages.
func configOf(auth Authenticator) huma.Config {
	c := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "Tasker Web API",
				Version:     "1.0.0",
				Description: description,
			},
			Tags: tags,
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					keyScheme: {Type: "apiKey", In: "header", Name: auth.Header(), Description: "Asked for only where keys are configured."},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
	}
	c.AllowAdditionalPropertiesByDefault = true // bodies and answers may grow
	return c
}

// register is the only way to add a route. It sees to credentials before the
// body is read, and to errors: none reaches huma as it is.
func register[I, O any](a *api, op app.Operation, do func(context.Context, *I) (*O, error)) {
	r := routes[op]
	h := huma.Operation{
		OperationID: string(op), Method: r.method, Path: r.path, Summary: r.summary, Description: r.description,
		DefaultStatus: r.status, Hidden: r.hidden, MaxBodyBytes: a.cfg.MaxBodyBytes + 1, // huma refuses the limit itself
		SkipValidateBody: true, SkipValidateParams: true, // the core says what is valid, to both doors alike
		Responses: map[string]*huma.Response{}, Extensions: map[string]any{},
	}
	if r.tag != "" {
		h.Tags = []string{r.tag}
	}
	switch {
	case r.body != nil:
		h.RequestBody = &huma.RequestBody{Description: "Unknown fields are accepted, and named in " + unknownFieldsHeader + "."}
	case r.accepts != nil:
		h.RequestBody = &huma.RequestBody{}
	}
	need := op.Permission()
	if need != access.Public {
		h.Security = []map[string][]string{{keyScheme: {}}}
		h.Extensions["x-required-permission"] = string(need)
	}
	a.describeProblems(&h, r, need)
	h.Middlewares = huma.Middlewares{a.admit(need), a.checkForm(r)}
	do = recorded(a, op, do)
	huma.Register(a.API, h, func(ctx context.Context, in *I) (*O, error) {
		out, err := do(ctx, in)
		if err == nil {
			return out, nil
		}
		if p, ok := errors.AsType[*Problem](err); ok {
			return nil, p
		}
		f := faultOf(ctx, err)
		logFault(ctx, op, f)
		return nil, problemOf(ctx, op, f)
	})
	a.describeBodies(&h, r)
}

// admit finds out who asks, and refuses those who may not.
func (a *api) admit(need access.Permission) func(huma.Context, func(huma.Context)) {
	return func(hctx huma.Context, next func(huma.Context)) {
		if need == access.Public {
			next(hctx)
			return
		}
		who, err := a.auth.Authenticate(hctx.Context(), hctx.Header("Authorization"), hctx.Header(a.auth.Header()))
		err = a.limit(hctx, who, err)
		if err == nil && !who.May(need) {
			err = fault.New(fault.CodePermissionDenied, "the permission %s is missing", need)
		}
		if err != nil {
			a.refuse(hctx, err)
			return
		}
		if c := callOf(hctx.Context()); c != nil {
			c.principal = who
		}
		next(huma.WithContext(hctx, app.WithPrincipal(hctx.Context(), who)))
	}
}

// refuse answers before the handler is reached.
func (a *api) refuse(hctx huma.Context, err error) {
	f := faultOf(hctx.Context(), err)
	_ = huma.WriteErr(a.API, hctx, 0, "", f) // where it cannot be written, nobody is there to be told
}

// explainRefusal sets the headers that say why somebody was turned away.
func explainRefusal(h http.Header, f *fault.Error) {
	reason, severity, wait := f.Meta["reason"], "high", "60"
	switch {
	case f.Kind == fault.PermissionDenied:
		reason, severity, wait = "forbidden", "medium", "5"
	case reason == "missing":
		severity, wait = "low", ""
	}
	h.Set("X-Auth-Failure-Reason", reason)
	h.Set("X-Auth-Failure-Severity", severity)
	if wait != "" {
		h.Set("Retry-After", wait)
	}
	if f.Kind == fault.Unauthenticated {
		h.Set("WWW-Authenticate", `ApiKey realm="tasker"`)
	}
}

// checkForm refuses what huma would read as something else: parameters that
// stand twice or cannot be read, and bodies of another kind.
func (a *api) checkForm(r route) func(huma.Context, func(huma.Context)) {
	return func(hctx huma.Context, next func(huma.Context)) {
		u := hctx.URL()
		if u.RawQuery != "" {
			if err := checkQuery(hctx.Operation().Parameters, u.RawQuery); err != nil {
				a.refuse(hctx, err)
				return
			}
		}
		if r.body != nil || r.accepts != nil {
			in, _ := humago.Unwrap(hctx)
			if r.optional && in.ContentLength == 0 {
				next(hctx)
				return
			}
			if err := checkMedia(hctx.Header("Content-Type"), r.accepts); err != nil {
				a.refuse(hctx, err)
				return
			}
			if in.ContentLength > a.cfg.MaxBodyBytes {
				hctx.SetHeader("Connection", "close") // rather than read all of it
				a.refuse(hctx, tooLarge(a.cfg.MaxBodyBytes))
				return
			}
		}
		next(hctx)
	}
}

func checkQuery(params []*huma.Param, raw string) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return fault.New(fault.CodeInvalidField, "the query of the URL cannot be read; is everything percent-encoded?")
	}
	for _, p := range params {
		if p.In != "query" {
			continue
		}
		got := values[p.Name]
		if len(got) > 1 && p.Schema.Type != huma.TypeArray {
			return fault.In(p.Name, fault.CodeInvalidField, "%s stands %d times in the query, want it once", p.Name, len(got))
		}
		if len(got) == 1 && got[0] == "" && p.Schema.Type == huma.TypeInteger {
			return fault.In(p.Name, fault.CodeInvalidField, "%s is empty, want a whole number", p.Name)
		}
	}
	return nil
}

// checkMedia checks what kind of body it is: one of those, or JSON.
func checkMedia(contentType string, accepts []string) error {
	media, _, err := mime.ParseMediaType(contentType)
	isJSON := media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
	switch {
	case err == nil && (isJSON || slices.Contains(accepts, media)):
		return nil
	case accepts != nil:
		return fault.New(fault.CodeUnsupportedMedia, "the body has to be sent with a Content-Type of %s", strings.Join(accepts, ", "))
	default:
		return fault.New(fault.CodeUnsupportedMedia, "the body has to be JSON, sent with Content-Type: application/json")
	}
}

// document returns the OpenAPI document as JSON.
func (a *api) document() ([]byte, error) {
	return json.MarshalIndent(a.OpenAPI(), "", "  ")
}

// Routes returns the method and path of every operation of the application
// that this door serves, as "GET /v1/tasks".
func Routes() map[app.Operation]string {
	all := map[app.Operation]string{}
	known := app.Operations()
	for op, r := range maps.All(routes) {
		if _, ok := known[op]; ok {
			all[op] = r.method + " " + r.path
		}
	}
	return all
}
