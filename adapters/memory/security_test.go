package memory_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/tasker-go/tasker/adapters/memory"
	"github.com/tasker-go/tasker/core/ports/portstest"
)

func TestSecurityContract(t *testing.T) {
	t.Parallel()
	portstest.RunSecurity(t, func(*testing.T) (portstest.SecurityStore, func(time.Duration)) {
		var offset atomic.Int64
		s := memory.NewSecurity(func() time.Time { return time.Now().Add(time.Duration(offset.Load())) })
		return s, func(by time.Duration) { offset.Add(int64(by)) }
	})
}
