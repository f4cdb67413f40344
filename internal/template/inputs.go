package template

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/yamlx"
)

// check validates inputs and gives them with defaults filled in and numbers as
// yamlx.Number gives them. With references allowed, a value that is one fits
// anywhere; it is validated for real once it is resolved.
func (s *schema) check(inputs map[string]any, references bool) (map[string]any, error) {
	var refs map[string]bool
	norm := &normaliser{}
	v, err := norm.value(inputs, "", 0)
	if err != nil {
		return nil, err
	}
	out, _ := v.(map[string]any)
	if out == nil {
		out = map[string]any{}
	}
	if references {
		list, err := ParseReferences(out)
		if err != nil {
			return nil, err
		}
		refs = map[string]bool{}
		for _, r := range list {
			refs[r.Pointer] = true
		}
	}
	s.fill(s.doc, out, 0)
	if s.tooLong(out) {
		return nil, fault.New(fault.TooLarge, "inputs_too_long", "the inputs hold more text than can be matched against the template's patterns").
			WithHint("send at most %d bytes; the template's author may use fewer or simpler patterns", maxMatching/s.programs)
	}
	violations := s.explain(s.compiled.Validate(out), refs)
	if len(violations) == 0 {
		return out, nil
	}
	more := ""
	if n := len(violations) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	first := violations[0]
	return nil, fault.New(fault.Invalid, "invalid_inputs", "the inputs are not valid: %s %s%s", fieldName(first.Field), first.Message, more).
		WithField(first.Field).WithViolations(violations...)
}

func fieldName(pointer string) string {
	if pointer == "" {
		return "the whole"
	}
	return strings.TrimPrefix(pointer, "/")
}

// normaliser bounds what a request may hold, and gives each number one form.
type normaliser struct{ values int }

func (n *normaliser) value(v any, at string, depth int) (any, error) {
	bad := func(why string) error {
		return fault.New(fault.Invalid, "invalid_inputs", "the inputs are not valid: %s %s", fieldName(at), why).
			WithField(at).WithViolations(fault.Violation{Field: at, Message: why})
	}
	if n.values++; n.values > maxValues {
		return nil, bad(fmt.Sprintf("has more than %d values", maxValues))
	}
	if depth > maxDepth {
		return nil, bad(fmt.Sprintf("is nested more than %d levels deep", maxDepth))
	}
	switch x := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(x))
		for _, k := range slices.Sorted(maps.Keys(x)) {
			c, err := n.value(x[k], at+"/"+yamlx.Escape(k), depth+1)
			if err != nil {
				return nil, err
			}
			m[k] = c
		}
		return m, nil
	case []any:
		l := make([]any, len(x))
		for i, item := range x {
			c, err := n.value(item, at+"/"+strconv.Itoa(i), depth+1)
			if err != nil {
				return nil, err
			}
			l[i] = c
		}
		return l, nil
	case nil, bool, string, int64:
		return x, nil
	case redact.Secret: // an output that was resolved
		return x.Reveal(), nil
	case json.Number:
		if v, ok := yamlx.Number(string(x)); ok {
			return v, nil
		}
		return nil, bad("is a number out of range, or of too many digits: at most 400")
	case float64:
		switch {
		case math.IsNaN(x) || math.IsInf(x, 0):
			return nil, bad("is not a finite number")
		case x == math.Trunc(x) && math.Abs(x) <= 1<<53:
			return int64(x), nil
		}
		return x, nil
	}
	if r := reflect.ValueOf(v); r.CanInt() {
		return r.Int(), nil
	} else if r.CanUint() && r.Uint() <= math.MaxInt64 {
		return int64(r.Uint()), nil
	} else if r.Kind() == reflect.Slice {
		l := make([]any, r.Len())
		for i := range l {
			l[i] = r.Index(i).Interface()
		}
		return n.value(l, at, depth)
	}
	return nil, bad(fmt.Sprintf("has a value of an unknown type (%T)", v))
}

// fill puts defaults into an object, also below properties that are absent
// themselves, when they come out complete.
func (s *schema) fill(sub any, value any, depth int) {
	m, ok := sub.(map[string]any)
	if !ok || depth > 2*maxDepth {
		return
	}
	if ref, ok := m["$ref"].(string); ok {
		s.fill(s.at(strings.TrimPrefix(ref, "#")), value, depth+1)
	}
	if all, ok := m["allOf"].([]any); ok {
		for _, one := range all {
			s.fill(one, value, depth+1)
		}
	}
	switch v := value.(type) {
	case map[string]any:
		props, _ := m["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(props)) {
			if _, ok := v[name]; !ok {
				s.fillAbsent(props[name], name, v, depth)
			} else {
				s.fill(props[name], v[name], depth+1)
			}
		}
		if extra, ok := m["additionalProperties"].(map[string]any); ok {
			for name := range v {
				if !has(props, name) {
					s.fill(extra, v[name], depth+1)
				}
			}
		}
	case []any:
		prefix, _ := m["prefixItems"].([]any)
		for i, item := range v {
			if i < len(prefix) {
				s.fill(prefix[i], item, depth+1)
			} else {
				s.fill(m["items"], item, depth+1)
			}
		}
	}
}

func (s *schema) fillAbsent(sub any, name string, into map[string]any, depth int) {
	own, _ := sub.(map[string]any)
	if d, ok := own["default"]; ok { // beside a $ref it wins
		v := cloneValue(d)
		s.fill(sub, v, depth+1)
		into[name] = v
		return
	}
	m := s.deref(sub)
	if d, ok := m["default"]; ok {
		v := cloneValue(d)
		s.fill(m, v, depth+1)
		into[name] = v
		return
	}
	if m["type"] != "object" {
		return
	}
	v := map[string]any{}
	s.fill(m, v, depth+1)
	required, _ := m["required"].([]any)
	for _, r := range required {
		if name, _ := r.(string); !has(v, name) {
			return
		}
	}
	if len(v) > 0 {
		into[name] = v
	}
}

// secrets gives the pointers of the values in inputs that the schema marks as
// secret.
func (s *schema) secrets(inputs map[string]any) []string {
	var out []string
	for _, path := range s.sensitive {
		out = append(out, expand(inputs, path, "")...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func expand(v any, path []string, at string) []string {
	if len(path) == 0 {
		return []string{at}
	}
	var out []string
	switch c := v.(type) {
	case map[string]any:
		for k, x := range c {
			if path[0] == "*" || path[0] == k {
				out = append(out, expand(x, path[1:], at+"/"+yamlx.Escape(k))...)
			}
		}
	case []any:
		for i, x := range c {
			if path[0] == "*" || path[0] == strconv.Itoa(i) {
				out = append(out, expand(x, path[1:], at+"/"+strconv.Itoa(i))...)
			}
		}
	}
	return out
}

// hide gives a copy of inputs with every secret shown as redact.Shown. A
// reference names a secret and is none, so it stays.
func (s *schema) hide(inputs map[string]any) map[string]any {
	out := cloneValue(inputs).(map[string]any)
	for _, pointer := range s.secrets(out) {
		if pointer == "" {
			return map[string]any{}
		}
		update(out, pointer, func(v any) any {
			if text, ok := v.(string); ok {
				if _, isRef := reference(text); isRef {
					return v
				}
			}
			return redact.Shown
		})
	}
	return out
}

// update replaces the value at a pointer that exists.
func update(v any, pointer string, f func(any) any) {
	tokens := strings.Split(pointer, "/")[1:]
	for i, token := range tokens {
		token = yamlx.Unescape(token)
		last := i == len(tokens)-1
		switch c := v.(type) {
		case map[string]any:
			if last {
				c[token] = f(c[token])
			}
			v = c[token]
		case []any:
			n, err := strconv.Atoi(token)
			if err != nil || n < 0 || n >= len(c) {
				return
			}
			if last {
				c[n] = f(c[n])
			}
			v = c[n]
		}
	}
}
