// Package portstest is the contract of the ports that keep tasks: what the core
// relies on, checked against an adapter. Every adapter that implements them
// runs the suite, so that what holds for the one in memory holds for the one
// that people use.
//
// What it cannot show is how transactions wait for each other; adapters over a
// real database have tests of their own for that.
package portstest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// Store is what one server sees of a database.
type Store interface {
	ports.UnitOfWork
	ports.StepQueue
	ports.DueStore
	ports.TaskReads
	ports.TaskHistory
	ports.TemplateStore
}

// Harness is an empty database of a test's own.
type Harness struct {
	Store Store
	// Shift moves the database's clock forward, as Store sees it. It is called
	// while nothing else is under way.
	Shift func(by time.Duration)
	// Another connects one more server. Die ends it as if its process had been
	// killed: it holds no connection when die returns.
	Another func(t *testing.T) (s Store, die func())
}

// Run checks the stores that open returns.
func Run(t *testing.T, open func(*testing.T) Harness) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, *world){
		"a failed unit leaves nothing behind":               failedUnit,
		"an error of decide comes back as it is":            errorOfDecide,
		"a stale from-state or dispatch is refused":         staleFrom,
		"a snapshot holds the neighbourhood":                neighbourhood,
		"a decision of nothing writes nothing":              emptyDecision,
		"what was submitted reads back":                     readsBack,
		"two results of one task in one unit":               twoResults,
		"the first to claim an identity has it":             firstIdentity,
		"duplicates in one unit":                            sameBatch,
		"probes find what is stored":                        probes,
		"claims go by priority, then age":                   claimOrder,
		"claims keep their limits and count":                claimLimits,
		"claims remove jobs that are not live":              staleJobs,
		"queues of namespaces and handlers are apart":       queuesApart,
		"a riding claim sees the jobs of its own unit":      ridingOwn,
		"a riding claim takes older jobs first":             ridingOlder,
		"no step is claimed twice":                          claimsTogether,
		"results of parents travel along":                   parentsAlong,
		"large results and many parents do not travel":      parentsStay,
		"results are found by name":                         resultsByName,
		"due retries come longest first":                    dueRetries,
		"a lost lease is found, and only that":              lostLeases,
		"cancel ends enqueued, running and waiting steps":   cancelAll,
		"an unknown task is not found":                      unknownTask,
		"the history of many tasks":                         historyOfMany,
		"a root with a thousand children":                   fanOut,
		"random workflows end as their outcomes say":        randomRuns,
		"the same template is the same revision":            sameTemplate,
		"other content is refused, or a revision":           otherTemplate,
		"templates are found by name, by id and in a list":  findTemplates,
		"disabled versions are told, and known as such":     disabledTemplates,
		"failures and waits are kept, and values not in it": failuresKept,
		"lists have what their filters select, in order":    lists,
		"lists by the text of an error":                     listsByError,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			check(t, &world{
				Harness: h, defs: map[ident.TemplateID]*template.Template{},
				rules: plan.Rules{MaxLosses: 1 << 20},
			})
		})
	}
}

// world drives a store through the planners, as the core does, with nothing in
// between.
type world struct {
	Harness
	defs       map[ident.TemplateID]*template.Template
	blueprints plan.Blueprints
	rules      plan.Rules
}

const namespace = "shop"

// workflow makes a template of steps given as "name" or "name<parent,parent".
// Each step is its own handler, and is tried three times, a minute apart.
func workflow(t *testing.T, ns, name string, specs ...string) *template.Template {
	t.Helper()
	d := template.Template{Namespace: ns, Name: name, Version: "1.0.0"}
	for _, spec := range specs {
		called, parents, _ := strings.Cut(spec, "<")
		st := template.Step{Name: called, Handler: template.Handler{Callable: called}, Retry: template.Retry{
			Retryable: true, MaxAttempts: 3, Backoff: template.BackoffFixed, BackoffBaseMS: 60_000, MaxBackoffMS: 60_000,
		}}
		if parents != "" {
			st.Dependencies = strings.Split(parents, ",")
		}
		d.Steps = append(d.Steps, st)
	}
	made, err := template.New(d)
	require.NoError(t, err)
	return made
}

func (w *world) register(t *testing.T, def *template.Template) ports.StoredTemplate {
	t.Helper()
	stored, err := w.Store.Register(t.Context(), []*template.Template{def}, false)
	require.NoError(t, err)
	require.Len(t, stored, 1)
	w.defs[stored[0].ID] = stored[0].Definition
	return stored[0]
}

func (w *world) definition(id ident.TemplateID) *template.Template { return w.defs[id] }

func newTask(t *testing.T) ident.TaskID {
	t.Helper()
	u, err := uuid.NewV7()
	require.NoError(t, err)
	return ident.NewTaskID(u)
}

// submission asks for a task with nothing special about it.
func submission(t *testing.T, of ports.StoredTemplate) plan.Submission {
	t.Helper()
	return plan.Submission{
		ID: newTask(t), Template: of.ID, Definition: of.Definition, Context: json.RawMessage(`{}`),
		Initiator: "test", SourceSystem: "suite", Reason: "contract", CorrelationID: uuid.New(),
	}
}

// submit stores tasks in one unit, with a claim riding along, and returns what
// became of them.
func (w *world) submit(t *testing.T, claim ports.ClaimRequest, subs ...plan.Submission) ([]plan.Submitted, ports.ClaimReply) {
	t.Helper()
	scope := ports.Scope{}
	for _, s := range subs {
		if s.Identity != (plan.Identity{}) {
			scope.Identities = append(scope.Identities, ports.IdentityClaim{Identity: s.Identity, Task: s.ID})
		}
	}
	var became []plan.Submitted
	reply, err := w.Store.Run(t.Context(), scope, func(snap *plan.Snapshot) (ports.Writes, error) {
		d, b, err := plan.AfterSubmissions(snap, subs, &w.blueprints)
		became = b
		return ports.Writes{Decision: d, Claim: claim}, err
	})
	require.NoError(t, err)
	return became, reply
}

// start registers a workflow, submits one task of it and returns its id.
func (w *world) start(t *testing.T, specs ...string) ident.TaskID {
	t.Helper()
	s := submission(t, w.register(t, workflow(t, namespace, "flow", specs...)))
	w.submit(t, ports.ClaimRequest{}, s)
	return s.ID
}

// ask makes a request for up to n steps of each handler.
func ask(n int, handlers ...string) ports.ClaimRequest {
	var r ports.ClaimRequest
	for _, h := range handlers {
		r.Queues = append(r.Queues, plan.Queue{Namespace: namespace, Handler: h})
		r.Limits = append(r.Limits, n)
	}
	return r
}

func (w *world) claim(t *testing.T, n int, handlers ...string) ports.ClaimReply {
	t.Helper()
	reply, err := w.Store.Claim(t.Context(), ask(n, handlers...))
	require.NoError(t, err)
	require.Len(t, reply.Taken, len(handlers))
	return reply
}

// one claims exactly one step of a handler.
func (w *world) one(t *testing.T, handler string) ports.ClaimedStep {
	t.Helper()
	reply := w.claim(t, 1, handler)
	require.Len(t, reply.Steps, 1, "one step of %s should wait", handler)
	return reply.Steps[0]
}

// report settles steps in one unit, with a claim riding along.
func (w *world) report(t *testing.T, claim ports.ClaimRequest, results ...step.Result) ([]step.Verdict, ports.ClaimReply) {
	t.Helper()
	scope := ports.Scope{}
	for _, r := range results {
		scope.Steps = append(scope.Steps, r.Ref)
	}
	var verdicts []step.Verdict
	reply, err := w.Store.Run(t.Context(), scope, func(snap *plan.Snapshot) (ports.Writes, error) {
		d, v, err := plan.AfterResults(snap, w.definition, w.rules, results)
		verdicts = v
		return ports.Writes{Decision: d, Claim: claim}, err
	})
	require.NoError(t, err)
	return verdicts, reply
}

// finish settles a claimed step with a value.
func (w *world) finish(t *testing.T, s ports.ClaimedStep, value string) {
	t.Helper()
	verdicts, _ := w.report(t, ports.ClaimRequest{}, success(s, value))
	require.Equal(t, []step.Verdict{step.Applied}, verdicts)
}

func success(s ports.ClaimedStep, value string) step.Result {
	return step.Result{Ref: s.Ref, Dispatch: s.Dispatch, Value: json.RawMessage(value), Elapsed: 5 * time.Millisecond}
}

func failure(s ports.ClaimedStep, retryable bool) step.Result {
	return step.Result{Ref: s.Ref, Dispatch: s.Dispatch, Failure: &step.Failure{
		Message: "it broke", Type: step.TypeHandlerError, Retryable: retryable,
	}}
}

func (w *world) wake(t *testing.T, wakes ...plan.Wake) {
	t.Helper()
	scope := ports.Scope{}
	for _, k := range wakes {
		scope.Steps = append(scope.Steps, k.Ref)
	}
	_, err := w.Store.Run(t.Context(), scope, func(snap *plan.Snapshot) (ports.Writes, error) {
		d, _, err := plan.AfterWakes(snap, w.definition, w.rules, wakes)
		return ports.Writes{Decision: d}, err
	})
	require.NoError(t, err)
}

func (w *world) cancel(t *testing.T, ids ...ident.TaskID) []plan.Refusal {
	t.Helper()
	return w.cancelWith(t, func(*plan.Decision) {}, ids...)
}

// cancelOnly leaves the jobs of the cancelled steps in their queues.
func (w *world) cancelOnly(t *testing.T, ids ...ident.TaskID) {
	t.Helper()
	w.cancelWith(t, func(d *plan.Decision) { d.Dropped = nil }, ids...)
}

func (w *world) cancelWith(t *testing.T, change func(*plan.Decision), ids ...ident.TaskID) []plan.Refusal {
	t.Helper()
	cancels := make([]plan.Ending, len(ids))
	for i, id := range ids {
		cancels[i] = plan.Ending{Task: id, End: plan.CancelTask, By: "ann", Why: "no need"}
	}
	var refusals []plan.Refusal
	_, err := w.Store.Run(t.Context(), ports.Scope{Tasks: ids}, func(snap *plan.Snapshot) (ports.Writes, error) {
		d, r, err := plan.AfterEndings(snap, w.definition, w.rules, cancels)
		refusals = r
		change(&d)
		return ports.Writes{Decision: d}, err
	})
	require.NoError(t, err)
	return refusals
}

func (w *world) read(t *testing.T, id ident.TaskID) (ports.TaskRecord, []ports.StepRecord) {
	t.Helper()
	task, steps, err := w.Store.Task(t.Context(), id)
	require.NoError(t, err)
	return task, steps
}

// states returns the states of a task's steps, in order, in short.
func (w *world) states(t *testing.T, id ident.TaskID) string {
	t.Helper()
	_, steps := w.read(t, id)
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.State.String()
	}
	return strings.Join(names, " ")
}

// refs returns the steps of a claim in the order of their keys.
func refs(reply ports.ClaimReply) []ident.StepRef {
	var all []ident.StepRef
	for _, s := range reply.Steps {
		all = append(all, s.Ref)
	}
	slices.SortFunc(all, plan.CompareRefs)
	return all
}

func numbered(prefix string, n int, suffix string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%d%s", prefix, i+1, suffix)
	}
	return all
}
