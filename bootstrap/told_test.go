package bootstrap

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
)

// fillSecrets puts a text into every secret of v, one more into each list that
// may hold some, and returns how many there are.
func fillSecrets(v reflect.Value, text string) int {
	switch {
	case v.Type() == reflect.TypeFor[configuration.Secret]():
		v.SetString(text)
		return 1
	case v.Kind() == reflect.Struct:
		n := 0
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				n += fillSecrets(v.Field(i), text)
			}
		}
		return n
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		v.Set(reflect.Append(v, reflect.New(v.Type().Elem()).Elem()))
		return fillSecrets(v.Index(v.Len()-1), text)
	default:
		return 0
	}
}

func TestWhatIsToldHoldsNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	cfg := configuration.Default()
	require.GreaterOrEqual(t, fillSecrets(reflect.ValueOf(cfg).Elem(), secret), 4)
	require.Equal(t, secret, cfg.Common.Database.URL.Reveal(), "the test fills what there is")
	cfg.Orchestration.Web.Auth.Enabled, cfg.Orchestration.Web.Auth.APIKeysEnabled = true, true
	c := told(cfg, []app.PoolUse{{Name: "tasker_pool", Max: 8}, {Name: "pgmq_pool", Max: 12}}, "1.2.3")
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.NotContains(t, string(text)+fmt.Sprintf("%+v %#v", c, c), secret)
	require.Equal(t, "1.2.3", c.Version)
	require.Equal(t, 12, c.PoolSize)
	require.Equal(t, cfg.Common.Database.Pool.MaxConnections, c.MaxConnections)
	require.True(t, c.Auth.Enabled)
	require.Equal(t, 1, c.Auth.APIKeys)
	require.Equal(t, []string{"control"}, c.Queues)
}

func TestWhatIsToldOfTokens(t *testing.T) {
	t.Parallel()
	none := configuration.Default()
	require.Equal(t, "none", told(none, nil, "").Auth.VerificationMethod)
	require.Empty(t, told(none, nil, "").Auth.Issuer)
	for method, word := range map[configuration.VerificationMethod]string{
		configuration.VerifyPublicKey: "public_key", configuration.VerifyJWKS: "jwks", configuration.VerifyOIDC: "jwks",
	} {
		cfg := configuration.Default()
		a := &cfg.Orchestration.Web.Auth
		a.Enabled, a.VerificationMethod, a.PublicKey, a.JWKSURL = true, method, "key", "https://issuer.example/keys"
		a.Issuer, a.Audience, a.Algorithms = "issuer", "audience", []string{"ES256"}
		f := told(cfg, nil, "").Auth
		require.Equal(t, word, f.VerificationMethod)
		require.Equal(t, []string{"issuer", "audience", "ES256"}, []string{f.Issuer, f.Audience, f.Algorithms[0]})
	}
}
