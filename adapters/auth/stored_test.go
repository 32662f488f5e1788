package auth_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/auth"
	"github.com/tasker-go/tasker/adapters/memory"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

func TestStoredKeys(t *testing.T) {
	t.Parallel()
	store := memory.NewSecurity(time.Now)
	ring := app.NewKeyRing(store, slog.New(slog.DiscardHandler))
	add := func(k access.Key) {
		k.Name, k.Hash, k.Roles = k.ID, access.HashSecret("s"), []string{"clerk"}
		_, err := store.AddKey(t.Context(), k)
		require.NoError(t, err)
	}
	check := auth.New(nil, "").WithStored(ring, access.Roles{"clerk": {access.TasksRead}})
	require.False(t, check.Required())
	p, err := check.Authenticate(t.Context(), "", "")
	require.NoError(t, err)
	require.Equal(t, access.Anonymous(), p)

	add(access.Key{ID: "a", Namespaces: []string{"orders"}})
	add(access.Key{ID: "late", ExpiresAt: time.Now().Add(-time.Minute)})
	add(access.Key{ID: "gone"})
	_, err = store.RevokeKey(t.Context(), "gone", "ann")
	require.NoError(t, err)
	require.NoError(t, ring.Refresh(t.Context()))
	require.True(t, check.Required())
	p, err = check.Authenticate(t.Context(), "", access.KeyText("a", "s"))
	require.NoError(t, err)
	require.Equal(t, access.Principal{
		Kind: access.KindKey, ID: "a", Subject: "a", Permissions: []access.Permission{access.TasksRead}, Namespaces: []string{"orders"},
	}, p)
	for key, says := range map[string]string{
		"":                           "missing",
		access.KeyText("a", "t"):     "not known",
		access.KeyText("b", "s"):     "not known",
		access.KeyText("late", "s"):  "expired",
		access.KeyText("late", "t"):  "not known",
		access.KeyText("gone", "s"):  "revoked",
		access.KeyText("gone", "xx"): "not known",
	} {
		_, err := check.Authenticate(t.Context(), "", key)
		require.True(t, fault.Is(err, fault.CodeUnauthenticated), key)
		require.ErrorContains(t, err, says, key)
	}
	both := auth.New([]auth.Key{{Key: "tsk_a_configured", Subject: "file"}}, "").WithStored(ring, nil)
	p, err = both.Authenticate(t.Context(), "", "tsk_a_configured")
	require.NoError(t, err)
	require.Equal(t, "file", p.Subject)

	require.NoError(t, ring.Flush(t.Context()))
	all, err := store.AllKeys(t.Context())
	require.NoError(t, err)
	for _, k := range all {
		require.Equal(t, k.ID == "a", !k.LastUsed.IsZero(), k.ID)
	}
}
