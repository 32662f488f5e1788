package access_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/access"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestCheckOfAKey(t *testing.T) {
	t.Parallel()
	sound := access.Key{ID: "a", Hash: access.HashSecret("new"), OldHash: access.HashSecret("old"), OldUntil: noon.Add(time.Hour)}
	for name, c := range map[string]struct {
		change func(*access.Key)
		secret string
		now    time.Time
		want   access.Verdict
	}{
		"the secret":                            {nil, "new", noon, access.KeyValid},
		"another one":                           {nil, "neW", noon, access.KeyWrong},
		"none":                                  {nil, "", noon, access.KeyWrong},
		"the old one within the grace":          {nil, "old", noon, access.KeyValid},
		"the old one at the end of the grace":   {nil, "old", noon.Add(time.Hour), access.KeyExpired},
		"the new one after the grace":           {nil, "new", noon.Add(time.Hour), access.KeyValid},
		"before it expires":                     {func(k *access.Key) { k.ExpiresAt = noon.Add(1) }, "new", noon, access.KeyValid},
		"as it expires":                         {func(k *access.Key) { k.ExpiresAt = noon }, "new", noon, access.KeyExpired},
		"the old one of an expired key":         {func(k *access.Key) { k.ExpiresAt = noon }, "old", noon, access.KeyExpired},
		"revoked":                               {func(k *access.Key) { k.RevokedAt = noon }, "new", noon, access.KeyRevoked},
		"revoked, and the old one":              {func(k *access.Key) { k.RevokedAt = noon }, "old", noon, access.KeyRevoked},
		"who has no secret learns nothing more": {func(k *access.Key) { k.RevokedAt = noon }, "x", noon, access.KeyWrong},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := sound
			if c.change != nil {
				c.change(&k)
			}
			require.Equal(t, c.want, k.Check(c.secret, c.now))
		})
	}
	fresh := access.Key{Hash: access.HashSecret("new")}
	require.Equal(t, access.KeyWrong, fresh.Check("", noon), "no old secret is not an empty one")
}

func TestKeyTextTakenApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id, secret := rapid.StringMatching(`[a-z2-7]{1,20}`).Draw(t, "id"), rapid.StringMatching(`[!-~]{1,60}`).Draw(t, "secret")
		gotID, gotSecret, ok := access.SplitKey(access.KeyText(id, secret))
		require.True(t, ok)
		require.Equal(t, id, gotID)
		require.Equal(t, secret, gotSecret)
	})
	for _, text := range []string{"", "tsk", "tsk_", "tsk_a", "tsk_a_", "tsk__b", "TSK_a_b", "xtsk_a_b", "a_b"} {
		_, _, ok := access.SplitKey(text)
		require.False(t, ok, text)
	}
}

func TestPrincipalOfAKey(t *testing.T) {
	t.Parallel()
	roles := access.Roles{"clerk": {access.TasksRead}}
	k := access.Key{
		ID: "a", Name: "shop", Permissions: []access.Permission{access.TasksCreate}, Roles: []string{"clerk", "gone"}, Namespaces: []string{"orders"},
	}
	require.Equal(t, access.Principal{
		Kind: access.KindKey, ID: "a", Subject: "shop", Permissions: []access.Permission{access.TasksCreate, access.TasksRead},
		Namespaces: []string{"orders"},
	}, k.Principal(roles))
	k.Permissions, k.Roles = nil, []string{"gone"}
	require.False(t, k.Principal(roles).May(access.TasksRead))
}

func TestNobodyGivesMoreThanTheyHave(t *testing.T) {
	t.Parallel()
	some := access.Principal{Permissions: []access.Permission{"tasks:*", access.StepsRead}}
	in := func(p access.Principal, namespaces ...string) access.Principal { p.Namespaces = namespaces; return p }
	all := access.Principal{All: true}
	for name, c := range map[string]struct {
		who, other access.Principal
		lacks      string
	}{
		"the same":                      {some, some, ""},
		"less":                          {some, access.Principal{Permissions: []access.Permission{access.TasksRead}}, ""},
		"a part of a whole":             {access.Principal{Permissions: []access.Permission{access.TasksRead}}, some, "the permission tasks:*"},
		"something else":                {some, access.Principal{Permissions: []access.Permission{access.DLQRead}}, "the permission dlq:read"},
		"everything":                    {some, all, "every permission"},
		"everything has everything":     {all, some, ""},
		"everything and everything":     {all, all, ""},
		"within one namespace":          {some, in(some, "a"), ""},
		"out of one namespace":          {in(some, "a"), some, "all namespaces"},
		"of the same namespaces":        {in(some, "a", "b"), in(some, "b"), ""},
		"of another namespace":          {in(some, "a"), in(some, "a", "c"), "the namespace c"},
		"everything within a namespace": {in(all, "a"), all, "all namespaces"},
		"nobody":                        {access.Principal{}, access.Principal{Permissions: []access.Permission{access.TasksRead}}, "the permission tasks:read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.lacks, c.who.Lacks(c.other))
		})
	}
}
