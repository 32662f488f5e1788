package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/ports"
)

// Cursor says where a page of tasks begins. Clients pass its text back as it
// is, through either door.
type Cursor struct {
	After   ports.TaskMark
	Page    uint32 // its number, from 2; what comes first has no cursor
	Total   int64  // as counted for the first page; -1 for not
	AtLeast bool
}

const (
	cursorForm = 2 // 1 was in use before lists had an order
	cursorSize = 1 + 1 + 8 + 8 + 16 + 4 + 8
	maxTotal   = 1 << 62
)

// Text returns c as text, for a list of these tasks in this order.
func (c Cursor) Text(f ports.TaskFilter, p ports.TaskPage) string {
	b := make([]byte, 0, cursorSize)
	b = append(b, cursorForm, 0)
	if c.AtLeast {
		b[1] = 1
	}
	b = binary.BigEndian.AppendUint64(b, listHash(f, p))
	micro := int64(0)
	if !c.After.At.IsZero() {
		micro = c.After.At.UnixMicro()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(micro))
	b = append(b, c.After.ID[:]...)
	b = binary.BigEndian.AppendUint32(b, c.Page)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Total+1)) //nolint:gosec // G115: from 0
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor reads the text of a cursor of this list. What is no cursor, and
// one of a list of other tasks or in another order, is a fault invalid_cursor.
func ParseCursor(text string, f ports.TaskFilter, p ports.TaskPage) (Cursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != cursorSize || b[0] != cursorForm || b[1] > 1 {
		return Cursor{}, noCursor()
	}
	c := Cursor{AtLeast: b[1] == 1, Page: binary.BigEndian.Uint32(b[34:])}
	c.After.ID = ident.TaskID(b[18:34])
	micro, total := int64(binary.BigEndian.Uint64(b[10:])), binary.BigEndian.Uint64(b[38:]) //nolint:gosec // G115: checked below
	if (p.Order == ports.ByCreation) != (micro == 0) || c.After.IsZero() || c.Page < 2 || total > maxTotal {
		return Cursor{}, noCursor()
	}
	c.Total = int64(total) - 1
	if micro != 0 {
		c.After.At = time.UnixMicro(micro).UTC()
		if y := c.After.At.Year(); y < 1 || y > 9999 {
			return Cursor{}, noCursor()
		}
	}
	if binary.BigEndian.Uint64(b[2:]) != listHash(f, p) {
		return Cursor{}, fault.In("cursor", fault.CodeInvalidCursor, "the cursor belongs to a list with another filter or order")
	}
	return c, nil
}

func noCursor() error {
	return fault.In("cursor", fault.CodeInvalidCursor, "the cursor is not one of this server; want next_cursor of a page")
}

// listHash tells lists apart.
func listHash(f ports.TaskFilter, p ports.TaskPage) uint64 {
	var b bytes.Buffer
	states, tags := slices.Clone(f.States), slices.Clone(f.Tags)
	slices.Sort(states)
	slices.Sort(tags)
	fmt.Fprintf(&b, "%q %q %q %q %q %q %q %v %q", f.Namespace, f.Name, f.Version, f.Initiator, f.SourceSystem, f.Error,
		slices.Compact(tags), slices.Compact(states), f.CorrelationID.UUID)
	for _, at := range []time.Time{f.From, f.Until, f.UpdatedFrom, f.UpdatedUntil, f.CompletedFrom, f.CompletedUntil} {
		fmt.Fprintf(&b, " %d.%d", at.Unix(), at.Nanosecond())
	}
	fmt.Fprintf(&b, " %v %q %d %v", f.CorrelationID.Valid, f.Within, p.Order, p.Ascending)
	sum := sha256.Sum256(b.Bytes())
	return binary.BigEndian.Uint64(sum[:])
}
