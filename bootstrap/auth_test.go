package bootstrap_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/bootstrap/configuration"
)

func TestTokensAtBothDoors(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	s := startWith(t, pgtest.New(t, schema).URL, twoSteps, nil, func(c *configuration.Config) {
		a := &c.Orchestration.Web.Auth
		a.Enabled, a.PublicKey, a.APIKey = true, string(public), "all"
	})
	tasks := taskerv1.NewTaskServiceClient(s.dial(t))
	token := func(method jwt.SigningMethod, signer any, changes jwt.MapClaims) string {
		c := jwt.MapClaims{
			"sub": "ann", "iss": "tasker-core", "aud": "tasker-api", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
			"roles": []string{"operator"},
		}
		for name, v := range changes {
			c[name] = v
		}
		text, err := jwt.NewWithClaims(method, c).SignedString(signer)
		require.NoError(t, err)
		return text
	}
	body := `{"name":"two","namespace":"t","version":"1.0.0","idempotency_key":"`
	for name, c := range map[string]struct {
		token, reason string
		rest          int
		grpc          codes.Code
	}{
		"good":              {token(jwt.SigningMethodRS256, key, nil), "", http.StatusCreated, codes.OK},
		"of a namespace":    {token(jwt.SigningMethodRS256, key, jwt.MapClaims{"namespaces": "t"}), "", http.StatusCreated, codes.OK},
		"of another one":    {token(jwt.SigningMethodRS256, key, jwt.MapClaims{"namespaces": "u"}), "forbidden", http.StatusForbidden, codes.PermissionDenied},
		"without the right": {token(jwt.SigningMethodRS256, key, jwt.MapClaims{"roles": "viewer"}), "forbidden", http.StatusForbidden, codes.PermissionDenied},
		"expired":           {token(jwt.SigningMethodRS256, key, jwt.MapClaims{"exp": time.Now().Add(-2 * time.Minute).Unix()}), "invalid", http.StatusUnauthorized, codes.Unauthenticated},
		"another issuer":    {token(jwt.SigningMethodRS256, key, jwt.MapClaims{"iss": "x"}), "invalid", http.StatusUnauthorized, codes.Unauthenticated},
		"another audience":  {token(jwt.SigningMethodRS256, key, jwt.MapClaims{"aud": "x"}), "invalid", http.StatusUnauthorized, codes.Unauthenticated},
		"none":              {token(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil), "invalid", http.StatusUnauthorized, codes.Unauthenticated},
		"confused":          {token(jwt.SigningMethodHS256, public, nil), "invalid", http.StatusUnauthorized, codes.Unauthenticated},
	} {
		// The key is good, and does not help.
		code, headers, answer := s.call(t, http.MethodPost, "/v1/tasks", body+name+`"}`, "Authorization", "Bearer "+c.token, "X-API-Key", "all")
		require.Equal(t, c.rest, code, "%s: %v", name, answer)
		require.Equal(t, c.reason, headers.Get("X-Auth-Failure-Reason"), name)
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "bearer "+c.token, "x-api-key", "all")
		input, err := structpb.NewStruct(map[string]any{"case": name})
		require.NoError(t, err)
		_, err = tasks.CreateTask(ctx, &taskerv1.CreateTaskRequest{Name: "two", Namespace: "t", Version: "1.0.0", Context: input})
		require.Equal(t, c.grpc, status.Code(err), "%s: %v", name, err)
	}
	code, _, _ := s.call(t, http.MethodGet, "/v1/tasks", "", "X-API-Key", "all")
	require.Equal(t, http.StatusOK, code, "keys are accepted beside tokens")
}

// A key for tokens that is of no use does not stop the server.
func TestAServerWhoseTokensCannotBeVerified(t *testing.T) {
	t.Parallel()
	s := startWith(t, pgtest.New(t, schema).URL, twoSteps, nil, func(c *configuration.Config) {
		c.Orchestration.Web.Auth.Enabled, c.Orchestration.Web.Auth.PublicKey = true, "no key"
	})
	code, headers, _ := s.call(t, http.MethodGet, "/v1/tasks", "", "Authorization", "Bearer a.b.c")
	require.Equal(t, http.StatusUnauthorized, code)
	require.Equal(t, "60", headers.Get("Retry-After"))
	code, _, health := s.call(t, http.MethodGet, "/health/detailed", "")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "degraded", health["status"])
	check := health["checks"].(map[string]any)["token_keys"].(map[string]any)
	require.Equal(t, "degraded", check["status"])
	require.Contains(t, check["message"], "the public key for tokens is of no use")
	code, _, _ = s.call(t, http.MethodGet, "/health/ready", "")
	require.Equal(t, http.StatusOK, code)
}
