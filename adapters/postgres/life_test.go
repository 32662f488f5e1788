package postgres_test

import (
	"testing"

	"github.com/tasker-go/tasker/core/ports/portstest"
)

func TestLifeContract(t *testing.T) {
	t.Parallel()
	portstest.RunLife(t, func(t *testing.T) portstest.Harness {
		f := open(t)
		return portstest.Harness{Store: f.Store, Shift: f.Store.Shift}
	})
}
