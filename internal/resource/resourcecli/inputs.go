package resourcecli

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/clikit"
	"fairlead/internal/yamlx"
)

// inputFlags are the flags that inputs come from.
type inputFlags struct {
	set, setString []string
	file           string
	version, note  string
}

func (f *inputFlags) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringArrayVar(&f.set, "set", nil, "an input: KEY=VALUE; VALUE is JSON (3, true, \"3\", [1,2]) or else a string; KEY may be a path (a.b.c)")
	fl.StringArrayVar(&f.setString, "set-string", nil, "as --set, but always a string")
	fl.StringVarP(&f.file, "file", "f", "", "file with inputs, YAML or JSON; - for standard input")
	fl.StringVar(&f.version, "version", "", "version of the template: 1.4.0, or a range such as ^1.2")
	fl.StringVar(&f.note, "note", "", "why, for whoever reads the history")
}

// changes gives what --set asks for, each at its path; nil when nothing does.
func (f *inputFlags) changes() (map[string]any, error) {
	var out map[string]any
	put := func(assignment string, value func(string) any) error {
		key, text, ok := strings.Cut(assignment, "=")
		if !ok || key == "" {
			return clikit.Usage("%q is no KEY=VALUE", clikit.Clean(assignment)).WithHint("such as --set connection_limit=50")
		}
		if out == nil {
			out = map[string]any{}
		}
		return place(out, path(key), key, value(text))
	}
	for _, a := range f.set {
		if err := put(a, typed); err != nil {
			return nil, err
		}
	}
	for _, a := range f.setString {
		if err := put(a, func(s string) any { return s }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// inputs gives the whole inputs: the file's, with --set on top.
func (f *inputFlags) inputs(k kit) (map[string]any, error) {
	out := map[string]any{}
	if f.file != "" {
		doc, err := k.readInputs(f.file)
		if err != nil {
			return nil, err
		}
		out = doc
	}
	set, err := f.changes()
	if err != nil {
		return nil, err
	}
	merge(out, set)
	return out, nil
}

func (k kit) readInputs(name string) (map[string]any, error) {
	data, err := k.ReadFile(name, 1<<20)
	if err != nil {
		return nil, err
	}
	doc, err := yamlx.DecodeOne(bytes.NewReader(data), yamlx.Limits{File: shown(name)})
	if err != nil {
		return nil, err
	}
	m, ok := doc.Root.Value().(map[string]any)
	if !ok {
		return nil, clikit.Usage("%s holds %s, not an object of inputs", clikit.Clean(name), doc.Root.Kind)
	}
	return m, nil
}

func shown(name string) string {
	if name == "-" {
		return "standard input"
	}
	return clikit.Clean(name)
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
			return clikit.Usage("%q is no path: a name is empty", clikit.Clean(key))
		}
		if i == len(path)-1 {
			if _, twice := in[name]; twice {
				return clikit.Usage("%q is set twice", clikit.Clean(key))
			}
			in[name] = value
			return nil
		}
		next, ok := in[name].(map[string]any)
		if !ok {
			if _, there := in[name]; there {
				return clikit.Usage("%q leads into what is set to a plain value", clikit.Clean(key))
			}
			next = map[string]any{}
			in[name] = next
		}
		in = next
	}
	return nil
}

// merge puts what is set on top of what is there, object by object.
func merge(into, set map[string]any) {
	for name, v := range set {
		deeper, ok := v.(map[string]any)
		below, there := into[name].(map[string]any)
		if ok && there {
			below = maps.Clone(below)
			merge(below, deeper)
			into[name] = below
			continue
		}
		into[name] = v
	}
}

// lookPath is where a program is: on PATH or where Debian keeps PostgreSQL's.
func executable(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}
