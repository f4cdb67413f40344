package resourceweb

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"fairlead/internal/webui"
)

// command is the request as a command to copy. Secrets are named, not shown.
func (f form) command() string {
	inputs := f.t.HideSecrets(f.inputs)
	var b strings.Builder
	if f.old != nil {
		b.WriteString("fairlead change " + at(*f.old))
	} else {
		b.WriteString("fairlead request " + f.t.Name + " " + orSign(f.name, "NAME"))
		if f.in != "" {
			b.WriteString(" -e " + f.in)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(inputs)) {
		v, _ := json.Marshal(inputs[k])
		text := string(v)
		if s, ok := inputs[k].(string); ok && !json.Valid([]byte(s)) {
			text = s
		}
		b.WriteString(" \\\n  --set " + quote(k+"="+text))
	}
	if f.lease != "" {
		b.WriteString(" \\\n  --lease " + quote(f.lease))
	}
	if f.note != "" {
		b.WriteString(" \\\n  --note " + quote(f.note))
	}
	return b.String() + " --wait"
}

func orSign(s, sign string) string {
	if s == "" {
		return sign
	}
	return s
}

// quote makes a word of a command line of any text.
func quote(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// manifest is the request as a file for fairlead apply.
func (f form) manifest() string {
	type meta struct {
		Name        string `yaml:"name"`
		Project     string `yaml:"project,omitempty"`
		Environment string `yaml:"environment,omitempty"`
	}
	type spec struct {
		Template string `yaml:"template"`
		Version  string `yaml:"version,omitempty"`
		Inputs   any    `yaml:"inputs,omitempty"`
		Lease    string `yaml:"lease,omitempty"`
		Note     string `yaml:"note,omitempty"`
	}
	inProject, in := f.place()
	out, err := yaml.Marshal(struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
		Metadata   meta   `yaml:"metadata"`
		Spec       spec   `yaml:"spec"`
	}{"fairlead/v1", "Resource", meta{orSign(f.name, "NAME"), inProject, in}, spec{f.t.Name, f.t.Version, webui.PlainNumbers(f.t.HideSecrets(f.inputs)), f.lease, f.note}})
	if err != nil {
		return ""
	}
	return string(out)
}

// errorsJSON is what is wrong, by the id of the field, for the script that
// shows it beside the fields that somebody was at.
func (f form) errorsJSON() string {
	out := map[string]string{}
	for _, v := range f.wrong {
		id := "f" + strings.ReplaceAll(v.Field, "/", "-")
		if rest, ok := strings.CutPrefix(v.Field, "/inputs"); ok {
			id = webui.SchemaFieldID(rest)
		}
		if out[id] == "" {
			out[id] = webui.Sentence(v.Message)
		}
	}
	b, err := json.Marshal(out)
	if err != nil {
		return "{}"
	}
	return string(b)
}
