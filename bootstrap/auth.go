package bootstrap

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.uber.org/fx"

	"github.com/tasker-go/tasker/adapters/auth"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
)

var authModule = fx.Module("auth",
	fx.Provide(newTokens, newKeys),
)

// newKeys returns the check of credentials that both doors make.
func newKeys(cfg *configuration.Config, tokens *auth.Tokens) *auth.Keys {
	a := cfg.Orchestration.Web.Auth
	var keys []auth.Key
	for _, k := range a.Keys() {
		keys = append(keys, auth.Key{
			Key: k.Key.Reveal(), Subject: k.Description, Permissions: a.Granted(k), Namespaces: k.Namespaces,
		})
	}
	checked := auth.New(keys, a.APIKeyHeader)
	if tokens != nil {
		checked = checked.WithTokens(tokens)
	}
	return checked
}

// newTokens returns the check of bearer tokens, or nil where none are accepted.
// A source of keys that does not work is logged, and shown by health; the server
// runs, and refuses tokens until it does.
func newTokens(lc fx.Lifecycle, down fx.Shutdowner, cfg *configuration.Config, log *slog.Logger) (*auth.Tokens, error) {
	a := cfg.Orchestration.Web.Auth
	if !a.Tokens() {
		return nil, nil
	}
	log = log.With("part", "auth")
	var source auth.KeySource
	if a.VerificationMethod == configuration.VerifyPublicKey {
		text := []byte(a.PublicKey)
		if a.PublicKeyPath != "" {
			var err error
			if text, err = os.ReadFile(a.PublicKeyPath); err != nil {
				return nil, userError{fmt.Errorf("the public key for tokens: %w (orchestration.web.auth.jwt_public_key_path)", err)}
			}
		}
		source = auth.NewStatic(text, a.Algorithms)
	} else {
		c := auth.RemoteConfig{
			URL: a.JWKSURL, Refresh: a.JWKSRefresh, MaxStale: a.JWKSMaxStale, AllowHTTP: a.JWKSAllowHTTP, AllowPrivate: a.JWKSAllowPrivate,
			Algorithms: a.Algorithms, Now: time.Now,
		}
		if a.VerificationMethod == configuration.VerifyOIDC {
			c.URL, c.Issuer = "", a.Issuer
		}
		remote := auth.NewRemote(c, log)
		background(lc, down, log, "keys for tokens", remote.Run)
		source = remote
	}
	if trouble := source.Trouble(); trouble != "" {
		log.Error("bearer tokens are refused", "reason", trouble)
	}
	return auth.NewTokens(auth.TokenConfig{
		Issuer: a.Issuer, Audience: a.Audience, Algorithms: a.Algorithms, PermissionsClaim: a.PermissionsClaim, RolesClaim: a.RolesClaim,
		Strict: a.StrictValidation, LogUnknown: a.LogUnknownPermissions, Roles: a.AllRoles(), Now: time.Now,
	}, source, log), nil
}

// checkTokens is the name of the check in the detailed report.
const checkTokens = "token_keys"

// probeTokens looks at the keys that tokens are verified with.
func probeTokens(t *auth.Tokens) app.Probe {
	return app.Probe{Name: checkTokens, Look: func(context.Context) (app.CheckStatus, string) {
		if trouble := t.Trouble(); trouble != "" {
			return app.Degraded, trouble
		}
		return app.Healthy, ""
	}}
}
