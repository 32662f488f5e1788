package bootstrap

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/tasker-go/tasker/bootstrap/configuration"
)

// The graph is whole in every profile, without anything being started.
func TestTheGraphIsWhole(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*configuration.Config){
		"as it comes":  func(*configuration.Config) {},
		"without HTTP": func(c *configuration.Config) { c.Orchestration.Web.Enabled = false },
		"without gRPC": func(c *configuration.Config) { c.Orchestration.GRPC.Enabled = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configuration.Default()
			change(cfg)
			var p Parts
			require.NoError(t, fx.ValidateApp(
				fx.Supply(Options{Config: cfg}, database{}, slog.New(slog.DiscardHandler)), modules(cfg), fx.Populate(&p),
			))
		})
	}
}
