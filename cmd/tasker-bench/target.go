package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
)

// The ways to a server.
const (
	inProcess = "inprocess"
	overGRPC  = "grpc"
)

// creators is how many clients create tasks at once in a bulk run, and then wait
// for them.
const creators = 32

// target is a server as one of its clients sees it. It is safe for concurrent
// use.
type target interface {
	// create creates a task of a template and returns its id once the server has
	// answered.
	create(ctx context.Context, template string, c taskContext) (string, error)
	// wait returns once the client has been told that the task is complete; any
	// other end is an error.
	wait(ctx context.Context, id string) error
}

// taskContext is the input of a task: unlike any other, or the task would be a
// duplicate, and of the size that small inputs have.
type taskContext struct {
	Run  string `json:"run"`
	N    int64  `json:"n"`
	Note string `json:"note"`
}

// contexts makes task contexts; it is safe for concurrent use.
type contexts struct {
	run string
	n   atomic.Int64
}

func newContexts() *contexts { return &contexts{run: fmt.Sprintf("%016x", rand.Uint64())} } //nolint:gosec // G404: only unique

func (c *contexts) next() taskContext {
	return taskContext{Run: c.run, N: c.n.Add(1), Note: "a context of some size, as real ones have"}
}

// applicationTarget calls the application service of a server in this process.
type applicationTarget struct{ app *app.Application }

func (t applicationTarget) create(ctx context.Context, template string, c taskContext) (string, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	created, err := t.app.CreateTask(ctx, app.CreateRequest{Namespace: namespace, Name: template, Version: version, Context: raw})
	if err != nil {
		return "", err
	}
	return created.TaskRecord.ID.String(), nil
}

func (t applicationTarget) wait(ctx context.Context, id string) error {
	taskID, err := ident.ParseTask(id)
	if err != nil {
		return err
	}
	end, err := t.app.WaitTask(ctx, taskID)
	if err == nil && end != task.Complete {
		err = fmt.Errorf("task %s ended as %s", id, end)
	}
	return err
}

// grpcTarget calls a server over gRPC. All its calls share one connection.
type grpcTarget struct {
	conn  *grpc.ClientConn
	tasks taskerv1.TaskServiceClient
}

func dial(addr string) (*grpcTarget, error) {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return &grpcTarget{conn: conn, tasks: taskerv1.NewTaskServiceClient(conn)}, nil
}

func (t *grpcTarget) close() error { return t.conn.Close() }

func (t *grpcTarget) create(ctx context.Context, template string, c taskContext) (string, error) {
	input := &structpb.Struct{Fields: map[string]*structpb.Value{
		"run": structpb.NewStringValue(c.Run), "n": structpb.NewNumberValue(float64(c.N)), "note": structpb.NewStringValue(c.Note),
	}}
	created, err := t.tasks.CreateTask(ctx, &taskerv1.CreateTaskRequest{
		Namespace: namespace, Name: template, Version: version, Context: input,
	})
	if err != nil {
		return "", err
	}
	return created.GetTask().GetTaskUuid(), nil
}

func (t *grpcTarget) wait(ctx context.Context, id string) error {
	stream, err := t.tasks.StreamTaskStatus(ctx, &taskerv1.StreamTaskStatusRequest{TaskUuid: id})
	if err != nil {
		return err
	}
	last := taskerv1.TaskState_TASK_STATE_UNSPECIFIED
	for {
		update, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if update.TaskState != nil {
			last = update.GetTaskState()
		}
	}
	if last != taskerv1.TaskState_TASK_STATE_COMPLETE {
		return fmt.Errorf("task %s ended as %s", id, last)
	}
	return nil
}

// oneAtATime runs n tasks, each from its create call until the client has seen
// it complete, and returns how long each took.
func oneAtATime(ctx context.Context, t target, template string, n int) ([]time.Duration, error) {
	inputs := newContexts()
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		id, err := t.create(ctx, template, inputs.next())
		if err == nil {
			err = t.wait(ctx, id)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", template, err)
		}
		took[i] = time.Since(began)
	}
	return took, nil
}

// bulkRun says how long a bulk run took.
type bulkRun struct {
	Tasks  int           `json:"tasks"`
	Create time.Duration `json:"create"` // until the last create was answered
	Total  time.Duration `json:"total"`  // until the last task was seen complete
	CPU    time.Duration `json:"cpu"`    // of the client's own process; zero when it is the server's
}

// inBulk creates n tasks from concurrent clients, each as fast as it is
// answered, and waits for them when all are created.
func inBulk(ctx context.Context, t target, template string, n int) (bulkRun, error) {
	inputs := newContexts()
	ids := make([]string, n)
	began := time.Now()
	each := func(do func(ctx context.Context, i int) error) error {
		var next atomic.Int64
		g, ctx := errgroup.WithContext(ctx)
		for range creators {
			g.Go(func() error {
				for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
					if err := do(ctx, i); err != nil {
						return fmt.Errorf("%s: %w", template, err)
					}
				}
				return nil
			})
		}
		return g.Wait()
	}
	err := each(func(ctx context.Context, i int) (err error) {
		ids[i], err = t.create(ctx, template, inputs.next())
		return err
	})
	run := bulkRun{Tasks: n, Create: time.Since(began)}
	if err != nil {
		return run, err
	}
	err = each(func(ctx context.Context, i int) error { return t.wait(ctx, ids[i]) })
	run.Total = time.Since(began)
	return run, err
}
