package memory_test

import (
	"testing"
	"time"

	"github.com/tasker-go/tasker/adapters/memory"
	"github.com/tasker-go/tasker/core/ports/portstest"
)

func TestLifeContract(t *testing.T) {
	t.Parallel()
	portstest.RunLife(t, func(*testing.T) portstest.Harness {
		db := memory.New(time.Now)
		return portstest.Harness{Store: db.Connect(), Shift: db.Shift}
	})
}
