package configuration

import (
	"fmt"
	"net/url"
	"strings"
)

const (
	keyAuthEnabled = "orchestration.web.auth.enabled"
	keyListEnabled = "orchestration.web.auth.api_keys_enabled"
	keyAPIKey      = "orchestration.web.auth.api_key"
	keyAPIKeys     = "orchestration.web.auth.api_keys"
	keyInsecure    = "orchestration.web.allow_insecure"
	keyWebHost     = "orchestration.web.host"
	keyGRPCHost    = "orchestration.grpc.host"
	keyWebhook     = "orchestration.dlq.webhook_url"
	keySigning     = "orchestration.dlq.webhook_secret"
	keyPlain       = "orchestration.dlq.webhook_allow_insecure"
)

// check adds what is wrong between keys.
func check(c *Config, m *merge) {
	checkKeys(c.Orchestration.Web.Auth, m)
	checkRoles(c.Orchestration.Web.Auth, m)
	checkTokens(c.Orchestration.Web.Auth, m)
	checkDoors(c.Orchestration, m)
	checkSecurity(c.Orchestration, m)
	checkSizes(c, m)
	checkWebhook(c.Orchestration.DLQ, m)
}

// blame reports a problem of key with the source that set it.
func (m *merge) blame(key, format string, args ...any) {
	m.fail(m.origin[key], key, format, args...)
}

func checkKeys(a Auth, m *merge) {
	seen := map[Secret]int{}
	for i, k := range a.APIKeys {
		at := fmt.Sprintf("%s[%d]", keyAPIKeys, i)
		source := m.origin[keyAPIKeys]
		if k.Key == "" {
			m.fail(source, at+".key", "must not be empty")
		} else if j, twice := seen[k.Key]; twice {
			m.fail(source, at+".key", "is the same as %s[%d].key", keyAPIKeys, j)
		} else {
			seen[k.Key] = i
		}
		if len(k.Permissions) == 0 && len(k.Roles) == 0 {
			m.fail(source, at+".permissions", "must name at least one permission, such as tasks:read or tasks:*, or roles one role")
		}
	}
	configured := a.APIKey != "" || len(a.APIKeys) > 0
	switch {
	case a.Enabled && len(a.Keys()) == 0 && !a.Tokens():
		m.blame(keyAuthEnabled, "is true, but there is no key to accept; set %s (TASKER_API_KEY) or %s", keyAPIKey, keyAPIKeys)
	case !a.Enabled && configured:
		m.warn(m.origin[keyAuthEnabled], keyAuthEnabled, "API keys are configured but not asked for")
	case a.APIKey != "" && a.APIKeysEnabled && len(a.APIKeys) > 0:
		m.warn(m.origin[keyAPIKey], keyAPIKey, "is not accepted, because %s is used instead", keyAPIKeys)
	}
}

// checkDoors refuses to serve strangers: beyond this machine a door needs keys.
func checkDoors(o Orchestration, m *merge) {
	var open []string
	if o.Web.Enabled && !Loopback(o.Web.Host) {
		open = append(open, keyWebHost)
	}
	if o.GRPC.Enabled && !Loopback(o.GRPC.Host) {
		open = append(open, keyGRPCHost)
	}
	if len(open) > 0 && len(o.Web.Auth.Keys()) == 0 && !o.Web.Auth.Tokens() {
		if o.Web.AllowInsecure {
			m.warn(m.origin[keyInsecure], keyInsecure, "whoever reaches %s may do everything", strings.Join(open, " and "))
		} else {
			lack, remedy := "no API key is configured", "set "+keyAPIKey+" (TASKER_API_KEY)"
			if m.k.Exists(keyAuthEnabled) && !o.Web.Auth.Enabled {
				lack, remedy = keyAuthEnabled+" is false", "remove that and "+remedy
			}
			for _, key := range open {
				m.blame(key, "is reachable from other machines and %s: %s, or the host to 127.0.0.1, or %s to true", lack, remedy, keyInsecure)
			}
		}
	}
	if o.Web.Enabled && o.GRPC.Enabled && o.Web.Port != 0 && o.Web.Port == o.GRPC.Port {
		m.blame("orchestration.grpc.port", "is also orchestration.web.port; the two need different ports")
	}
}

// checkWebhook wants announcements signed, and encrypted once they leave this
// machine.
func checkWebhook(d DLQ, m *merge) {
	u, err := url.Parse(d.WebhookURL.Reveal())
	if d.WebhookURL == "" || err != nil { // what cannot be read has been said
		return
	}
	if d.WebhookSecret == "" {
		m.blame(keyWebhook, "needs %s, which signs what is sent", keySigning)
	}
	if u.Scheme == "http" && !Loopback(u.Hostname()) {
		if d.WebhookAllowInsecure {
			m.warn(m.origin[keyPlain], keyPlain, "dead letters are announced over plain HTTP")
		} else {
			m.blame(keyWebhook, "is plain HTTP beyond this machine; use https, or set %s to true", keyPlain)
		}
	}
}

// checkSizes compares numbers that depend on each other.
func checkSizes(c *Config, m *merge) {
	o, limits := c.Orchestration, c.Orchestration.Limits
	payload := max(limits.MaxContextBytes, limits.MaxResultBytes)
	const both = "orchestration.limits.max_context_bytes and max_result_bytes"
	for _, rule := range []struct {
		holds        bool
		key, message string
	}{
		{
			o.Web.MaxBodyBytes > limits.MaxContextBytes, "orchestration.web.max_body_bytes",
			"must be more than orchestration.limits.max_context_bytes: a body holds the context and more",
		},
		{
			o.GRPC.MaxMessageBytes > payload, "orchestration.grpc.max_message_bytes",
			"must be more than " + both + ": a message holds the payload and more",
		},
		{
			o.Actors.MaxBatchBytes >= payload, "orchestration.actors.max_batch_bytes",
			"must not be less than " + both + ": a batch holds at least one message",
		},
		{
			o.Dispatch.HeartbeatInterval*3 <= o.Dispatch.LeaseDuration, "orchestration.dispatch.heartbeat_interval_ms",
			"must be at most a third of orchestration.dispatch.lease_duration_ms: one lost heartbeat must not cost a lease",
		},
	} {
		if !rule.holds {
			m.blame(rule.key, "%s", rule.message)
		}
	}
}
