package yamlx_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/fault"
	"fairlead/internal/yamlx"
)

func decode(s string) ([]yamlx.Doc, error) {
	return yamlx.Decode(strings.NewReader(s), yamlx.Limits{File: "f.yaml"})
}

func TestDecodeGivesJSONsTypes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		reason, in string
		want       any
	}{
		{"every scalar", "a: x\nb: 1\nc: 1.5\nd: true\ne: null\nf: ~\ng:\n", map[string]any{"a": "x", "b": int64(1), "c": 1.5, "d": true, "e": nil, "f": nil, "g": nil}},
		{"YAML 1.1 booleans are strings", "a: yes\nb: on\nc: n\n", map[string]any{"a": "yes", "b": "on", "c": "n"}},
		{"dates are strings", "a: 2026-01-01\n", map[string]any{"a": "2026-01-01"}},
		{"quoted is a string", "a: '1'\nb: \"true\"\n\"1\": c\n", map[string]any{"a": "1", "b": "true", "1": "c"}},
		{"JSON with tabs", "{\n\t\"a\": [1, 2.0, \"x\"]\n}", map[string]any{"a": []any{int64(1), int64(2), "x"}}},
		{"flow style that is no JSON", "{a: 1, b: [x]}", map[string]any{"a": int64(1), "b": []any{"x"}}},
		{"a byte order mark", "\ufeffa: 1\n", map[string]any{"a": int64(1)}},
	} {
		docs, err := decode(tc.in)
		if err != nil || len(docs) != 1 {
			t.Errorf("%s: %d documents, %v", tc.reason, len(docs), err)
			continue
		}
		if d := cmp.Diff(tc.want, docs[0].Root.Value()); d != "" {
			t.Errorf("%s: %s", tc.reason, d)
		}
	}
}

func TestDecodeReadsManyDocuments(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"a: 1\n---\n---\nb:\n  c: 2\n", "{\"a\": 1}\n\n\n{\"b\":\n {\"c\": 2}}"} {
		docs, err := decode(in)
		if err != nil || len(docs) != 2 {
			t.Fatalf("%d documents, %v", len(docs), err)
		}
		n := docs[1].Root.Find("/b/c/nothing")
		if n.Line != 5 || n.Pointer != "/b/c" {
			t.Errorf("%q: line %d, pointer %s", in, n.Line, n.Pointer)
		}
	}
}

// bombs are inputs that must be refused, and fast.
func bombs() map[string]string {
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [lol]\n")
	for i := 1; i < 20; i++ {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	return map[string]string{
		"billion laughs":       laughs.String(),
		"alias to itself":      "a: &a [*a]\n",
		"an anchor alone":      "a: &a 1\n",
		"merge key":            "a: {<<: {b: 1}}\n",
		"deep flow":            strings.Repeat("[", 500_000),
		"deep flow, closed":    strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"deep JSON":            strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000),
		"deep block":           deepBlock(1200),
		"deep dashes":          strings.Repeat("- ", 400_000),
		"too large":            "a: " + strings.Repeat("x", 1<<20),
		"many values":          "[" + strings.Repeat("1,", 400_000) + "1]",
		"many empty flows":     "a: [" + strings.Repeat("{},", 300_000) + "{}]",
		"many documents":       strings.Repeat("--- 1\n", 150_000),
		"invalid UTF-8":        "a: \xff\xfe\n",
		"UTF-16":               "\xff\xfea\x00:\x00",
		"explicit tag":         "a: !!binary aGk=\n",
		"custom tag":           "a: !ruby/object:Kernel {}\n",
		"duplicate key":        "a: 1\nb: 2\na: 3\n",
		"duplicate JSON key":   `{"a": 1, "a": 2}`,
		"duplicate, escaped":   `{"a": 1, "\u0061": 2}`,
		"key that is a number": "1: a\n",
		"key that is a list":   "? [a]\n: b\n",
		"key that is null":     "~: b\n",
		"octal by surprise":    "a: 0777\n",
		"hexadecimal":          "a: 0xff\n",
		"infinity":             "a: .inf\n",
		"not a number":         "a: .NaN\n",
		"huge number":          "a: 1e999999999\n",
		"huge JSON number":     `{"a": 1e999999999}`,
		"too many digits":      "a: 1e999\n",
		"tab indentation":      "a:\n\tb: 1\n",
		"unclosed":             "a: [1\n",
		"long key":             strings.Repeat("k", 2000) + ": 1\n",
		"control character":    "a: \x00\n",
		"comments":             strings.Repeat("#\n", 400_000) + "&a 1",
		"comments in a list":   strings.Repeat("- 1 #\n", 150_000) + "",
	}
}

func deepBlock(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestDecodeRefusesBombsAndAmbiguity(t *testing.T) {
	t.Parallel()
	for reason, in := range bombs() {
		start := time.Now()
		_, err := decode(in)
		took := time.Since(start)
		if !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge) {
			t.Errorf("%s: %v", reason, err)
			continue
		}
		if f := fault.From(err); !strings.HasPrefix(f.Message, "f.yaml ") || len(f.Message) > 300 {
			t.Errorf("%s: the message does not say where, or says too much: %.400s", reason, f.Message)
		}
		if took > 5*time.Second {
			t.Errorf("%s: took %v", reason, took)
		}
	}
}

func TestDecodeSaysWhere(t *testing.T) {
	t.Parallel()
	_, err := decode("a:\n  b: 1\n  c: 2\n  b: 3\n")
	f := fault.From(err)
	if f.Field != "/a/b" || !strings.Contains(f.Message, "line 4") || !strings.Contains(f.Message, "line 2") {
		t.Errorf("%q at %q", f.Message, f.Field)
	}
}

func TestReaderKeepsEveryViolation(t *testing.T) {
	t.Parallel()
	docs, err := decode("nmae: x\ncount: many\nevery: 1s\ntags: [a, 1]\n")
	if err != nil {
		t.Fatal(err)
	}
	r := yamlx.NewReader("f.yaml")
	o := r.Object(docs[0].Root, "name", "count", "every", "tags", "on")
	o.Need("name")
	o.Bool("count")
	o.Duration("every", time.Minute, time.Hour)
	o.Strings("tags")
	var fields []string
	f := fault.From(r.Err("invalid_thing", "the thing is not valid"))
	for _, v := range f.Violations {
		fields = append(fields, v.Field)
	}
	if d := cmp.Diff([]string{"/nmae", "/name", "/count", "/every", "/tags/1"}, fields); d != "" {
		t.Error(d)
	}
	if !strings.Contains(f.Violations[0].Message, `did you mean "name"?`) {
		t.Error(f.Violations[0].Message)
	}
	if !errors.Is(f, fault.New(fault.Invalid, "invalid_thing", "")) {
		t.Error(f.Code)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"connection_limit", "extensions", "name"}
	for in, want := range map[string]string{
		"conection_limit": "connection_limit", "Extension": "extensions", "anme": "name", "zzz": "", "": "",
		strings.Repeat("a", 100): "",
	} {
		if got := yamlx.Nearest(in, known); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, in := range bombs() {
		if len(in) < 4096 {
			f.Add([]byte(in))
		}
	}
	f.Add([]byte("a: 1\n---\n{\"b\": [1, 2.5, true, null]}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		docs, err := yamlx.Decode(bytes.NewReader(in), yamlx.Limits{})
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.TooLarge {
				t.Fatalf("kind %v: %v", k, err)
			}
			return
		}
		for _, d := range docs {
			d.Root.Value()
		}
	})
}

func TestSyntaxErrorsSayTheLineOnce(t *testing.T) {
	t.Parallel()
	for in, line := range map[string]string{"a: 1\nb: [1, {c: d\ne: f\n": "", "a: 1\n\tb: 2\n": "f.yaml line 2: ", "a: 'x\n": "", "a: 1\n  b: 2\n": "f.yaml line 2: "} {
		_, err := decode(in)
		f := fault.From(err)
		if f.Code != "invalid_yaml" || strings.Count(f.Message, " line ") != 1 || strings.Contains(f.Message, "yaml: ") || !strings.HasPrefix(f.Message, line) {
			t.Errorf("%q: %s", in, f.Message)
		}
	}
}
