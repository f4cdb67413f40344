package resourcecli

import (
	"bytes"
	"maps"
	"os"

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
	set, err := clikit.Assignments(f.set, f.setString)
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
