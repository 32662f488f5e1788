package configuration

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tasker-go/tasker/core/domain/access"
)

// Auth says who may call. It holds for both doors. `docs/security.md` explains
// it.
type Auth struct {
	// Ask for credentials. Explicitly `false`: keys and tokens are ignored.
	Enabled bool `toml:"enabled" unset:"true as soon as a key, or a source of keys for tokens, is configured"`
	// Header, and gRPC metadata key, that carries the API key.
	APIKeyHeader string `toml:"api_key_header" format:"header"`
	// A single key that may do everything; not used while `api_keys` is.
	APIKey Secret `toml:"api_key" format:"key" env:"TASKER_API_KEY"`
	// Use the list `api_keys`.
	APIKeysEnabled bool `toml:"api_keys_enabled" unset:"true as soon as the list has a key"`
	// Keys with rights of their own, as `[[orchestration.web.auth.api_keys]]`
	// tables. In the environment: a JSON array of objects.
	APIKeys []APIKey `toml:"api_keys"`
	// Named sets of permissions, as `[orchestration.web.auth.roles]` with a
	// line `name = ["tasks:read", …]` for each. They come beside `viewer`,
	// `operator`, `worker` and `admin`, or instead of those of the same name.
	// In the environment: a JSON object.
	Roles map[string][]string `toml:"roles" format:"permission"`
	// Where the keys come from that bearer tokens are verified with:
	// `public_key`, one key from here; `jwks`, a published key set; `oidc`, the
	// key set that the OpenID configuration of `jwt_issuer` names.
	VerificationMethod VerificationMethod `toml:"jwt_verification_method" oneof:"public_key jwks oidc" unset:"jwks when jwks_url is set, else public_key"`
	// What tokens must have as `iss`.
	Issuer string `toml:"jwt_issuer" format:"not_empty"`
	// What tokens must have as `aud`, or in its list.
	Audience string `toml:"jwt_audience" format:"not_empty"`
	// Public key in PEM that tokens are verified with.
	PublicKey string `toml:"jwt_public_key" env:"TASKER_JWT_PUBLIC_KEY"`
	// File with that key; wins over `jwt_public_key`. When it cannot be read
	// the server does not start.
	PublicKeyPath string `toml:"jwt_public_key_path" env:"TASKER_JWT_PUBLIC_KEY_PATH"`
	// Address of the key set, for `jwks`.
	JWKSURL string `toml:"jwks_url" format:"web_url"`
	// How often a published key set is read anew. A token with a key that is
	// not known has it read at once.
	JWKSRefresh time.Duration `toml:"jwks_refresh_interval_seconds" range:"10..86400"`
	// How much longer keys are used while the set cannot be read.
	JWKSMaxStale time.Duration `toml:"jwks_max_stale_seconds" range:"0..86400"`
	// Read keys over plain HTTP, too.
	JWKSAllowHTTP bool `toml:"jwks_url_allow_http"`
	// Read keys from this machine and from private networks, too: of an issuer
	// of one's own.
	JWKSAllowPrivate bool `toml:"jwks_url_allow_private"`
	// What tokens may be signed with: `RS256`, `RS384`, `RS512`, `PS256`,
	// `PS384`, `PS512`, `ES256`, `ES384`, `ES512`, `EdDSA`.
	Algorithms []string `toml:"jwt_allowed_algorithms" format:"algorithm"`
	// Claim with the permissions: a list, or a text with spaces between. A name,
	// or a path such as `resource_access.tasker.permissions`.
	PermissionsClaim string `toml:"permissions_claim" format:"not_empty"`
	// Claim with the names of roles, likewise. Roles that are not known here
	// grant nothing.
	RolesClaim string `toml:"roles_claim" format:"not_empty"`
	// A token that names a permission which is not known here is refused.
	// `false`: the permission is ignored.
	StrictValidation bool `toml:"strict_validation"`
	// Log permissions in tokens that are not known here.
	LogUnknownPermissions bool `toml:"log_unknown_permissions"`
}

// VerificationMethod is where keys for tokens come from.
type VerificationMethod string

// The values of VerificationMethod.
const (
	VerifyPublicKey VerificationMethod = "public_key"
	VerifyJWKS      VerificationMethod = "jwks"
	VerifyOIDC      VerificationMethod = "oidc"
)

// APIKey is one key and what it may do.
type APIKey struct {
	// The key itself; take it from the environment with `${NAME}`.
	Key Secret `toml:"key" format:"key"`
	// What it may do: `tasks:create`, `steps:read`, … or all of a resource,
	// `tasks:*`. At least one, or a role. The single `api_key` has none and may
	// do all.
	Permissions []string `toml:"permissions" format:"permission"`
	// Names of roles, whose permissions it has as well.
	Roles []string `toml:"roles" format:"role"`
	// Namespaces that it may see and touch. Empty: all.
	Namespaces []string `toml:"namespaces" format:"not_empty"`
	// Whose key it is; stands in the audit as the caller.
	Description string `toml:"description"`
}

// Keys returns the keys that are accepted: the list, else the single key. A
// key without permissions and roles may do everything. None when Enabled is
// false.
func (a Auth) Keys() []APIKey {
	switch {
	case !a.Enabled:
		return nil
	case a.APIKeysEnabled && len(a.APIKeys) > 0:
		return a.APIKeys
	case a.APIKey != "":
		return []APIKey{{Key: a.APIKey, Description: "api_key"}}
	default:
		return nil
	}
}

// Tokens reports whether bearer tokens are accepted.
func (a Auth) Tokens() bool { return a.Enabled && a.keySource() }

// keySource reports whether it is said where keys for tokens come from.
func (a Auth) keySource() bool {
	switch a.VerificationMethod {
	case VerifyPublicKey:
		return a.PublicKey != "" || a.PublicKeyPath != ""
	case VerifyJWKS:
		return a.JWKSURL != ""
	case VerifyOIDC:
		return true
	}
	return false
}

// AllRoles returns the roles that there are.
func (a Auth) AllRoles() access.Roles {
	own := access.Roles{}
	for name, permissions := range a.Roles {
		own[name] = permissionsOf(permissions)
	}
	return own.Over(access.DefaultRoles())
}

// Granted returns what a key may do, its roles included; nil for a key that may
// do everything.
func (a Auth) Granted(k APIKey) []access.Permission {
	if len(k.Permissions) == 0 && len(k.Roles) == 0 {
		return nil
	}
	granted, _, _ := a.AllRoles().Grant(permissionsOf(k.Permissions), k.Roles)
	return append([]access.Permission{}, granted...)
}

func permissionsOf(names []string) []access.Permission {
	var out []access.Permission
	for _, name := range names {
		out = append(out, access.Permission(name))
	}
	return out
}

const (
	keyRoles      = "orchestration.web.auth.roles"
	keyVerify     = "orchestration.web.auth.jwt_verification_method"
	keyIssuer     = "orchestration.web.auth.jwt_issuer"
	keyJWKSURL    = "orchestration.web.auth.jwks_url"
	keyAllowHTTP  = "orchestration.web.auth.jwks_url_allow_http"
	keyAlgorithms = "orchestration.web.auth.jwt_allowed_algorithms"
	keyPublicKey  = "orchestration.web.auth.jwt_public_key"
)

// fillAuth sets what follows from what was set.
func (m *merge) fillAuth(a *Auth) {
	if !m.k.Exists(keyListEnabled) {
		a.APIKeysEnabled = len(a.APIKeys) > 0
	}
	if !m.k.Exists(keyVerify) && a.JWKSURL != "" {
		a.VerificationMethod = VerifyJWKS
	}
	if !m.k.Exists(keyAuthEnabled) {
		a.Enabled = a.APIKey != "" || (a.APIKeysEnabled && len(a.APIKeys) > 0) || a.keySource()
	}
}

// checkRoles wants permissions that exist.
func checkRoles(a Auth, m *merge) {
	for _, name := range sortedKeys(a.Roles) {
		if len(a.Roles[name]) == 0 {
			m.fail(m.origin[keyRoles], keyRoles+"."+name, "must name at least one permission, such as tasks:read or tasks:*")
		}
		checkPermissions(m, m.origin[keyRoles], keyRoles+"."+name, a.Roles[name])
	}
	names := a.AllRoles().Names()
	for i, k := range a.APIKeys {
		at := fmt.Sprintf("%s[%d]", keyAPIKeys, i)
		checkPermissions(m, m.origin[keyAPIKeys], at+".permissions", k.Permissions)
		for j, role := range k.Roles {
			if !slices.Contains(names, role) {
				m.fail(m.origin[keyAPIKeys], fmt.Sprintf("%s.roles[%d]", at, j), "there is no such role; there are: %s", strings.Join(names, ", "))
			}
		}
	}
}

func checkPermissions(m *merge, source, at string, permissions []string) {
	for i, p := range permissions {
		if access.Known(access.Permission(p)) {
			continue
		}
		var names []string
		for _, known := range access.Permissions() {
			names = append(names, string(known))
		}
		m.fail(source, fmt.Sprintf("%s[%d]", at, i), "there is no such permission; the nearest is %s", nearest(p, names))
	}
}

// checkTokens wants one source of keys that makes sense.
func checkTokens(a Auth, m *merge) {
	switch {
	case a.VerificationMethod == VerifyJWKS && a.JWKSURL == "":
		m.blame(keyVerify, "is jwks, which needs the address of the key set: set %s", keyJWKSURL)
	case a.VerificationMethod == VerifyOIDC && webURL(a.Issuer) != "":
		m.blame(keyIssuer, "must be the https address of the issuer, because %s is oidc", keyVerify)
	case a.VerificationMethod == VerifyOIDC && strings.HasPrefix(a.Issuer, "http:") && !a.JWKSAllowHTTP:
		m.blame(keyIssuer, "is plain HTTP, so that anybody on the way could change the keys; use https, or set %s to true", keyAllowHTTP)
	case a.VerificationMethod == VerifyJWKS && strings.HasPrefix(a.JWKSURL, "http:") && !a.JWKSAllowHTTP:
		m.blame(keyJWKSURL, "is plain HTTP, so that anybody on the way could change the keys; use https, or set %s to true", keyAllowHTTP)
	case a.VerificationMethod != VerifyPublicKey && (a.PublicKey != "" || a.PublicKeyPath != ""):
		m.warn(m.origin[keyPublicKey], keyPublicKey, "is not used, because %s is %s", keyVerify, a.VerificationMethod)
	case a.VerificationMethod != VerifyJWKS && a.JWKSURL != "":
		m.warn(m.origin[keyJWKSURL], keyJWKSURL, "is not used, because %s is %s", keyVerify, a.VerificationMethod)
	}
	if len(a.Algorithms) == 0 {
		m.blame(keyAlgorithms, "must name at least one, such as RS256")
	}
	if !a.Enabled && a.keySource() {
		m.warn(m.origin[keyAuthEnabled], keyAuthEnabled, "keys for bearer tokens are configured, but tokens are not asked for")
	}
}

var (
	roleName  = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	algorithm = regexp.MustCompile(`^((RS|PS|ES)(256|384|512)|EdDSA)$`)
)

func roleFormat(s string) string {
	if !roleName.MatchString(s) {
		return "must be the name of a role: small letters, digits, - and _, such as viewer"
	}
	return ""
}

func algorithmFormat(s string) string {
	if !algorithm.MatchString(s) {
		return "must be RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 or EdDSA"
	}
	return ""
}

func webURL(s string) string {
	if u, err := url.Parse(s); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return "must be https://host/path"
	}
	return ""
}

func webURLFormat(s string) string {
	if s == "" {
		return ""
	}
	return webURL(s)
}
