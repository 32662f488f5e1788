package bootstrap_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/worker"
)

// ask sends a request and reads the answer.
func (s *server) ask(t *testing.T, method, path, body string, into any) answered {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.http+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	a, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = a.Body.Close() }()
	raw, err := io.ReadAll(a.Body)
	require.NoError(t, err)
	if into != nil {
		require.NoError(t, json.Unmarshal(raw, into), "%s", raw)
	}
	return answered{a.StatusCode, a.Header}
}

// answered is an answer whose body was read.
type answered struct {
	StatusCode int
	Header     http.Header
}

type told struct {
	TaskUUID string `json:"task_uuid"`
	Status   string `json:"status"`
}

func TestWaitingForATask(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	s := startWith(t, pgtest.New(t, schema).URL, `
name: one
namespace_name: t
version: 1.0.0
steps:
  - {name: only, handler: {callable: only}}
  - {name: after, dependencies: [only], handler: {callable: held}}
`, worker.Handlers{"only": worker.Func(ok), "held": worker.Typed(func(ctx context.Context, in struct{ Hold bool }, _ *worker.Step) (any, error) {
		if in.Hold {
			select {
			case <-open:
			case <-ctx.Done():
			}
		}
		return nil, nil //nolint:nilnil // no result is wanted
	})}, func(c *configuration.Config) { c.Orchestration.Web.RequestTimeout = 500 * time.Millisecond })
	const create = `{"name":"one","namespace":"t","version":"1.0.0","context":{"n":%d,"hold":%v}}`
	var got told
	a := s.ask(t, "POST", "/v1/tasks?wait=20s", fmt.Sprintf(create, 1, false), &got)
	require.Equal(t, http.StatusCreated, a.StatusCode)
	require.Equal(t, "complete", got.Status)

	// The wait is longer than other requests may be, and ends as it was asked to.
	began := time.Now()
	a = s.ask(t, "POST", "/v1/tasks?wait=1.5", fmt.Sprintf(create, 2, true), &got)
	require.Equal(t, http.StatusCreated, a.StatusCode)
	require.Equal(t, "steps_in_process", got.Status)
	require.GreaterOrEqual(t, time.Since(began), 1500*time.Millisecond)

	began = time.Now()
	a = s.ask(t, "GET", "/v1/tasks/"+got.TaskUUID+"?wait=30s&until=steps_in_process,blocked_by_failures", "", &got)
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Less(t, time.Since(began), 10*time.Second, "it is in the state already")

	for query, status := range map[string]int{
		"wait=61s": 400, "wait=-1s": 400, "wait=soon": 400, "until=complete": 400, "wait=1s&until=x": 400, "wait=1s&until=initializing": 400,
	} {
		require.Equal(t, status, s.ask(t, "GET", "/v1/tasks/"+got.TaskUUID+"?"+query, "", nil).StatusCode, query)
	}
	require.Equal(t, http.StatusNotFound, s.ask(t, "GET", "/v1/tasks/01890a5d-ac96-774b-bcce-b30209900000?wait=1s", "", nil).StatusCode)

	// A server that stops answers at once, with the present state.
	done := make(chan told, 1)
	stop := make(chan struct{})
	go func() {
		var last told
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.http+"/v1/tasks/"+got.TaskUUID+"?wait=60s", nil)
		close(stop)
		if a, err := http.DefaultClient.Do(r); err == nil {
			_ = json.NewDecoder(a.Body).Decode(&last)
			_ = a.Body.Close()
		}
		done <- last
	}()
	<-stop
	require.Eventually(t, func() bool { return s.Hub.Waiting() > 0 }, 10*time.Second, 5*time.Millisecond)
	began = time.Now()
	s.stop()
	require.Equal(t, "steps_in_process", (<-done).Status)
	require.Less(t, time.Since(began), time.Second)
	close(open)
}

// event is one of a stream.
type event struct {
	id, kind string
	data     struct {
		At    time.Time
		State string
		Name  string
	}
	received time.Time
}

func (e event) String() string { return fmt.Sprintf("%s %s %s", e.kind, e.data.Name, e.data.State) }

// events follows a task until the stream ends, or cut says so.
func (s *server) events(ctx context.Context, id ident.TaskID, after string, cut func(n int) bool) (all []event, ended bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.http+"/v1/tasks/"+id.String()+"/events", nil)
	if err != nil {
		return nil, false, err
	}
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = a.Body.Close() }()
	if a.StatusCode == http.StatusNoContent {
		return nil, true, nil
	}
	if a.StatusCode != http.StatusOK {
		return nil, false, fmt.Errorf("status %d", a.StatusCode)
	}
	var e event
	for lines := bufio.NewScanner(a.Body); lines.Scan(); {
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "id":
			e.id = value
		case "event":
			e.kind = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.data); err != nil {
				return all, false, err
			}
		case "":
			if e.id == "" {
				continue
			}
			e.received = time.Now()
			all = append(all, e)
			e = event{}
			if cut != nil && cut(len(all)) {
				return all, false, nil
			}
		}
	}
	return all, true, nil
}

const diamond = `
name: diamond
namespace_name: t
version: 1.0.0
steps:
  - {name: start, handler: {callable: any}}
  - {name: left, dependencies: [start], handler: {callable: any}}
  - {name: middle, dependencies: [start], handler: {callable: any}}
  - {name: right, dependencies: [start], handler: {callable: any}}
  - {name: end, dependencies: [left, middle, right], handler: {callable: any}}
`

// slowly takes a moment, so that steps of many tasks overlap.
func slowly(ctx context.Context, _ *worker.Step) (any, error) {
	timer := time.NewTimer(time.Duration(5+rand.IntN(30)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, ctx.Err()
}

// Steps run on two servers and are followed at a third, with the stream cut
// again and again and taken up wherever it happens to be.
func TestEventsCrossServers(t *testing.T) {
	t.Parallel()
	works := start(t, diamond, worker.Handlers{"any": worker.Func(slowly)})
	also := startOn(t, works.url, diamond, worker.Handlers{"any": worker.Func(slowly)})
	waits := startOn(t, works.url, diamond, nil)
	servers := []*server{works, also, waits}
	const n = 12
	var all sync.WaitGroup
	whole, pieces := make([][]event, n), make([][]event, n)
	for i := range n {
		id := waits.create(t, "diamond", map[string]int{"n": i})
		all.Go(func() {
			var err error
			whole[i], _, err = waits.events(t.Context(), id, "", nil)
			if err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			dice := rand.New(rand.NewPCG(uint64(i), 1))
			after := ""
			for {
				want := 1 + dice.IntN(3)
				got, ended, err := servers[dice.IntN(3)].events(t.Context(), id, after, func(n int) bool { return n == want })
				if err != nil {
					t.Error(err)
					return
				}
				if len(got) > 0 {
					pieces[i] = append(pieces[i], got...)
					after = got[len(got)-1].id
				}
				if ended {
					return
				}
			}
		})
	}
	all.Wait()
	var delays []time.Duration
	for i := range n {
		require.Len(t, whole[i], 3+3*5, "%v", whole[i])
		require.Equal(t, "task  complete", whole[i][17].String())
		words := func(es []event) []string {
			var out []string
			for _, e := range es {
				out = append(out, e.String())
			}
			slices.Sort(out)
			return out
		}
		require.Equal(t, words(whole[i]), words(pieces[i]), "a cut loses nothing and repeats nothing: %v", pieces[i])
		for _, e := range whole[i][3:] {
			delays = append(delays, e.received.Sub(e.data.At))
		}
	}
	slices.Sort(delays)
	p99 := delays[len(delays)*99/100]
	t.Logf("changes by other servers were told after: p50 %v, p99 %v", delays[len(delays)/2], p99)
	require.Less(t, p99, 500*time.Millisecond)
}

// Many watchers over the real door. (Two thousand, without it: core/app/watch.)
func TestWatchersOfARealServer(t *testing.T) {
	t.Parallel()
	s := start(t, diamond, worker.Handlers{"any": worker.Func(slowly)})
	const tasks, each = 30, 10
	var (
		all    sync.WaitGroup
		mu     sync.Mutex
		delays []time.Duration
	)
	for i := range tasks {
		id := s.create(t, "diamond", map[string]int{"n": i})
		for range each {
			all.Go(func() {
				got, _, err := s.events(t.Context(), id, "", nil)
				mu.Lock()
				defer mu.Unlock()
				if err != nil || len(got) != 18 {
					t.Errorf("%d events, %v", len(got), err)
					return
				}
				for _, e := range got[12:] { // those before may be history
					delays = append(delays, e.received.Sub(e.data.At))
				}
			})
		}
	}
	all.Wait()
	slices.Sort(delays)
	t.Logf("%d watchers of %d tasks: p50 %v, p99 %v", tasks*each, tasks, delays[len(delays)/2], delays[len(delays)*99/100])
}

func TestManyTasksOverTheRealDoor(t *testing.T) {
	t.Parallel()
	s := start(t, oneStep, nil)
	var tasks []string
	for i := range 1000 {
		tasks = append(tasks, fmt.Sprintf(`{"name":"one","namespace":"t","version":"1.0.0","context":{"n":%d}}`, i))
	}
	var made struct {
		Created, Existing, Refused int
		Code                       string
	}
	all := `{"mode":"all_or_nothing","tasks":[` + strings.Join(tasks, ",") + `]}`
	require.Equal(t, http.StatusOK, s.ask(t, "POST", "/v1/tasks/batch", all, &made).StatusCode)
	require.Equal(t, 1000, made.Created)
	require.Equal(t, http.StatusConflict, s.ask(t, "POST", "/v1/tasks/batch", all, &made).StatusCode)
	require.Equal(t, "task_exists", made.Code)
	require.Equal(t, http.StatusOK, s.ask(t, "POST", "/v1/tasks/batch", strings.Replace(all, "all_or_nothing", "each", 1), &made).StatusCode)
	require.Equal(t, 1000, made.Refused)

	var b struct {
		State                  string
		Matched, Done, Refused int
	}
	a := s.ask(t, "POST", "/v1/tasks/bulk/cancel", `{"filter":{"namespace":"t","status":"steps_in_process"},"dry_run":true}`, &b)
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, 1000, b.Matched)
	a = s.ask(t, "POST", "/v1/tasks/bulk/cancel", `{"filter":{"namespace":"t"},"reason":"a test"}`, &b)
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	where := a.Header.Get("Location")
	require.Eventually(t, func() bool {
		s.ask(t, "GET", where, "", &b)
		return b.State == "complete"
	}, 30*time.Second, 50*time.Millisecond)
	require.Equal(t, []int{1000, 0}, []int{b.Done, b.Refused})
	require.Equal(t, http.StatusBadRequest, s.ask(t, "DELETE", where, "", nil).StatusCode, "it has ended")
}
