package parity

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	httpapi "github.com/tasker-go/tasker/adapters/http"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/ports"
)

// notByGet are operations that change nothing, or have records of their own, and
// are no GET.
var notByGet = map[app.Operation]string{
	app.CreateTask:        "the task tells who created it",
	"CreateTasks":         "each task tells who created it",
	app.ValidateTemplates: "the template is the body",
}

// What is read is read by GET, and nothing else: so the audit log misses nothing.
func TestWhatIsNoGetIsAChange(t *testing.T) {
	t.Parallel()
	for op, route := range httpapi.Routes() {
		get := strings.HasPrefix(route, "GET ")
		if notByGet[op] != "" {
			require.False(t, get || op.Changes(), op)
			continue
		}
		require.Equal(t, !get, op.Changes(), "%s is %s", op, route)
	}
}

// noticing notes what the gates of doors tell of changes.
type noticing struct {
	*application
	mu   sync.Mutex
	seen []string
}

func (n *noticing) BeginChange(ctx context.Context, op app.Operation, from app.Caller) (context.Context, func(string)) {
	return ctx, func(outcome string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.seen = append(n.seen, from.Door+" "+string(op)+" "+outcome)
		if from.Remote == "" {
			n.seen = append(n.seen, "from nowhere")
		}
	}
}

func TestBothGatesTellOfChanges(t *testing.T) {
	t.Parallel()
	a := &noticing{application: newApplication()}
	ask(t, openREST(t, a), "DELETE", "/v1/keys/abc", "")
	ask(t, openREST(t, a), "GET", "/v1/keys/abc", "")
	conn := openGRPC(t, a)
	call(t, conn, app.RevokeKey, `{"key_id":"abc"}`)
	call(t, conn, app.GetKey, `{"key_id":"abc"}`)
	a.mu.Lock()
	defer a.mu.Unlock()
	require.Equal(t, []string{"http RevokeKey " + ports.ChangeOK, "grpc RevokeKey " + ports.ChangeOK}, a.seen)
}
