package iac

import (
	"encoding/json"
	"slices"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// state is what the engine reads of a state of format 4.
type state struct {
	Serial  int64  `json:"serial"`
	Lineage string `json:"lineage"`
	Outputs map[string]struct {
		Value     json.RawMessage `json:"value"`
		Sensitive bool            `json:"sensitive"`
	} `json:"outputs"`
	Resources []struct {
		Module    string `json:"module"`
		Mode      string `json:"mode"`
		Type      string `json:"type"`
		Name      string `json:"name"`
		Instances []struct {
			Index      any             `json:"index_key"`
			Status     string          `json:"status"`
			Deposed    string          `json:"deposed"`
			Attributes json.RawMessage `json:"attributes"`
			Sensitive  json.RawMessage `json:"sensitive_attributes"`
		} `json:"instances"`
	} `json:"resources"`
}

func parseState(body []byte) (state, error) {
	var s state
	if err := json.Unmarshal(body, &s); err != nil { // its text would quote the state
		return s, fault.New(fault.Conflict, "state_damaged", "the state that is kept cannot be read")
	}
	return s, nil
}

// address is an object's as the program writes it.
func address(module, kind, name string, index any) string {
	a := kind + "." + name
	if module != "" {
		a = module + "." + a
	}
	if index != nil {
		key, err := json.Marshal(index)
		if err == nil {
			a += "[" + string(key) + "]"
		}
	}
	return a
}

// objects lists what the state names, and tells whether some of it was left
// half made.
func (s state) objects(ref engine.Ref) (list []engine.Object, half bool) {
	for _, r := range s.Resources {
		if r.Mode != "managed" {
			continue
		}
		for _, i := range r.Instances {
			half = half || i.Status == "tainted" || i.Deposed != ""
			var attributes struct {
				ID any `json:"id"`
			}
			_ = json.Unmarshal(i.Attributes, &attributes) // then it has no id
			name := address(r.Module, r.Type, r.Name, i.Index)
			if id, ok := attributes.ID.(string); ok && id != "" && !s.sensitive(i.Sensitive, "id") {
				name += " " + id
			} else {
				name += " of " + ref.ID
			}
			if i.Deposed != "" {
				name += " (replaced)"
			}
			list = append(list, engine.Object{Kind: r.Type, Name: name})
		}
	}
	return list, half
}

// sensitive tells whether a path of an instance's sensitive attributes begins
// at name.
func (state) sensitive(raw json.RawMessage, name string) bool {
	var paths [][]struct {
		Value any `json:"value"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &paths) != nil {
		return false
	}
	return slices.ContainsFunc(paths, func(p []struct {
		Value any `json:"value"`
	},
	) bool {
		return len(p) > 0 && p[0].Value == name
	})
}

// outputs are the module's.
func (s state) outputs() (map[string]engine.Output, error) {
	out := map[string]engine.Output{}
	for name, o := range s.Outputs {
		var v any
		if err := json.Unmarshal(o.Value, &v); err != nil {
			return nil, fault.New(fault.Conflict, "state_damaged", "the output %s cannot be read", name)
		}
		if !o.Sensitive {
			out[name] = engine.Output{Value: v}
			continue
		}
		text, ok := v.(string)
		if !ok {
			text = string(o.Value)
		}
		out[name] = engine.Output{Sensitive: true, Secret: redact.New(text)}
	}
	return out, nil
}

// secrets are the values of outputs and attributes that are marked sensitive.
func (s state) secrets() (m masker) {
	for _, o := range s.Outputs {
		var v any
		if o.Sensitive && json.Unmarshal(o.Value, &v) == nil {
			m = secretsOf(m, v, nil, true)
		}
	}
	for _, r := range s.Resources {
		for _, i := range r.Instances {
			var all map[string]any
			if json.Unmarshal(i.Attributes, &all) != nil {
				continue
			}
			for name, v := range all {
				if s.sensitive(i.Sensitive, name) {
					m = secretsOf(m, v, nil, true)
				}
			}
		}
	}
	return m
}
