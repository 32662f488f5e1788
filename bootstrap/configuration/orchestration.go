package configuration

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Orchestration holds what the server alone needs.
type Orchestration struct {
	// Longest graceful stop: running steps and queued messages get this time,
	// then the process ends.
	ShutdownTimeout time.Duration `toml:"shutdown_timeout_ms" range:"1000..300000"`
	Web             Web           `toml:"web"`
	GRPC            GRPC          `toml:"grpc"`
	Actors          Actors        `toml:"actors"`
	Dispatch        Dispatch      `toml:"dispatch"`
	DLQ             DLQ           `toml:"dlq"`
	Limits          Limits        `toml:"limits"`
	Templates       Templates     `toml:"templates"`
}

// bindAddress is the type of a key that sets the host and the port of its
// section together; it has no field of its own.
type bindAddress struct{}

// Web is the HTTP door: REST, documentation, health and metrics.
type Web struct {
	// Serve HTTP.
	Enabled bool `toml:"enabled"`
	// Address to listen on: an IP address or a host name; empty means all.
	// Beyond this machine it needs API keys or `allow_insecure`.
	Host string `toml:"host" format:"host"`
	// Port to listen on; 0 takes any free one.
	Port int `toml:"port" range:"0..65535"`
	// `host:port`, instead of the two keys.
	_ bindAddress `toml:"bind_address" env:"TASKER_WEB_BIND_ADDRESS"`
	// Longest handling of a request, then 408.
	RequestTimeout time.Duration `toml:"request_timeout_ms" range:"100..300000"`
	// Longest wait of a request that waits for a task, whatever the former says.
	MaxWait time.Duration `toml:"max_wait_ms" range:"0..3600000"`
	// Largest request body; more than `limits.max_context_bytes`.
	MaxBodyBytes int `toml:"max_body_bytes" range:"1024..67108864"`
	// Serve beyond this machine without any API key, over HTTP and gRPC:
	// whoever reaches the ports may do everything.
	AllowInsecure bool      `toml:"allow_insecure"`
	Auth          Auth      `toml:"auth"`
	TLS           TLS       `toml:"tls"`
	CORS          CORS      `toml:"cors"`
	RateLimit     RateLimit `toml:"rate_limit"`
}

// Address returns host:port, as net.Listen takes it.
func (w Web) Address() string { return net.JoinHostPort(w.Host, strconv.Itoa(w.Port)) }

// GRPC is the gRPC door.
type GRPC struct {
	// Serve gRPC.
	Enabled bool `toml:"enabled"`
	// Address to listen on: an IP address or a host name; empty means all.
	// Beyond this machine it needs API keys or `web.allow_insecure`.
	Host string `toml:"host" format:"host"`
	// Port to listen on; 0 takes any free one.
	Port int `toml:"port" range:"0..65535"`
	// `host:port`, instead of the two keys.
	_ bindAddress `toml:"bind_address" env:"TASKER_ORCHESTRATION_GRPC_BIND_ADDRESS"`
	// Time without traffic after which a connection is pinged.
	KeepaliveInterval time.Duration `toml:"keepalive_interval_seconds" range:"1..3600"`
	// Wait for the answer to a ping before the connection is closed.
	KeepaliveTimeout time.Duration `toml:"keepalive_timeout_seconds" range:"1..300"`
	// Calls open at once on one connection.
	MaxConcurrentStreams int `toml:"max_concurrent_streams" range:"1..10000"`
	// Largest message that is accepted; more than the two `limits`.
	MaxMessageBytes int `toml:"max_message_bytes" range:"1024..67108864"`
	// Answer gRPC reflection (what `grpcurl` asks for).
	EnableReflection bool `toml:"enable_reflection"`
	// Answer the standard gRPC health service.
	EnableHealthService bool `toml:"enable_health_service"`
	TLS                 TLS  `toml:"tls"`
}

// Address returns host:port, as net.Listen takes it.
func (g GRPC) Address() string { return net.JoinHostPort(g.Host, strconv.Itoa(g.Port)) }

// Loopback reports whether only this machine can reach a listener on host. A
// name other than localhost may resolve to anything and counts as reachable,
// as does the empty host, which means all addresses.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// Actors sizes the four actors. A full mailbox refuses at once (503 with
// `Retry-After`, gRPC `UNAVAILABLE`); nothing waits.
type Actors struct {
	// Mailbox of the actor that creates tasks.
	TaskRequestChannelSize int `toml:"task_request_channel_size" range:"1..1000000"`
	// Mailbox of the actor that settles results.
	ResultProcessorChannelSize int `toml:"result_processor_channel_size" range:"1..1000000"`
	// Mailbox of the actor that enqueues ready steps.
	StepEnqueuerChannelSize int `toml:"step_enqueuer_channel_size" range:"1..1000000"`
	// Mailbox of the actor that finishes tasks.
	TaskFinalizerChannelSize int `toml:"task_finalizer_channel_size" range:"1..1000000"`
	// Most messages handled in one transaction.
	MaxBatchMessages int `toml:"max_batch_messages" range:"1..10000"`
	// Most payload handled in one transaction; no less than the two `limits`.
	MaxBatchBytes int `toml:"max_batch_bytes" range:"1024..1073741824"`
	// Result batches in work at the same time.
	ResultProcessorLoops int `toml:"result_processor_loops" range:"1..64"`
}

// Dispatch says how steps reach workers and how lost ones are found.
type Dispatch struct {
	// How long a running step stays a server's own after its last sign of life.
	// A server that dies is noticed at once in most cases; one that is frozen or
	// cut off, after this time.
	LeaseDuration time.Duration `toml:"lease_duration_ms" range:"1000..3600000"`
	// How often a server gives a sign of life; at most a third of
	// `lease_duration_ms`.
	HeartbeatInterval time.Duration `toml:"heartbeat_interval_ms" range:"100..1200000"`
	// Lost leases after which a step fails for good.
	MaxLeaseLosses int `toml:"max_lease_losses" range:"1..1000"`
	// Look for work at least this often, in case a notification was lost.
	SafetyPollInterval time.Duration `toml:"safety_poll_interval_ms" range:"100..600000"`
	// Look for expired leases and overdue retries at least this often.
	RecoveryInterval time.Duration `toml:"recovery_interval_ms" range:"100..600000"`
}

// DLQ says who is told of tasks that need a person, their dead letters, and
// when a task counts as standing still.
type DLQ struct {
	// Where each new dead letter is announced: it gets a signed POST, which is
	// tried again for a day and a half. Empty: the log and the metrics tell.
	WebhookURL Secret `toml:"webhook_url" format:"webhook_url"`
	// Key of the signature, `X-Tasker-Signature`; at least 16 characters.
	WebhookSecret Secret `toml:"webhook_secret" format:"webhook_secret"`
	// Announce over plain HTTP beyond this machine: whoever is in between reads
	// along.
	WebhookAllowInsecure bool `toml:"webhook_allow_insecure"`
	// Names of fields, at any depth and in whatever case, whose values snapshots
	// of dead letters do not show.
	RedactFields []string `toml:"redact_fields" format:"not_empty"`
	// How often one of the servers looks for tasks that should have moved by
	// themselves, and moves them.
	ReconcileInterval time.Duration `toml:"reconcile_interval_seconds" range:"1..3600"`
	Staleness         Staleness     `toml:"staleness_detection"`
}

// Staleness is the search for tasks that stand still: each gets a dead letter.
// A task of which a worker runs a step does not stand still.
type Staleness struct {
	// Search. Explicitly `false`: the view of stale tasks still tells.
	Enabled bool `toml:"enabled"`
	// How often one of the servers searches.
	Interval   time.Duration `toml:"detection_interval_seconds" range:"30..3600"`
	Thresholds Thresholds    `toml:"thresholds"`
}

// Thresholds is how long a task may stay in a state. A template's `lifecycle`
// goes before these.
type Thresholds struct {
	// In `waiting_for_dependencies`.
	WaitingForDependencies time.Duration `toml:"waiting_for_dependencies_minutes" range:"1..43200"`
	// In `waiting_for_retry`.
	WaitingForRetry time.Duration `toml:"waiting_for_retry_minutes" range:"1..43200"`
	// In `steps_in_process`.
	StepsInProcess time.Duration `toml:"steps_in_process_minutes" range:"1..43200"`
	// With a step that no worker's program declares a handler for.
	WorkerUnavailable time.Duration `toml:"worker_unavailable_minutes" range:"1..43200"`
}

// Limits bounds payloads.
type Limits struct {
	// Largest context of a task, as JSON.
	MaxContextBytes int `toml:"max_context_bytes" range:"1024..33554432"`
	// Largest result of a step, as JSON.
	MaxResultBytes int `toml:"max_result_bytes" range:"1024..33554432"`
}

// Templates says where task templates come from.
type Templates struct {
	// Folder or file with task templates (YAML), registered at start. Empty:
	// none beyond those in the database.
	Path string `toml:"path" env:"TASKER_TEMPLATE_PATH"`
	// A file whose content differs from what is registered under its version:
	// `refuse` to start, or `revise` what is registered; tasks that exist keep
	// what they started with.
	OnChange OnChange `toml:"on_change" oneof:"refuse revise"`
}

// OnChange is what happens to a template whose content changed under a used
// version.
type OnChange string

// The values of OnChange.
const (
	OnChangeRefuse OnChange = "refuse"
	OnChangeRevise OnChange = "revise"
)
