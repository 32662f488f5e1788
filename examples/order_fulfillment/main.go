// Command order_fulfillment is the demo: the server with a workflow of its own
// in process. It creates one task, shows its steps change state, and goes on
// serving.
package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/tasker-go/tasker"
)

//go:embed templates
var files embed.FS

func main() {
	templates, err := fs.Sub(files, "templates")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("starting the server and its PostgreSQL")
	os.Exit(tasker.Main(tasker.Options{
		Templates: templates,
		Handlers:  handlers,
		Args:      []string{"--log-level", "warn"}, // the screen is for the workflow
		Ready: func(ctx context.Context, s tasker.Server) {
			if err := show(ctx, os.Stdout, s); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "demo:", err)
			}
			<-ctx.Done()
			fmt.Println("stopping")
		},
	}))
}

// showLimit bounds the demo's one task.
const showLimit = time.Minute
