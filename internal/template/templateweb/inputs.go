package templateweb

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/template"
	"fairlead/internal/webui"
)

// input is a row of the table of what a template takes.
type input struct {
	name, kind, standard, about string
	required                    bool
	depth                       int
}

const (
	maxInputs = 200
	maxDepth  = 4
)

// inputs gives the inputs as rows, nested ones below what holds them; cut tells
// that there are more.
func inputs(v *template.Version) (rows []input, cut bool) {
	rows = below(nil, v.Inputs, "", 0)
	return rows[:min(len(rows), maxInputs)], len(rows) > maxInputs
}

func below(rows []input, schema map[string]any, prefix string, depth int) []input {
	props, _ := schema["properties"].(map[string]any)
	must := map[string]bool{}
	if list, ok := schema["required"].([]any); ok {
		for _, name := range list {
			if s, ok := name.(string); ok {
				must[s] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if len(rows) > maxInputs || depth > maxDepth {
			return rows
		}
		one, _ := props[name].(map[string]any)
		row := input{name: prefix + name, kind: kindOf(one), required: must[name], depth: depth}
		row.about, _ = one["description"].(string)
		if title, ok := one["title"].(string); ok && row.about == "" {
			row.about = title
		}
		if d, ok := one["default"]; ok && one["writeOnly"] != true && one["format"] != "password" {
			row.standard = short(d)
		}
		rows = append(rows, row)
		rows = below(rows, one, prefix+name+".", depth+1)
	}
	return rows
}

// kindOf says what a value has to be, in a few words.
func kindOf(s map[string]any) string {
	kind := ""
	switch t := s["type"].(type) {
	case string:
		kind = t
	case []any:
		var names []string
		for _, n := range t {
			names = append(names, webui.Text(n))
		}
		kind = strings.Join(names, " or ")
	}
	if list, ok := s["enum"].([]any); ok {
		var names []string
		for _, v := range list[:min(len(list), 8)] {
			names = append(names, short(v))
		}
		kind = "one of " + strings.Join(names, ", ")
		if len(list) > 8 {
			kind += " and " + strconv.Itoa(len(list)-8) + " more"
		}
	}
	if items, ok := s["items"].(map[string]any); ok && kind == "array" {
		if of := kindOf(items); of != "" {
			kind = "list of " + of
		}
	}
	if s["writeOnly"] == true || s["format"] == "password" {
		kind = "secret"
	}
	if kind == "" {
		kind = "any"
	}
	return kind
}

func short(v any) string {
	text, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		text = string(b)
	}
	if r := []rune(text); len(r) > 60 {
		return string(r[:59]) + "…"
	}
	return text
}
