package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"log/slog"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/auth"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Keys of one kind each: making them takes time.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return made(rsa.GenerateKey(rand.Reader, 2048)) })
	otherKey = sync.OnceValue(func() *rsa.PrivateKey { return made(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { return made(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	ec384Key = sync.OnceValue(func() *ecdsa.PrivateKey { return made(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	edKey    = sync.OnceValue(func() ed25519.PrivateKey { _, k, err := ed25519.GenerateKey(rand.Reader); return made(k, err) })
)

func made[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func publicPEM(key crypto.PublicKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: made(x509.MarshalPKIXPublicKey(key))})
}

// claims are those of a good token; changes replace some, nil takes one away.
func claims(changes jwt.MapClaims) jwt.MapClaims {
	c := jwt.MapClaims{
		"sub": "ann", "iss": "tasker-core", "aud": "tasker-api", "iat": noon.Unix(), "exp": noon.Add(time.Hour).Unix(),
		"permissions": []string{"tasks:read", "steps:*"},
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func signed(method jwt.SigningMethod, key any, id string, c jwt.MapClaims) string {
	t := jwt.NewWithClaims(method, c)
	if id != "" {
		t.Header["kid"] = id
	}
	return made(t.SignedString(key))
}

func config(change func(*auth.TokenConfig)) auth.TokenConfig {
	c := auth.TokenConfig{
		Issuer: "tasker-core", Audience: "tasker-api", Algorithms: []string{"RS256"}, PermissionsClaim: "permissions", RolesClaim: "roles",
		Strict: true, Roles: access.DefaultRoles(), Now: func() time.Time { return noon },
	}
	if change != nil {
		change(&c)
	}
	return c
}

func verify(t *testing.T, c auth.TokenConfig, source auth.KeySource, token string) (access.Principal, string) {
	t.Helper()
	keys := auth.New([]auth.Key{{Key: "k"}}, "").WithTokens(auth.NewTokens(c, source, slog.New(slog.DiscardHandler)))
	p, err := keys.Authenticate(t.Context(), "Bearer "+token, "k") // the key is good, and not looked at
	if err == nil {
		require.Equal(t, access.KindJWT, p.Kind)
		return p, ""
	}
	require.True(t, fault.Is(err, fault.CodeUnauthenticated))
	require.Equal(t, auth.Invalid, fault.Of(err).Meta[auth.MetaReason])
	require.Equal(t, access.Principal{}, p)
	return p, fault.Of(err).Message
}

// A public key that is taken for a shared secret, as naive servers do.
func confused(method *jwt.SigningMethodHMAC) string {
	return signed(method, publicPEM(rsaKey().Public()), "", claims(nil))
}

func TestTokens(t *testing.T) {
	t.Parallel()
	source := auth.NewStatic(publicPEM(rsaKey().Public()), []string{"RS256"})
	good := signed(jwt.SigningMethodRS256, rsaKey(), "", claims(nil))
	header, payload, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(payload, ".")
	raw := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	rs := func(changes jwt.MapClaims) string {
		return signed(jwt.SigningMethodRS256, rsaKey(), "", claims(changes))
	}
	critical := jwt.NewWithClaims(jwt.SigningMethodRS256, claims(nil))
	critical.Header["crit"] = []string{"b64"}
	for name, c := range map[string]struct{ token, why string }{
		"a good one":                          {good, ""},
		"a key id is not looked at":           {signed(jwt.SigningMethodRS256, rsaKey(), "any", claims(nil)), ""},
		"for several audiences":               {rs(jwt.MapClaims{"aud": []string{"x", "tasker-api"}}), ""},
		"another issuer":                      {rs(jwt.MapClaims{"iss": "elsewhere"}), "another issuer"},
		"no issuer":                           {rs(jwt.MapClaims{"iss": nil}), "lacks one of"},
		"another audience":                    {rs(jwt.MapClaims{"aud": "elsewhere"}), "another audience"},
		"other audiences":                     {rs(jwt.MapClaims{"aud": []string{"x", "y"}}), "another audience"},
		"no audience":                         {rs(jwt.MapClaims{"aud": nil}), "lacks one of"},
		"expired":                             {rs(jwt.MapClaims{"exp": noon.Add(-61 * time.Second).Unix()}), "has expired"},
		"expired, within the leeway":          {rs(jwt.MapClaims{"exp": noon.Add(-59 * time.Second).Unix()}), ""},
		"without an end":                      {rs(jwt.MapClaims{"exp": nil}), "lacks one of"},
		"an end that is no number":            {rs(jwt.MapClaims{"exp": "tomorrow"}), "not valid"},
		"not valid yet":                       {rs(jwt.MapClaims{"nbf": noon.Add(61 * time.Second).Unix()}), "not valid yet"},
		"valid soon, within the leeway":       {rs(jwt.MapClaims{"nbf": noon.Add(59 * time.Second).Unix()}), ""},
		"issued in the future":                {rs(jwt.MapClaims{"iat": noon.Add(61 * time.Second).Unix()}), "issued in the future"},
		"issued at no time":                   {rs(jwt.MapClaims{"iat": nil}), "iat is missing"},
		"nobody's":                            {rs(jwt.MapClaims{"sub": nil}), "sub is missing"},
		"of an empty subject":                 {rs(jwt.MapClaims{"sub": ""}), "sub is missing"},
		"signed by another key":               {signed(jwt.SigningMethodRS256, otherKey(), "", claims(nil)), "not signed with"},
		"an algorithm that is not allowed":    {signed(jwt.SigningMethodRS512, rsaKey(), "", claims(nil)), "not signed with"},
		"PSS instead of PKCS #1":              {signed(jwt.SigningMethodPS256, rsaKey(), "", claims(nil)), "not signed with"},
		"not signed at all":                   {signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "", claims(nil)), "not signed with"},
		"alg none, spelt otherwise":           {raw(`{"alg":"nOnE"}`) + "." + payload + ".", "not valid"},
		"no signature":                        {header + "." + payload + ".", "not signed with"},
		"alg none with a signature":           {raw(`{"alg":"none"}`) + "." + payload + "." + signature, "not signed with"},
		"no algorithm":                        {raw(`{}`) + "." + payload + "." + signature, "not valid"},
		"the public key as a secret":          {confused(jwt.SigningMethodHS256), "not signed with"},
		"the public key as a longer secret":   {confused(jwt.SigningMethodHS512), "not signed with"},
		"another payload":                     {header + "." + raw(`{"sub":"root"}`) + "." + signature, "not signed with"},
		"extensions that must be understood":  {made(critical.SignedString(rsaKey())), "extensions"},
		"two parts":                           {header + "." + payload, "no signed JWT"},
		"no token":                            {"hunter2", "no signed JWT"},
		"empty":                               {"", "no signed JWT"},
		"encrypted":                           {"a.b.c.d.e", "no signed JWT"},
		"too long":                            {strings.Repeat("a", 20_000), "too long"},
		"permissions that nobody knows":       {rs(jwt.MapClaims{"permissions": []string{"tasks:fly"}}), "not known here"},
		"a star alone":                        {rs(jwt.MapClaims{"permissions": []string{"*"}}), "not known here"},
		"permissions that are no list":        {rs(jwt.MapClaims{"permissions": 7}), "has to be a list"},
		"permissions that are no texts":       {rs(jwt.MapClaims{"permissions": []any{"tasks:read", 7}}), "has to be a list"},
		"namespaces that are no list":         {rs(jwt.MapClaims{"namespaces": map[string]any{}}), "has to be a list"},
		"namespaces of null":                  {signed(jwt.SigningMethodRS256, rsaKey(), "", jwt.MapClaims{"sub": "a", "iss": "tasker-core", "aud": "tasker-api", "iat": noon.Unix(), "exp": noon.Unix(), "namespaces": nil}), ""},
		"a role of another system is nothing": {rs(jwt.MapClaims{"roles": []string{"offline_access"}}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, why := verify(t, config(nil), source, c.token)
			if c.why == "" {
				require.Empty(t, why)
			} else {
				require.Contains(t, why, c.why)
			}
			if len(c.token) > 0 {
				require.NotContains(t, why, c.token)
			}
		})
	}
}

func TestABadTokenIsFinalAndSoIsAnUnreadableOne(t *testing.T) {
	t.Parallel()
	keys := auth.New(nil, "").WithTokens(auth.NewTokens(config(nil), auth.NewStatic(nil, []string{"RS256"}), slog.New(slog.DiscardHandler)))
	for authorization, reason := range map[string]string{
		"Bearer \x80": auth.Malformed, "Bearer a\x00b": auth.Malformed, "": auth.Missing, "Basic YTpi": auth.Missing, "Bearer x": auth.Invalid,
	} {
		_, err := keys.Authenticate(t.Context(), authorization, "")
		require.Equal(t, reason, fault.Of(err).Meta[auth.MetaReason], "%q", authorization)
	}
	require.True(t, keys.Required())
}

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	type pair struct {
		kind    string
		private any
		public  crypto.PublicKey
	}
	rs, ec := pair{"RSA", rsaKey(), rsaKey().Public()}, pair{"P-256", ecKey(), ecKey().Public()}
	ec384, ed := pair{"P-384", ec384Key(), ec384Key().Public()}, pair{"Ed25519", edKey(), edKey().Public()}
	of := map[string]pair{
		"RS256": rs, "RS384": rs, "RS512": rs, "PS256": rs, "PS384": rs, "PS512": rs, "ES256": ec, "ES384": ec384, "EdDSA": ed,
	}
	for name, p := range of {
		token := signed(jwt.GetSigningMethod(name), p.private, "", claims(nil))
		only := config(func(c *auth.TokenConfig) { c.Algorithms = []string{name} })
		_, why := verify(t, only, auth.NewStatic(publicPEM(p.public), only.Algorithms), token)
		require.Empty(t, why, name)
		for other, q := range of {
			if other == name {
				continue
			}
			_, why := verify(t, config(func(c *auth.TokenConfig) { c.Algorithms = []string{other} }), auth.NewStatic(publicPEM(q.public), []string{other}), token)
			require.NotEmpty(t, why, "%s where %s is wanted", name, other)
		}
		all := config(func(c *auth.TokenConfig) { c.Algorithms = auth.Algorithms() })
		for other, q := range of {
			_, why := verify(t, all, auth.NewStatic(publicPEM(q.public), all.Algorithms), token)
			require.Equal(t, q.kind == p.kind, why == "", "%s with the key of %s", name, other)
		}
	}
	symmetric := config(func(c *auth.TokenConfig) { c.Algorithms = []string{"HS256", "none", "RS256"} })
	source := auth.NewStatic(publicPEM(rsaKey().Public()), symmetric.Algorithms)
	_, why := verify(t, symmetric, source, confused(jwt.SigningMethodHS256))
	require.NotEmpty(t, why, "not even where it is configured")
	_, why = verify(t, symmetric, source, signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "", claims(nil)))
	require.NotEmpty(t, why)
}

func TestWhatATokenAllows(t *testing.T) {
	t.Parallel()
	source := auth.NewStatic(publicPEM(rsaKey().Public()), []string{"RS256"})
	p := func(list ...access.Permission) []access.Permission { return list }
	for name, c := range map[string]struct {
		change func(*auth.TokenConfig)
		claims jwt.MapClaims
		want   access.Principal
	}{
		"permissions":         {nil, nil, access.Principal{Permissions: p("tasks:read", "steps:*")}},
		"none":                {nil, jwt.MapClaims{"permissions": nil}, access.Principal{}},
		"in one text":         {nil, jwt.MapClaims{"permissions": "tasks:read dlq:*"}, access.Principal{Permissions: p("tasks:read", "dlq:*")}},
		"by a role":           {nil, jwt.MapClaims{"permissions": nil, "roles": []string{"worker"}}, access.Principal{Permissions: p("worker:*", "templates:read")}},
		"by a role, and more": {nil, jwt.MapClaims{"permissions": "tasks:create", "roles": "worker"}, access.Principal{Permissions: p("tasks:create", "worker:*", "templates:read")}},
		"another claim": {
			func(c *auth.TokenConfig) { c.PermissionsClaim = "https://a.b/permissions" },
			jwt.MapClaims{"https://a.b/permissions": []string{"dlq:read"}},
			access.Principal{Permissions: p("dlq:read")},
		},
		"a nested claim": {
			func(c *auth.TokenConfig) { c.RolesClaim = "realm_access.roles" },
			jwt.MapClaims{"permissions": nil, "realm_access": map[string]any{"roles": []string{"worker", "uma"}}},
			access.Principal{Permissions: p("worker:*", "templates:read")},
		},
		"unknown ones, when that is allowed": {
			func(c *auth.TokenConfig) { c.Strict, c.LogUnknown = false, true },
			jwt.MapClaims{"permissions": "openid tasks:read * task:*"},
			access.Principal{Permissions: p("tasks:read")},
		},
		"within namespaces":        {nil, jwt.MapClaims{"namespaces": []string{"shop"}, "permissions": "tasks:read"}, access.Principal{Permissions: p("tasks:read"), Namespaces: []string{"shop"}}},
		"within those of a worker": {nil, jwt.MapClaims{"worker_namespaces": "shop billing", "permissions": "tasks:read"}, access.Principal{Permissions: p("tasks:read"), Namespaces: []string{"shop", "billing"}}},
		"namespaces come first":    {nil, jwt.MapClaims{"worker_namespaces": "shop", "namespaces": "billing", "permissions": "tasks:read"}, access.Principal{Permissions: p("tasks:read"), Namespaces: []string{"billing"}}},
		"all namespaces":           {nil, jwt.MapClaims{"worker_namespaces": []string{}, "permissions": "tasks:read"}, access.Principal{Permissions: p("tasks:read")}},
		"all namespaces by a star": {nil, jwt.MapClaims{"namespaces": "shop *", "permissions": "tasks:read"}, access.Principal{Permissions: p("tasks:read")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, why := verify(t, config(c.change), source, signed(jwt.SigningMethodRS256, rsaKey(), "", claims(c.claims)))
			require.Empty(t, why)
			c.want.Kind, c.want.ID, c.want.Subject = access.KindJWT, "ann", "ann"
			require.Equal(t, c.want, got)
		})
	}
}

func TestStaticKeys(t *testing.T) {
	t.Parallel()
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: made(x509.MarshalPKCS8PrivateKey(rsaKey()))})
	for name, c := range map[string]struct {
		text       []byte
		algorithms []string
		trouble    string
	}{
		"PKIX":                 {publicPEM(rsaKey().Public()), []string{"RS256"}, ""},
		"PKCS #1":              {pkcs1, []string{"PS512"}, ""},
		"in one line":          {[]byte(strings.ReplaceAll(string(pkcs1), "\n", `\n`)), []string{"RS256"}, ""},
		"nothing":              {nil, []string{"RS256"}, "no PEM block"},
		"not PEM":              {[]byte("hello"), []string{"RS256"}, "no PEM block"},
		"a private key":        {private, []string{"RS256"}, "it holds a PRIVATE KEY"},
		"garbage within":       {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), []string{"RS256"}, "cannot be read"},
		"no algorithm for it":  {publicPEM(ecKey().Public()), []string{"RS256"}, "it is ECDSA on P-256, and no such algorithm is allowed, but RS256"},
		"an algorithm for it":  {publicPEM(ecKey().Public()), []string{"RS256", "ES256"}, ""},
		"too short a key":      {publicPEM(shortKey), []string{"RS256"}, "has 1024 bits, want at least 2048"},
		"another curve's":      {publicPEM(ec384Key().Public()), []string{"ES256"}, "ECDSA on P-384"},
		"an Edwards curve's":   {publicPEM(edKey().Public()), []string{"EdDSA"}, ""},
		"and no algorithm yet": {publicPEM(edKey().Public()), []string{"RS256"}, "it is Ed25519"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := auth.NewStatic(c.text, c.algorithms)
			if c.trouble == "" {
				require.Empty(t, s.Trouble())
				return
			}
			require.Contains(t, s.Trouble(), c.trouble)
			_, why := verify(t, config(nil), s, signed(jwt.SigningMethodRS256, rsaKey(), "", claims(nil)))
			require.Contains(t, why, "no key for tokens is known here")
		})
	}
}

// shortKey has 1024 bits: such keys can be broken.
var shortKey = func() *rsa.PublicKey {
	n := new(big.Int).Rsh(rsaKey().N, 1024)
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: rsaKey().E}
}()

func BenchmarkAuthenticate(b *testing.B) {
	keys := make([]auth.Key, 20)
	for i := range keys {
		keys[i] = auth.Key{Key: strings.Repeat("k", 20+i)}
	}
	tokens := func(alg string, public crypto.PublicKey) *auth.Keys {
		c := config(func(c *auth.TokenConfig) { c.Algorithms = []string{alg} })
		return auth.New(keys, "").WithTokens(auth.NewTokens(c, auth.NewStatic(publicPEM(public), c.Algorithms), slog.New(slog.DiscardHandler)))
	}
	for name, c := range map[string]struct {
		keys               *auth.Keys
		authorization, key string
	}{
		"one key of 20": {auth.New(keys, ""), "", keys[19].Key},
		"RS256":         {tokens("RS256", rsaKey().Public()), "Bearer " + signed(jwt.SigningMethodRS256, rsaKey(), "", claims(nil)), ""},
		"ES256":         {tokens("ES256", ecKey().Public()), "Bearer " + signed(jwt.SigningMethodES256, ecKey(), "", claims(nil)), ""},
		"EdDSA":         {tokens("EdDSA", edKey().Public()), "Bearer " + signed(jwt.SigningMethodEdDSA, edKey(), "", claims(nil)), ""},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.keys.Authenticate(context.Background(), c.authorization, c.key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
