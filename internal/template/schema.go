package template

import (
	"errors"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"fairlead/internal/yamlx"
)

// The bounds of a schema. One validation costs at most about maxExpanded steps
// a value, and a request has at most maxValues.
const (
	maxExpanded = 2000 // subschemas, each reference counted as what it stands for
	maxPattern  = 500  // bytes
	// RE2 knows no exponential time, but a pattern of repetitions is a large
	// program, and each byte of text may meet each of its instructions.
	maxProgram  = 3000        // instructions of one pattern
	maxPrograms = 100_000     // of all patterns, references followed
	maxMatching = 100_000_000 // instructions times bytes of the inputs: a second or two at worst
	maxValues   = 10_000
	maxDepth    = 24
	schemaURL   = "fairlead:///inputs.json" // absolute: a relative one is looked up from the working directory
	draft       = "https://json-schema.org/draft/2020-12/schema"
)

// schema is a compiled JSON Schema of a template's inputs.
type schema struct {
	doc       map[string]any // as compiled: with what Fairlead adds
	compiled  *jsonschema.Schema
	sensitive [][]string // paths of secret inputs; "*" is any key or index
	programs  int        // instructions of all patterns that a value may meet
}

// tooLong tells whether matching a value against the patterns could take long.
func (s *schema) tooLong(v any) bool { return s.programs > 0 && size(v) > maxMatching/s.programs }

// What the values of the keywords are. A keyword in none of these is refused:
// a misspelt one would be a guard that guards nothing. propertyNames is left
// out because the validator gives its errors a wrong place; patternProperties
// says the same.
var (
	schemaIn  = words("additionalProperties unevaluatedProperties unevaluatedItems items contains not if then else")
	schemasIn = words("properties patternProperties $defs dependentSchemas")
	schemaOf  = words("prefixItems allOf anyOf oneOf")
	plainIn   = words("type enum const title description default examples deprecated readOnly writeOnly format pattern minLength maxLength " +
		"minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minItems maxItems uniqueItems minContains maxContains minProperties " +
		"maxProperties required dependentRequired $comment $schema $ref")
	keywords = slices.Concat(schemaIn, schemasIn, schemaOf, plainIn)
	// composing keywords look at the same value as their schema does.
	composing = words("allOf anyOf oneOf if dependentSchemas $ref not")
	// formats are those that the validator asserts.
	formats = words("date date-time time duration email hostname ipv4 ipv6 uri uri-reference uuid regex json-pointer password")
)

func words(s string) []string { return strings.Fields(s) }

// flaw is one thing wrong with a schema, where it is.
type flaw struct{ pointer, message string }

// compileSchema makes a schema of the inputs section. It adds what strictness
// asks for: objects with properties take no others unless they say so.
func compileSchema(doc map[string]any) (*schema, []flaw) {
	b := &schemaBuilder{doc: cloneValue(doc).(map[string]any)}
	if t, ok := b.doc["type"]; !ok {
		b.doc["type"] = "object"
	} else if t != "object" {
		return nil, []flaw{{"/type", `the inputs must be an object: write "type: object"`}}
	}
	if v, ok := b.doc["$schema"]; ok && v != draft {
		return nil, []flaw{{"/$schema", "only JSON Schema 2020-12 is understood: leave $schema away"}}
	}
	b.walk(b.doc, "", visit{strict: true})
	if len(b.flaws) > 0 {
		return nil, b.flaws
	}
	// The defaults are put in before validation: each must itself be valid.
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(noLoader{})
	if err := c.AddResource(schemaURL, b.doc); err != nil {
		return nil, []flaw{{"", "the schema cannot be read"}}
	}
	compiled, err := c.Compile(schemaURL)
	if err != nil {
		return nil, compileFlaws(err)
	}
	s := &schema{doc: b.doc, compiled: compiled, sensitive: b.sensitive, programs: b.programs}
	for _, at := range b.defaults {
		if s.tooLong(s.at(at)["default"]) {
			b.flaw(at+"/default", "the default is too long for the patterns of this schema")
			continue
		}
		sub, err := c.Compile(schemaURL + "#" + at)
		if err != nil {
			return nil, compileFlaws(err)
		}
		value := s.at(at)["default"]
		for _, v := range s.explain(sub.Validate(value), nil) {
			b.flaw(at+"/default", "the default is not valid itself: %s", v.Message)
		}
	}
	return s, b.flaws
}

// noLoader refuses to load anything: a schema stands alone.
type noLoader struct{}

var errNoLoading = errors.New("a schema may not refer to another document")

func (noLoader) Load(string) (any, error) { return nil, errNoLoading }

func compileFlaws(err error) []flaw {
	if e, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if v, ok := errors.AsType[*jsonschema.ValidationError](e.Err); ok {
			var out []flaw
			for _, leaf := range leaves(v) {
				out = append(out, flaw{pointerOf(leaf.InstanceLocation), plain(leaf.ErrorKind)})
			}
			return out
		}
	}
	return []flaw{{"", "the schema cannot be compiled: " + strings.ReplaceAll(err.Error(), "file://", "")}}
}

type schemaBuilder struct {
	doc       map[string]any
	flaws     []flaw
	expanded  int
	defaults  []string
	sensitive [][]string
	refs      []string // the chain of references being followed
	programs  int
}

// visit says how the walk came to a schema.
type visit struct {
	path   []string // of the value that it is about; nil in a place without one
	strict bool     // no other schema looks at the same value
	viaRef bool     // seen before: checked, counted again
	depth  int
}

func (b *schemaBuilder) flaw(pointer, format string, args ...any) {
	if len(b.flaws) < 20 {
		b.flaws = append(b.flaws, flaw{pointer, fmt.Sprintf(format, args...)})
	}
}

func (b *schemaBuilder) walk(v any, at string, how visit) {
	if b.expanded++; b.expanded > maxExpanded {
		if b.expanded == maxExpanded+1 {
			b.flaw(at, "the schema is too large: more than %d subschemas, references followed", maxExpanded)
		}
		return
	}
	if how.depth > maxDepth {
		b.flaw(at, "the schema is nested more than %d levels deep", maxDepth)
		return
	}
	s, ok := v.(map[string]any)
	if !ok {
		if _, isBool := v.(bool); !isBool {
			b.flaw(at, "a schema must be an object, or true or false")
		}
		return
	}
	if !how.viaRef {
		b.check(s, at, how)
	}
	if how.path != nil || at == "" {
		if s["writeOnly"] == true || s["format"] == "password" {
			b.sensitive = append(b.sensitive, how.path)
		}
	}
	b.count(s, at)
	b.follow(s, at, how)
	for _, key := range slices.Sorted(maps.Keys(s)) {
		b.below(key, s[key], at+"/"+yamlx.Escape(key), how)
	}
}

// below walks the schemas in one keyword's value.
func (b *schemaBuilder) below(key string, v any, at string, how visit) {
	sub := visit{strict: true, viaRef: how.viaRef, depth: how.depth + 1}
	switch {
	case slices.Contains(schemaIn, key):
		switch key {
		case "items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems":
			sub.path = append(slices.Clone(how.path), "*")
		case "then", "else":
			sub.path, sub.strict = how.path, false
		case "not", "if", "contains":
			sub.strict = false
		}
		b.walk(v, at, sub)
	case slices.Contains(schemasIn, key):
		m, ok := v.(map[string]any)
		if !ok {
			b.flaw(at, "must be an object of schemas")
			return
		}
		for _, name := range slices.Sorted(maps.Keys(m)) {
			one := sub
			switch key {
			case "properties":
				one.path = append(slices.Clone(how.path), name)
			case "patternProperties":
				one.path = append(slices.Clone(how.path), "*")
			case "dependentSchemas":
				one.path, one.strict = how.path, false
			case "$defs":
				one.strict = false // it may be composed with others
			}
			b.walk(m[name], at+"/"+yamlx.Escape(name), one)
		}
	case slices.Contains(schemaOf, key):
		l, ok := v.([]any)
		if !ok {
			b.flaw(at, "must be a list of schemas")
			return
		}
		for i, item := range l {
			one := sub
			one.path, one.strict = how.path, false
			if key == "prefixItems" {
				one.path, one.strict = append(slices.Clone(how.path), fmt.Sprint(i)), true
			}
			b.walk(item, fmt.Sprintf("%s/%d", at, i), one)
		}
	}
}

// follow counts what a reference stands for, and refuses circles: a schema
// that recurses has no bound.
func (b *schemaBuilder) follow(s map[string]any, at string, how visit) {
	ref, ok := s["$ref"].(string)
	if !ok {
		return
	}
	if !strings.HasPrefix(ref, "#/$defs/") || strings.ContainsAny(ref, "%") {
		b.flaw(at+"/$ref", `a $ref must point into this schema, as "#/$defs/NAME"`)
		return
	}
	target, ok := lookup(b.doc, ref[1:])
	if !ok {
		b.flaw(at+"/$ref", "%s points to nothing", yamlx.Quote(ref))
		return
	}
	if slices.Contains(b.refs, ref) || len(b.refs) > maxDepth {
		b.flaw(at+"/$ref", "the schema refers to itself through %s", yamlx.Quote(ref))
		return
	}
	b.refs = append(b.refs, ref)
	b.walk(target, ref[1:], visit{path: how.path, viaRef: true, depth: how.depth + 1})
	b.refs = b.refs[:len(b.refs)-1]
}

// check looks at one schema's own keywords and fills in its strictness.
func (b *schemaBuilder) check(s map[string]any, at string, how visit) {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		here := at + "/" + yamlx.Escape(key)
		switch {
		case strings.HasPrefix(key, "x-"):
		case !slices.Contains(keywords, key):
			hint := ""
			if near := yamlx.Nearest(key, keywords); near != "" {
				hint = fmt.Sprintf(", did you mean %q?", near)
			}
			b.flaw(here, "unknown or unsupported schema keyword %s%s", yamlx.Quote(key), hint)
		case key == "default":
			b.defaults = append(b.defaults, at)
			if hasExpression(s[key]) {
				b.flaw(here, `a default may not hold "${{": it is a literal value`)
			}
		case key == "pattern":
			b.pattern(s[key], here)
		case key == "patternProperties":
			if m, ok := s[key].(map[string]any); ok {
				for p := range m {
					b.pattern(p, here)
				}
			}
		case key == "format":
			if f, ok := s[key].(string); !ok || !slices.Contains(formats, f) {
				b.flaw(here, "unknown format; known are %s", strings.Join(formats, ", "))
			}
		}
	}
	if _, ok := s["properties"]; !ok && at != "" {
		return
	}
	if !how.strict || has(s, "additionalProperties") || has(s, "unevaluatedProperties") {
		return
	}
	if slices.ContainsFunc(composing, func(k string) bool { return has(s, k) }) {
		s["unevaluatedProperties"] = false
	} else {
		s["additionalProperties"] = false
	}
}

func (b *schemaBuilder) pattern(v any, at string) {
	p, ok := v.(string)
	if !ok {
		return // the meta schema says so
	}
	if len(p) > maxPattern {
		b.flaw(at, "the pattern is longer than %d bytes", maxPattern)
	} else if n, err := program(p); err != nil {
		b.flaw(at, "the pattern is not a regular expression of RE2's syntax: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	} else if n > maxProgram {
		b.flaw(at, "the pattern repeats too much: it takes %d instructions, at most %d are allowed; bound the length with maxLength instead", n, maxProgram)
	}
}

// program gives how many instructions a pattern compiles to.
func program(pattern string) (int, error) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return 0, err
	}
	return len(prog.Inst), nil
}

// count adds up the patterns of a schema each time that a value may meet it.
func (b *schemaBuilder) count(s map[string]any, at string) {
	before := b.programs
	add := func(p string) {
		if len(p) <= maxPattern {
			n, _ := program(p) // one that is none was reported
			b.programs += n
		}
	}
	if p, ok := s["pattern"].(string); ok {
		add(p)
	}
	if m, ok := s["patternProperties"].(map[string]any); ok {
		for p := range m {
			add(p)
		}
	}
	if before <= maxPrograms && b.programs > maxPrograms {
		b.flaw(at, "the patterns of the schema are too large together: more than %d instructions, references followed", maxPrograms)
	}
}

func has(m map[string]any, key string) bool { _, ok := m[key]; return ok }

// lookup finds a JSON pointer's value.
func lookup(v any, pointer string) (any, bool) {
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = yamlx.Unescape(token)
		switch c := v.(type) {
		case map[string]any:
			next, ok := c[token]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			var i int
			if _, err := fmt.Sscanf(token, "%d", &i); err != nil || i < 0 || i >= len(c) || fmt.Sprint(i) != token {
				return nil, false
			}
			v = c[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// at gives the subschema at a pointer; empty when there is none.
func (s *schema) at(pointer string) map[string]any {
	v, _ := lookup(s.doc, pointer)
	m, _ := v.(map[string]any)
	return m
}

// deref follows $ref to the schema that says what a value is.
func (s *schema) deref(v any) map[string]any {
	m, _ := v.(map[string]any)
	for range maxDepth {
		ref, ok := m["$ref"].(string)
		if !ok {
			break
		}
		m = s.at(strings.TrimPrefix(ref, "#"))
	}
	return m
}

func cloneValue(v any) any {
	switch c := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(c))
		for k, x := range c {
			m[k] = cloneValue(x)
		}
		return m
	case []any:
		l := make([]any, len(c))
		for i, x := range c {
			l[i] = cloneValue(x)
		}
		return l
	}
	return v
}
