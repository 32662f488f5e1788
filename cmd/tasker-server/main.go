// Command tasker-server is the server without handlers of its own.
package main

import (
	"os"

	"github.com/tasker-go/tasker"
)

func main() { os.Exit(tasker.Main(tasker.Options{})) }
