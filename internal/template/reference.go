package template

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/regex"
	"fairlead/internal/yamlx"
)

// Reference is an input that takes another resource's output, written
// "${{ resources.NAME.outputs.OUTPUT }}" as the whole value.
type Reference struct {
	Pointer  string // where in the inputs
	Resource string // its name, in the same environment
	Output   string
}

// "$${{" stands for the text "${{": a way to write it that is no expression.
const (
	opening = "${{"
	escaped = "$${{"
)

var (
	referenceForm = regex.Late(`^\$\{\{ *resources\.([^. }]{1,64})\.outputs\.([A-Za-z][A-Za-z0-9_]{0,62}) *\}\}$`)
	outputName    = regex.Late(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)
)

func hasExpression(v any) bool {
	switch c := v.(type) {
	case map[string]any:
		for k, x := range c {
			if hasOpening(k) || hasExpression(x) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(c, hasExpression)
	case string:
		return hasOpening(c)
	}
	return false
}

func hasOpening(s string) bool {
	return strings.Contains(strings.ReplaceAll(s, escaped, "\x00"), opening)
}

func unescape(s string) string { return strings.ReplaceAll(s, escaped, opening) }

// reference reads a whole value as a reference.
func reference(s string) (Reference, bool) {
	m := referenceForm().FindStringSubmatch(s)
	if m == nil || ident.CheckName(m[1]) != nil {
		return Reference{}, false
	}
	return Reference{Resource: m[1], Output: m[2]}, true
}

// ParseReferences finds the references in inputs, in the order of their
// pointers. A "${{" that is no reference is an Invalid fault with the code
// "invalid_reference": nothing else is understood there.
func ParseReferences(inputs map[string]any) ([]Reference, error) {
	var out []Reference
	err := eachString(inputs, "", 0, func(at, s string, key bool) error {
		if !hasOpening(s) {
			return nil
		}
		r, ok := reference(s)
		if !ok || key {
			return fault.New(fault.Invalid, "invalid_reference", "%s holds \"${{\" but is no reference", fieldName(at)).WithField(at).
				WithHint("write \"${{ resources.NAME.outputs.OUTPUT }}\" as the whole value, or \"$${{\" for the text itself")
		}
		r.Pointer = at
		out = append(out, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func eachString(v any, at string, depth int, f func(at, s string, key bool) error) error {
	if depth > 4*maxDepth {
		return fault.New(fault.Invalid, "invalid_inputs", "the inputs are nested too deep").WithField(at)
	}
	switch c := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(c)) {
			here := at + "/" + yamlx.Escape(k)
			if err := f(here, k, true); err != nil {
				return err
			}
			if err := eachString(c[k], here, depth+1, f); err != nil {
				return err
			}
		}
	case []any:
		for i, x := range c {
			if err := eachString(x, at+"/"+strconv.Itoa(i), depth+1, f); err != nil {
				return err
			}
		}
	case string:
		return f(at, c, false)
	}
	return nil
}

// Resolve gives a copy of inputs in which every reference is replaced by what
// get says, and "$${{" by "${{". What get gives is taken as it is and not
// looked into again. An error of get is returned as it is.
func Resolve(inputs map[string]any, get func(Reference) (any, error)) (map[string]any, error) {
	v, err := resolve(inputs, "", get)
	if err != nil {
		return nil, err
	}
	out, _ := v.(map[string]any)
	return out, nil
}

func resolve(v any, at string, get func(Reference) (any, error)) (any, error) {
	switch c := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(c))
		for _, k := range slices.Sorted(maps.Keys(c)) {
			x, err := resolve(c[k], at+"/"+yamlx.Escape(k), get)
			if err != nil {
				return nil, err
			}
			m[unescape(k)] = x
		}
		return m, nil
	case []any:
		l := make([]any, len(c))
		for i, item := range c {
			x, err := resolve(item, at+"/"+strconv.Itoa(i), get)
			if err != nil {
				return nil, err
			}
			l[i] = x
		}
		return l, nil
	case string:
		if r, ok := reference(c); ok {
			r.Pointer = at
			return get(r)
		}
		return unescape(c), nil
	}
	return v, nil
}
