package grpc

import (
	"context"
	"log/slog"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/tasker-go/tasker/core/app"
)

// maxHeaderBytes is how much metadata a call may have.
const maxHeaderBytes = 64 << 10

// secured returns what guards the connections of a door.
func secured(cfg Config) []grpc.ServerOption {
	options := []grpc.ServerOption{grpc.MaxHeaderListSize(maxHeaderBytes)}
	if cfg.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	return options
}

// requestIDKey is the metadata that names a call: of the client's choice, where
// it may be used, and in the header of the answer.
const requestIDKey = "x-request-id"

type certificateKey struct{}

// name returns the context of a call with what is known before anything is
// asked: its id, and whose certificate its client presented. The certificate
// says who it is, and allows nothing.
func (g *gate) name(ctx context.Context) context.Context {
	var id string
	if given := metadata.ValueFromIncomingContext(ctx, requestIDKey); len(given) == 1 && app.SoundRequestID(given[0]) {
		id = given[0]
	} else {
		id = uuid.NewString()
	}
	// Where the header cannot be sent, nobody is there to be told.
	_ = grpc.SetHeader(ctx, metadata.Pairs(requestIDKey, id))
	ctx = app.WithRequestID(ctx, id)
	if who := g.presented(ctx); who != "" {
		ctx = context.WithValue(ctx, certificateKey{}, who)
	}
	return ctx
}

// presented returns whose certificate a client presented; empty for none.
func (g *gate) presented(ctx context.Context) string {
	if g.identity == nil {
		return ""
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return ""
	}
	return g.identity(info.State)
}

// certificateOf returns whose certificate the client of a call presented; empty
// for none.
func certificateOf(ctx context.Context) string {
	who, _ := ctx.Value(certificateKey{}).(string)
	return who
}

// logCall notes that a call has ended.
func (g *gate) logCall(ctx context.Context, method string, err error) {
	if !g.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	g.log.DebugContext(ctx, "call", "method", method, "request_id", app.RequestIDOf(ctx), "certificate", certificateOf(ctx),
		"ok", err == nil)
}
