// Package system makes what only chance can make.
package system

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/ports"
)

// IDs makes ids. The zero IDs is ready; it is safe for concurrent use.
type IDs struct {
	mu   sync.Mutex
	ms   int64
	last uint16 // counter within a millisecond, in rand_a of the UUIDv7
}

var _ ports.IDs = (*IDs)(nil)

// counterMax is the largest counter of 12 bits; a millisecond in which it is
// used up borrows from the next.
const counterMax = 1<<12 - 1

// Task implements ports.IDs: a UUIDv7 (RFC 9562) whose rand_a counts, so that
// rows of one process land at the right edge of every index.
func (s *IDs) Task() ident.TaskID {
	u := uuid.UUID{}
	s.mu.Lock()
	if now := time.Now().UnixMilli(); now > s.ms {
		// Half of the counter's range is left for the millisecond.
		s.ms, s.last = now, uint16(rand.Uint32N(counterMax/2)) //nolint:gosec // G404, G115: not a secret; 11 bits
	} else if s.last++; s.last > counterMax {
		s.ms, s.last = s.ms+1, 0
	}
	ms, counter := s.ms, s.last
	s.mu.Unlock()
	for i := range 6 {
		u[i] = byte(ms >> (8 * (5 - i))) //nolint:gosec // G115: takes one byte
	}
	u[6] = 0x70 | byte(counter>>8)
	u[7] = byte(counter)    //nolint:gosec // G115: takes the low byte
	chance := rand.Uint64() //nolint:gosec // G404: ids are not secrets
	for i := range 8 {
		u[8+i] = byte(chance >> (8 * i)) //nolint:gosec // G115: takes one byte
	}
	u[8] = u[8]&0x3f | 0x80
	return ident.NewTaskID(u)
}

// UUID implements ports.IDs.
func (s *IDs) UUID() uuid.UUID { return uuid.New() }

// Chance implements ports.IDs.
func (s *IDs) Chance() float64 { return rand.Float64() } //nolint:gosec // G404: spreads retries
