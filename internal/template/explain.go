package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"fairlead/internal/fault"
	"fairlead/internal/yamlx"
)

// explain turns the validator's error into plain language. No message repeats
// a value: it may be a secret. What concerns a reference that is not resolved
// yet is left out.
func (s *schema) explain(err error, refs map[string]bool) []fault.Violation {
	if err == nil {
		return nil
	}
	v, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return []fault.Violation{{Message: "cannot be validated"}}
	}
	var out []fault.Violation
	s.collect(v, refs, &out)
	slices.SortStableFunc(out, func(a, b fault.Violation) int { return strings.Compare(a.Field, b.Field) })
	out = slices.Compact(out)
	return out[:min(len(out), 50)]
}

func (s *schema) collect(e *jsonschema.ValidationError, refs map[string]bool, out *[]fault.Violation) {
	at := pointerOf(e.InstanceLocation)
	add := func(pointer, format string, args ...any) {
		if !refs[pointer] {
			*out = append(*out, fault.Violation{Field: pointer, Message: fmt.Sprintf(format, args...)})
		}
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			add(at+"/"+yamlx.Escape(name), "is required")
		}
	case *kind.AdditionalProperties:
		known := s.known(e.SchemaURL)
		for _, name := range k.Properties {
			add(at+"/"+yamlx.Escape(name), "%s", unknownInput(name, known))
		}
	case *kind.FalseSchema:
		name := ""
		if n := len(e.InstanceLocation); n > 0 {
			name = e.InstanceLocation[n-1]
		}
		schemaAt := strings.TrimSuffix(e.SchemaURL, "/unevaluatedProperties")
		add(at, "%s", unknownInput(name, s.known(schemaAt)))
	case *kind.AnyOf, *kind.OneOf, *kind.Not, *kind.Contains, *kind.MinContains, *kind.MaxContains, *kind.UniqueItems:
		if !touches(refs, at) {
			add(at, "%s", s.alternatives(e))
		}
	default:
		if len(e.Causes) == 0 {
			if said := s.said(e); said != "" {
				add(at, "%s: %s", plain(k), said)
			} else {
				add(at, "%s", plain(k))
			}
		}
		for _, c := range e.Causes {
			s.collect(c, refs, out)
		}
	}
}

// said is what the author says when a keyword is not met, under x-messages.
func (s *schema) said(e *jsonschema.ValidationError) string {
	_, pointer, _ := strings.Cut(e.SchemaURL, "#")
	messages, _ := s.at(unpercent(pointer))["x-messages"].(map[string]any)
	path := e.ErrorKind.KeywordPath()
	if len(messages) == 0 || len(path) == 0 {
		return ""
	}
	text, _ := messages[path[len(path)-1]].(string)
	return text
}

// known gives the names that the schema at a location takes.
func (s *schema) known(url string) []string {
	_, pointer, _ := strings.Cut(url, "#")
	var names []string
	var from func(v any, depth int)
	from = func(v any, depth int) {
		m, ok := v.(map[string]any)
		if !ok || depth > maxDepth {
			return
		}
		props, _ := m["properties"].(map[string]any)
		names = slices.AppendSeq(names, maps.Keys(props))
		if ref, ok := m["$ref"].(string); ok {
			from(s.at(strings.TrimPrefix(ref, "#")), depth+1)
		}
		for _, key := range []string{"allOf", "anyOf", "oneOf"} {
			list, _ := m[key].([]any)
			for _, one := range list {
				from(one, depth+1)
			}
		}
	}
	from(s.at(unpercent(pointer)), 0)
	slices.Sort(names)
	return slices.Compact(names)
}

// unpercent undoes what the validator's URLs escape in a pointer.
func unpercent(s string) string {
	return strings.NewReplacer("%22", `"`, "%20", " ", "%5E", "^", "%25", "%", "%24", "$").Replace(s)
}

func unknownInput(name string, known []string) string {
	switch near := yamlx.Nearest(name, known); {
	case near != "":
		return fmt.Sprintf("unknown input, did you mean %q?", near)
	case len(known) > 0 && len(known) <= 20:
		return "unknown input; known are " + strings.Join(known, ", ")
	}
	return "unknown input"
}

func (s *schema) alternatives(e *jsonschema.ValidationError) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Not:
		return "has a value that is not allowed"
	case *kind.UniqueItems:
		return fmt.Sprintf("must not hold the same item twice (items %d and %d)", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains, *kind.MinContains:
		return "does not hold enough items of the kind that it must hold"
	case *kind.MaxContains:
		return fmt.Sprintf("must hold at most %d items of that kind", k.Want)
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			return "fits more than one of the forms of which it must fit exactly one"
		}
	}
	return "fits none of the allowed forms: it " + joined(e.Causes)
}

// joined says what is wrong with each alternative.
func joined(causes []*jsonschema.ValidationError) string {
	var says []string
	for _, c := range causes {
		for _, leaf := range leaves(c) {
			text := plain(leaf.ErrorKind)
			if !slices.Contains(says, text) && len(says) < 5 {
				says = append(says, text)
			}
		}
	}
	return strings.Join(says, ", or ")
}

// touches tells whether a reference lies at or below a pointer.
func touches(refs map[string]bool, at string) bool {
	for r := range refs {
		if r == at || strings.HasPrefix(r, at+"/") {
			return true
		}
	}
	return false
}

func leaves(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var out []*jsonschema.ValidationError
	for _, c := range e.Causes {
		out = append(out, leaves(c)...)
	}
	return out
}

func pointerOf(tokens []string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString("/" + yamlx.Escape(t))
	}
	return b.String()
}

var typeNames = map[string]string{
	"string": "a string", "integer": "a whole number", "number": "a number", "boolean": "true or false",
	"array": "a list", "object": "an object", "null": "nothing (null)",
}

var formatNames = map[string]string{
	"date": "a date such as 2026-01-31", "date-time": "a time such as 2026-01-31T12:00:00Z", "email": "an e-mail address",
	"hostname": "a host name", "ipv4": "an IPv4 address", "ipv6": "an IPv6 address", "uri": "a URL", "uuid": "a UUID",
	"duration": "an ISO 8601 duration such as PT5M", "regex": "a regular expression",
}

// plain says in plain language what one keyword asks for.
func plain(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		var want []string
		for _, w := range k.Want {
			want = append(want, typeNames[w])
		}
		return "must be " + strings.Join(want, " or ") + ", is " + typeNames[k.Got]
	case *kind.Enum:
		var want []string
		for _, w := range k.Want[:min(len(k.Want), 30)] {
			want = append(want, literal(w))
		}
		return "must be one of " + strings.Join(want, ", ")
	case *kind.Const:
		return "must be " + literal(k.Want)
	case *kind.Format:
		if name, ok := formatNames[k.Want]; ok {
			return "must be " + name
		}
		return "must have the format " + k.Want
	case *kind.Pattern:
		return "must match the pattern " + k.Want
	case *kind.MinLength:
		return fmt.Sprintf("must be at least %s long", count(k.Want, "character"))
	case *kind.MaxLength:
		return fmt.Sprintf("must be at most %s long", count(k.Want, "character"))
	case *kind.Minimum:
		return "must be at least " + ratio(k.Want)
	case *kind.Maximum:
		return "must be at most " + ratio(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be more than " + ratio(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + ratio(k.Want)
	case *kind.MultipleOf:
		return "must be a multiple of " + ratio(k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %s", count(k.Want, "item"))
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %s", count(k.Want, "item"))
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %s", count(k.Want, "field"))
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %s", count(k.Want, "field"))
	case *kind.DependentRequired:
		return fmt.Sprintf("needs %s too when %s is set", strings.Join(k.Missing, ", "), k.Prop)
	case *kind.Required:
		return "lacks " + strings.Join(k.Missing, ", ")
	case *kind.AdditionalProperties, *kind.FalseSchema:
		return "has a field that is not known"
	case *kind.AdditionalItems:
		return "has too many items"
	}
	return "is not valid"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func literal(v any) string {
	b, err := json.Marshal(v)
	if err != nil || len(b) > 80 {
		return "…"
	}
	return string(b)
}

func ratio(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	return strings.TrimRight(r.FloatString(6), "0")
}
