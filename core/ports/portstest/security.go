package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// SecurityStore keeps keys and the audit log.
type SecurityStore interface {
	ports.Keys
	ports.ChangeLog
}

// RunSecurity checks the empty stores that open returns. Shift moves a store's
// clock forward.
func RunSecurity(t *testing.T, open func(*testing.T) (s SecurityStore, shift func(time.Duration))) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, SecurityStore, func(time.Duration)){
		"a key reads back":                     keyReadsBack,
		"names of keys in use are apart":       keyNames,
		"a rotated key has two secrets":        rotatedKey,
		"a revoked key stays, and stays so":    revokedKey,
		"the latest use of a key counts":       usedKeys,
		"a key that there is not":              noKey,
		"changes are listed newest first":      changesListed,
		"changes are selected by their filter": changesSelected,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, shift := open(t)
			check(t, s, shift)
		})
	}
}

// end is a time that every database keeps as it is.
var end = time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC)

func keyNamed(name string) access.Key {
	return access.Key{
		ID: "id-" + name, Name: name, Permissions: []access.Permission{access.TasksRead, "dlq:*"}, Roles: []string{"viewer"},
		Namespaces: []string{"a", "b"}, Hash: access.HashSecret(name), CreatedBy: "ann", ExpiresAt: end,
	}
}

func addKey(t *testing.T, s SecurityStore, k access.Key) access.Key {
	t.Helper()
	added, err := s.AddKey(t.Context(), k)
	require.NoError(t, err)
	return added
}

func keyReadsBack(t *testing.T, s SecurityStore, shift func(time.Duration)) {
	none, err := s.AllKeys(t.Context())
	require.NoError(t, err)
	require.Empty(t, none)
	first := addKey(t, s, keyNamed("first"))
	want := keyNamed("first")
	want.CreatedAt = first.CreatedAt
	require.Equal(t, want, first)
	require.WithinDuration(t, time.Now(), first.CreatedAt, time.Minute)
	shift(time.Hour)
	second := addKey(t, s, access.Key{ID: "2", Name: "second", Roles: []string{"admin"}, Hash: access.HashSecret("x")})
	require.Zero(t, second.ExpiresAt)
	all, err := s.AllKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, []string{second.ID, first.ID}, []string{all[0].ID, all[1].ID})
	require.Equal(t, first, all[1])
}

func keyNames(t *testing.T, s SecurityStore, _ func(time.Duration)) {
	first := addKey(t, s, keyNamed("shop"))
	second := keyNamed("shop")
	second.ID = "other"
	_, err := s.AddKey(t.Context(), second)
	require.True(t, fault.Is(err, fault.CodeKeyExists), err)
	require.Equal(t, "name", fault.Of(err).Field)
	_, err = s.RevokeKey(t.Context(), first.ID, "ann")
	require.NoError(t, err)
	addKey(t, s, second)
}

func rotatedKey(t *testing.T, s SecurityStore, shift func(time.Duration)) {
	k := addKey(t, s, keyNamed("one"))
	got, err := s.RotateKey(t.Context(), k.ID, access.HashSecret("two"), time.Hour)
	require.NoError(t, err)
	require.Equal(t, access.HashSecret("two"), got.Hash)
	require.Equal(t, access.HashSecret("one"), got.OldHash)
	require.Equal(t, time.Hour, got.OldUntil.Sub(got.RotatedAt))
	all, err := s.AllKeys(t.Context())
	require.NoError(t, err)
	require.Equal(t, []access.Key{got}, all)
	got, err = s.RotateKey(t.Context(), k.ID, access.HashSecret("three"), 0)
	require.NoError(t, err)
	require.Equal(t, access.HashSecret("two"), got.OldHash, "two secrets at most")
	require.Equal(t, access.KeyExpired, got.Check("two", got.RotatedAt))

	soon := keyNamed("soon")
	soon.ExpiresAt = time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	addKey(t, s, soon)
	shift(2 * time.Hour)
	_, err = s.RotateKey(t.Context(), soon.ID, access.HashSecret("x"), time.Hour)
	require.True(t, fault.Is(err, fault.CodeKeyEnded), err)
}

func revokedKey(t *testing.T, s SecurityStore, shift func(time.Duration)) {
	k := addKey(t, s, keyNamed("one"))
	first, err := s.RevokeKey(t.Context(), k.ID, "ann")
	require.NoError(t, err)
	require.True(t, first.Revoked())
	require.Equal(t, "ann", first.RevokedBy)
	shift(time.Hour)
	again, err := s.RevokeKey(t.Context(), k.ID, "ben")
	require.NoError(t, err)
	require.Equal(t, first, again)
	_, err = s.RotateKey(t.Context(), k.ID, access.HashSecret("x"), 0)
	require.True(t, fault.Is(err, fault.CodeKeyEnded), err)
	all, err := s.AllKeys(t.Context())
	require.NoError(t, err)
	require.Equal(t, []access.Key{first}, all)
}

func usedKeys(t *testing.T, s SecurityStore, _ func(time.Duration)) {
	k, other := addKey(t, s, keyNamed("one")), addKey(t, s, keyNamed("two"))
	used := func() time.Time {
		all, err := s.AllKeys(t.Context())
		require.NoError(t, err)
		for _, have := range all {
			if have.ID == k.ID {
				return have.LastUsed
			}
			require.Zero(t, have.LastUsed, other.ID)
		}
		return time.Time{}
	}
	late := end.Add(time.Hour)
	require.NoError(t, s.KeysUsed(t.Context(), map[string]time.Time{k.ID: end, "nobody": end}))
	require.Equal(t, end, used())
	require.NoError(t, s.KeysUsed(t.Context(), map[string]time.Time{k.ID: late}))
	require.NoError(t, s.KeysUsed(t.Context(), map[string]time.Time{k.ID: end}))
	require.Equal(t, late, used())
	require.NoError(t, s.KeysUsed(t.Context(), nil))
}

func noKey(t *testing.T, s SecurityStore, _ func(time.Duration)) {
	_, err := s.RotateKey(t.Context(), "none", access.SecretHash{}, 0)
	require.True(t, fault.Is(err, fault.CodeKeyNotFound), err)
	_, err = s.RevokeKey(t.Context(), "none", "ann")
	require.True(t, fault.Is(err, fault.CodeKeyNotFound), err)
}

func change(n string) ports.Change {
	return ports.Change{
		Principal: access.Principal{Kind: access.KindKey, ID: "k" + n, Subject: "s" + n}, Operation: "Op" + n,
		Target: ports.ChangeTarget{Kind: "task", ID: "t" + n}, Namespace: "n" + n, Reason: "because", Outcome: ports.ChangeOK,
		RequestID: "r" + n, Remote: "127.0.0.1:1", Door: "http",
	}
}

func changesListed(t *testing.T, s SecurityStore, _ func(time.Duration)) {
	for _, n := range []string{"1", "2", "3"} {
		require.NoError(t, s.RecordChange(t.Context(), change(n)))
	}
	all, err := s.Changes(t.Context(), ports.ChangeFilter{}, 0, 2)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, []string{"Op3", "Op2"}, []string{all[0].Operation, all[1].Operation})
	rest, err := s.Changes(t.Context(), ports.ChangeFilter{}, all[1].ID, 2)
	require.NoError(t, err)
	require.Len(t, rest, 1)
	want := change("1")
	want.ID, want.At = rest[0].ID, rest[0].At
	require.Equal(t, want, rest[0])
	require.WithinDuration(t, want.At, time.Now(), time.Minute)
}

func changesSelected(t *testing.T, s SecurityStore, shift func(time.Duration)) {
	require.NoError(t, s.RecordChange(t.Context(), change("1")))
	shift(time.Hour)
	require.NoError(t, s.RecordChange(t.Context(), change("2")))
	all, err := s.Changes(t.Context(), ports.ChangeFilter{}, 0, 10)
	require.NoError(t, err)
	older, newer := all[1], all[0]
	for name, c := range map[string]struct {
		f    ports.ChangeFilter
		want []ports.Change
	}{
		"principal":          {ports.ChangeFilter{Principal: "s1"}, []ports.Change{older}},
		"operation":          {ports.ChangeFilter{Operation: "Op2"}, []ports.Change{newer}},
		"target":             {ports.ChangeFilter{Target: "t1"}, []ports.Change{older}},
		"namespace":          {ports.ChangeFilter{Namespaces: []string{"n2", "n3"}}, []ports.Change{newer}},
		"from, included":     {ports.ChangeFilter{From: newer.At}, []ports.Change{newer}},
		"until, not":         {ports.ChangeFilter{Until: newer.At}, []ports.Change{older}},
		"what does not meet": {ports.ChangeFilter{Principal: "s1", Operation: "Op2"}, nil},
	} {
		got, err := s.Changes(t.Context(), c.f, 0, 10)
		require.NoError(t, err)
		require.Len(t, got, len(c.want), name)
		for i := range c.want {
			require.Equal(t, c.want[i], got[i], name)
		}
	}
}
