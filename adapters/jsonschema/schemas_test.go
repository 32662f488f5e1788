package jsonschema_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/jsonschema"
	"github.com/tasker-go/tasker/core/domain/fault"
)

func validate(s *jsonschema.Schemas, schema, doc string) []string {
	var all []string
	for _, d := range s.Validate(sha256.Sum256([]byte(schema)), []byte(schema), []byte(doc)) {
		all = append(all, d.Field+": "+d.Message)
	}
	return all
}

func TestValidateSaysWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	var s jsonschema.Schemas
	object := func(properties string) string { return `{"type":"object","properties":{` + properties + `}}` }
	for name, c := range map[string]struct {
		schema, doc string
		want        []string
	}{
		"all is well":         {object(`"a":{"type":"integer"}`), `{"a":1.0,"b":2}`, nil},
		"anything goes":       {`true`, `{"a":1}`, nil},
		"nothing goes":        {`false`, `{}`, []string{"context: is not allowed here, want it left out"}},
		"wrong type":          {object(`"a":{"type":"integer"}`), `{"a":"s3cr3t"}`, []string{"context.a: is of type string, want integer"}},
		"several types":       {object(`"a":{"type":["integer","null"]}`), `{"a":"s3cr3t"}`, []string{"context.a: is of type string, want null or integer"}},
		"not an object":       {object(``), `["s3cr3t"]`, []string{"context: is of type array, want object"}},
		"required":            {`{"required":["a","b","c d"]}`, `{"b":1}`, []string{"context.a: is missing, want it set", `context["c d"]: is missing, want it set`}},
		"required in a list":  {object(`"items":{"items":{"required":["sku"]}}`), `{"items":[{"sku":1},{}]}`, []string{"context.items[1].sku: is missing, want it set"}},
		"a key like a number": {object(`"0":{"type":"null"}`), `{"0":1}`, []string{`context["0"]: is of type number, want null`}},
		"unknown keys":        {`{"additionalProperties":false}`, `{"x":"s3cr3t"}`, []string{"context.x: is not a key that the schema knows, want it left out"}},
		"unevaluated keys":    {`{"unevaluatedProperties":false}`, `{"x":"s3cr3t"}`, []string{"context.x: is not allowed here, want it left out"}},
		"enum":                {object(`"a":{"enum":["x",1,null]}`), `{"a":"s3cr3t"}`, []string{`context.a: is not an allowed value, want one of "x", 1, null`}},
		"const":               {object(`"a":{"const":"x"}`), `{"a":"s3cr3t"}`, []string{`context.a: is not the allowed value, want "x"`}},
		"pattern":             {object(`"a":{"pattern":"^x+$"}`), `{"a":"s3cr3t"}`, []string{"context.a: does not match the pattern ^x+$"}},
		"length":              {object(`"a":{"minLength":9},"b":{"maxLength":1}`), `{"a":"s3cr3t","b":"s3cr3t"}`, []string{"context.a: has 6 characters, want at least 9", "context.b: has 6 characters, want at most 1"}},
		"bounds":              {object(`"a":{"minimum":2},"b":{"maximum":0.5},"c":{"exclusiveMinimum":1},"d":{"exclusiveMaximum":1},"e":{"multipleOf":2}`), `{"a":1,"b":1,"c":1,"d":1,"e":1}`, []string{"context.a: is too small, want at least 2", "context.b: is too large, want at most 0.5", "context.c: is too small, want more than 1", "context.d: is too large, want less than 1", "context.e: is not a multiple of 2"}},
		"items":               {object(`"a":{"minItems":2},"b":{"maxItems":1},"c":{"uniqueItems":true},"d":{"contains":{"type":"null"}}`), `{"a":[1],"b":[1,2],"c":[1,1],"d":[1]}`, []string{"context.a: has 1 items, want at least 2", "context.b: has 2 items, want at most 1", "context.c: has equal items at 0 and 1, want each once", "context.d: has no item of the kind that the schema asks for"}},
		"number of keys":      {`{"minProperties":2}`, `{"a":1}`, []string{"context: has 1 keys, want at least 2"}},
		"names of keys":       {`{"propertyNames":{"maxLength":2}}`, `{"abc":1}`, []string{"context.abc: has a key that the schema does not allow"}},
		"one key asks more":   {`{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, []string{"context.b: is missing, want it set where a is"}},
		"forms by type":       {object(`"a":{"anyOf":[{"type":"string"},{"type":"null"}]}`), `{"a":7}`, []string{"context.a: is of type number, want string or null"}},
		"forms":               {object(`"a":{"oneOf":[{"type":"string","minLength":9},{"type":"null"}]}`), `{"a":"s3cr3t"}`, []string{"context.a: fits none of the 2 forms that the schema allows"}},
		"more than one form":  {object(`"a":{"oneOf":[{"type":"string"},{"minLength":1}]}`), `{"a":"s3cr3t"}`, []string{"context.a: fits more than one of the forms that the schema allows, want exactly one"}},
		"all of":              {`{"allOf":[{"required":["a"]},{"required":["b"]}]}`, `{}`, []string{"context.a: is missing, want it set", "context.b: is missing, want it set"}},
		"not":                 {`{"not":{"required":["a"]}}`, `{"a":1}`, []string{"context: is what the schema rules out"}},
		"if then":             {`{"if":{"required":["a"]},"then":{"required":["b"]}}`, `{"a":1}`, []string{"context.b: is missing, want it set"}},
		"through a reference": {`{"$defs":{"x":{"type":"integer"}},"properties":{"a":{"$ref":"#/$defs/x"}}}`, `{"a":"s3cr3t"}`, []string{"context.a: is of type string, want integer"}},
		"an older draft":      {`{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"a":{"format":"date"}}}`, `{"a":"s3cr3t"}`, []string{"context.a: is not of the format date"}},
		"a circle":            {`{"$ref":"#"}`, `{}`, []string{"context: cannot be checked, as the template's input_schema refers to itself"}},
		"not JSON":            {`true`, `{`, []string{"context: is not JSON"}},
		"a number to choke on": {`{"properties":{"a":{"multipleOf":3}}}`, `{"a":[{"b":1e100000}]}`, []string{
			"context.a[0].b: is a number beyond what can be compared, want an exponent of at most 1000",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, s.Compile([]byte(c.schema)))
			got := validate(&s, c.schema, c.doc)
			require.Equal(t, c.want, got)
			require.NotContains(t, strings.Join(got, ""), "s3cr3t")
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	var s jsonschema.Schemas
	for name, c := range map[string]struct{ schema, want string }{
		"no JSON":               {`{`, "is not JSON"},
		"no schema":             {`[]`, "is of type array, want"},
		"unknown type":          {`{"properties":{"a":{"type":"strin"}}}`, "properties.a.type"},
		"wrong bound":           {`{"minLength":-1}`, "minLength is too small, want at least 0"},
		"bad pattern":           {`{"pattern":"("}`, "pattern"},
		"unknown reference":     {`{"$ref":"#/$defs/nobody"}`, "nobody"},
		"file outside":          {`{"$ref":"file:///etc/passwd"}`, "refers to file:///etc/passwd: schemas outside the template are not loaded"},
		"address outside":       {`{"$ref":"https://example.com/x.json"}`, "refers to https://example.com/x.json: schemas outside"},
		"relative, outside":     {`{"$ref":"other.json"}`, "schemas outside the template are not loaded"},
		"dialect from outside":  {`{"$schema":"https://example.com/dialect"}`, "https://example.com/dialect"},
		"an unknown old anchor": {`{"$ref":"#nobody"}`, "nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := s.Compile([]byte(c.schema))
			require.True(t, fault.Is(err, fault.CodeInvalidTemplate), "%v", err)
			require.Contains(t, fault.Of(err).Message, c.want)
			require.NotContains(t, fault.Of(err).Message, "root:x:0")
		})
	}
}

func TestValidateWithABrokenSchemaSaysSo(t *testing.T) {
	t.Parallel()
	var s jsonschema.Schemas
	require.Contains(t, validate(&s, `{"type":1}`, `{}`)[0], "input_schema is broken")
}

func TestValidateTellsSoMuchAndNoMore(t *testing.T) {
	t.Parallel()
	var s jsonschema.Schemas
	doc := "[" + strings.TrimSuffix(strings.Repeat("1,", 1000), ",") + "]"
	require.Len(t, validate(&s, `{"items":{"type":"string"}}`, doc), 100)
}

func TestSchemasAreSharedAndBounded(t *testing.T) {
	t.Parallel()
	var (
		s  jsonschema.Schemas
		wg sync.WaitGroup
	)
	for w := range 8 {
		wg.Go(func() {
			for i := range 400 {
				n := (w*151 + i) % 1500
				got := validate(&s, fmt.Sprintf(`{"minimum":%d}`, n), fmt.Sprint(n-1))
				if len(got) != 1 || !strings.HasSuffix(got[0], fmt.Sprintf("at least %d", n)) {
					t.Errorf("schema %d: %v", n, got)
				}
			}
		})
	}
	wg.Wait()
}

func TestTheSchemaIsCompiledOncePerKey(t *testing.T) {
	t.Parallel()
	var s jsonschema.Schemas
	key := [32]byte{1}
	require.Empty(t, s.Validate(key, []byte(`{"type":"object"}`), []byte(`{}`)))
	require.Empty(t, s.Validate(key, []byte(`{"type":"array"}`), []byte(`{}`)), "what is remembered under the key counts")
}

func TestManyLargeNumbersTakeNoTime(t *testing.T) {
	t.Parallel()
	var s jsonschema.Schemas
	schema := `{"items":{"multipleOf":3,"minimum":1}}`
	doc := "[" + strings.TrimSuffix(strings.Repeat("1e1000,", 1000), ",") + "]"
	start := time.Now()
	require.Len(t, validate(&s, schema, doc), 100)
	require.Less(t, time.Since(start), 5*time.Second)
}

func BenchmarkValidate(b *testing.B) {
	var s jsonschema.Schemas
	schema := []byte(`{"type":"object","required":["order_id"],"properties":{"order_id":{"type":"string"},"items":{"type":"array","items":{"type":"object","properties":{"quantity":{"type":"integer","minimum":1}}}}}}`)
	doc := []byte(`{"order_id":"6f1c","items":[{"sku":"A-1","quantity":2},{"sku":"B-2","quantity":1}]}`)
	b.ReportAllocs()
	for b.Loop() {
		if len(s.Validate([32]byte{}, schema, doc)) != 0 {
			b.Fatal("refused")
		}
	}
}
