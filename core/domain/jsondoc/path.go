package jsondoc

import (
	"strconv"
	"strings"
)

// maxSegment is how many characters of a key are shown in a path: enough to
// find it, not enough to fill a log.
const maxSegment = 64

// Key returns the path of a member of the object at path: "context.sku". A key
// that is not a plain word is quoted: `context["a.b"]`. The empty path is the
// document itself.
func Key(path, key string) string {
	switch {
	case !plainKey(key):
		return path + "[" + strconv.Quote(shorten(key)) + "]"
	case path == "":
		return shorten(key)
	default:
		return path + "." + shorten(key)
	}
}

// Item returns the path of an item of the array at path, counted from 0:
// "context.items[2]".
func Item(path string, i int) string {
	return path + "[" + strconv.Itoa(i) + "]"
}

func plainKey(key string) bool {
	for i := range len(key) {
		c := key[i]
		letter := c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return key != ""
}

func shorten(key string) string {
	key = strings.ToValidUTF8(key, "\uFFFD")
	n := 0
	for i := range key {
		if n == maxSegment {
			return key[:i] + "…"
		}
		n++
	}
	return key
}
