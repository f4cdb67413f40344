package resource

import (
	"encoding/json"
	"strings"

	"fairlead/internal/engine"
)

// secretTexts gives the texts among inputs that the template calls secret.
func secretTexts(t Template, inputs map[string]any) []string {
	var out []string
	for _, pointer := range t.SecretInputs(inputs) {
		out = texts(out, at(inputs, pointer))
	}
	return out
}

func texts(out []string, v any) []string {
	switch v := v.(type) {
	case string:
		if v != "" && v != masked {
			out = append(out, v)
		}
	case map[string]any:
		for _, item := range v {
			out = texts(out, item)
		}
	case []any:
		for _, item := range v {
			out = texts(out, item)
		}
	}
	return out
}

// veil gives a plan as it may be recorded and shown: an engine that repeats a
// secret input in it gives away nothing.
func veil(p engine.Plan, secrets []string) engine.Plan {
	if len(secrets) == 0 {
		return p
	}
	out := engine.Plan{Changes: make([]engine.Change, len(p.Changes)), Engine: p.Engine}
	for i, c := range p.Changes {
		c.Reason, _ = veiled(c.Reason, secrets).(string)
		c.Before, _ = veiled(c.Before, secrets).(map[string]any)
		c.After, _ = veiled(c.After, secrets).(map[string]any)
		out.Changes[i] = c
	}
	if len(p.Engine) > 0 {
		var own any
		if err := fromJSON(string(p.Engine), &own); err != nil {
			out.Engine = nil // not JSON: nothing can be said about what is in it
		} else if raw, err := json.Marshal(veiled(own, secrets)); err == nil {
			out.Engine = raw
		}
	}
	return out
}

// veilDrift is veil for drift. Where one side is a secret, the other one was to
// be one too.
func veilDrift(list []engine.Drift, secrets []string) []engine.Drift {
	if len(secrets) == 0 || len(list) == 0 {
		return list
	}
	out := make([]engine.Drift, len(list))
	for i, d := range list {
		if !engine.Same(veiled(d.Want, secrets), d.Want) || !engine.Same(veiled(d.Got, secrets), d.Got) {
			d.Want, d.Got = masked, masked
		}
		out[i] = d
	}
	return out
}

func veiled(v any, secrets []string) any {
	switch v := v.(type) {
	case string:
		for _, s := range secrets {
			if v == s {
				return masked
			}
			if len(s) >= 6 { // shorter ones are found in any text
				v = strings.ReplaceAll(v, s, masked)
			}
		}
		return v
	case []string:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = veiled(item, secrets)
		}
		return out
	case map[string]any:
		if v == nil {
			return v
		}
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = veiled(item, secrets)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = veiled(item, secrets)
		}
		return out
	}
	return v
}
