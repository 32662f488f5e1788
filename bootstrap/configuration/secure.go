package configuration

import (
	"net/url"
	"strings"
)

// TLS encrypts the connections of the door. The files are read again when they
// change; a change that cannot be used is logged, and what was there before
// stays in use. Versions before 1.2 are refused.
type TLS struct {
	// Serve TLS, and nothing else, on the port.
	Enabled bool `toml:"enabled"`
	// File with the certificate in PEM, those between it and its root behind it.
	CertPath string `toml:"cert_path"`
	// File with the key of the certificate in PEM.
	KeyPath string `toml:"key_path"`
	// File with the certificates, in PEM, of the authorities that client
	// certificates come from. Needed unless `client_auth` is `none`.
	ClientCAPath string `toml:"client_ca_path"`
	// What clients have to present: `none`, nothing; `request`, a certificate
	// or nothing; `require`, a certificate. One that is presented has to come
	// from the authorities. It does not stand in for a key.
	ClientAuth ClientAuth `toml:"client_auth" oneof:"none request require"`
}

// ClientAuth is what clients have to present.
type ClientAuth string

// The values of ClientAuth.
const (
	ClientAuthNone    ClientAuth = "none"
	ClientAuthRequest ClientAuth = "request"
	ClientAuthRequire ClientAuth = "require"
)

// CORS lets pages of other origins call the API in a browser. Off while the
// list is empty. Browsers send no cookies and no other credentials by
// themselves: a page has to know a key.
type CORS struct {
	// Origins that may call: `https://console.example`, with its port where
	// that is not the usual one. `*` alone means any.
	AllowedOrigins []string `toml:"allowed_origins" format:"origin"`
}

// RateLimit bounds how often one caller may ask a server, over both doors
// together; more is answered 429 with `Retry-After`, gRPC
// `RESOURCE_EXHAUSTED`. Health, metrics and documentation are not counted.
// Where no keys are asked for, callers are told apart by their address.
type RateLimit struct {
	// Count calls.
	Enabled bool `toml:"enabled"`
	// Calls of one caller per second, in the long run.
	RequestsPerSecond float64 `toml:"requests_per_second" range:"0.01..1000000"`
	// Calls of one caller at once, after a rest.
	Burst int `toml:"burst" range:"1..1000000"`
	// Calls with bad credentials from one address per second, in the long run;
	// calls with good ones are not held back by them.
	FailuresPerSecond float64 `toml:"failures_per_second" range:"0.01..1000000"`
	// Calls with bad credentials from one address at once, after a rest.
	FailureBurst int `toml:"failure_burst" range:"1..1000000"`
}

// checkSecurity adds what is wrong with TLS and CORS.
func checkSecurity(o Orchestration, m *merge) {
	checkTLS("orchestration.web.tls", o.Web.TLS, m)
	checkTLS("orchestration.grpc.tls", o.GRPC.TLS, m)
	const origins = "orchestration.web.cors.allowed_origins"
	for _, allowed := range o.Web.CORS.AllowedOrigins {
		if allowed == anyOrigin && len(o.Web.CORS.AllowedOrigins) > 1 {
			m.blame(origins, "must be %q alone, or a list without it", anyOrigin)
			break
		}
	}
}

func checkTLS(section string, t TLS, m *merge) {
	if !t.Enabled {
		if t.CertPath != "" || t.KeyPath != "" {
			m.warn(m.origin[section+".cert_path"], section+".enabled", "a certificate is configured but not used, because this is false")
		}
		return
	}
	for _, needed := range []struct{ key, path, what string }{
		{"cert_path", t.CertPath, "a certificate"}, {"key_path", t.KeyPath, "the key of the certificate"},
	} {
		if needed.path == "" {
			m.blame(section+"."+needed.key, "must be the file of %s, because %s.enabled is true", needed.what, section)
		}
	}
	if t.ClientAuth != ClientAuthNone && t.ClientCAPath == "" {
		m.blame(section+".client_ca_path", "must be the file of the authorities of clients, because %s.client_auth is %s", section, t.ClientAuth)
	}
	if t.ClientAuth == ClientAuthNone && t.ClientCAPath != "" {
		m.warn(m.origin[section+".client_ca_path"], section+".client_ca_path", "is not used, because client_auth is none")
	}
}

const anyOrigin = "*"

// origin accepts what browsers send as Origin: scheme, host and port, nothing
// behind them, and the port only where it is not the usual one.
func origin(s string) string {
	if s == anyOrigin {
		return ""
	}
	u, err := url.Parse(s)
	usual := map[string]string{"http": "80", "https": "443"}
	switch {
	case err != nil, usual[u.Scheme] == "", u.Hostname() == "", s != u.Scheme+"://"+u.Host, s != strings.ToLower(s), strings.HasSuffix(u.Host, ":"):
		return "must be an origin as browsers send it, in small letters: https://host or https://host:port, without a path"
	case u.Port() == usual[u.Scheme]:
		return "must be without the port, which is the usual one: browsers leave it out"
	}
	return ""
}
