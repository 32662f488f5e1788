package configuration

import (
	"fmt"
	"strings"
)

// original is names of the original system that set nothing here.
type original struct {
	keys []string // dotted; a section stands for all that is below it
	why  string   // what holds instead, to follow "has no effect here: "
	only string   // the value that is ignored without harm, when others would mislead; they stop the start
}

// originals lets people start with the file that they have: a name of the
// original that has no meaning here is a warning, not an unknown key.
var originals = []original{
	{
		keys: []string{
			"common.backoff.default_backoff_seconds", "common.backoff.max_backoff_seconds", "common.backoff.backoff_multiplier",
		},
		why: "waits come from each template's retry",
	},
	{
		keys: []string{
			"common.database.pool.min_connections", "common.database.pool.acquire_timeout_seconds",
			"common.database.pool.slow_acquire_threshold_ms",
		},
		why: "the server decides how many connections stay open and how long it waits for one",
	},
	{
		keys: []string{"common.pgmq_database", "common.queues"},
		why:  "the queue of steps is part of common.database, and a full mailbox, sized in orchestration.actors, refuses",
	},
	{
		keys: []string{
			"common.circuit_breakers.default_config.failure_threshold", "common.circuit_breakers.default_config.success_threshold",
			"common.circuit_breakers.default_config.timeout_seconds",
		},
		why: "a breaker opens by failure_ratio and minimum_volume, closes after probes, and has a timeout_ms of its own",
	},
	{
		keys: []string{
			"common.circuit_breakers.component_configs.cache", "common.circuit_breakers.component_configs.messaging",
			"common.circuit_breakers.component_configs.task_readiness", "common.circuit_breakers.component_configs.web",
		},
		why: "the one breaker is database_writes",
	},
	{
		keys: []string{"common.circuit_breakers.global_settings"},
		why:  "the state of a breaker is read when it is asked for",
	},
	{
		keys: []string{"common.mpsc_channels", "orchestration.mpsc_channels"},
		why:  "the mailboxes are sized in orchestration.actors",
	},
	{
		keys: []string{"common.execution"},
		why:  "the environment is TASKER_ENV, and a batch is bounded in orchestration.actors",
	},
	{
		keys: []string{"common.cache"},
		why:  "no cache server is used",
	},
	{
		keys: []string{"common.system"},
		why:  "no system stands in where a template names none",
	},
	{
		keys: []string{"common.task_templates"},
		why:  "templates come from orchestration.templates.path",
	},
	{
		keys: []string{"orchestration.enable_performance_logging"},
		why:  "times are measured always and stand in /metrics",
	},
	{
		keys: []string{"orchestration.event_systems"},
		why:  "steps are handed out as they become ready; orchestration.dispatch bounds what a lost notification costs",
	},
	{
		keys: []string{"orchestration.batch_processing", "orchestration.decision_points"},
		why:  "this version has no such settings",
	},
	{
		keys: []string{"orchestration.dlq.enabled", "orchestration.dlq.staleness_detection.actions"},
		why:  "a task that needs a person always gets a dead letter",
	},
	{
		keys: []string{"orchestration.dlq.staleness_detection.dry_run"},
		why:  "orchestration.dlq.staleness_detection.enabled = false leaves stale tasks alone, and the view of them still tells",
		only: "false",
	},
	{
		keys: []string{"orchestration.dlq.staleness_detection.batch_size"},
		why:  "a search goes on until it has seen all stale tasks",
	},
	{
		keys: []string{"orchestration.dlq.staleness_detection.thresholds.task_max_lifetime_hours"},
		why:  "the longest life of a task is its template's to say, in lifecycle",
	},
	{
		keys: []string{"orchestration.web.database_pools"},
		why:  "HTTP shares the connections of common.database.pool",
	},
	{
		keys: []string{"orchestration.web.config_endpoint_enabled"},
		why:  "GET /config is always served, to those who may read it",
	},
	{
		keys: []string{"orchestration.web.auth.jwt_private_key", "orchestration.web.auth.jwt_token_expiry_hours"},
		why:  "the server verifies tokens and signs none",
	},
	{
		keys: []string{"orchestration.grpc.tls_enabled"},
		why:  "TLS needs a certificate, so it is switched on in [orchestration.grpc.tls]",
		only: "false",
	},
	{
		keys: []string{"orchestration.grpc.max_frame_size"},
		why:  "frames are sized by the gRPC library; max_message_bytes bounds a message",
	},
	{
		keys: []string{"worker"},
		why:  "the server reads nothing of its workers; the program that has the handlers sets how many run at once",
	},
}

// ofOriginal returns the entry that key, or a section above it, stands in.
func ofOriginal(key string) (original, bool) {
	for _, o := range originals {
		for _, known := range o.keys {
			if key == known || strings.HasPrefix(key, known+".") {
				return o, true
			}
		}
	}
	return original{}, false
}

// unknown reports a key that is not in the schema: as a warning when the
// original system has it, else with hint, which says what is near.
func (y *layer) unknown(key string, raw any, hint string) {
	o, ok := ofOriginal(key)
	switch {
	case !ok:
		y.fail(key, "%s", hint)
	case o.only != "" && fmt.Sprint(raw) != o.only:
		y.fail(key, "may be %s or be removed, nothing else: %s", o.only, o.why)
	default:
		y.warn(key, "has no effect here: %s; remove it", o.why)
	}
}
