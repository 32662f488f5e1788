package task_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/task"
)

var name = task.Name{Namespace: "orders", Name: "fulfil", Version: "1.0.0"}

func identify(t require.TestingT, s task.Strategy, n task.Name, context, key string) task.Identity {
	id, err := task.Identify(s, n, []byte(context), key)
	require.NoError(t, err)
	return id
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	strict := identify(t, task.Strict, name, `{"a":1}`, "")
	require.NotZero(t, strict)
	require.Equal(t, strict, identify(t, task.Strict, name, `{"a":1}`, ""))
	require.Equal(t, strict, identify(t, "", name, `{"a":1}`, ""), "strict is the default")
	require.NotEqual(t, strict, identify(t, task.Strict, name, `{"a":2}`, ""))

	byKey := identify(t, task.CallerProvided, name, `{"a":1}`, "k")
	require.Equal(t, byKey, identify(t, task.CallerProvided, name, `{"a":2}`, "k"), "the context does not count")
	require.NotEqual(t, byKey, identify(t, task.CallerProvided, name, `{"a":1}`, "l"))
	for _, s := range []task.Strategy{task.Strict, task.AlwaysUnique} {
		require.Equal(t, byKey, identify(t, s, name, `{}`, "k"), "a key overrides %s", s)
	}
	_, err := task.Identify(task.CallerProvided, name, []byte(`{}`), "")
	require.ErrorIs(t, err, task.ErrNoKey)
	require.Zero(t, identify(t, task.AlwaysUnique, name, `{}`, ""), "always_unique is like no other")

	require.NotEqual(t, identify(t, task.Strict, name, "k", ""), identify(t, task.Strict, name, "", "k"),
		"a key is never mistaken for a context")
}

// TestNoTwoNamesReadTheSame moves letters from one part of a name to the next.
func TestNoTwoNamesReadTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringMatching(`[ab]{0,3}`)
		a := [5]string{part.Draw(t, "namespace"), part.Draw(t, "name"), part.Draw(t, "version"), part.Draw(t, "context"), part.Draw(t, "key")}
		b := [5]string{part.Draw(t, "namespace"), part.Draw(t, "name"), part.Draw(t, "version"), part.Draw(t, "context"), part.Draw(t, "key")}
		of := func(p [5]string) task.Identity {
			return identify(t, task.Strict, task.Name{Namespace: p[0], Name: p[1], Version: p[2]}, p[3], p[4])
		}
		same := a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[4] == b[4] && (a[4] != "" || a[3] == b[3])
		require.Equal(t, same, of(a) == of(b), "%q and %q", a, b)
	})
}
