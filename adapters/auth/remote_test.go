package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/auth"
)

// publisher serves a key set, and the OpenID configuration that leads to it.
type publisher struct {
	*httptest.Server
	asked atomic.Int32 // for the set

	mu     sync.Mutex
	answer func(http.ResponseWriter)
	issuer string // instead of its own
}

func publish(t *testing.T, keys ...map[string]any) *publisher {
	t.Helper()
	p := &publisher{}
	p.set(keys...)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.answer(w)
	})
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": p.URL + p.issuer, "jwks_uri": p.URL + "/keys"})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) answers(with func(http.ResponseWriter)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = with
}

func (p *publisher) set(keys ...map[string]any) {
	p.answers(func(w http.ResponseWriter) { _ = json.NewEncoder(w).Encode(map[string]any{"keys": keys}) })
}

func (p *publisher) down() {
	p.answers(func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) })
}

// jwkOf is a public key as key sets have it.
func jwkOf(id string, key crypto.PublicKey, more ...any) map[string]any {
	text := base64.RawURLEncoding.EncodeToString
	j := map[string]any{"kid": id}
	switch k := key.(type) {
	case *rsa.PublicKey:
		j["kty"], j["n"], j["e"] = "RSA", text(k.N.Bytes()), text(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		point := made(k.Bytes())
		size := len(point) / 2
		j["kty"], j["crv"], j["x"], j["y"] = "EC", k.Curve.Params().Name, text(point[1:1+size]), text(point[1+size:])
	case ed25519.PublicKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", text(k)
	}
	for i := 0; i+1 < len(more); i += 2 {
		j[more[i].(string)] = more[i+1]
	}
	return j
}

// clock is set by hand.
type clock struct{ now atomic.Int64 }

func (c *clock) time() time.Time        { return noon.Add(time.Duration(c.now.Load())) }
func (c *clock) passes(d time.Duration) { c.now.Add(int64(d)) }
func discard() *slog.Logger             { return slog.New(slog.DiscardHandler) }
func remote(c auth.RemoteConfig) *auth.Remote {
	c.AllowHTTP, c.AllowPrivate, c.Algorithms = true, true, []string{"RS256", "ES256", "ES384", "EdDSA"}
	if c.Refresh == 0 {
		c.Refresh, c.MaxStale = time.Hour, 5*time.Minute
	}
	if c.Now == nil {
		c.Now = func() time.Time { return noon }
	}
	return auth.NewRemote(c, discard())
}

func anyAlgorithm(c *auth.TokenConfig) { c.Algorithms = []string{"RS256", "ES256", "ES384", "EdDSA"} }

func rs256(id string) string { return signed(jwt.SigningMethodRS256, rsaKey(), id, claims(nil)) }

func TestPublishedKeys(t *testing.T) {
	t.Parallel()
	p := publish(
		t, jwkOf("r", rsaKey().Public()), jwkOf("e", ecKey().Public(), "use", "sig", "alg", "ES256"), jwkOf("e3", ec384Key().Public()),
		jwkOf("o", edKey().Public()), jwkOf("enc", rsaKey().Public(), "use", "enc"), jwkOf("", rsaKey().Public()),
		jwkOf("ops", rsaKey().Public(), "key_ops", []string{"encrypt"}), jwkOf("alg", rsaKey().Public(), "alg", "RS512"),
		jwkOf("bound", rsaKey().Public(), "alg", "ES256"),
		map[string]any{"kid": "secret", "kty": "oct", "k": "c2VjcmV0"}, map[string]any{"kid": "odd", "kty": 7},
		jwkOf("short", shortKey), jwkOf("off", ecKey().Public(), "y", "AAAA"), map[string]any{"kid": "bad", "kty": "RSA", "n": "!", "e": "AQAB"},
		map[string]any{"kid": "one", "kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(rsaKey().N.Bytes()), "e": "AQ"},
	)
	source := remote(auth.RemoteConfig{URL: p.URL + "/keys"})
	for name, c := range map[string]struct{ token, why string }{
		"RSA":                     {rs256("r"), ""},
		"P-256":                   {signed(jwt.SigningMethodES256, ecKey(), "e", claims(nil)), ""},
		"P-384":                   {signed(jwt.SigningMethodES384, ec384Key(), "e3", claims(nil)), ""},
		"Ed25519":                 {signed(jwt.SigningMethodEdDSA, edKey(), "o", claims(nil)), ""},
		"no key id":               {rs256(""), "kid is missing"},
		"an unknown key id":       {rs256("x"), "not among those that are published"},
		"a key for encryption":    {rs256("enc"), "not among"},
		"a key to encrypt with":   {rs256("ops"), "not among"},
		"another algorithm's":     {rs256("alg"), "not among"},
		"bound to another":        {rs256("bound"), "not for this algorithm"},
		"a key that does not fit": {rs256("e"), "not for this algorithm"},
		"another's key":           {signed(jwt.SigningMethodRS256, otherKey(), "r", claims(nil)), "not signed with"},
		"a shared secret":         {signed(jwt.SigningMethodHS256, []byte("secret"), "secret", claims(nil)), "not signed with"},
		"a short key":             {rs256("short"), "not among"},
		"a point off the curve":   {signed(jwt.SigningMethodES256, ecKey(), "off", claims(nil)), "not among"},
		"a broken key":            {rs256("bad"), "not among"},
		"an exponent of one":      {rs256("one"), "not among"},
	} {
		_, why := verify(t, config(anyAlgorithm), source, c.token)
		if c.why == "" {
			require.Empty(t, why, name)
		} else {
			require.Contains(t, why, c.why, name)
		}
	}
	require.EqualValues(t, 1, p.asked.Load(), "unknown keys do not make it ask again at once")
	require.Empty(t, source.Trouble())
}

func TestKeysAreRotated(t *testing.T) {
	t.Parallel()
	p, c := publish(t, jwkOf("old", otherKey().Public())), &clock{}
	source := remote(auth.RemoteConfig{URL: p.URL + "/keys", Now: c.time})
	_, why := verify(t, config(nil), source, signed(jwt.SigningMethodRS256, otherKey(), "old", claims(nil)))
	require.Empty(t, why)
	p.set(jwkOf("new", rsaKey().Public()))
	_, why = verify(t, config(nil), source, rs256("new"))
	require.Contains(t, why, "not among", "it was read a moment ago")
	c.passes(10 * time.Second)
	_, why = verify(t, config(nil), source, rs256("new"))
	require.Empty(t, why)
	_, why = verify(t, config(nil), source, signed(jwt.SigningMethodRS256, otherKey(), "old", claims(nil)))
	require.NotEmpty(t, why, "what is not published any more is not believed")
	require.EqualValues(t, 2, p.asked.Load())
}

func TestStaleKeysAreUsedForAWhile(t *testing.T) {
	t.Parallel()
	p, c := publish(t, jwkOf("r", rsaKey().Public())), &clock{}
	source := remote(auth.RemoteConfig{URL: p.URL + "/keys", Now: c.time})
	check := func(good bool, trouble string) {
		t.Helper()
		_, why := verify(t, config(nil), source, rs256("r"))
		require.Equal(t, good, why == "", why)
		require.Contains(t, source.Trouble(), trouble)
	}
	check(true, "")
	p.down()
	c.passes(time.Hour + 5*time.Minute)
	_, why := verify(t, config(nil), source, rs256("x"))
	require.NotEmpty(t, why)
	check(true, "those known are used for now")
	c.passes(time.Second)
	check(false, "bearer tokens are refused")
	p.set(jwkOf("r", rsaKey().Public()))
	check(false, "bearer tokens are refused")
	c.passes(10 * time.Second)
	check(true, "")
}

func TestASourceThatFailsAtTheStart(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter){
		"an error":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"a redirect":    func(w http.ResponseWriter) { w.Header().Set("Location", "/elsewhere"); w.WriteHeader(http.StatusFound) },
		"no JSON":       func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) },
		"no keys":       func(w http.ResponseWriter) { _, _ = w.Write([]byte("{}")) },
		"far too much":  func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"keys":[` + strings.Repeat(" ", 1<<20) + `]}`)) },
		"no usable key": func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"keys":[{"kty":"oct","kid":"r","k":"eA"}]}`)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, c := publish(t), &clock{}
			p.answers(answer)
			source := remote(auth.RemoteConfig{URL: p.URL + "/keys", Now: c.time})
			_, why := verify(t, config(nil), source, rs256("r"))
			require.Contains(t, why, "cannot be read at present")
			require.Contains(t, source.Trouble(), "bearer tokens are refused")
			p.set(jwkOf("r", rsaKey().Public()))
			c.passes(10 * time.Second)
			_, why = verify(t, config(nil), source, rs256("r"))
			require.Empty(t, why, "it comes back by itself")
		})
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	p := publish(t, jwkOf("r", rsaKey().Public()))
	of := func(c *auth.TokenConfig) { c.Issuer = p.URL }
	token := signed(jwt.SigningMethodRS256, rsaKey(), "r", claims(jwt.MapClaims{"iss": p.URL}))
	_, why := verify(t, config(of), remote(auth.RemoteConfig{Issuer: p.URL}), token)
	require.Empty(t, why)
	_, why = verify(t, config(of), remote(auth.RemoteConfig{Issuer: p.URL}), rs256("r"))
	require.Contains(t, why, "another issuer")
	p.mu.Lock()
	p.issuer = "/other"
	p.mu.Unlock()
	_, why = verify(t, config(of), remote(auth.RemoteConfig{Issuer: p.URL}), token)
	require.Contains(t, why, "cannot be read at present", "the configuration is somebody else's")
}

func TestRunKeepsKeysFresh(t *testing.T) {
	t.Parallel()
	p := publish(t, jwkOf("old", otherKey().Public()))
	source := remote(auth.RemoteConfig{URL: p.URL + "/keys"})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx) }()
	require.Eventually(t, func() bool { return p.asked.Load() == 1 }, 5*time.Second, time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
}

func TestMany(t *testing.T) {
	t.Parallel()
	p := publish(t, jwkOf("r", rsaKey().Public()))
	source := remote(auth.RemoteConfig{URL: p.URL + "/keys"})
	token := rs256("r")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			_, err := source.Key(t.Context(), "r", "RS256")
			require.NoError(t, err)
			_, _ = source.Key(t.Context(), "nobody's", "RS256")
		})
	}
	all.Wait()
	_, why := verify(t, config(nil), source, token)
	require.Empty(t, why)
	require.EqualValues(t, 1, p.asked.Load(), "they ask together")
}

func TestWhereKeysAreReadFrom(t *testing.T) {
	t.Parallel()
	for address, wrong := range map[string]string{
		"https://id.example.com/keys":            "",
		"https://203.0.113.7/keys":               "",
		"https://[2606:4700::1]/keys":            "",
		"http://id.example.com/keys":             "plain HTTP",
		"https://localhost/keys":                 "no keys are read",
		"https://LOCALHOST./keys":                "no keys are read",
		"https://a.localhost/keys":               "no keys are read",
		"https://127.0.0.1/keys":                 "no keys are read",
		"https://0.0.0.0/keys":                   "no keys are read",
		"https://10.1.2.3/keys":                  "no keys are read",
		"https://172.16.0.1/keys":                "no keys are read",
		"https://192.168.1.1:8443/keys":          "no keys are read",
		"https://169.254.169.254/keys":           "no keys are read",
		"https://[::1]/keys":                     "no keys are read",
		"https://[::]/keys":                      "no keys are read",
		"https://[fe80::1]/keys":                 "no keys are read",
		"https://[::ffff:127.0.0.1]/keys":        "no keys are read",
		"https://[fd00::1]/keys":                 "no keys are read",
		"https://metadata.google.internal/keys":  "no keys are read",
		"https://METADATA.google.internal./keys": "no keys are read",
		"https://user:secret@id.example.com/":    "user name",
		"file:///etc/passwd":                     "no address",
		"id.example.com":                         "no address",
		"":                                       "no address",
	} {
		err := auth.CheckAddress(address, false, false)
		if wrong == "" {
			require.NoError(t, err, address)
		} else {
			require.ErrorContains(t, err, wrong, address)
		}
	}
	require.NoError(t, auth.CheckAddress("http://127.0.0.1/keys", true, true))
	require.NoError(t, auth.CheckAddress("http://localhost/keys", true, true))
	require.Error(t, auth.CheckAddress("http://127.0.0.1/keys", true, false), "HTTP alone does not open this machine")
	require.Error(t, auth.CheckAddress("https://169.254.169.254/", true, true), "secrets of the cloud are never read")
	require.Error(t, auth.CheckAddress("https://metadata.google.internal/", true, true))
}

// A name that resolves to this machine is refused when it is dialled.
func TestNamesAreLookedAtWhenTheyAreDialled(t *testing.T) {
	t.Parallel()
	p := publish(t, jwkOf("r", rsaKey().Public()))
	c := auth.RemoteConfig{
		URL: p.URL + "/keys", Refresh: time.Hour, AllowHTTP: true, Algorithms: []string{"RS256"}, Now: func() time.Time { return noon },
	}
	_, err := auth.NewRemote(c, discard()).Key(t.Context(), "r", "RS256")
	require.ErrorContains(t, err, "cannot be read at present")
	require.Zero(t, p.asked.Load())
}
