package jsonschema

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	jsonschema "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
)

const (
	// root is how callers call the document.
	root = "context"
	// maxDetails is how many problems of one document are told at most.
	maxDetails = 100
	// maxExponent bounds numbers that are compared: 1e100000 is short to write
	// and long to work out.
	maxExponent = 1000
	// maxListed is how many allowed values a message lists.
	maxListed = 20
)

// decode returns doc as the validator wants it, or what is wrong with it.
func decode(doc []byte) (any, *fault.Detail) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return nil, &fault.Detail{Field: root, Message: "is not JSON"}
	}
	return value, absurd(root, value)
}

// absurd returns the first number that is too costly to compare.
func absurd(path string, value any) *fault.Detail {
	switch v := value.(type) {
	case json.Number:
		if i := strings.IndexAny(string(v), "eE"); i >= 0 {
			if e, err := strconv.Atoi(string(v[i+1:])); err != nil || e > maxExponent || e < -maxExponent {
				return &fault.Detail{Field: path, Message: fmt.Sprintf("is a number beyond what can be compared, want an exponent of at most %d", maxExponent)}
			}
		}
	case []any:
		for i, item := range v {
			if d := absurd(jsondoc.Item(path, i), item); d != nil {
				return d
			}
		}
	case map[string]any:
		for key, member := range v {
			if d := absurd(jsondoc.Key(path, key), member); d != nil {
				return d
			}
		}
	}
	return nil
}

// details returns the problems of value that the validator has found, in the
// order of their paths, each once.
func details(broken *jsonschema.ValidationError, value any) []fault.Detail {
	r := &report{value: value}
	r.add(broken)
	slices.SortStableFunc(r.details, func(a, b fault.Detail) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
	r.details = slices.Compact(r.details)
	return r.details[:min(len(r.details), maxDetails)]
}

type report struct {
	value   any
	details []fault.Detail
}

// path spells a location in the document. Its parts do not say whether they
// are keys or numbers of items, the document does.
func (r *report) path(location []string) string {
	path, at := root, r.value
	for _, part := range location {
		switch v := at.(type) {
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return path
			}
			path, at = jsondoc.Item(path, i), v[i]
		case map[string]any:
			path, at = jsondoc.Key(path, part), v[part]
		default:
			return path
		}
	}
	return path
}

func (r *report) add(e *jsonschema.ValidationError) {
	path := r.path(e.InstanceLocation)
	say := func(field, format string, args ...any) {
		r.details = append(r.details, fault.Detail{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			say(jsondoc.Key(path, name), "is missing, want it set")
		}
	case *kind.DependentRequired:
		for _, name := range k.Missing {
			say(jsondoc.Key(path, name), "is missing, want it set where %s is", k.Prop)
		}
	case *kind.Dependency:
		for _, name := range k.Missing {
			say(jsondoc.Key(path, name), "is missing, want it set where %s is", k.Prop)
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			say(jsondoc.Key(path, name), "is not a key that the schema knows, want it left out")
		}
	case *kind.PropertyNames:
		say(jsondoc.Key(path, k.Property), "has a key that the schema does not allow")
	case *kind.AnyOf, *kind.OneOf:
		say(path, "%s", forms(e))
	default:
		if message := sentence(e.ErrorKind); message != "" {
			say(path, "%s", message)
			return
		}
		for _, cause := range e.Causes {
			r.add(cause)
		}
		if len(e.Causes) == 0 {
			say(path, "does not match the schema (%s)", strings.Join(e.ErrorKind.KeywordPath(), " "))
		}
	}
}

// sentence says what would be right, or nothing where the causes say it.
func sentence(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("is of type %s, want %s", k.Got, strings.Join(k.Want, " or "))
	case *kind.Enum:
		return "is not an allowed value, want " + oneOf(k.Want)
	case *kind.Const:
		return "is not the allowed value, want " + oneOf([]any{k.Want})
	case *kind.Format:
		return fmt.Sprintf("is not of the format %s", k.Want)
	case *kind.Pattern:
		return fmt.Sprintf("does not match the pattern %s", k.Want)
	case *kind.MinLength:
		return fmt.Sprintf("has %d characters, want at least %d", k.Got, k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("has %d characters, want at most %d", k.Got, k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has %d items, want at least %d", k.Got, k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has %d items, want at most %d", k.Got, k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("has %d keys, want at least %d", k.Got, k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("has %d keys, want at most %d", k.Got, k.Want)
	case *kind.AdditionalItems:
		return fmt.Sprintf("has %d items too many at its end", k.Count)
	case *kind.UniqueItems:
		return fmt.Sprintf("has equal items at %d and %d, want each once", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains:
		return "has no item of the kind that the schema asks for"
	case *kind.MinContains:
		return fmt.Sprintf("has %d items of the kind that the schema asks for, want at least %d", len(k.Got), k.Want)
	case *kind.MaxContains:
		return fmt.Sprintf("has %d items of the kind that the schema bounds, want at most %d", len(k.Got), k.Want)
	case *kind.Minimum:
		return "is too small, want at least " + decimal(k.Want)
	case *kind.Maximum:
		return "is too large, want at most " + decimal(k.Want)
	case *kind.ExclusiveMinimum:
		return "is too small, want more than " + decimal(k.Want)
	case *kind.ExclusiveMaximum:
		return "is too large, want less than " + decimal(k.Want)
	case *kind.MultipleOf:
		return "is not a multiple of " + decimal(k.Want)
	case *kind.Not:
		return "is what the schema rules out"
	case *kind.FalseSchema:
		return "is not allowed here, want it left out"
	case *kind.RefCycle:
		return "cannot be checked, as the template's input_schema refers to itself"
	case *kind.ContentEncoding:
		return "is not encoded as " + k.Want
	case *kind.ContentMediaType:
		return "is not of the media type " + k.Want
	default:
		return ""
	}
}

// forms says what is wrong with a value that has several forms to choose from.
// Where they differ in type alone, the types are named.
func forms(e *jsonschema.ValidationError) string {
	if one, ok := e.ErrorKind.(*kind.OneOf); ok && len(one.Subschemas) > 0 {
		return "fits more than one of the forms that the schema allows, want exactly one"
	}
	var (
		got  string
		want []string
	)
	for _, cause := range e.Causes {
		k, ok := cause.ErrorKind.(*kind.Type)
		if !ok || !slices.Equal(cause.InstanceLocation, e.InstanceLocation) {
			return fmt.Sprintf("fits none of the %d forms that the schema allows", len(e.Causes))
		}
		got, want = k.Got, append(want, k.Want...)
	}
	return fmt.Sprintf("is of type %s, want %s", got, strings.Join(want, " or "))
}

func oneOf(values []any) string {
	var texts []string
	for _, v := range values {
		text, err := json.Marshal(v)
		if err != nil || len(texts) == maxListed {
			texts = append(texts, "…")
			break
		}
		texts = append(texts, string(text))
	}
	if len(texts) == 1 {
		return texts[0]
	}
	return "one of " + strings.Join(texts, ", ")
}

func decimal(n *big.Rat) string {
	f, _ := n.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}
