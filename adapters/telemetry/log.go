// Package telemetry shows what the server does: logs and metrics. The names of
// both are in this package alone.
package telemetry

import (
	"io"
	"log/slog"
)

// NewLogger returns a logger that writes text, or JSON for machines.
func NewLogger(w io.Writer, level slog.Level, json bool) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if json {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
