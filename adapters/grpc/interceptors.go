package grpc

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// interceptor stands before every call: it authorises before anything of the
// request is looked at, and translates what comes back.
type interceptor struct {
	auth     Authenticator
	log      *slog.Logger
	lifetime context.Context //nolint:containedctx // of the server: streams end with it
}

type principalKey struct{}

// principalOf returns who calls.
func principalOf(ctx context.Context) access.Principal {
	p, _ := ctx.Value(principalKey{}).(access.Principal)
	return p
}

func (i *interceptor) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	op, ctx, err := i.authorise(ctx, info.FullMethod)
	if err != nil {
		return nil, i.translate(ctx, op, info.FullMethod, err)
	}
	defer func() {
		if p := recover(); p != nil {
			err = i.panicked(ctx, info.FullMethod, p)
		}
	}()
	resp, err = handle(ctx, req)
	return resp, i.translate(ctx, op, info.FullMethod, err)
}

func (i *interceptor) stream(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	op, ctx, err := i.authorise(s.Context(), info.FullMethod)
	if err != nil {
		return i.translate(ctx, op, info.FullMethod, err)
	}
	defer func() {
		if p := recover(); p != nil {
			err = i.panicked(ctx, info.FullMethod, p)
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if ours(info.FullMethod) {
		defer context.AfterFunc(i.lifetime, func() { cancel(errStopping) })()
	}
	err = handle(srv, &streamWith{s, ctx})
	if errors.Is(context.Cause(ctx), errStopping) {
		err = fault.New(fault.CodeShuttingDown, "the server is shutting down")
	}
	return i.translate(ctx, op, info.FullMethod, err)
}

var errStopping = errors.New("the server is shutting down")

// streamWith is a stream with another context.
type streamWith struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // the interface asks for it
}

// Context implements grpc.ServerStream.
func (s *streamWith) Context() context.Context { return s.ctx }

func (i *interceptor) authorise(ctx context.Context, method string) (app.Operation, context.Context, error) {
	if !ours(method) {
		return "", ctx, nil
	}
	op, known := methods[method]
	if known && op.Permission() == access.Public {
		return op, ctx, nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	who, err := i.auth.Authenticate(bearer(one(md, "authorization")), one(md, i.auth.Header()))
	if err != nil {
		return op, ctx, err
	}
	if !known {
		return op, ctx, status.Error(codes.Unimplemented, "this method is not built yet")
	}
	if !who.May(op.Permission()) {
		return op, ctx, fault.New(fault.CodePermissionDenied, "these credentials do not allow this; they need %s", op.Permission())
	}
	return op, context.WithValue(ctx, principalKey{}, who), nil
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

func (i *interceptor) panicked(ctx context.Context, method string, p any) error {
	i.log.ErrorContext(ctx, "a call panicked", "method", method, "panic", p, "stack", string(debug.Stack()))
	return statusOf("", errors.New("panic"))
}

// translate maps an error once, and logs what callers must not see.
func (i *interceptor) translate(ctx context.Context, op app.Operation, method string, err error) error {
	if err == nil {
		return nil
	}
	if _, is := status.FromError(err); is {
		return err
	}
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		if f := fault.Of(err); f.Kind == fault.Internal {
			i.log.ErrorContext(ctx, "a call failed", "method", method, "error", err)
		} else if f.RetryAfter > 0 {
			_ = grpc.SetTrailer(ctx, metadata.Pairs("retry-after", seconds(f.RetryAfter))) // the status says it too
		}
	}
	return statusOf(op, err)
}
