package conf

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"fairlead/internal/regex"
)

// From says where a value comes from.
type From string

// Where values come from, the weakest first.
const (
	FromDefault     From = "default"
	FromFile        From = "file"
	FromEnvironment From = "environment"
	FromFlag        From = "flag"
)

// Origin is where one value comes from.
type Origin struct {
	From From
	Name string // the file, the variable or the flag; "" of a default
}

// Setting is one value of the configuration in force.
type Setting struct {
	Name   string // as in the file: drift.brake.share
	Value  string // "" when it is hidden, or empty
	Hidden bool   // it is a secret that is set
	Origin
}

// origins are those of what is not as it was by default.
type origins map[string]Origin

// SetFromFlag notes that a flag set a field.
func (c *Server) SetFromFlag(name, flag string) { c.from[name] = Origin{FromFlag, flag} }

// noteFile notes every field that a file sets.
func (o origins) noteFile(file, under string, n *yaml.Node) {
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		o.noteFile(file, under, n.Content[0])
		return
	}
	if under != "" {
		o[under] = Origin{FromFile, file}
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		o.noteFile(file, strings.TrimPrefix(under+"."+n.Content[i].Value, "."), n.Content[i+1])
	}
}

// Settings gives the server's own fields as they are in force, in the order of
// the manual. Sections of adapters are theirs: see Section.
func (c *Server) Settings() []Setting { return c.list("", reflect.ValueOf(*c), nil) }

// Section gives the fields of an adapter's section as they are in force; v is
// the adapter's own type, filled in. variables are those that went over a
// field. A field with the tag show:"no" is a secret.
func (c *Server) Section(name string, v any, variables map[string]string) []Setting {
	return c.list(name+".", reflect.Indirect(reflect.ValueOf(v)), variables)
}

func (c *Server) list(under string, v reflect.Value, variables map[string]string) []Setting {
	var out []Setting
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "" || name == "-" || f.Type == reflect.TypeFor[Raw]() || f.Type == reflect.TypeFor[map[string]Raw]() {
			continue
		}
		at := v.Field(i)
		if at.Kind() == reflect.Pointer && !at.IsNil() {
			at = at.Elem()
		}
		switch {
		case at.Kind() == reflect.Struct:
			out = append(out, c.list(under+name+".", at, nil)...)
		case at.Kind() == reflect.Map && at.Type().Key().Kind() == reflect.String:
			entries := map[string]reflect.Value{}
			for _, k := range at.MapKeys() {
				entries[k.String()] = at.MapIndex(k)
			}
			for _, k := range slices.Sorted(maps.Keys(entries)) {
				out = append(out, c.setting(under+name+"."+k, k, entries[k], f.Tag, ""))
			}
		default:
			out = append(out, c.setting(under+name, name, at, f.Tag, variables[name]))
		}
	}
	return out
}

// secretive is how fields are called that hold a secret, whatever their tags
// say; those that name a file of one are none.
var secretive = regex.Late(`(?i)(password|passphrase|secret|token|key)$`)

func (c *Server) setting(full, name string, v reflect.Value, tag reflect.StructTag, variable string) Setting {
	s := Setting{Name: full, Value: text(v), Origin: Origin{From: FromDefault}}
	if o, ok := c.from[full]; ok {
		s.Origin = o
	}
	if variable != "" {
		s.Origin = Origin{FromEnvironment, variable}
	}
	if tag.Get("show") == "no" || secretive().MatchString(name) {
		s.Hidden, s.Value = s.Value != "", ""
	}
	return s
}

// text writes a value as a person would, and a URL without its password.
func text(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case Duration:
		return short(time.Duration(x))
	case string:
		return tame(x)
	case []string:
		list := slices.Clone(x)
		for i := range list {
			list[i] = tame(list[i])
		}
		return strings.Join(list, ", ")
	}
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return ""
	}
	return fmt.Sprint(v.Interface())
}

// short is 1h and not 1h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// assigned is a secret in a list of words, as in host=db password=x.
var assigned = regex.Late(`(?i)((?:password|passphrase|secret|token|key)\s*=\s*)('[^']*'|[^\s&]+)`)

// tame takes the password out of a URL, in its user part or its query, and out
// of a list of words.
func tame(s string) string {
	if !strings.Contains(s, "://") {
		return assigned().ReplaceAllString(s, "${1}xxxxx")
	}
	u, err := url.Parse(s)
	if err != nil {
		return "" // what cannot be read cannot be shown
	}
	q, hide := u.Query(), false
	for k := range q {
		if secretive().MatchString(k) {
			q.Set(k, "xxxxx")
			hide = true
		}
	}
	if hide {
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}
