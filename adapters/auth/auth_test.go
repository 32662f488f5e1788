package auth_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/adapters/auth"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	keys := auth.New([]auth.Key{
		{Key: "all-of-it", Subject: "root"},
		{Key: "only-tasks", Subject: "shop", Permissions: []access.Permission{"tasks:*", access.StepsRead}},
		{Key: "nameless"},
	}, "")
	require.Equal(t, "X-API-Key", keys.Header())
	require.True(t, keys.Required())

	for name, c := range map[string]struct {
		authorization, key string
		subject, reason    string
	}{
		"a key that may do everything":          {key: "all-of-it", subject: "root"},
		"a key with rights":                     {key: "only-tasks", subject: "shop"},
		"a key of nobody":                       {key: "nameless", subject: "api_key"},
		"no credentials":                        {reason: auth.Missing},
		"another scheme is as good as none":     {authorization: "Basic YTpi", reason: auth.Missing},
		"another scheme does not hurt a key":    {authorization: "Basic YTpi", key: "nameless", subject: "api_key"},
		"a key that nobody has":                 {key: "guess", reason: auth.Invalid},
		"the beginning of a key":                {key: "all-of-i", reason: auth.Invalid},
		"a key and more":                        {key: "all-of-it!", reason: auth.Invalid},
		"a key that cannot be read":             {key: "all\x80", reason: auth.Malformed},
		"a key with a space":                    {key: "all of it", reason: auth.Malformed},
		"a bearer token is final":               {authorization: "Bearer abc", key: "all-of-it", reason: auth.Invalid},
		"a scheme in small letters is no token": {authorization: "bearer abc", key: "all-of-it", subject: "root"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := keys.Authenticate(t.Context(), c.authorization, c.key)
			if c.reason == "" {
				require.NoError(t, err)
				require.Equal(t, c.subject, p.Subject)
				return
			}
			require.True(t, fault.Is(err, fault.CodeUnauthenticated))
			require.Equal(t, c.reason, fault.Of(err).Meta[auth.MetaReason])
			require.Equal(t, access.Principal{}, p)
			if c.key != "" {
				require.NotContains(t, err.Error(), c.key)
			}
		})
	}
}

func TestRights(t *testing.T) {
	t.Parallel()
	keys := auth.New([]auth.Key{
		{Key: "all", Subject: "root"},
		{Key: "some", Permissions: []access.Permission{"tasks:*"}},
	}, "X-Other")
	all, err := keys.Authenticate(t.Context(), "", "all")
	require.NoError(t, err)
	require.True(t, all.May(access.TemplatesRead))
	some, err := keys.Authenticate(t.Context(), "", "some")
	require.NoError(t, err)
	require.True(t, some.May(access.TasksCancel))
	require.False(t, some.May(access.TemplatesRead))
	require.Equal(t, "X-Other", keys.Header())
}

func TestWithoutKeysCredentialsAreNotLookedAt(t *testing.T) {
	t.Parallel()
	p, err := auth.New(nil, "").Authenticate(t.Context(), "Bearer x", "\x00")
	require.NoError(t, err)
	require.Equal(t, access.Anonymous(), p)
}

func TestOnlyTheKeyItselfIsAccepted(t *testing.T) {
	t.Parallel()
	visible := rapid.StringMatching(`[!-~]{1,40}`)
	rapid.Check(t, func(t *rapid.T) {
		configured := rapid.SliceOfNDistinct(visible, 1, 5, rapid.ID).Draw(t, "configured")
		presented := rapid.OneOf(visible, rapid.SampledFrom(configured)).Draw(t, "presented")
		list := make([]auth.Key, len(configured))
		for i, k := range configured {
			list[i] = auth.Key{Key: k, Subject: "of " + k}
		}
		p, err := auth.New(list, "").Authenticate(t.Context(), "", presented)
		known := false
		for _, k := range configured {
			known = known || k == presented
		}
		if known {
			require.NoError(t, err)
			require.Equal(t, "of "+presented, p.Subject)
		} else {
			require.Error(t, err)
			require.False(t, strings.HasPrefix(p.Subject, "of "))
		}
	})
}
