package grpc

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/fault"
)

func TestNumbersInDocuments(t *testing.T) {
	t.Parallel()
	for text, n := range map[string]float64{
		"5": 5, "-5": -5, "0": math.Copysign(0, -1), "0.5": 0.5, "0.1": 0.1, "0.0000001": 1e-7, "1e-22": 1e-22,
		"9007199254740992": 1 << 53, "100000000000000000000": 1e20, "1e+21": 1e21, "1.7976931348623157e+308": math.MaxFloat64,
	} {
		got, err := document("context", &structpb.Struct{Fields: map[string]*structpb.Value{"n": structpb.NewNumberValue(n)}})
		require.NoError(t, err)
		require.Equal(t, `{"n":`+text+`}`, string(got))
	}
}

func TestNumbersThatJSONDoesNotHave(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]float64{"NaN": math.NaN(), "infinite": math.Inf(1), "minus infinite": math.Inf(-1)} {
		bad := structpb.NewNumberValue(n)
		deep := bad
		for range 3000 {
			deep = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{deep}})
		}
		for path, members := range map[string]map[string]*structpb.Value{
			"context.n": {"n": bad},
			`context.items[1]["a.b"]`: {"items": structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{
				structpb.NewNullValue(), structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"a.b": bad}}),
			}})},
			"context.deep" + strings.Repeat("[0]", 15) + "…": {"deep": deep},
		} {
			_, err := document("context", &structpb.Struct{Fields: members})
			require.True(t, fault.Is(err, fault.CodeInvalidField), name)
			require.Equal(t, path, fault.Of(err).Field, name)
			require.Contains(t, fault.Of(err).Message, path)
		}
	}
}

func TestNoDocument(t *testing.T) {
	t.Parallel()
	got, err := document("context", nil)
	require.NoError(t, err)
	require.Nil(t, got)
	for _, raw := range []string{"", "null", "[1]", `"text"`, "5", "{", `{"a"}`} {
		require.Nil(t, object([]byte(raw)), raw)
	}
	require.NotNil(t, object([]byte(" \n{} ")))
	require.Empty(t, object([]byte("{}")).GetFields())
}

// A number that a double cannot hold is not lost, and neither is what stands
// beside it.
func TestNumbersBeyondDoubles(t *testing.T) {
	t.Parallel()
	got := object([]byte(`{"n": 1e400, "m": 1}`))
	require.Equal(t, "1e400", got.GetFields()["n"].GetStringValue())
	require.InDelta(t, 1, got.GetFields()["m"].GetNumberValue(), 0)
}

// values draws values of messages; depth bounds them.
func values(depth int) *rapid.Generator[*structpb.Value] {
	leaf := []*rapid.Generator[*structpb.Value]{
		rapid.Just(structpb.NewNullValue()),
		rapid.Map(rapid.Bool(), structpb.NewBoolValue),
		rapid.Map(rapid.String(), structpb.NewStringValue),
		rapid.Map(rapid.Int32(), func(n int32) *structpb.Value { return structpb.NewNumberValue(float64(n)) }),
		rapid.Map(rapid.Float64(), structpb.NewNumberValue),
	}
	if depth == 0 {
		return rapid.OneOf(leaf...)
	}
	inner := rapid.Deferred(func() *rapid.Generator[*structpb.Value] { return values(depth - 1) })
	return rapid.OneOf(append(leaf,
		rapid.Map(rapid.MapOfN(rapid.String(), inner, 0, 4), func(m map[string]*structpb.Value) *structpb.Value {
			return structpb.NewStructValue(&structpb.Struct{Fields: m})
		}),
		rapid.Map(rapid.SliceOfN(inner, 0, 4), func(l []*structpb.Value) *structpb.Value {
			return structpb.NewListValue(&structpb.ListValue{Values: l})
		}),
	)...)
}

func structs() *rapid.Generator[*structpb.Struct] {
	return rapid.Map(rapid.MapOfN(rapid.String(), values(4), 0, 6), func(m map[string]*structpb.Value) *structpb.Struct {
		return &structpb.Struct{Fields: m}
	})
}

func TestDocumentsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := structs().Draw(t, "s")
		raw, err := document("context", s)
		require.NoError(t, err)
		require.True(t, json.Valid(raw), "%s", raw)
		back := object(raw)
		noNegativeZero(structpb.NewStructValue(s))
		require.True(t, proto.Equal(s, back), "%s", raw)
		again, err := document("context", back)
		require.NoError(t, err)
		require.Equal(t, string(raw), string(again))
		// The standard library reads the same.
		var want, got any
		std, err := json.Marshal(s.AsMap())
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(std, &want))
		require.NoError(t, json.Unmarshal(raw, &got))
		require.Equal(t, want, got)
	})
}

func noNegativeZero(v *structpb.Value) {
	switch k := v.GetKind().(type) {
	case *structpb.Value_NumberValue:
		if k.NumberValue == 0 {
			k.NumberValue = 0
		}
	case *structpb.Value_StructValue:
		for _, m := range k.StructValue.GetFields() {
			noNegativeZero(m)
		}
	case *structpb.Value_ListValue:
		for _, m := range k.ListValue.GetValues() {
			noNegativeZero(m)
		}
	}
}

func TestWholeNumbersStayWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(-1<<53, 1<<53).Draw(t, "n")
		raw, err := document("context", &structpb.Struct{Fields: map[string]*structpb.Value{"n": structpb.NewNumberValue(float64(n))}})
		require.NoError(t, err)
		in := json.NewDecoder(bytes.NewReader(raw))
		in.UseNumber()
		var got struct{ N json.Number }
		require.NoError(t, in.Decode(&got))
		whole, err := got.N.Int64()
		require.NoError(t, err, "%s", raw)
		require.Equal(t, n, whole)
	})
}

func BenchmarkDocument(b *testing.B) {
	s, err := structpb.NewStruct(map[string]any{"run": "0123456789", "n": 5, "note": strings.Repeat("x", 100)})
	require.NoError(b, err)
	raw, err := document("context", s)
	require.NoError(b, err)
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = document("context", s)
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			object(raw)
		}
	})
}
