package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Client talks to one server, or to several behind one address.
type Client struct {
	t       transport
	timeout time.Duration
	retry   retries
}

// TokenSource returns the bearer token for a call. It is asked for every one,
// so it should keep a token that is still good.
type TokenSource func(ctx context.Context) (string, error)

// Option changes how a Client works.
type Option func(*options)

type options struct {
	apiKey    string
	token     TokenSource
	tls       *tls.Config
	timeout   time.Duration
	retries   retries
	userAgent string
}

const (
	defaultTimeout  = 30 * time.Second
	defaultAttempts = 4
	maxAnswer       = 64 << 20
)

// WithAPIKey sends a key with every call.
func WithAPIKey(key string) Option { return func(o *options) { o.apiKey = key } }

// WithToken sends a bearer token with every call.
func WithToken(token string) Option {
	return WithTokenSource(func(context.Context) (string, error) { return token, nil })
}

// WithTokenSource sends the bearer token that the source returns.
func WithTokenSource(s TokenSource) Option { return func(o *options) { o.token = s } }

// WithTLS says whom to trust, and as whom to appear, on https and grpcs
// addresses. Without it the system's roots are trusted.
func WithTLS(c *tls.Config) Option { return func(o *options) { o.tls = c } }

// WithTimeout bounds each attempt of a call; by default 30 s. Waiting and
// watching have no bound but their context.
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// WithAttempts says how often a call is tried in all, where trying again does no
// harm; by default 4. 1 is never again.
func WithAttempts(n int) Option { return func(o *options) { o.retries.attempts = n } }

// WithBackoff sets the bound of the wait before the second attempt, which doubles
// with each further one up to most; by default 100 ms and 5 s. The wait is any
// time up to the bound, and no shorter than the server asks for.
func WithBackoff(first, most time.Duration) Option {
	return func(o *options) { o.retries.first, o.retries.most = first, most }
}

// WithUserAgent names the program.
func WithUserAgent(name string) Option { return func(o *options) { o.userAgent = name } }

// New returns a client of the server at an address: http://, https://, grpc:// or
// grpcs:// with host and port. It connects with the first call. An error says
// what is wrong with the address or the options.
func New(address string, with ...Option) (*Client, error) {
	o := options{
		timeout: defaultTimeout, userAgent: "tasker-go-client",
		retries: retries{attempts: defaultAttempts, first: 100 * time.Millisecond, most: 5 * time.Second},
	}
	for _, opt := range with {
		opt(&o)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("address of the server: %w", err)
	}
	switch {
	case u.Host == "":
		return nil, fmt.Errorf("address of the server %q has no host: give one such as http://localhost:8080 or grpc://localhost:9190", u.Redacted())
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("address of the server %q has more than scheme, host, port and path", u.Redacted())
	case o.apiKey != "" && o.token != nil:
		return nil, fmt.Errorf("give an API key or a token, not both")
	case o.timeout <= 0:
		return nil, fmt.Errorf("timeout is %s, want more than 0", o.timeout)
	case o.retries.attempts < 1:
		return nil, fmt.Errorf("attempts is %d, want 1 or more", o.retries.attempts)
	case o.retries.first <= 0 || o.retries.most < o.retries.first:
		return nil, fmt.Errorf("backoff is %s to %s, want more than 0, and no less at the end", o.retries.first, o.retries.most)
	}
	c := &Client{timeout: o.timeout, retry: o.retries}
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
		c.t = newREST(u, &o)
	case "grpc", "grpcs":
		if strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("address of the server %q has a path, which gRPC has no use for", u.Redacted())
		}
		c.t, err = newRPC(u, &o)
	default:
		err = fmt.Errorf("address of the server %q begins with none of http://, https://, grpc://, grpcs://", u.Redacted())
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close ends the connections. Calls under way fail.
func (c *Client) Close() error { return c.t.close() }

// transport is what REST and gRPC each do in their own way. All errors are
// *Error.
type transport interface {
	close() error

	createTask(ctx context.Context, r *NewTask) (Task, error)
	createTasks(ctx context.Context, r []NewTask, mode BatchMode) (Batch, error)
	getTask(ctx context.Context, id string) (Task, error)
	listTasks(ctx context.Context, q *TaskQuery, cursor string) (TaskPage, error)
	cancelTask(ctx context.Context, id, reason string) (Task, error)
	actOnTask(ctx context.Context, act taskAct, id string, s Said) (Task, error)
	pauseTask(ctx context.Context, id string, s Said) (Pause, error)
	resumeTask(ctx context.Context, id string, s Said) (bool, error)
	explainTask(ctx context.Context, id string) (Explanation, error)
	awaitTask(ctx context.Context, id string, until []TaskState) (Task, error)
	watchTask(ctx context.Context, id, after string, tell func(Event) error) error

	doBulk(ctx context.Context, act taskAct, r *Bulk) (BulkOperation, error)
	getBulk(ctx context.Context, id string) (BulkOperation, error)
	cancelBulk(ctx context.Context, id string, s Said) (BulkOperation, error)

	listSteps(ctx context.Context, task string) ([]Step, error)
	getStep(ctx context.Context, task, step string) (Step, error)
	actOnStep(ctx context.Context, task, step string, a *StepAction) (Step, error)
	stepAudit(ctx context.Context, task, step string) ([]AuditRow, error)

	listTemplates(ctx context.Context, namespace string) (TemplateList, error)
	getTemplate(ctx context.Context, namespace, name, version string) (Template, error)
	registerTemplate(ctx context.Context, text string, revise bool) ([]TemplateRevision, error)
	validateTemplate(ctx context.Context, text string) (TemplateReport, error)

	listDeadLetters(ctx context.Context, f *DeadLetterFilter, offset, limit int) ([]DeadLetter, error)
	getDeadLetter(ctx context.Context, task string) (DeadLetter, error)
	updateDeadLetter(ctx context.Context, id string, u *DeadLetterUpdate) error
	resumeDeadLetter(ctx context.Context, id string, r *Resume) (Task, error)
	resumeDeadLetters(ctx context.Context, r *BulkResume) (ResumeOperation, error)
	getResume(ctx context.Context, id string) (ResumeOperation, error)
	cancelResume(ctx context.Context, id string, s Said) (ResumeOperation, error)

	ready(ctx context.Context) error
	health(ctx context.Context) (Health, error)
}

// taskAct is the last word of a path.
type taskAct string

const (
	giveUp  taskAct = "give_up"
	resolve taskAct = "resolve"
	retry   taskAct = "retry"
	cancel  taskAct = "cancel"
)
