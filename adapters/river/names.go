package river

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"

	"github.com/tasker-go/tasker/core/domain/plan"
)

// longest is the length that River allows to a queue's name.
const longest = 64

// names remembers encoded names; its zero value is ready.
type names struct{ known sync.Map }

func (n *names) of(q plan.Queue) string {
	if name, ok := n.known.Load(q); ok {
		return name.(string)
	}
	name := encode(q)
	n.known.Store(q, name)
	return name
}

// encode names the queue of a handler of a namespace within River's rule: runs
// of [a-z0-9] joined by single _ or -, 64 characters at most. Namespace and
// handler are joined by the one - in the name. In each, what is legal stands
// for itself, except z; z and anything else becomes z and two hexadecimal
// digits, so that no two handlers share a queue. A name that would be too long
// keeps its beginning and ends in -x- and a hash: two handlers could only meet there
// if their hashes did.
func encode(q plan.Queue) string {
	name := escape(q.Namespace) + "-" + escape(q.Handler)
	if len(name) <= longest {
		return name
	}
	const digits = 32
	sum := sha256.Sum256([]byte(name))
	head := strings.Trim(name[:longest-digits-3], "_-")
	return head + "-x-" + hex.EncodeToString(sum[:digits/2])
}

func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		plain := c >= '0' && c <= '9' || c >= 'a' && c < 'z'
		joint := c == '_' && i > 0 && i < len(s)-1 && s[i-1] != '_'
		if plain || joint {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('z')
		b.WriteString(hex.EncodeToString([]byte{c}))
	}
	return b.String()
}
