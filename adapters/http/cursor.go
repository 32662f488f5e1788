package http

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/ports"
)

// cursor says where a page begins. Clients pass it back as it is.
type cursor struct {
	before ident.TaskID // the page holds tasks older than this
	page   uint32       // its number, from 1
	total  uint64       // counted for the first page
	filter uint32       // what the list was filtered by
}

const (
	cursorForm = 1
	cursorSize = 1 + 16 + 4 + 8 + 4
)

func (c cursor) String() string {
	b := make([]byte, 0, cursorSize)
	b = append(b, cursorForm)
	b = append(b, c.before[:]...)
	b = binary.BigEndian.AppendUint32(b, c.page)
	b = binary.BigEndian.AppendUint64(b, c.total)
	b = binary.BigEndian.AppendUint32(b, c.filter)
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(text string, filter uint32) (cursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != cursorSize || b[0] != cursorForm {
		return cursor{}, fault.In("cursor", fault.CodeInvalidCursor, "the cursor is not one of this server; want next_cursor of a page")
	}
	c := cursor{
		before: ident.TaskID(b[1:17]), page: binary.BigEndian.Uint32(b[17:]),
		total: binary.BigEndian.Uint64(b[21:]), filter: binary.BigEndian.Uint32(b[29:]),
	}
	if c.page < 2 || c.total > 1<<62 {
		return cursor{}, fault.In("cursor", fault.CodeInvalidCursor, "the cursor is not one of this server; want next_cursor of a page")
	}
	if c.filter != filter {
		return cursor{}, fault.In("cursor", fault.CodeInvalidCursor, "the cursor belongs to a list with another filter")
	}
	return c, nil
}

// filterHash tells filters apart.
func filterHash(f ports.TaskFilter) uint32 {
	h := fnv.New32a()
	states := slices.Clone(f.States)
	slices.Sort(states)
	fmt.Fprintf(h, "%q %q %q %v", f.Namespace, f.Initiator, f.SourceSystem, states)
	return h.Sum32()
}
