package river_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/core/domain/plan"
)

// legal is River's rule for names of queues.
var legal = regexp.MustCompile(`^(?:[a-z0-9])+(?:[_|\-]?[a-z0-9]+)*$`)

func TestQueueNames(t *testing.T) {
	t.Parallel()
	for q, want := range map[plan.Queue]string{
		{Namespace: "orders", Handler: "validate_order"}:  "orders-validate_order",
		{Namespace: "orders", Handler: "orders.validate"}: "orders-ordersz2evalidate",
		{Namespace: "zoo", Handler: "A"}:                  "z7aoo-z41",
	} {
		require.Equal(t, want, river.Encode(q))
	}
	long := river.Encode(plan.Queue{Namespace: "orders", Handler: strings.Repeat("a", 500)})
	require.Len(t, long, 64)
	require.Regexp(t, `-x-[0-9a-f]{32}$`, long)
}

func TestQueueNamesAreLegalAndApart(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9_.:-]{1,80}`), rapid.StringN(1, 40, -1))
	rapid.Check(t, func(t *rapid.T) {
		a := plan.Queue{Namespace: text.Draw(t, "namespace"), Handler: text.Draw(t, "handler")}
		b := plan.Queue{Namespace: text.Draw(t, "other namespace"), Handler: text.Draw(t, "other handler")}
		for _, q := range []plan.Queue{a, b} {
			require.Regexp(t, legal, river.Encode(q))
			require.LessOrEqual(t, len(river.Encode(q)), 64)
		}
		if a != b {
			require.NotEqual(t, river.Encode(a), river.Encode(b))
		}
	})
}
