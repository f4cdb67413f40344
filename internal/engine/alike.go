package engine

import (
	"bytes"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
)

// Noise says why a difference counts for nothing.
type Noise string

// Why a difference may count for nothing. The first three are found by Alike.
const (
	NoiseEmpty    Noise = "empty"    // null, "", [] and {} are one
	NoiseText     Noise = "text"     // the same number or the same JSON, written in another way
	NoiseOrder    Noise = "order"    // the same members in another order
	NoiseProvider Noise = "provider" // nothing would put it right: the provider sets it by itself
	NoiseListed   Noise = "listed"   // the template says that it does not count
)

// Alike tells whether two different values, as JSON decodes them, say the same,
// and in what they differ at most; "" when they do not say the same, or are the
// same. Whether an array is a list or a set cannot be seen in JSON, so one in
// another order is told by a Noise of its own.
func Alike(a, b any) Noise {
	if canonical(a, form{}) == canonical(b, form{}) {
		return ""
	}
	for _, f := range []form{{empty: true}, {empty: true, text: true}, {empty: true, text: true, order: true}} {
		if canonical(a, f) != canonical(b, f) {
			continue
		}
		switch {
		case f.order:
			return NoiseOrder
		case f.text:
			return NoiseText
		}
		return NoiseEmpty
	}
	return ""
}

// Same tells whether two values are equal as JSON.
func Same(a, b any) bool { return canonical(a, form{}) == canonical(b, form{}) }

// form says what is made one.
type form struct{ empty, text, order bool }

// canonical writes v so that what is one in the form has one text.
func canonical(v any, f form) string {
	var b strings.Builder
	f.write(&b, v)
	return b.String()
}

func (f form) write(b *strings.Builder, v any) {
	if f.empty && Empty(v) {
		b.WriteString("null")
		return
	}
	switch t := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(t))
		for k, x := range t {
			if !f.empty || !Empty(x) {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		b.WriteByte('{')
		for _, k := range keys {
			writeJSON(b, k)
			b.WriteByte(':')
			f.write(b, t[k])
			b.WriteByte(',')
		}
		b.WriteByte('}')
	case []any:
		items := make([]string, len(t))
		for i, x := range t {
			items[i] = canonical(x, f)
		}
		if f.order {
			slices.Sort(items)
		}
		b.WriteByte('[')
		for _, x := range items {
			b.WriteString(x)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case string:
		if inner, ok := document(t); f.text && ok {
			b.WriteString("json")
			form{text: true}.write(b, inner) // within a document an empty value may say something
			return
		}
		writeJSON(b, t)
	default:
		f.number(b, v)
	}
}

// number writes what is left: numbers, booleans and null.
func (f form) number(b *strings.Builder, v any) {
	if n, ok := v.(json.Number); ok && f.text && len(n) < 100 {
		if r, ok := new(big.Rat).SetString(n.String()); ok && !strings.ContainsAny(n.String(), "eE") {
			b.WriteString(r.RatString())
			return
		}
	}
	writeJSON(b, v)
}

func writeJSON(b *strings.Builder, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		text = []byte("?") // only of what JSON never gives
	}
	b.Write(text)
}

// document reads a text that is a JSON object or array.
func document(s string) (v any, ok bool) {
	if t := strings.TrimSpace(s); len(t) < 2 || t[0] != '{' && t[0] != '[' {
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(s)))
	dec.UseNumber()
	if dec.Decode(&v) != nil || dec.More() {
		return nil, false
	}
	return v, true
}

// Empty tells whether a value is one of those that providers take for each
// other: null, "", and what has nothing in it.
func Empty(v any) bool {
	switch t := v.(type) {
	case nil:
		return true
	case string:
		return t == ""
	case []any:
		return len(t) == 0
	case map[string]any:
		for _, x := range t {
			if !Empty(x) {
				return false
			}
		}
		return true
	}
	return false
}
