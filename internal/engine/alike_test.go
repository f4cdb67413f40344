package engine_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"fairlead/internal/engine"
)

func decode(t *testing.T, s string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

func TestAlike(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why, a, b string
		want      engine.Noise
	}{
		{"equal values do not differ at all", `{"a":[1,"x"]}`, `{"a":[1,"x"]}`, ""},
		{"a key order is none", `{"a":1,"b":2}`, `{"b":2,"a":1}`, ""},
		{"null for an empty text", `null`, `""`, engine.NoiseEmpty},
		{"an empty text for an empty list", `""`, `[]`, engine.NoiseEmpty},
		{"an empty list for an empty map", `[]`, `{}`, engine.NoiseEmpty},
		{"a map of nothing but empties", `{"a":null,"b":{"c":""}}`, `null`, engine.NoiseEmpty},
		{"a key that is absent, and one that is empty", `{"a":1}`, `{"a":1,"b":[]}`, engine.NoiseEmpty},
		{"empties deep within", `[{"a":{"b":null}}]`, `[{"a":{"b":[]}}]`, engine.NoiseEmpty},
		{"false is a value", `false`, `null`, ""},
		{"zero is a value", `0`, `null`, ""},
		{"a list of one empty text is not an empty list", `[""]`, `[]`, ""},
		{"white space in a JSON text", `"{\"a\": [1, 2]}"`, `"{\"a\":[1,2]}"`, engine.NoiseText},
		{"key order in a JSON text", `"{\"a\":1,\"b\":2}"`, `"{\"b\":2,\"a\":1}"`, engine.NoiseText},
		{"a list in a JSON text keeps its order", `"[1,2]"`, `"[2,1]"`, ""},
		{"an empty value in a JSON text says something", `"{\"a\":null}"`, `"{}"`, ""},
		{"texts that are no JSON", `"a b"`, `"a  b"`, ""},
		{"a text that only begins like JSON", `"{a"`, `"{a "`, ""},
		{"two documents are no document", `"{} {}"`, `"{}{}"`, ""},
		{"a number written in another way", `1`, `1.0`, engine.NoiseText},
		{"numbers that differ in the last digit", `9007199254740993`, `9007199254740992`, ""},
		{"a number is not its text", `1`, `"1"`, ""},
		{"members in another order", `["b","a"]`, `["a","b"]`, engine.NoiseOrder},
		{"objects in another order, one with an empty value", `[{"p":1},{"p":2,"q":""}]`, `[{"p":2},{"p":1}]`, engine.NoiseOrder},
		{"one member more", `["a","a","b"]`, `["a","b"]`, ""},
		{"another member twice", `["a","a","b"]`, `["a","b","b"]`, ""},
		{"a member that changed", `["a","b"]`, `["a","c"]`, ""},
		{"upper case is another text", `"A"`, `"a"`, ""},
		{"true for false", `true`, `false`, ""},
	} {
		a, b := decode(t, row.a), decode(t, row.b)
		if got := engine.Alike(a, b); got != row.want {
			t.Errorf("%s: %s and %s: %q, want %q", row.why, row.a, row.b, got, row.want)
		}
		if got := engine.Alike(b, a); got != row.want {
			t.Errorf("%s, the other way round: %q, want %q", row.why, got, row.want)
		}
	}
}

// values are JSON values without any that is empty.
func values(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 3
		if depth > 0 {
			kinds = 5
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return rapid.StringMatching(`[a-z]{1,6}`).Draw(t, "text")
		case 1:
			return json.Number(rapid.StringMatching(`[1-9][0-9]{0,5}`).Draw(t, "number"))
		case 2:
			return rapid.Bool().Draw(t, "bool")
		case 3:
			return rapid.SliceOfN(values(depth-1), 1, 4).Draw(t, "list")
		}
		return rapid.MapOfN(rapid.StringMatching(`[a-z]{1,3}`), values(depth-1), 1, 4).Draw(t, "map")
	})
}

// noisy writes v in another way that says the same.
func noisy(v any, rng *rand.Rand) any {
	switch t := v.(type) {
	case []any:
		out := make([]any, len(t))
		for i, j := range rng.Perm(len(t)) {
			out[i] = noisy(t[j], rng)
		}
		return out
	case map[string]any:
		out := map[string]any{"zz-nothing": []any{nil, "", []any{}, map[string]any{}}[rng.IntN(4)]}
		for k, x := range t {
			out[k] = noisy(x, rng)
		}
		return out
	case json.Number:
		return t + ".0"
	}
	return v
}

// spoiled changes one leaf of v.
func spoiled(v any, rng *rand.Rand) any {
	switch t := v.(type) {
	case []any:
		out := append([]any(nil), t...)
		i := rng.IntN(len(out))
		out[i] = spoiled(out[i], rng)
		return out
	case map[string]any:
		out, n := map[string]any{}, rng.IntN(len(t))
		for k, x := range t {
			if n == 0 {
				x = spoiled(x, rng)
			}
			n--
			out[k] = x
		}
		return out
	}
	return "SOMETHING ELSE"
}

func TestNoiseIsAlikeAndAChangeIsNot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := values(3).Draw(t, "value")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		n := noisy(v, rng)
		if !engine.Same(v, n) && engine.Alike(v, n) == "" {
			t.Fatalf("%v and %v say the same", v, n)
		}
		s := spoiled(v, rng)
		if got := engine.Alike(v, s); got != "" || engine.Same(v, s) {
			t.Fatalf("%v was changed to %v, and that is taken for %q", v, s, got)
		}
		if got := engine.Alike(n, s); got != "" {
			t.Fatalf("%v was changed to %v, and that is taken for %q", n, s, got)
		}
	})
}
