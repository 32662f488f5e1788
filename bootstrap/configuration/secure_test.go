package configuration

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecurityKeys(t *testing.T) {
	t.Parallel()
	c, warnings, err := loadFile(t, `
[orchestration.web.tls]
enabled = true
cert_path = "web.crt"
key_path = "web.key"
[orchestration.web.cors]
allowed_origins = ["https://console.example", "http://localhost:3000"]
[orchestration.web.rate_limit]
enabled = true
requests_per_second = 0.5
[orchestration.grpc.tls]
enabled = true
cert_path = "rpc.crt"
key_path = "rpc.key"
client_ca_path = "ca.crt"
client_auth = "REQUIRE"
`)
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, TLS{Enabled: true, CertPath: "web.crt", KeyPath: "web.key", ClientAuth: ClientAuthNone}, c.Orchestration.Web.TLS)
	require.Equal(t, TLS{
		Enabled: true, CertPath: "rpc.crt", KeyPath: "rpc.key", ClientCAPath: "ca.crt", ClientAuth: ClientAuthRequire,
	}, c.Orchestration.GRPC.TLS)
	require.Equal(t, []string{"https://console.example", "http://localhost:3000"}, c.Orchestration.Web.CORS.AllowedOrigins)
	require.Equal(t, RateLimit{Enabled: true, RequestsPerSecond: 0.5, Burst: 200, FailuresPerSecond: 1, FailureBurst: 20}, c.Orchestration.Web.RateLimit)
}

func TestSecurityKeysThatDoNotFit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, key, message string }{
		"no certificate": {
			"[orchestration.web.tls]\nenabled = true\nkey_path = \"k\"",
			"orchestration.web.tls.cert_path", "must be the file of a certificate, because orchestration.web.tls.enabled is true",
		},
		"no key": {
			"[orchestration.grpc.tls]\nenabled = true\ncert_path = \"c\"",
			"orchestration.grpc.tls.key_path", "must be the file of the key of the certificate, because orchestration.grpc.tls.enabled is true",
		},
		"no authority": {
			"[orchestration.grpc.tls]\nenabled = true\ncert_path = \"c\"\nkey_path = \"k\"\nclient_auth = \"request\"",
			"orchestration.grpc.tls.client_ca_path", "must be the file of the authorities of clients, because orchestration.grpc.tls.client_auth is request",
		},
		"another way": {
			"[orchestration.grpc.tls]\nclient_auth = \"optional\"",
			"orchestration.grpc.tls.client_auth", "must be one of none, request, require",
		},
		"any origin and more": {
			"[orchestration.web.cors]\nallowed_origins = [\"https://a.example\", \"*\"]",
			"orchestration.web.cors.allowed_origins", `must be "*" alone, or a list without it`,
		},
		"no rate": {
			"[orchestration.web.rate_limit]\nrequests_per_second = 0",
			"orchestration.web.rate_limit.requests_per_second", "must be between 0.01 and 1000000",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := loadFile(t, c.file)
			require.ErrorContains(t, err, c.key+": "+c.message)
		})
	}
}

func TestCertificatesThatAreNotUsedAreNamed(t *testing.T) {
	t.Parallel()
	_, warnings, err := loadFile(t, "[orchestration.web.tls]\ncert_path = \"c\"\nkey_path = \"k\"")
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0].String(), "orchestration.web.tls.enabled: a certificate is configured but not used")
	_, warnings, err = loadFile(t, "[orchestration.web.tls]\nenabled = true\ncert_path = \"c\"\nkey_path = \"k\"\nclient_ca_path = \"a\"")
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0].String(), "orchestration.web.tls.client_ca_path: is not used")
}

// TLS says nothing of who calls: a door beyond this machine needs keys all the
// same.
func TestTLSIsNoCredential(t *testing.T) {
	t.Parallel()
	const tls = "[orchestration.web.tls]\nenabled = true\ncert_path = \"c\"\nkey_path = \"k\"\n"
	_, _, err := loadFile(t, "[orchestration.web]\nhost = \"0.0.0.0\"\n"+tls)
	require.ErrorContains(t, err, "orchestration.web.host: is reachable from other machines")
	_, _, err = loadFile(t, "[orchestration.web]\nhost = \"0.0.0.0\"\nallow_insecure = true\n"+tls)
	require.NoError(t, err)
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	for given, ok := range map[string]bool{
		"*": true, "https://a.example": true, "https://a.example:8443": true, "http://localhost:3000": true, "http://[::1]:3000": true,
		"": false, "null": false, "a.example": false, "https://": false, "https://a.example/": false, "https://a.example/x": false,
		"https://a.example:443": false, "http://a.example:80": false, "http://a.example:443": true, "https://A.example": false,
		"https://*.example": true, "ftp://a.example": false, "https://u@a.example": false, "https://a.example?x": false,
		"https://a.example:": false, "https://a.example#": false, "https://a b": false,
	} {
		require.Equal(t, ok, origin(given) == "", "%q: %s", given, origin(given))
	}
}
