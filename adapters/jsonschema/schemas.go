// Package jsonschema holds documents to JSON Schemas. Draft 2020-12 is meant
// where a schema names none. Nothing outside a schema is ever loaded.
package jsonschema

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync"

	jsonschema "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// maxCompiled is how many compiled schemas are remembered: more than most
// installations have templates, at some tens of kilobytes each.
const maxCompiled = 1024

// Schemas compiles schemas and remembers those that documents were checked
// with. It is safe for concurrent use; its zero value is ready.
type Schemas struct {
	mu       sync.RWMutex
	compiled map[[32]byte]*jsonschema.Schema
}

var _ ports.InputSchemas = (*Schemas)(nil)

// Compile returns nil when schema can be used, or a fault invalid_template that
// says where it is wrong; the fields of its details are paths within the schema.
func (s *Schemas) Compile(schema []byte) error {
	_, err := compile(schema)
	return err
}

// Validate returns what is wrong with doc, a task's context, or nothing. Fields
// are paths below "context"; messages say what would be right and never repeat
// what was sent. The schema is compiled once for each key, which is the content
// hash of its template.
func (s *Schemas) Validate(key [32]byte, schema, doc []byte) []fault.Detail {
	compiled, err := s.get(key, schema)
	if err != nil {
		return []fault.Detail{{Field: root, Message: "cannot be checked, as the template's input_schema is broken: register a version with a right one"}}
	}
	value, problem := decode(doc)
	if problem != nil {
		return []fault.Detail{*problem}
	}
	err = compiled.Validate(value)
	if err == nil {
		return nil
	}
	broken, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return []fault.Detail{{Field: root, Message: "does not match the template's input_schema"}}
	}
	return details(broken, value)
}

func (s *Schemas) get(key [32]byte, schema []byte) (*jsonschema.Schema, error) {
	s.mu.RLock()
	compiled := s.compiled[key]
	s.mu.RUnlock()
	if compiled != nil {
		return compiled, nil
	}
	compiled, err := compile(schema)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.compiled == nil {
		s.compiled = make(map[[32]byte]*jsonschema.Schema)
	}
	for old := range s.compiled { // whichever comes first: all are as cheap to make again
		if len(s.compiled) < maxCompiled {
			break
		}
		delete(s.compiled, old)
	}
	s.compiled[key] = compiled
	return compiled, nil
}

// base is the address that a schema is given, so that references within it can
// be resolved. Nobody is asked for it.
const base = "tasker:///schema"

func compile(schema []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, fault.New(fault.CodeInvalidTemplate, "the schema is not JSON").Because(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nothing{})
	if err := c.AddResource(base, doc); err != nil {
		return nil, explain(err, doc)
	}
	compiled, err := c.Compile(base)
	if err != nil {
		return nil, explain(err, doc)
	}
	return compiled, nil
}

// nothing is the loader of a server that fetches nothing on behalf of a schema.
type nothing struct{}

var errNotLoaded = errors.New("schemas outside the template are not loaded; put the definition under $defs")

func (nothing) Load(string) (any, error) { return nil, errNotLoaded }

// explain says what is wrong with a schema.
func explain(err error, schema any) *fault.Error {
	e := fault.New(fault.CodeInvalidTemplate, "the schema is not a JSON Schema").Because(err)
	if load, ok := errors.AsType[*jsonschema.LoadURLError](err); ok && errors.Is(load.Err, errNotLoaded) {
		e.Message = fmt.Sprintf("the schema refers to %s: %s", load.URL, errNotLoaded)
		return e
	}
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		err = invalid.Err
	}
	if broken, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		for _, d := range details(broken, schema) {
			d.Field = strings.TrimPrefix(strings.TrimPrefix(d.Field, root), ".")
			e.Details = append(e.Details, d)
		}
		e.Message = fmt.Sprintf("the schema is not a JSON Schema: %s %s", cmp.Or(e.Details[0].Field, "it"), e.Details[0].Message)
		return e
	}
	// The rest is about the schema itself, such as an anchor that does not exist.
	e.Message = "the schema cannot be used: " + strings.ReplaceAll(err.Error(), base, "")
	return e
}
