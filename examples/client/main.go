// Command client shows package client at work: it uploads a workflow, starts it,
// asks why it does not move, completes its step by hand since no worker has the
// handler, and follows what happens.
//
//	go run ./examples/client -server grpc://localhost:9190
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/tasker-go/tasker/client"
)

const approval = `
name: approval
namespace_name: example
version: 1.0.0
steps:
  - name: approve
    handler: { callable: somebody_has_to_say_yes }
`

func main() {
	server := flag.String("server", "http://localhost:8080", "address of the server: http://, https://, grpc:// or grpcs://")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, os.Stdout, *server, os.Getenv("TASKER_API_KEY")); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, server, key string) error {
	c, err := client.New(server, client.WithAPIKey(key), client.WithUserAgent("tasker-example"))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()

	if _, err := c.RegisterTemplate(ctx, approval, false); err != nil {
		return err
	}
	task, err := c.CreateTask(ctx, client.NewTask{
		Name: "approval", Namespace: "example", Version: "1.0.0",
		Context: map[string]any{"amount": 4200}, IdempotencyKey: "invoice-17",
	})
	var e *client.Error
	if errors.As(err, &e) && e.Code == client.ErrTaskExists {
		fmt.Fprintln(out, "there is one already:", e.Meta["task_uuid"])
		return nil
	}
	if err != nil {
		return err
	}

	why, err := c.ExplainTask(ctx, task.ID)
	if err != nil {
		return err
	}
	for _, s := range why.Steps {
		fmt.Fprintf(out, "%s: %s\n", s.Name, s.Code)
	}

	steps, err := c.ListSteps(ctx, task.ID)
	if err != nil {
		return err
	}
	if _, err := c.ActOnStep(ctx, task.ID, steps[0].ID, client.StepAction{
		Kind: client.CompleteManually, Said: client.Said{By: "ann", Reason: "checked"}, Result: map[string]any{"approved": true},
	}); err != nil {
		return err
	}
	for event, err := range c.WatchTask(ctx, task.ID, "") {
		if err != nil {
			return err
		}
		if event.Step != nil {
			fmt.Fprintf(out, "%s is %s\n", event.Step.Name, event.Step.State)
		} else {
			fmt.Fprintf(out, "the task is %s\n", event.State)
		}
	}
	return nil
}
