package postgres_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
	"github.com/tasker-go/tasker/migrations"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var schema = pgtest.Schema{
	Files: migrations.Files,
	Migrate: func(ctx context.Context, url string) error {
		log := slog.New(slog.DiscardHandler)
		return postgres.Migrate(ctx, url, postgres.MigrateAuto, river.Migrations{Schema: postgres.Schema, Log: log}, log)
	},
}

// fixture is a store over a database of the test's own, and the templates that
// were registered through it.
type fixture struct {
	*postgres.Store
	url        string
	sql        *recorder
	mu         sync.Mutex
	templates  map[ident.TemplateID]*template.Template
	blueprints plan.Blueprints
}

// open returns a store over a migrated database of the test's own.
func open(t testing.TB) *fixture {
	t.Helper()
	return openURL(t, pgtest.New(t, schema).URL, 0)
}

// openURL returns one more store over a database, as another server has it.
func openURL(t testing.TB, url string, clockOffset time.Duration) *fixture {
	t.Helper()
	f := &fixture{url: url, sql: &recorder{}, templates: map[ident.TemplateID]*template.Template{}}
	db, err := postgres.Open(t.Context(), postgres.Config{
		URL: url, MaxConnections: 8, Description: t.Name(), ClockOffset: clockOffset, Tracer: f.sql,
	})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	f.Store = postgres.NewStore(db, river.NewQueue())
	return f
}

// connect returns a connection beside the store's.
func (f *fixture) connect(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), f.url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func (f *fixture) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	_, err := f.connect(t).Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// workflow makes a template of steps given as "name" or "name<parent,parent".
// Each step is its own handler, and is tried twice.
func workflow(t testing.TB, namespace, name, version string, steps ...string) *template.Template {
	t.Helper()
	d := template.Template{Namespace: namespace, Name: name, Version: version}
	for _, s := range steps {
		called, parents, _ := strings.Cut(s, "<")
		st := template.Step{Name: called, Handler: template.Handler{Callable: called}, Retry: template.DefaultRetry()}
		st.Retry.MaxAttempts = 2
		if parents != "" {
			st.Dependencies = strings.Split(parents, ",")
		}
		d.Steps = append(d.Steps, st)
	}
	made, err := template.New(d)
	require.NoError(t, err)
	return made
}

func diamond(t testing.TB) *template.Template {
	t.Helper()
	return workflow(t, "orders", "fulfil", "1.0.0", "validate", "reserve<validate", "charge<validate", "ship<reserve,charge")
}

// register stores templates and remembers them for the planner.
func (f *fixture) register(t testing.TB, ts ...*template.Template) []ports.StoredTemplate {
	t.Helper()
	stored, err := f.Register(t.Context(), ts, false)
	require.NoError(t, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range stored {
		f.templates[s.ID] = s.Definition
	}
	return stored
}

func (f *fixture) definition(id ident.TemplateID) *template.Template {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.templates[id]
}

// submission returns a request for a task, with everything that is optional
// left out.
func submission(t testing.TB, of ports.StoredTemplate) plan.Submission {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	return plan.Submission{
		ID: ident.NewTaskID(id), Template: of.ID, Definition: of.Definition, Context: json.RawMessage(`{}`),
		Initiator: "test", SourceSystem: "test", Reason: "test", CorrelationID: uuid.New(),
	}
}

// submit stores tasks in one transaction and returns their ids.
func (f *fixture) submit(t testing.TB, subs ...plan.Submission) []ident.TaskID {
	t.Helper()
	_, err := f.Run(t.Context(), ports.Scope{}, func(snap *plan.Snapshot) (ports.Writes, error) {
		d, _, err := plan.AfterSubmissions(snap, subs, &f.blueprints)
		return ports.Writes{Decision: d}, err
	})
	require.NoError(t, err)
	ids := make([]ident.TaskID, len(subs))
	for i, s := range subs {
		ids[i] = s.ID
	}
	return ids
}

// claim takes up to n waiting steps of each of these handlers.
func (f *fixture) claim(t testing.TB, n int, namespace string, handlers ...string) []ports.ClaimedStep {
	t.Helper()
	var r ports.ClaimRequest
	for _, h := range handlers {
		r.Queues, r.Limits = append(r.Queues, plan.Queue{Namespace: namespace, Handler: h}), append(r.Limits, n)
	}
	reply, err := f.Claim(t.Context(), r)
	require.NoError(t, err)
	return reply.Steps
}

// report settles claimed steps with what result makes of each.
func (f *fixture) report(t testing.TB, claimed []ports.ClaimedStep, result func(ports.ClaimedStep) step.Result) {
	t.Helper()
	var (
		scope   ports.Scope
		results []step.Result
	)
	for _, c := range claimed {
		r := result(c)
		r.Ref, r.Dispatch = c.Ref, c.Dispatch
		scope.Steps, results = append(scope.Steps, c.Ref), append(results, r)
	}
	_, err := f.Run(t.Context(), scope, func(snap *plan.Snapshot) (ports.Writes, error) {
		d, verdicts, err := plan.AfterResults(snap, f.definition, plan.Rules{}, results)
		for _, v := range verdicts {
			require.Equal(t, step.Applied, v)
		}
		return ports.Writes{Decision: d}, err
	})
	require.NoError(t, err)
}

func (f *fixture) cancel(t testing.TB, ids ...ident.TaskID) {
	t.Helper()
	cancels := make([]plan.Ending, len(ids))
	for i, id := range ids {
		cancels[i] = plan.Ending{Task: id, End: plan.CancelTask, By: "test", Why: "test"}
	}
	_, err := f.Run(t.Context(), ports.Scope{Tasks: ids}, func(snap *plan.Snapshot) (ports.Writes, error) {
		d, _, err := plan.AfterEndings(snap, f.definition, plan.Rules{}, cancels)
		return ports.Writes{Decision: d}, err
	})
	require.NoError(t, err)
}

func succeed(ports.ClaimedStep) step.Result {
	return step.Result{Value: json.RawMessage(`{"ok": true}`), Elapsed: 7 * time.Millisecond}
}

// failing fails for good, or so that the step is tried again.
func failing(retryable bool) func(ports.ClaimedStep) step.Result {
	return func(ports.ClaimedStep) step.Result {
		return step.Result{Failure: &step.Failure{Message: "no", Type: step.TypeHandlerError, Retryable: retryable}}
	}
}

// statement is one that was sent to the database.
type statement struct {
	sql  string
	args []any
}

// recorder remembers the statements of dbsqlc, which carry their name, and how
// the transactions of reads began.
type recorder struct {
	mu   sync.Mutex
	seen []statement
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.HasPrefix(d.SQL, "-- name: ") || strings.HasPrefix(d.SQL, "begin isolation") {
		r.seen = append(r.seen, statement{d.SQL, d.Args})
	}
	return ctx
}

func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// during returns what is sent while do runs.
func (r *recorder) during(do func()) []statement {
	r.mu.Lock()
	r.seen = nil
	r.mu.Unlock()
	do()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}
