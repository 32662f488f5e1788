package watch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/memory"
	"github.com/tasker-go/tasker/core/app/actor"
	"github.com/tasker-go/tasker/core/app/catalog"
	"github.com/tasker-go/tasker/core/app/dispatch"
	"github.com/tasker-go/tasker/core/app/orchestrate"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// world is a database in memory and servers that share it. What a server
// commits, the others hear of.
type world struct {
	db      *memory.Database
	servers []*server
	of      ports.StoredTemplate
	deaf    atomic.Bool // nobody hears of anything
}

type server struct {
	*memory.Store
	world  *world
	hub    *watch.Hub
	engine *orchestrate.Engine
}

type deaf struct{}

func (deaf) Started([]ports.ClaimedStep) {}
func (deaf) In(time.Duration)            {}
func (deaf) DeadLetter(string, string)   {}

type anySchema struct{}

func (anySchema) Compile([]byte) error                             { return nil }
func (anySchema) Validate([32]byte, []byte, []byte) []fault.Detail { return nil }

// newWorld begins servers and registers a template whose steps all have one
// handler: one, then width others, then a last.
func newWorld(t testing.TB, servers, width int) *world {
	t.Helper()
	w := &world{db: memory.New(time.Now)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for range servers {
		s := &server{Store: w.db.Connect(), world: w}
		log := slog.New(slog.DiscardHandler)
		templates := catalog.New(s.Store, anySchema{}, "test")
		s.hub = watch.New(s.Store, log)
		s.engine = orchestrate.NewEngine(s.Store, templates, dispatch.New(s.Store, templates, deaf{}, time.Hour, log), s.hub, deaf{}, deaf{},
			plan.Rules{MaxLosses: 5})
		running.Go(func() { _ = s.hub.Run(ctx) })
		w.servers = append(w.servers, s)
		d := template.Template{Namespace: "shop", Name: "diamond", Version: "1.0.0"}
		add := func(name string, after ...string) {
			st := template.Step{Name: name, Handler: template.Handler{Callable: "work"}, Retry: template.DefaultRetry(), Dependencies: after}
			st.Retry.MaxAttempts = 1
			d.Steps = append(d.Steps, st)
		}
		add("first")
		var middle []string
		for i := range width {
			middle = append(middle, fmt.Sprintf("middle_%d", i))
			add(middle[i], "first")
		}
		add("last", middle...)
		made, err := template.New(d)
		require.NoError(t, err)
		stored, err := templates.Register(context.Background(), []*template.Template{made}, false)
		require.NoError(t, err)
		w.of = stored[0]
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	return w
}

// heard tells the other servers of a commit.
func (s *server) heard() {
	if s.world.deaf.Load() {
		return
	}
	for _, other := range s.world.servers {
		if other != s {
			other.hub.Elsewhere()
		}
	}
}

func (s *server) begin(t testing.TB) ident.TaskID {
	t.Helper()
	sub := plan.Submission{
		ID: ident.NewTaskID(uuid.Must(uuid.NewV7())), Template: s.world.of.ID, Definition: s.world.of.Definition, Context: json.RawMessage(`{}`),
		Initiator: "test", SourceSystem: "test", Reason: "test", CorrelationID: uuid.New(),
	}
	_, err := (&orchestrate.TaskRequest{Engine: s.engine}).Handle(context.Background(), actor.Batch[plan.Submission]{Messages: []plan.Submission{sub}})
	require.NoError(t, err)
	s.heard()
	return sub.ID
}

// claim begins up to n steps.
func (s *server) claim(t testing.TB, n int) []ports.ClaimedStep {
	t.Helper()
	reply, err := s.Claim(context.Background(), ports.ClaimRequest{Queues: []plan.Queue{{Namespace: "shop", Handler: "work"}}, Limits: []int{n}})
	require.NoError(t, err)
	if len(reply.Steps) > 0 {
		s.hub.Started(reply.Steps)
		s.heard()
	}
	return reply.Steps
}

// settle reports steps, in one batch; those that bad names fail.
func (s *server) settle(t testing.TB, steps []ports.ClaimedStep, bad func(ports.ClaimedStep) bool) {
	t.Helper()
	if len(steps) == 0 {
		return
	}
	results := make([]step.Result, len(steps))
	for i, c := range steps {
		results[i] = step.Result{Ref: c.Ref, Dispatch: c.Dispatch, Value: json.RawMessage(`{}`)}
		if bad != nil && bad(c) {
			results[i].Value, results[i].Failure = nil, &step.Failure{Message: "no luck", Type: "Test"}
		}
	}
	_, err := (&orchestrate.ResultProcessor{Engine: s.engine}).Handle(context.Background(), actor.Batch[step.Result]{Messages: results})
	require.NoError(t, err)
	s.heard()
}

func (s *server) follow(t testing.TB, id ident.TaskID, after string) *watch.Follower {
	t.Helper()
	f, err := s.hub.Follow(context.Background(), id, after)
	require.NoError(t, err)
	t.Cleanup(f.Close)
	return f
}

// rest reads a follower to the end of its task.
func rest(t testing.TB, f *watch.Follower) []watch.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var all []watch.Event
	for {
		events, ended, err := f.Next(ctx)
		require.NoError(t, err, "after %d events", len(all))
		all = append(all, events...)
		if ended {
			return all
		}
	}
}

// said is an event as people would say it.
func said(e watch.Event) string {
	if e.No == 0 {
		return e.State.String()
	}
	return fmt.Sprintf("%s/%d %s", e.Name, e.Dispatch, e.Step)
}

func saidAll(events []watch.Event) []string {
	out := make([]string, len(events))
	for i := range events {
		out[i] = said(events[i])
	}
	return out
}

func ids(events []watch.Event) []string {
	out := make([]string, len(events))
	for i := range events {
		out[i] = events[i].ID()
	}
	return out
}
