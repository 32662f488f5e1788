package grpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// gate stands before every call: it authorises before the request is read, and
// translates what comes back.
type gate struct {
	auth     Authenticator
	changes  app.ChangeRecorder
	log      *slog.Logger
	lifetime context.Context //nolint:containedctx // of the server: streams end with it
	limiter  Limiter         // nil for no limit
	identity func(tls.ConnectionState) string
}

// register adds a service of the contract; it is the only way in for them. It
// wraps the methods, for grpc-go reads a request before it asks an interceptor,
// and credentials come first.
func (g *gate) register(server *grpc.Server, desc *grpc.ServiceDesc, service any) {
	wrapped := *desc
	wrapped.Methods = slices.Clone(desc.Methods)
	for i := range wrapped.Methods {
		m := &wrapped.Methods[i]
		m.Handler = g.unary("/"+desc.ServiceName+"/"+m.MethodName, m.Handler)
	}
	server.RegisterService(&wrapped, service)
}

func (g *gate) unary(method string, handle grpc.MethodHandler) grpc.MethodHandler {
	return func(service any, ctx context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (resp any, err error) {
		ctx = g.name(ctx)
		defer func() { err = g.answer(ctx, method, recover(), err) }()
		ctx, err = g.authorise(ctx, method)
		if err != nil {
			return nil, err
		}
		err = g.recorded(ctx, method, func(ctx context.Context) (err error) {
			resp, err = handle(service, ctx, func(m any) error { return receive(read, m) }, nil)
			return err
		})
		return resp, err
	}
}

// stream is the interceptor of streams, those of the standard services too: all
// end when the server stops.
func (g *gate) stream(service any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	ctx, cancel := context.WithCancelCause(g.name(s.Context()))
	defer cancel(nil)
	defer func() {
		if err != nil && errors.Is(context.Cause(ctx), errStopping) {
			err = fault.New(fault.CodeShuttingDown, "the server is shutting down").Because(err)
		}
		err = g.answer(ctx, info.FullMethod, recover(), err)
	}()
	defer context.AfterFunc(g.lifetime, func() { cancel(errStopping) })()
	if ours(info.FullMethod) {
		if ctx, err = g.authorise(ctx, info.FullMethod); err != nil {
			return err
		}
	}
	return g.recorded(ctx, info.FullMethod, func(ctx context.Context) error {
		return handle(service, &streamWith{ServerStream: s, ctx: ctx, talks: info.IsClientStream})
	})
}

var errStopping = errors.New("the server is shutting down")

// streamWith is a stream with another context, which ends it.
type streamWith struct {
	grpc.ServerStream
	ctx   context.Context //nolint:containedctx // the interface asks for it
	talks bool            // the client sends more than one message
}

// Context implements grpc.ServerStream.
func (s *streamWith) Context() context.Context { return s.ctx }

// RecvMsg implements grpc.ServerStream. A client that could send more at any
// time does not keep the server from stopping.
func (s *streamWith) RecvMsg(m any) error {
	if !s.talks {
		return receive(s.ServerStream.RecvMsg, m)
	}
	got := make(chan error, 1)
	go func() { got <- receive(s.ServerStream.RecvMsg, m) }() // ends with the stream, which the return ends
	select {
	case err := <-got:
		return err
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// authorise returns the context of a call with who makes it, if they may.
func (g *gate) authorise(ctx context.Context, method string) (context.Context, error) {
	op, built := methods[method]
	if built && op.Permission() == access.Public {
		return ctx, nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	who, err := g.auth.Authenticate(ctx, bearer(one(md, "authorization")), one(md, g.auth.Header()))
	err = g.limit(ctx, who, err)
	switch {
	case err != nil:
		return ctx, err
	case !built:
		return ctx, status.Errorf(codes.Unimplemented, "%s is not built yet", method)
	case !who.May(op.Permission()):
		return ctx, fault.New(fault.CodePermissionDenied, "these credentials do not allow this; they need %s", op.Permission())
	}
	return app.WithPrincipal(ctx, who), nil
}

func one(md metadata.MD, key string) string {
	if vs := md.Get(key); len(vs) > 0 {
		return vs[0]
	}
	return ""
}

// bearer accepts the scheme's lower-case spelling too, as the contract does over
// gRPC.
func bearer(authorization string) string {
	if rest, ok := strings.CutPrefix(authorization, "bearer "); ok {
		return "Bearer " + rest
	}
	return authorization
}

// answer is the one way from an error, or a panic, to a status. It logs what
// callers must not see.
func (g *gate) answer(ctx context.Context, method string, panicked any, err error) error {
	g.logCall(ctx, method, err)
	if panicked != nil {
		g.log.ErrorContext(ctx, "a call panicked", "method", method, "request_id", app.RequestIDOf(ctx), "panic", panicked, "stack", string(debug.Stack()))
		return statusOf("", fault.Of(fmt.Errorf("panic: %v", panicked)))
	}
	if err == nil {
		return nil
	}
	if _, is := errors.AsType[*fault.Error](err); !is { // whose cause may be a status
		if _, is := status.FromError(err); is {
			return err
		}
	}
	f := faultOf(ctx, err)
	switch {
	case f.Kind == fault.Internal:
		g.log.ErrorContext(ctx, "a call failed", "method", method, "request_id", app.RequestIDOf(ctx), "error", f.Error())
	case f.Err != nil:
		g.log.DebugContext(ctx, "a call was refused", "method", method, "request_id", app.RequestIDOf(ctx), "code", string(f.Code), "error", f.Err)
	}
	if wait := waitFor(f); wait > 0 {
		// The status says it too; where the trailer cannot be sent, nobody is
		// there to be told.
		_ = grpc.SetTrailer(ctx, metadata.Pairs("retry-after", seconds(wait)))
	}
	return statusOf(methods[method], f)
}
