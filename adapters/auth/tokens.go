package auth

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// leeway is how far the clocks of whoever issues tokens and of this server may
// be apart.
const leeway = time.Minute

// maxToken is the length of the longest token that is looked at.
const maxToken = 16 << 10

// KeySource has the public keys that tokens are verified with. It is safe for
// concurrent use.
type KeySource interface {
	// Key returns the key with an id that fits the algorithm. An error says why
	// there is none, in words that callers may read.
	Key(ctx context.Context, id, algorithm string) (crypto.PublicKey, error)
	// Trouble says why tokens may be refused that should not be; empty when all
	// is well. It is shown without credentials.
	Trouble() string
}

// TokenConfig says which tokens are accepted, and what they allow.
type TokenConfig struct {
	Issuer, Audience string
	Algorithms       []string     // those accepted; see Algorithms
	PermissionsClaim string       // a name, or a path with dots
	RolesClaim       string       // likewise
	Strict           bool         // a permission that is not known makes a token invalid
	LogUnknown       bool         // it is logged
	Roles            access.Roles // what the roles in tokens stand for
	Now              func() time.Time
}

// Tokens verifies bearer tokens: signed JWTs. It is safe for concurrent use.
type Tokens struct {
	cfg    TokenConfig
	source KeySource
	parser *jwt.Parser
	log    *slog.Logger
}

// NewTokens returns the verification of tokens with the keys of a source.
func NewTokens(cfg TokenConfig, source KeySource, log *slog.Logger) *Tokens {
	return &Tokens{cfg: cfg, source: source, log: log, parser: jwt.NewParser(
		// The list has asymmetric algorithms alone, so that no token can choose
		// none, or have a public key taken for a shared secret.
		jwt.WithValidMethods(slices.DeleteFunc(slices.Clone(cfg.Algorithms), func(a string) bool { return !slices.Contains(Algorithms(), a) })),
		jwt.WithIssuer(cfg.Issuer), jwt.WithAudience(cfg.Audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(cfg.Now),
		jwt.WithStrictDecoding(),
	)}
}

// Trouble says what keeps good tokens from being accepted; empty for nothing.
func (t *Tokens) Trouble() string { return t.source.Trouble() }

// Verify returns whose token it is. An error is a fault unauthenticated with
// MetaReason.
func (t *Tokens) Verify(ctx context.Context, token string) (access.Principal, error) {
	if len(token) > maxToken {
		return access.Principal{}, refuse(Invalid, "the token is too long")
	}
	var noKey error // why there is no key to verify it with
	parsed, err := t.parser.Parse(token, func(parsed *jwt.Token) (any, error) {
		if _, critical := parsed.Header["crit"]; critical {
			noKey = errCritical
			return nil, noKey
		}
		id, _ := parsed.Header["kid"].(string)
		key, err := t.source.Key(ctx, id, parsed.Method.Alg())
		noKey = err
		return key, err
	})
	if noKey != nil {
		return access.Principal{}, refuse(Invalid, "the token cannot be verified: %s", noKey)
	}
	if err != nil {
		return access.Principal{}, refuse(Invalid, "%s", t.whyNot(err)).Because(err)
	}
	return t.principal(ctx, parsed.Claims.(jwt.MapClaims))
}

var errCritical = errors.New("its header has extensions that have to be understood, and are not")

// whyNot says what is wrong with a token. Claims are looked at only when the
// signature is good, so that nothing is told to whoever makes one up.
func (t *Tokens) whyNot(err error) string {
	for _, w := range []struct {
		is  error
		why string
	}{
		{jwt.ErrTokenMalformed, "the bearer token is no signed JWT"},
		{jwt.ErrTokenSignatureInvalid, "the token is not signed with a key and an algorithm that are accepted here"},
		{jwt.ErrTokenExpired, "the token has expired"},
		{jwt.ErrTokenNotValidYet, "the token is not valid yet"},
		{jwt.ErrTokenUsedBeforeIssued, "the token says that it was issued in the future"},
		{jwt.ErrTokenInvalidIssuer, "the token is of another issuer"},
		{jwt.ErrTokenInvalidAudience, "the token is for another audience"},
		{jwt.ErrTokenRequiredClaimMissing, "the token lacks one of exp, iss and aud"},
	} {
		if errors.Is(err, w.is) {
			return w.why
		}
	}
	return "the token is not valid"
}

// principal reads the claims of a token that is signed, in time, and for us.
func (t *Tokens) principal(ctx context.Context, claims jwt.MapClaims) (access.Principal, error) {
	subject, err := claims.GetSubject()
	if err != nil || subject == "" {
		return access.Principal{}, refuse(Invalid, "the token does not say whose it is: sub is missing")
	}
	if issued, err := claims.GetIssuedAt(); err != nil || issued == nil {
		return access.Principal{}, refuse(Invalid, "the token does not say when it was issued: iat is missing")
	}
	named, err := texts(claims, t.cfg.PermissionsClaim)
	if err != nil {
		return access.Principal{}, err
	}
	roles, err := texts(claims, t.cfg.RolesClaim)
	if err != nil {
		return access.Principal{}, err
	}
	namespaces, err := namespacesOf(claims)
	if err != nil {
		return access.Principal{}, err
	}
	permissions := make([]access.Permission, len(named))
	for i, p := range named {
		permissions[i] = access.Permission(p)
	}
	granted, unknown, _ := t.cfg.Roles.Grant(permissions, roles) // other systems have roles, too
	if len(unknown) > 0 {
		if t.cfg.LogUnknown {
			t.log.WarnContext(ctx, "a token names permissions that are not known here", "subject", subject, "permissions", unknown)
		}
		if t.cfg.Strict {
			return access.Principal{}, refuse(Invalid, "the token names permissions that are not known here")
		}
	}
	return access.Principal{
		Kind: access.KindJWT, ID: subject, Subject: subject, Permissions: granted, Namespaces: namespaces,
	}, nil
}

// The claims that keep a token to namespaces; the first that is there counts.
var namespaceClaims = []string{"namespaces", "worker_namespaces"}

// namespacesOf returns what a token is kept to: nothing when the claim is
// absent, is empty, or has a "*".
func namespacesOf(claims jwt.MapClaims) ([]string, error) {
	for _, claim := range namespaceClaims {
		if _, there := claims[claim]; !there {
			continue
		}
		list, err := texts(claims, claim)
		if err != nil || len(list) == 0 || slices.Contains(list, "*") {
			return nil, err
		}
		return list, nil
	}
	return nil, nil
}

// texts returns a claim that is a list of texts, or one text with spaces
// between. A claim that is not there is an empty list.
func texts(claims jwt.MapClaims, path string) ([]string, error) {
	switch v := find(claims, path).(type) {
	case nil:
		return nil, nil
	case string:
		return strings.Fields(v), nil
	case []any:
		list := make([]string, len(v))
		for i := range v {
			text, is := v[i].(string)
			if !is {
				return nil, wrongClaim(path)
			}
			list[i] = text
		}
		return list, nil
	default:
		return nil, wrongClaim(path)
	}
}

// find returns the claim of a name; names that hold dots come before paths.
func find(claims map[string]any, path string) any {
	if v, there := claims[path]; there {
		return v
	}
	outer, inner, nested := strings.Cut(path, ".")
	if below, is := claims[outer].(map[string]any); nested && is {
		return find(below, inner)
	}
	return nil
}

func wrongClaim(name string) *fault.Error {
	return refuse(Invalid, "the claim %s of the token has to be a list of texts, or one text with spaces between", name)
}

// Algorithms returns what tokens may be signed with.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// errFit says that a key is for other algorithms.
func errFit(key crypto.PublicKey) error {
	return fmt.Errorf("the key is %s, which is not for this algorithm", describe(key))
}
