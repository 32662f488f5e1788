// Package parity holds the two doors against the catalogue of operations: what
// one offers the other offers too, but for differences that are named here.
package parity

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	grpcapi "github.com/tasker-go/tasker/adapters/grpc"
	httpapi "github.com/tasker-go/tasker/adapters/http"
	"github.com/tasker-go/tasker/core/app"
)

// onlyGRPC are operations without a route, with the reason.
var onlyGRPC = map[app.Operation]string{}

func TestEveryOperationIsBehindBothDoors(t *testing.T) {
	t.Parallel()
	routes := httpapi.Routes()
	methods := map[app.Operation]string{}
	for method, op := range grpcapi.Methods() {
		require.Empty(t, methods[op], "%s is two methods", op)
		methods[op] = method
	}
	for op := range app.Operations() {
		require.NotEmpty(t, methods[op], "%s has no gRPC method", op)
		if why, only := onlyGRPC[op]; only {
			require.Empty(t, routes[op], "%s has a route now: %s", op, why)
			continue
		}
		require.NotEmpty(t, routes[op], "%s has no route", op)
	}
	for op := range routes {
		require.Contains(t, app.Operations(), op, "a route to what the application does not know")
	}
	for op := range methods {
		require.Contains(t, app.Operations(), op, "a method of what the application does not know")
	}
}

func TestEveryMethodIsAnOperation(t *testing.T) {
	t.Parallel()
	server := grpcapi.New(grpcapi.Config{MaxStreams: 1, MaxMessageBytes: 1}, nil, nil, nil, slog.New(slog.DiscardHandler))
	var missing []string
	for name, service := range server.ServiceInfo() {
		for _, m := range service.Methods {
			full := "/" + name + "/" + m.Name
			if _, known := grpcapi.Methods()[full]; !known {
				missing = append(missing, full)
			}
		}
	}
	require.Empty(t, missing)
}

// The table of methods in the documentation is the one of the code.
func TestEveryMethodIsDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/grpc-api.md")
	require.NoError(t, err)
	doc := string(raw)
	routes := httpapi.Routes()
	for method, op := range grpcapi.Methods() {
		row := fmt.Sprintf("| `%s` | %s | %s |", strings.TrimPrefix(method, "/"), span(string(op.Permission())), span(routes[op]))
		require.Contains(t, doc, row)
	}
	require.Equal(t, len(grpcapi.Methods()), strings.Count(doc, "\n| `tasker.v1."), "a row of a method that there is not")
}

// span is a code span, a dash for nothing.
func span(s string) string {
	if s == "" {
		return "–"
	}
	return "`" + s + "`"
}
