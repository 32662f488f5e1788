// Package http is the REST door: it decodes a request, asks the application,
// and encodes what it says. It decides nothing about tasks. Importers call the
// package httpapi.
package http

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
)

// Config says where the door is and what it lets in.
type Config struct {
	Host           string        // empty for all addresses
	Port           int           // 0 for any free one
	RequestTimeout time.Duration // of the whole request; then 408
	MaxWait        time.Duration // of requests that wait for a task
	MaxBodyBytes   int64         // of a request; more is 413

	TLS            *tls.Config                      // nil for none
	Identity       func(tls.ConnectionState) string // whose certificate a client presented; nil without TLS
	AllowedOrigins []string                         // of pages that may call; "*" for any
	Limiter        Limiter                          // nil for no limit
}

// Service is what the door asks the application for.
type Service interface {
	app.TaskOperations
	app.FollowOperations
	app.BatchOperations
	app.StepOperations
	app.PauseOperations
	app.TemplateOperations
	app.DeadLetterOperations
	app.ResumeOperations
	app.ReportOperations
	app.SecurityOperations
}

var _ Service = (*app.Application)(nil)

// Authenticator says who presents credentials. A fault unauthenticated says
// under "reason" in its Meta what was wrong: missing, invalid or malformed.
type Authenticator interface {
	// Header is the name of the header that carries API keys.
	Header() string
	Authenticate(ctx context.Context, authorization, key string) (access.Principal, error)
}

// Limits of a connection that nobody has needed to change.
const (
	headerTimeout  = 10 * time.Second // to send the headers
	idleTimeout    = 2 * time.Minute  // between two requests
	answerTime     = 10 * time.Second // to take an answer, after the longest request
	maxHeaderBytes = 64 << 10
)

// Server is the door. Listen, Serve and Shutdown are called in this order;
// Handler may be used without them.
type Server struct {
	cfg      Config
	log      *slog.Logger
	handler  http.Handler
	server   *http.Server
	listener net.Listener
}

// New returns the door to a service. Metrics serves /metrics.
func New(cfg Config, s Service, health *app.Health, auth Authenticator, metrics http.Handler, log *slog.Logger) (*Server, error) {
	log = log.With("door", "http")
	handler, err := newHandler(cfg, s, health, auth, metrics, log)
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, log: log, handler: handler, server: &http.Server{
		Handler:           handler,
		TLSConfig:         cfg.TLS,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       cfg.RequestTimeout + headerTimeout,
		WriteTimeout:      cfg.RequestTimeout + headerTimeout + answerTime,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what broken clients do
	}}, nil
}

// Handler serves the whole API.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen takes the address, so that Serve cannot fail for want of it. The
// error says which setting to change.
func (s *Server) Listen() error {
	address := net.JoinHostPort(s.cfg.Host, fmt.Sprint(s.cfg.Port))
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return s.explain(err, address)
	}
	s.listener = l
	return nil
}

func (s *Server) explain(err error, address string) error {
	const port = "set [orchestration.web] port, TASKER_WEB_BIND_ADDRESS or --web-port"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d is in use: %s", s.cfg.Port, port)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("port %d may not be opened by this user: %s", s.cfg.Port, port)
	default:
		return fmt.Errorf("cannot listen on %s: set [orchestration.web] host, TASKER_WEB_BIND_ADDRESS or --bind: %w", address, err)
	}
}

// Addr returns host:port after Listen: the real port where 0 was asked for.
func (s *Server) Addr() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Serve answers requests until Shutdown, then returns nil.
func (s *Server) Serve() error {
	if s.listener == nil {
		return errors.New("serve HTTP: Listen comes first")
	}
	serve := s.server.Serve
	if s.cfg.TLS != nil {
		serve = func(l net.Listener) error { return s.server.ServeTLS(l, "", "") } // the certificate is in TLSConfig
	}
	if err := serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// Shutdown takes no more requests and waits for those in work, or until ctx
// ends: then it cuts them off. It may be called before Serve, and twice.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.server.Close())
	}
	if s.listener != nil {
		if closed := s.listener.Close(); closed != nil && !errors.Is(closed, net.ErrClosed) {
			err = errors.Join(err, closed)
		}
	}
	return err
}
