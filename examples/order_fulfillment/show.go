package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tasker-go/tasker"
	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
)

// show creates a task over gRPC, as any client would, and writes what happens
// to it.
func show(ctx context.Context, w io.Writer, s tasker.Server) error {
	if s.GRPCAddr == "" {
		return errors.New("it needs [orchestration.grpc] enabled")
	}
	ctx, cancel := context.WithTimeout(ctx, showLimit)
	defer cancel()
	conn, err := grpc.NewClient(s.GRPCAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if key := apiKey(); key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-api-key", key)
	}
	client := taskerv1.NewTaskServiceClient(conn)
	input, err := structpb.NewStruct(map[string]any{
		"order_number": "A-" + time.Now().Format("20060102-150405.000"), // another order each time: the same one would be a duplicate
		"items": []any{
			map[string]any{"sku": "TEAPOT-1", "quantity": 1, "price_cents": 3900},
			map[string]any{"sku": "CUP-4", "quantity": 4, "price_cents": 700},
		},
	})
	if err != nil {
		return err
	}
	created, err := client.CreateTask(ctx, &taskerv1.CreateTaskRequest{
		Name: "order_fulfillment", Namespace: "orders", Version: "1.0.0", Context: input,
	})
	if err != nil {
		return err
	}
	id := created.GetTask().GetTaskUuid()
	fmt.Fprintf(w, "\n  order_fulfillment: validate_order → reserve_stock ∥ charge_payment → ship_order → notify_customer\n")
	fmt.Fprintf(w, "  task %s\n\n", id)
	if err := follow(ctx, w, client, id); err != nil {
		return err
	}
	fmt.Fprint(w, next(s, id))
	return nil
}

func follow(ctx context.Context, w io.Writer, client taskerv1.TaskServiceClient, id string) error {
	began := time.Now()
	stream, err := client.StreamTaskStatus(ctx, &taskerv1.StreamTaskStatusRequest{TaskUuid: id, IncludeSteps: true})
	if err != nil {
		return err
	}
	for {
		u, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		at := time.Since(began).Seconds()
		if st := u.GetStepUpdate(); st != nil {
			state := word(st.GetState().String(), "STEP_STATE_")
			note := ""
			if st.GetState() == taskerv1.StepState_STEP_STATE_WAITING_FOR_RETRY {
				note = fmt.Sprintf("  (attempt %d failed: %s; it will be tried again)", st.GetAttempt(), u.GetErrorMessage())
			} else if st.GetAttempt() > 1 {
				note = fmt.Sprintf("  (attempt %d)", st.GetAttempt())
			}
			fmt.Fprintf(w, "  %6.2f s  %-16s %s%s\n", at, st.GetName(), state, note)
			continue
		}
		fmt.Fprintf(w, "  %6.2f s  %-16s %s\n", at, "task", word(u.GetTaskState().String(), "TASK_STATE_"))
	}
}

func word(enum, prefix string) string { return strings.ToLower(strings.TrimPrefix(enum, prefix)) }

// next tells what to try against the running server.
func next(s tasker.Server, id string) string {
	return fmt.Sprintf(`
  The server goes on. Try, in another terminal:

    curl -X POST http://%[1]s/v1/tasks -H "Content-Type: application/json" -H "X-API-Key: your-api-key" \
         -d '{"name": "order_fulfillment", "namespace": "orders", "version": "1.0.0"}'

  The same again is a duplicate, and the answer says of which task. Another context makes another task:

    curl -X POST http://%[1]s/v1/tasks -H "Content-Type: application/json" -H "X-API-Key: your-api-key" \
         -d '{"name": "order_fulfillment", "namespace": "orders", "version": "1.0.0", "context": {"order_number": "'$(date +%%s)'"}}'

    curl http://%[1]s/v1/tasks/%[3]s
    curl http://%[1]s/health
    grpcurl -plaintext %[2]s tasker.v1.HealthService/CheckLiveness

  The documentation of the API is at http://%[1]s/docs. Ctrl-C stops everything; the data stays.

`, local(s.HTTPAddr), local(s.GRPCAddr), id)
}

// local spells loopback as people do.
func local(addr string) string { return strings.Replace(addr, "127.0.0.1:", "localhost:", 1) }
