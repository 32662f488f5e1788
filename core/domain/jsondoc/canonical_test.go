package jsondoc_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/jsondoc"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ doc, want string }{
		"a scalar":                {" 1.0 ", `1.0`},
		"sorts at every level":    {`{"b":{"d":1,"c":[{"z":1,"y":2}]},"a":null}`, `{"a":null,"b":{"c":[{"y":2,"z":1}],"d":1}}`},
		"drops white space":       {"{ \"a\" : [ 1 , true ,\n\"x y\" ] , \"b\" : { } }", `{"a":[1,true,"x y"],"b":{}}`},
		"the last of equal keys":  {`{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`},
		"equal keys in a row":     {`{"a":1,"a":2}`, `{"a":2}`},
		"equal by what they mean": {`{"a":1,"\u0061":2}`, `{"a":2}`},
		"fewest escapes":          {`"\u0041\/\u00e9\ud83d\ude00\n\u000a\u001f\"\\"`, `"A/é😀\n\n\u001f\"\\"`},
		"numbers as spelled":      {`[1,1.0,1e0,1E+0,-0]`, `[1,1.0,1e0,1E+0,-0]`},
		"order by decoded key":    {`{"\"":1,"#":2,"!":3}`, `{"!":3,"\"":1,"#":2}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := jsondoc.Canonical([]byte(c.doc))
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
		})
	}
}

func TestCanonicalAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := value(6).Draw(t, "value")
		spelled, err := json.MarshalIndent(v, "", "\t") // escapes HTML, adds space
		require.NoError(t, err)
		got, err := jsondoc.Canonical(spelled)
		require.NoError(t, err)

		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		require.NoError(t, enc.Encode(v))
		// encoding/json always escapes these two, for JavaScript's sake.
		oracle := strings.NewReplacer(`\\`, `\\`, `\u2028`, "\u2028", `\u2029`, "\u2029").Replace(strings.TrimSuffix(want.String(), "\n"))
		require.Equal(t, oracle, string(got))

		again, err := jsondoc.Canonical(got)
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}

// FuzzCanonical checks that the canonical text means the same and is final.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{"b":1,"a":[1,"\u0061",{"y":2,"x":1e3}],"b":2}`, `"\ud83d\ude00"`, ` [ ] `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := jsondoc.Canonical(doc)
		if err != nil {
			return
		}
		require.Equal(t, decode(t, doc), decode(t, got))
		again, err := jsondoc.Canonical(got)
		require.NoError(t, err)
		require.Equal(t, string(got), string(again))
	})
}

func decode(t *testing.T, doc []byte) any {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	require.NoError(t, d.Decode(&v))
	return v
}

func BenchmarkCanonicalSmall(b *testing.B) {
	b.SetBytes(int64(len(smallDocument)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jsondoc.Canonical(smallDocument); err != nil {
			b.Fatal(err)
		}
	}
}
