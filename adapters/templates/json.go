package templates

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// byteOrderMark may stand before a text in UTF-8.
const byteOrderMark = "\ufeff"

// looksLikeJSON reports whether a text is to be read as JSON. Most JSON is YAML
// too, but not all of it: YAML has no "\ud83d\ude00".
func looksLikeJSON(data []byte) bool {
	text := bytes.TrimPrefix(data, []byte(byteOrderMark))
	return bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) && json.Valid(text)
}

// loadJSON returns the root of the JSON document in data as YAML would have it,
// or nil.
func (d *document) loadJSON(data []byte) *yaml.Node {
	text := bytes.TrimPrefix(data, []byte(byteOrderMark))
	r := &jsonReader{Decoder: json.NewDecoder(bytes.NewReader(text)), text: text, limit: 2 * d.limit, line: 1, column: 1} // keys count here
	r.UseNumber()
	root, err := r.value(0)
	if err != nil {
		d.problems = Findings{{File: d.file, Message: err.Error()}}
		return nil
	}
	return root
}

// jsonReader turns JSON, which is known to be right, into nodes.
type jsonReader struct {
	*json.Decoder
	text         []byte
	nodes, limit int
	at           int // how far places are known
	line, column int // of at, counted from 1
}

var (
	errTooDeep = fmt.Errorf("is nested too deeply, want at most %d levels", maxDepth)
	errTooMany = errors.New("has too many values, want fewer")
)

// value reads the next value.
func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	if r.nodes++; r.nodes > r.limit {
		return nil, errTooMany
	}
	if depth > maxDepth {
		return nil, errTooDeep
	}
	n := r.here()
	token, err := r.Token()
	if err != nil {
		return nil, notJSON(err)
	}
	n.Kind = yaml.ScalarNode
	switch v := token.(type) {
	case json.Delim:
		n.Kind = yaml.SequenceNode
		if v == '{' {
			n.Kind = yaml.MappingNode
		}
		err = r.members(n, depth)
	case string:
		n.Tag, n.Value = "!!str", v
	case json.Number:
		n.Tag, n.Value = "!!float", v.String()
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(v)
	default:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, err
}

// members reads what is in an object or an array, with its end. Keys of objects
// are values like any other here.
func (r *jsonReader) members(n *yaml.Node, depth int) error {
	for r.More() {
		child, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, child)
	}
	_, err := r.Token()
	if err != nil {
		return notJSON(err)
	}
	return nil
}

func notJSON(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("is not JSON: %w", err)
}

// here returns a node with the place at which the next value begins: past white
// space and the mark that the decoder has still to read.
func (r *jsonReader) here() *yaml.Node {
	to := int(r.InputOffset())
	for to < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[to]) >= 0 {
		to++
	}
	passed := r.text[r.at:to]
	if i := bytes.LastIndexByte(passed, '\n'); i >= 0 {
		r.line += bytes.Count(passed, []byte{'\n'})
		r.column, passed = 1, passed[i+1:]
	}
	r.column += utf8.RuneCount(passed)
	r.at = to
	return &yaml.Node{Line: r.line, Column: r.column}
}
