package jsondoc_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
)

func TestCheckRefusesAndNamesThePlace(t *testing.T) {
	t.Parallel()
	small := jsondoc.Limits{MaxBytes: 400, MaxDepth: 3, MaxKeys: 2, MaxItems: 3, MaxString: 5}
	for name, c := range map[string]struct {
		doc    string
		code   fault.Code
		field  string
		saying string
	}{
		"nothing":                    {``, fault.CodeMalformed, "context", "it ends after 0 bytes, want a value"},
		"only white space":           {" \n", fault.CodeMalformed, "context", "want a value"},
		"a bare word":                {`yes`, fault.CodeMalformed, "context", "at byte 0, want a value"},
		"a word cut off":             {`tru`, fault.CodeMalformed, "context", "want a value"},
		"half an object":             {`{"a":`, fault.CodeMalformed, "context.a", "it ends after 5 bytes, want a value"},
		"no colon":                   {`{"a" 1}`, fault.CodeMalformed, "context.a", "want a colon"},
		"no comma":                   {`{"a":1 "b":2}`, fault.CodeMalformed, "context.a", "want a comma or the object's closing brace"},
		"no comma in an array":       {`[1 2]`, fault.CodeMalformed, "context[0]", "want a comma or the array's closing bracket"},
		"wrong bracket":              {`{"a":[1}}`, fault.CodeMalformed, "context.a[0]", "closing bracket"},
		"comma at the end":           {`{"a":1,}`, fault.CodeMalformed, "context", "want a key in double quotes"},
		"comma at an array's end":    {`[1,]`, fault.CodeMalformed, "context[1]", "want a value"},
		"two documents":              {`{} {}`, fault.CodeMalformed, "context", "want nothing after the document"},
		"single quotes":              {`{'a':1}`, fault.CodeMalformed, "context", "double quotes"},
		"raw control character":      {"{\"a\":\"\n\"}", fault.CodeMalformed, "context.a", "control characters"},
		"unknown escape":             {`"\x"`, fault.CodeMalformed, "context", "escapes of JSON"},
		"short unicode escape":       {`"\u12"`, fault.CodeMalformed, "context", "four hexadecimal digits"},
		"backslash at the end":       {`"\`, fault.CodeMalformed, "context", "closing quote"},
		"open string":                {`"abc`, fault.CodeMalformed, "context", "closing quote"},
		"leading zero":               {`01`, fault.CodeMalformed, "context", "leading zero"},
		"minus alone":                {`-`, fault.CodeMalformed, "context", "want a digit"},
		"point alone":                {`1.`, fault.CodeMalformed, "context", "digit after the point"},
		"exponent alone":             {`1e+`, fault.CodeMalformed, "context", "digit in the exponent"},
		"not a number":               {`NaN`, fault.CodeMalformed, "context", "want a value"},
		"invalid UTF-8":              {"{\"a\":[\"\xff\"]}", fault.CodeMalformed, "context.a[0]", "not valid UTF-8"},
		"surrogate as UTF-8":         {"\"\xed\xa0\x80\"", fault.CodeMalformed, "context", "not valid UTF-8"},
		"invalid UTF-8 in a key":     {"{\"a\":{\"\xff\":1}}", fault.CodeMalformed, "context.a", "key that is not valid UTF-8"},
		"NUL in a string":            {"\"\x00\"", fault.CodeInvalidField, "context", "NUL character"},
		"escaped NUL in a string":    {`{"a":"x\u0000"}`, fault.CodeInvalidField, "context.a", "NUL character in a string"},
		"escaped NUL in a key":       {`{"a":{"\u0000":1}}`, fault.CodeInvalidField, "context.a", "NUL character in a key"},
		"NUL between values":         {"{\x00}", fault.CodeMalformed, "context", "want a key"},
		"high surrogate alone":       {`"\ud800"`, fault.CodeInvalidField, "context", "half of a surrogate pair"},
		"low surrogate alone":        {`"\udc00"`, fault.CodeInvalidField, "context", "half of a surrogate pair"},
		"two high surrogates":        {`"\ud800\ud800"`, fault.CodeInvalidField, "context", "half of a surrogate pair"},
		"too deep":                   {`{"a":{"b":[[1]]}}`, fault.CodeInvalidField, "context.a.b[0]", "at most 3 levels"},
		"too deep though empty":      {`[[[[]]]]`, fault.CodeInvalidField, "context[0][0][0]", "at most 3 levels"},
		"too many keys":              {`{"x":{"a":1,"b":2,"c":3}}`, fault.CodeInvalidField, "context.x", "too many keys, want at most 2"},
		"too many items":             {`{"x":[1,2,3,4]}`, fault.CodeInvalidField, "context.x", "too many items, want at most 3"},
		"string too long":            {`{"a":"123456"}`, fault.CodeInvalidField, "context.a", "string of 6 characters, want at most 5"},
		"key too long":               {`{"123456":1}`, fault.CodeInvalidField, "context", "key of 6 characters, want at most 5"},
		"string too long in escapes": {`"\ud83d\ude00\n\u00e9äxy"`, fault.CodeInvalidField, "context", "string of 6 characters"},
		"too many bytes":             {`"` + strings.Repeat(" ", 400) + `"`, fault.CodePayloadTooLarge, "context", "402 bytes, want at most 400"},
		"absurd exponent":            {`{"n":1e999999}`, fault.CodeInvalidField, "context.n", "cannot be stored"},
		"exponent beyond an int":     {`1e99999999999999999999999`, fault.CodeInvalidField, "context", "cannot be stored"},
		"absurd negative exponent":   {`-1e-16384`, fault.CodeInvalidField, "context", "cannot be stored"},
		"path with odd keys":         {`{"a b":{"c.d":[` + "1e999999]}}", fault.CodeInvalidField, `context["a b"]["c.d"][0]`, "cannot be stored"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := jsondoc.Check("context", []byte(c.doc), small)
			require.Error(t, err)
			f := fault.Of(err)
			require.Equal(t, c.code, f.Code, f.Message)
			require.Equal(t, c.field, f.Field)
			require.Contains(t, f.Message, c.saying)
			require.True(t, strings.HasPrefix(f.Message, c.field), f.Message)
		})
	}
}

func TestCheckAcceptsWhatIsWithinItsLimits(t *testing.T) {
	t.Parallel()
	small := jsondoc.Limits{MaxBytes: 100, MaxDepth: 3, MaxKeys: 2, MaxItems: 3, MaxString: 5}
	for _, doc := range []string{
		`{}`, ` [ ] `, `null`, `true`, `false`, `0`, `-0`, `1.5E+3`, `"12345"`, `"ääääx"`, `"\ud83d\ude00\n\u00e9äx"`,
		`{"a":{"b":[1,2,3]}}`, `[[[]]]`, `{"12345":1,"":2}`, `1e131071`, `1e-16383`, `0.0001e131075`, "\t{ \"a\" : [ 1 , 2 ]\r\n}",
		`"\u007f\/\b"`, `{"a":1,"a":2}`,
	} {
		require.NoError(t, jsondoc.Check("context", []byte(doc), small), doc)
	}
}

func TestCheckHoldsAgainstDeepNesting(t *testing.T) {
	t.Parallel()
	deep := bytes.Repeat([]byte("["), jsondoc.DefaultMaxBytes)
	require.True(t, fault.Is(jsondoc.Check("context", deep, jsondoc.ContextLimits()), fault.CodeInvalidField))
	require.True(t, fault.Is(jsondoc.Check("context", deep, jsondoc.ResultLimits()), fault.CodeInvalidField))
	_, err := jsondoc.Canonical(deep)
	require.Error(t, err)
}

func TestCheckNamesPlacesAtAnyDepth(t *testing.T) {
	t.Parallel()
	doc := strings.Repeat(`{"a":[`, 30) + "bad"
	err := jsondoc.Check("r", []byte(doc), jsondoc.ResultLimits())
	require.Equal(t, "r"+strings.Repeat(".a[0]", 30), fault.Of(err).Field)
	doc = strings.Repeat("[", 64) + strings.Repeat("]", 64)
	require.NoError(t, jsondoc.Check("r", []byte(doc), jsondoc.ResultLimits()))
}

func TestCheckNeverRepeatsAValue(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{`{"a":"s3cr3t`, `{"a":"s3cr3t\u0000"}`, "[\"s3cr3t\xff\"]", `["s3cr3t",]`, `{"a":s3cr3t}`} {
		err := jsondoc.Check("context", []byte(doc), jsondoc.ContextLimits())
		require.Error(t, err)
		require.NotContains(t, err.Error(), "s3cr3t")
	}
}

func TestCheckShowsLongKeysShortened(t *testing.T) {
	t.Parallel()
	err := jsondoc.Check("context", []byte(`{"`+strings.Repeat("k", 9000)+`":bad}`), jsondoc.ContextLimits())
	require.Less(t, len(fault.Of(err).Message), 400)
}

func TestCheckText(t *testing.T) {
	t.Parallel()
	require.NoError(t, jsondoc.CheckText("reason", "äöü", 3))
	require.NoError(t, jsondoc.CheckText("reason", strings.Repeat("x", 1<<20), 0))
	require.True(t, fault.Is(jsondoc.CheckText("reason", "äöüx", 3), fault.CodeInvalidField))
	require.True(t, fault.Is(jsondoc.CheckText("reason", "a\x00", 9), fault.CodeInvalidField))
	require.True(t, fault.Is(jsondoc.CheckText("reason", "a\xff", 9), fault.CodeMalformed))
	require.Equal(t, "reason", fault.Of(jsondoc.CheckText("reason", "a\xff", 9)).Field)
}

// value draws any JSON value that Go can hold, without NUL.
func value(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		text := rapid.Map(rapid.String(), func(s string) string { return strings.ReplaceAll(s, "\x00", "0") })
		kinds := 5
		if depth > 0 {
			kinds = 7
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return rapid.Float64().Draw(t, "number")
		case 3:
			return json.Number(strconv.FormatInt(rapid.Int64().Draw(t, "integer"), 10))
		case 4:
			return text.Draw(t, "text")
		case 5:
			return rapid.SliceOfN(value(depth-1), 0, 5).Draw(t, "array")
		default:
			return rapid.MapOfN(text, value(depth-1), 0, 5).Draw(t, "object")
		}
	})
}

func TestCheckAcceptsWhatEncodingJSONMakes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc, err := json.Marshal(value(9).Draw(t, "value"))
		require.NoError(t, err)
		require.NoError(t, jsondoc.Check("context", doc, jsondoc.ContextLimits()))
	})
}

// FuzzCheck holds Check to encoding/json: what it accepts is JSON, and what it
// finds malformed is not, invalid UTF-8 apart.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"x\u00e9\ud83d\ude00"],"b":{"c":null}}`, `[]`, `"\ud800"`, `{"a":1,}`, `1e999999`, "\"\xff\"", `{"a":"\u0000"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		err := jsondoc.Check("x", doc, jsondoc.Limits{MaxDepth: 1000})
		switch {
		case err == nil:
			require.True(t, json.Valid(doc))
			_, err := jsondoc.Canonical(doc)
			require.True(t, err == nil || fault.Is(err, fault.CodeInvalidField), "only depth may be in the way: %v", err)
		case fault.Is(err, fault.CodeMalformed) && !strings.Contains(err.Error(), "UTF-8"):
			require.False(t, json.Valid(doc), "%v", err)
		}
	})
}

var smallDocument = []byte(`{"order_id":"6f1c2d3e","customer":{"name":"Ada","tier":3},"items":[{"sku":"A-1","quantity":2,"price":19.5}],"express":true}`)

func BenchmarkCheckSmall(b *testing.B) {
	l := jsondoc.ContextLimits()
	b.SetBytes(int64(len(smallDocument)))
	b.ReportAllocs()
	for b.Loop() {
		if err := jsondoc.Check("context", smallDocument, l); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckLarge(b *testing.B) {
	doc := append(append([]byte("["), bytes.Repeat(append(smallDocument, ','), 7000)...), "0]"...)
	l := jsondoc.ResultLimits()
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if err := jsondoc.Check("result", doc, l); err != nil {
			b.Fatal(err)
		}
	}
}

// The bounds were compared with what PostgreSQL 15 makes of the same texts.
func TestCheckKnowsTheNumbersOfJSONB(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("0", 200)
	for text, fits := range map[string]bool{
		"9.99e131071": true, "10e131071": false, "0.1e131072": true, "0.1e131073": false,
		"123e131069": true, "123e131070": false, "-1e131072": false, "0.00001e131076": true, "0.00001e131077": false,
		"1" + zeros + "e130871": true, "1" + zeros + "e130872": false, "0." + zeros + "1e131272": true, "0." + zeros + "1e131273": false,
		"1.5e-16382": true, "1.5e-16383": false, "0e-16383": true, "0e-16384": false, "0.000e5": true,
		strings.Repeat("9", 131_072): true, strings.Repeat("9", 131_073): false,
		"0." + strings.Repeat("1", 16_383): true, "0." + strings.Repeat("1", 16_384): false,
	} {
		err := jsondoc.Check("n", []byte(text), jsondoc.ResultLimits())
		require.Equal(t, fits, err == nil, "%.20s… of %d characters", text, len(text))
	}
}
