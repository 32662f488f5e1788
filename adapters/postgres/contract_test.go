package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/ports/portstest"
)

// What holds for the store in memory holds for this one.
func TestContract(t *testing.T) {
	t.Parallel()
	portstest.Run(t, func(t *testing.T) portstest.Harness {
		f := open(t)
		return portstest.Harness{
			Store: f.Store,
			Shift: f.Store.Shift,
			Another: func(t *testing.T) (portstest.Store, func()) {
				other := openURL(t, f.url, 0)
				return other.Store, func() {
					no := other.Instance()
					other.Close()
					// The server ends a session a moment after its client has left.
					watching := f.connect(t)
					require.Eventually(t, func() bool {
						var held bool
						err := watching.QueryRow(t.Context(),
							"select exists (select from pg_locks where locktype = 'advisory' and objid = $1::integer::oid and granted)", no).Scan(&held)
						return err == nil && !held
					}, 10*time.Second, time.Millisecond)
				}
			},
		}
	})
}
