package iac

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/keyfile"
	"fairlead/internal/regex"
)

// Given is what the platform team gives modules, so that nobody asks a
// developer for it: by template and variable. A value is one of YAML, or
// {file: PATH}, whose content is a secret.
type Given map[string]map[string]any

const (
	maxGiven  = 64 << 10 // bytes of a value
	fromFile  = "file"   // the only key of a value that is a file's content
	givenHint = "the fields are described in docs/iac.md"
)

var variableName = regex.Late(`^[A-Za-z_][A-Za-z0-9_-]{0,99}$`)

// check holds for the section of the configuration, and for the files that it
// names as they are now.
func (g Given) check() error {
	bad := func(template, variable, format string, args ...any) error {
		at := "engines.iac.given." + template + "." + variable
		return fault.New(fault.Invalid, "invalid_config", at+": "+format, args...).WithHint(givenHint)
	}
	for _, template := range slices.Sorted(maps.Keys(g)) {
		for _, variable := range slices.Sorted(maps.Keys(g[template])) {
			if !variableName().MatchString(variable) {
				return bad(template, variable, "that is no name of a variable")
			}
			value := g[template][variable]
			if path, ok := fileOf(value); ok {
				if !filepath.IsAbs(path) {
					return bad(template, variable, "%s is no absolute path", path)
				}
				if _, err := load(path); err != nil {
					return err
				}
				continue
			}
			if text, err := json.Marshal(value); err != nil || value == nil || len(text) > maxGiven {
				return bad(template, variable, "that is no value for a variable")
			}
		}
	}
	return nil
}

func fileOf(value any) (string, bool) {
	m, ok := value.(map[string]any)
	if !ok || len(m) != 1 {
		return "", false
	}
	path, ok := m[fromFile].(string)
	return path, ok
}

// load reads a value's file, each time anew: what is in it may be rotated. A
// line's end at its end is its editor's.
func load(path string) (string, error) {
	data, err := keyfile.Load(path)
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" || len(text) > maxGiven || !utf8.ValidString(text) {
		return "", fault.New(fault.Invalid, "invalid_config", "the file %s holds no value for a variable", path).WithHint(givenHint)
	}
	return text, nil
}

// values are those of the variables that a template has from the platform
// team, and which of them are secrets because of where they come from.
func (g Given) values(template string, names []string) (values map[string]any, secret []string, err error) {
	values = map[string]any{}
	for _, name := range names {
		value, ok := g[template][name]
		if !ok {
			return nil, nil, fault.New(fault.Invalid, "platform_value_missing", "the template %s has %s from the platform team, which has not set it on this server", template, name).
				WithHint("have the platform team set engines.iac.given.%s.%s in the server's configuration", template, name)
		}
		if path, isFile := fileOf(value); isFile {
			text, err := load(path)
			if err != nil {
				return nil, nil, fault.New(fault.Unavailable, "platform_value_missing", "the value of %s, which the template %s has from the platform team, cannot be read", name, template).
					WithHint("have the platform team look at engines.iac.given.%s.%s in the server's configuration", template, name).WithCause(err)
			}
			value, secret = text, append(secret, name)
		}
		values[name] = value
	}
	return values, secret, nil
}

// giver has values of variables that a template has from the platform team, and
// says which of them are secrets because of where they come from.
type giver func(t engine.Template, names []string) (values map[string]any, secret []string, err error)

// all are all variables that the module is given: what the template sets, the
// inputs, and what the platform team gives.
func (s spec) all(t engine.Template, inputs map[string]any, from giver) (vars []byte, secret []string, err error) {
	set, err := s.variables(inputs)
	if err != nil || len(s.Given) == 0 {
		return set, nil, err
	}
	given, secret, err := from(t, s.Given)
	if err != nil {
		return nil, nil, err
	}
	var all map[string]any
	dec := json.NewDecoder(bytes.NewReader(set))
	dec.UseNumber()
	if err := dec.Decode(&all); err != nil {
		return nil, nil, fault.From(err)
	}
	maps.Copy(all, given)
	vars, err = json.Marshal(all)
	return vars, secret, err
}
