package clikit

import (
	"encoding/json"
	"strings"
)

// Assignments reads what --set and --set-string give: KEY=VALUE each, placed
// at KEY's path; nil when there are none.
func Assignments(set, setString []string) (map[string]any, error) {
	var out map[string]any
	put := func(assignment string, value func(string) any) error {
		key, text, ok := strings.Cut(assignment, "=")
		if !ok || key == "" {
			return Usage("%q is no KEY=VALUE", clean(assignment)).WithHint("such as --set connection_limit=50")
		}
		if out == nil {
			out = map[string]any{}
		}
		return place(out, path(key), key, value(text))
	}
	for _, a := range set {
		if err := put(a, typed); err != nil {
			return nil, err
		}
	}
	for _, a := range setString {
		if err := put(a, func(s string) any { return s }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// typed reads a value as JSON and, when it is none, as a string. Numbers keep
// every digit.
func typed(s string) any {
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil || dec.More() || dec.InputOffset() != int64(len(s)) {
		return s
	}
	return v
}

// path splits a key at its dots; \. is a dot in a name.
func path(key string) []string {
	var parts []string
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		switch {
		case key[i] == '\\' && i+1 < len(key) && key[i+1] == '.':
			i++
			b.WriteByte('.')
		case key[i] == '.':
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(key[i])
		}
	}
	return append(parts, b.String())
}

func place(in map[string]any, path []string, key string, value any) error {
	for i, name := range path {
		if name == "" {
			return Usage("%q is no path: a name is empty", clean(key))
		}
		if i == len(path)-1 {
			if _, twice := in[name]; twice {
				return Usage("%q is set twice", clean(key))
			}
			in[name] = value
			return nil
		}
		next, ok := in[name].(map[string]any)
		if !ok {
			if _, there := in[name]; there {
				return Usage("%q leads into what is set to a plain value", clean(key))
			}
			next = map[string]any{}
			in[name] = next
		}
		in = next
	}
	return nil
}
