package grpc_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
)

// instant is an application that takes no time.
type instant struct {
	*fake
	task app.Task
}

func (s instant) CreateTask(_ context.Context, r app.CreateRequest) (app.Task, error) {
	t := s.task
	t.Context = r.Context
	return t, nil
}

func (instant) WatchTask(_ context.Context, _ ident.TaskID, tell func(watch.Update) error) error {
	for _, s := range []task.State{task.StepsInProcess, task.EvaluatingResults, task.Complete} {
		if err := tell(watch.Update{At: epoch, State: s}); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkCreateAndWatch is what the door itself, and a client of it in the
// same process, cost for a task that is created and watched until it ends.
func BenchmarkCreateAndWatch(b *testing.B) {
	f := newFake()
	d := server(config, instant{f, *f.add(task.StepsInProcess)})
	require.NoError(b, d.Listen())
	served := make(chan error, 1)
	go func() { served <- d.Serve() }()
	conn, err := grpc.NewClient(d.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(b, err)
	c := taskerv1.NewTaskServiceClient(conn)
	given := object(b, map[string]any{"run": "0123456789", "n": 5, "note": "a hundred bytes or so"})
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			made, err := c.CreateTask(b.Context(), &taskerv1.CreateTaskRequest{
				Name: "order", Namespace: "orders", Version: "1.0.0", Context: given,
			})
			if err != nil {
				b.Error(err)
				return
			}
			s, err := c.StreamTaskStatus(b.Context(), &taskerv1.StreamTaskStatusRequest{TaskUuid: made.GetTask().GetTaskUuid()})
			for err == nil {
				_, err = s.Recv()
			}
			if !errors.Is(err, io.EOF) {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	require.NoError(b, conn.Close())
	require.NoError(b, d.Shutdown(context.Background()))
	require.NoError(b, <-served)
}
