package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/client"
)

// The examples below run against a server of their own, through both doors.
func TestExamples(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	for _, address := range []string{d.restAddr, d.grpcAddr} {
		require.NoError(t, createAndWait(t.Context(), address))
		require.NoError(t, list(t.Context(), address))
	}
	run := func(address string) string {
		cmd := exec.CommandContext(t.Context(), "go", "run", "../examples/client", "-server", address)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		require.NoError(t, err)
		return string(out)
	}
	out := run(d.grpcAddr)
	require.Contains(t, out, "approve: ")
	require.Contains(t, out, "the task is complete\n")
	require.Contains(t, run(d.restAddr), "there is one already: ")
}

func createAndWait(ctx context.Context, address string) error {
	c, err := client.New(address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	task, err := c.CreateTask(ctx, client.NewTask{
		Name: "two", Namespace: "t", Version: "1.0.0", Context: map[string]any{"n": 42},
		IdempotencyKey: "order-42", OnDuplicate: client.Return, Wait: 10 * time.Second,
	})
	if err != nil {
		return err
	}
	if task.State != client.TaskComplete {
		return fmt.Errorf("task %s is %s", task.ID, task.State)
	}
	return nil
}

func list(ctx context.Context, address string) error {
	c, err := client.New(address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for task, err := range c.ListTasks(ctx, client.TaskQuery{TaskFilter: client.TaskFilter{Namespace: "t"}}) {
		if err != nil {
			return err
		}
		_ = task.ID
	}
	return nil
}

func ExampleClient_CreateTask() {
	c, err := client.New("http://localhost:8080")
	if err != nil {
		panic(err)
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	task, err := c.CreateTask(ctx, client.NewTask{
		Name: "order_fulfillment", Namespace: "orders", Version: "1.0.0",
		Context: map[string]any{"order_id": 42}, Wait: 30 * time.Second,
	})
	var e *client.Error
	switch {
	case errors.Is(err, client.ErrTaskExists) && errors.As(err, &e):
		fmt.Println("it runs already:", e.Meta["task_uuid"])
	case err != nil:
		fmt.Println("not created:", err)
	default:
		fmt.Println(task.ID, task.State)
	}
}

func ExampleNew() {
	_, err := client.New("localhost:8080")
	fmt.Println(err)
	// Output: address of the server "localhost:8080" has no host: give one such as http://localhost:8080 or grpc://localhost:9190
}
