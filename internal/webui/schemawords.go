package webui

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/yamlx"
)

func str(v any) string { s, _ := v.(string); return s }

func num(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case json.Number:
		f, _ := v.Float64()
		return f
	}
	return 0
}

// plain is a scalar as a form's field has it; "" for anything else.
func plain(v any) string {
	switch v := v.(type) {
	case nil, map[string]any, []any:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return fmt.Sprint(v)
}

func compact(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

func typeOf(s map[string]any) string {
	switch t := s["type"].(type) {
	case string:
		return t
	case []any: // nullable: the other one
		for _, v := range t {
			if v != "null" {
				return str(v)
			}
		}
	}
	if hasProperties(s) {
		return "object"
	}
	return ""
}

func props(s map[string]any) map[string]any { p, _ := s["properties"].(map[string]any); return p }

func hasProperties(s map[string]any) bool { return len(props(s)) > 0 || len(conditionals(s)) > 0 }

// ordered gives the properties as their author has them, where x-order says
// so; else required ones first, each group by name.
func ordered(props map[string]any, required []any) []string {
	place := func(key string) float64 {
		p, _ := props[key].(map[string]any)
		if n, known := p["x-order"]; known {
			return num(n)
		}
		return math.Inf(1)
	}
	last := func(key string) int {
		if slices.Contains(required, any(key)) {
			return 0
		}
		return 1
	}
	return slices.SortedFunc(maps.Keys(props), func(a, b string) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(last(a), last(b)), cmp.Compare(a, b))
	})
}

func labelOf(s map[string]any, pointer string) string {
	if t := str(s["title"]); t != "" {
		return t
	}
	return Words(yamlx.Unescape(pointer[strings.LastIndexByte(pointer, '/')+1:]))
}

func fieldID(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r == '/':
			b.WriteByte('-')
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, ".%x", r)
		}
	}
	return b.String()
}

// nameOf is a property in the name of a field, where a ? is ours.
func nameOf(key string) string { return strings.ReplaceAll(yamlx.Escape(key), "?", "~2") }

// units by how a name ends: a number alone says too little.
var units = []struct{ suffix, unit string }{
	{"_mb", "MB"}, {"_gb", "GB"}, {"_mib", "MiB"}, {"_gib", "GiB"}, {"_seconds", "s"}, {"_minutes", "min"}, {"_hours", "h"}, {"_days", "days"},
	{"_ms", "ms"}, {"_percent", "%"}, {"_millicores", "m CPU"},
}

// unitOf is what a number counts: as its author says (x-unit), or as its name
// ends.
func unitOf(s map[string]any, name string) string {
	if u := str(s["x-unit"]); u != "" {
		return u
	}
	for _, u := range units {
		if strings.HasSuffix(name, u.suffix) {
			return u.unit
		}
	}
	return ""
}

func rangeText(s map[string]any) string {
	low, high := plain(s["minimum"]), plain(s["maximum"])
	switch {
	case low != "" && high != "":
		return "From " + low + " to " + high
	case low != "":
		return "At least " + low
	case high != "":
		return "At most " + high
	}
	return ""
}

// sentence joins two texts that each say something.
func sentence(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return strings.TrimSuffix(strings.TrimSpace(a), ".") + ". " + b + "."
}

// SchemaFieldID gives the id of the field for a JSON pointer into the inputs.
func SchemaFieldID(pointer string) string { return fieldID(inputPrefix + pointer) }
