package configuration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/access"
)

const onAuth = "[orchestration.web.auth]\n"

func TestRolesOfTheConfiguration(t *testing.T) {
	t.Parallel()
	const file = `
[[orchestration.web.auth.api_keys]]
key = "k"
permissions = ["dlq:read"]
roles = ["clerk", "worker"]
namespaces = ["shop"]
[orchestration.web.auth.roles]
clerk = ["tasks:create"]
worker = ["worker:*"]
`
	c, warnings, err := loadFile(t, file)
	require.NoError(t, err)
	require.Empty(t, warnings)
	a := c.Orchestration.Web.Auth
	require.Equal(t, []string{"admin", "clerk", "operator", "viewer", "worker"}, a.AllRoles().Names())
	require.Equal(t, []access.Permission{"dlq:read", "tasks:create", "worker:*"}, a.Granted(a.Keys()[0]))
	require.Equal(t, []string{"shop"}, a.Keys()[0].Namespaces)
	c, _, err = Load(Sources{Environ: []string{`TASKER__ORCHESTRATION__WEB__AUTH__ROLES={"clerk": ["tasks:create"]}`}})
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"clerk": {"tasks:create"}}, c.Orchestration.Web.Auth.Roles)
}

func TestWhereKeysForTokensComeFrom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file    string
		environ []string
		want    VerificationMethod // empty: no tokens
	}{
		"nowhere":            {"", nil, ""},
		"a key":              {onAuth + `jwt_public_key = "pem"`, nil, VerifyPublicKey},
		"a key by variable":  {"", []string{"TASKER_JWT_PUBLIC_KEY=pem"}, VerifyPublicKey},
		"a file":             {"", []string{"TASKER_JWT_PUBLIC_KEY_PATH=k.pem"}, VerifyPublicKey},
		"no key by variable": {onAuth + `jwt_public_key = "${TASKER_JWT_PUBLIC_KEY:-}"`, nil, ""},
		"a key set":          {onAuth + `jwks_url = "https://id.example/keys"`, nil, VerifyJWKS},
		"an issuer":          {onAuth + "jwt_verification_method = \"oidc\"\njwt_issuer = \"https://id.example\"", nil, VerifyOIDC},
		"off":                {onAuth + "enabled = false\njwt_public_key = \"pem\"", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := loadFile(t, c.file, c.environ...)
			require.NoError(t, err)
			a := got.Orchestration.Web.Auth
			require.Equal(t, c.want != "", a.Tokens())
			if c.want != "" {
				require.Equal(t, c.want, a.VerificationMethod)
				require.True(t, a.Enabled)
			}
		})
	}
	c, _, err := loadFile(t, "[orchestration.web]\nhost = \"0.0.0.0\"\n"+onAuth+"jwt_public_key = \"pem\"\njwks_refresh_interval_seconds = 60")
	require.NoError(t, err, "tokens keep strangers out")
	require.Equal(t, time.Minute, c.Orchestration.Web.Auth.JWKSRefresh)
}

func TestProblemsOfCredentials(t *testing.T) {
	t.Parallel()
	const list = "[[orchestration.web.auth.api_keys]]\nkey = \"k\"\n"
	for content, problem := range map[string]string{
		list + `permissions = ["tasks:raed"]`:                                             "api_keys[0].permissions[0]: there is no such permission; the nearest is tasks:read",
		list + `roles = ["boss"]`:                                                         "api_keys[0].roles[0]: there is no such role; there are: admin, operator, viewer, worker",
		list + `roles = ["Boss"]`:                                                         "must be the name of a role",
		list + "roles = [\"viewer\"]\nnamespaces = [\"\"]":                                "api_keys[0].namespaces[0]: must not be empty",
		"[orchestration.web.auth.roles]\nclerk = [\"tasks:fly\"]":                         "roles.clerk[0]: there is no such permission",
		"[orchestration.web.auth.roles]\nclerk = [\"*\"]":                                 "roles.clerk[0]: must be resource:action",
		"[orchestration.web.auth.roles]\nclerk = \"tasks:read\"":                          "roles.clerk: must be a list of texts, not text",
		"[orchestration.web.auth.roles]\nClerk = []":                                      "roles.Clerk: must be the name of a role",
		"[orchestration.web.auth.roles]\nclerk = []":                                      "roles.clerk: must name at least one permission",
		onAuth + `roles = 1`:                                                              "roles: must be a table of lists of texts, not a whole number",
		onAuth + `jwt_verification_method = "jwks"`:                                       "is jwks, which needs the address of the key set",
		onAuth + `jwt_verification_method = "oidc"`:                                       "must be the https address of the issuer",
		onAuth + "jwt_verification_method = \"oidc\"\njwt_issuer = \"http://id.example\"": "jwt_issuer: is plain HTTP",
		onAuth + `jwks_url = "http://id.example/keys"`:                                    "jwks_url: is plain HTTP",
		onAuth + `jwks_url = "id.example"`:                                                "jwks_url: must be https://host/path",
		onAuth + `jwt_allowed_algorithms = ["HS256"]`:                                     "jwt_allowed_algorithms[0]: must be RS256",
		onAuth + `jwt_allowed_algorithms = ["none"]`:                                      "jwt_allowed_algorithms[0]: must be RS256",
		onAuth + `jwt_allowed_algorithms = []`:                                            "must name at least one, such as RS256",
		onAuth + `jwt_issuer = ""`:                                                        "jwt_issuer: must not be empty",
		onAuth + `jwt_audience = ""`:                                                      "jwt_audience: must not be empty",
	} {
		_, _, err := loadFile(t, content)
		require.ErrorContains(t, err, problem, content)
	}
	for content, warning := range map[string]string{
		onAuth + "jwt_verification_method = \"public_key\"\njwks_url = \"https://a.b\"\njwt_public_key = \"x\"": "is not used, because",
		onAuth + "jwks_url = \"https://a.b\"\njwt_public_key = \"x\"":                                           "is not used, because",
		onAuth + "enabled = false\njwt_public_key = \"x\"":                                                      "tokens are not asked for",
	} {
		_, warnings, err := loadFile(t, content)
		require.NoError(t, err)
		require.Len(t, warnings, 1)
		require.Contains(t, warnings[0].Message, warning)
	}
}
