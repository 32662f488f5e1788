package jsondoc_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/jsondoc"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	names := []string{"password", "Card"}
	for name, c := range map[string]struct{ doc, want string }{
		"a member":                {`{"password":"x","user":"ann"}`, `{"password":"[redacted]","user":"ann"}`},
		"in whatever case":        {`{"PassWord":1,"CARD":null}`, `{"CARD":"[redacted]","PassWord":"[redacted]"}`},
		"at any depth":            {`{"a":[{"b":{"card":{"no":"4111"}}}]}`, `{"a":[{"b":{"card":"[redacted]"}}]}`},
		"not values":              {`{"say":"password"}`, `{"say":"password"}`},
		"not parts of names":      {`{"password_hint":"cat"}`, `{"password_hint":"cat"}`},
		"numbers keep their form": {`{"n":12345678901234567890.10,"m":"<&>"}`, `{"m":"<&>","n":12345678901234567890.10}`},
		"what cannot be read":     {`{"password":"x"`, `"[redacted]"`},
		"nothing":                 {``, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, string(jsondoc.Redact(json.RawMessage(c.doc), names)))
		})
	}
	require.JSONEq(t, `{"password":1}`, string(jsondoc.Redact(json.RawMessage(`{"password":1}`), nil)))
}

func TestRedactHidesWhereverItIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var doc any = map[string]any{"token": "4242-secret"}
		for range rapid.IntRange(0, 8).Draw(t, "depth") {
			if rapid.Bool().Draw(t, "in an array") {
				doc = []any{doc, rapid.String().Draw(t, "beside")}
			} else {
				doc = map[string]any{rapid.StringMatching(`[a-s]{1,5}`).Draw(t, "name"): doc}
			}
		}
		raw, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if out := string(jsondoc.Redact(raw, []string{"TOKEN"})); strings.Contains(out, "4242-secret") || !json.Valid([]byte(out)) {
			t.Fatalf("%s became %s", raw, out)
		}
	})
}
