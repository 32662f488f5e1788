package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tasker-go/tasker/worker"
)

// The rows of an import. The third of them makes trouble once.
var rows = []int{10, 20, 30, 40}

// importRows adds up all rows and saves a checkpoint after each. An attempt
// goes on from where the one before has stopped.
func importRows(ctx context.Context, s *worker.Step) (any, error) {
	next, sum := 0, 0
	if p, ok := s.Checkpoint(); ok {
		if err := errors.Join(p.Cursor(&next), p.Accumulated(&sum)); err != nil {
			return nil, err
		}
	}
	fmt.Printf("attempt %d begins with row %d\n", s.Attempt, next)
	for ; next < len(rows); next++ {
		if next == 2 && s.Attempt == 1 {
			return nil, errors.New("the power is out")
		}
		sum += rows[next]
		if err := s.SaveCheckpoint(ctx, next+1, int64(next+1), sum); err != nil {
			return nil, err
		}
	}
	return map[string]int{"sum": sum}, nil
}

// A long step saves checkpoints, so that a failure or a crash costs only what
// came after the last of them. The server keeps them; here a variable does.
func ExampleStep_SaveCheckpoint() {
	ctx := context.Background()
	var stored json.RawMessage
	save := func(_ context.Context, c json.RawMessage) error {
		stored = c
		return nil
	}
	for attempt := 1; attempt <= 2; attempt++ {
		s := worker.NewStep(worker.Step{Name: "import_rows", Attempt: attempt}, worker.Inputs{Checkpoint: stored, Save: save})
		worker.Run(ctx, worker.Func(importRows), s, 0, func(o worker.Outcome) {
			if o.Failure != nil {
				fmt.Println("failed:", o.Failure.Message)
				return
			}
			fmt.Println("complete:", string(o.Value))
		})
	}
	// Output:
	// attempt 1 begins with row 0
	// failed: the power is out
	// attempt 2 begins with row 2
	// complete: {"sum":100}
}
