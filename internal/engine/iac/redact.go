package iac

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

const unknown = "(known after apply)"

// shown is a plan's JSON as it leaves the engine: the program's own form,
// without the values of secrets, of variables, and of what did not change, and
// without anything that differs between equal plans.
type shown struct {
	FormatVersion   string          `json:"format_version"`
	Version         string          `json:"terraform_version"`
	ResourceChanges []shownChange   `json:"resource_changes"`
	ResourceDrift   []shownChange   `json:"resource_drift,omitempty"`
	OutputChanges   map[string]any  `json:"output_changes,omitempty"`
	Configuration   json.RawMessage `json:"configuration,omitempty"`
	Digest          string          `json:"fairlead_digest"` // keyed, over all of it, secrets too
}

type shownChange struct {
	Address  string `json:"address"`
	Module   string `json:"module_address,omitempty"`
	Mode     string `json:"mode"`
	Type     string `json:"type"`
	Name     string `json:"name"`
	Provider string `json:"provider_name"`
	Reason   string `json:"action_reason,omitempty"`
	Change   struct {
		Actions []string `json:"actions"`
		Before  any      `json:"before"`
		After   any      `json:"after"`
	} `json:"change"`
}

// reading is what a plan's JSON says.
type reading struct {
	plan    engine.Plan
	digest  string
	file    []byte // the plan file that was read; nil when it cannot be kept
	secrets masker
	gone    []string                 // types of the managed objects that somebody else deleted
	noop    bool                     // nothing changes, not even an output or what the state says
	moved   []*tfjson.ResourceChange // what is not as the state has it; holds secrets
	changed map[string]bool          // addresses of what the plan would change
}

// planJSON is what is read of a plan's JSON. The rest, more than half of it,
// says the same in other words.
type planJSON struct {
	FormatVersion    string                    `json:"format_version"`
	TerraformVersion string                    `json:"terraform_version"`
	ResourceChanges  []*tfjson.ResourceChange  `json:"resource_changes"`
	ResourceDrift    []*tfjson.ResourceChange  `json:"resource_drift"`
	OutputChanges    map[string]*tfjson.Change `json:"output_changes"`
	Configuration    json.RawMessage           `json:"configuration"`
}

func parsePlan(from io.Reader) (planJSON, error) {
	var p planJSON
	in := json.NewDecoder(from)
	in.UseNumber()
	hollow := func(rc *tfjson.ResourceChange) bool { return rc == nil || rc.Change == nil }
	if err := in.Decode(&p); err != nil || (&tfjson.Plan{FormatVersion: p.FormatVersion}).Validate() != nil ||
		slices.ContainsFunc(p.ResourceChanges, hollow) || slices.ContainsFunc(p.ResourceDrift, hollow) { // its text may quote the plan
		return p, fault.New(fault.Unavailable, "engine_failed", "the program's plan cannot be read")
	}
	byAddress := func(a, b *tfjson.ResourceChange) int {
		if c := strings.Compare(a.Address, b.Address); c != 0 {
			return c
		}
		return strings.Compare(a.DeposedKey, b.DeposedKey)
	}
	slices.SortStableFunc(p.ResourceChanges, byAddress)
	slices.SortStableFunc(p.ResourceDrift, byAddress)
	return p, nil
}

func (e *Engine) read(from io.Reader) (reading, error) {
	var out reading
	p, err := parsePlan(from)
	if err != nil {
		return out, err
	}
	keyed := make(chan string, 1)
	go func() { keyed <- e.keyed(p) }()
	s := shown{FormatVersion: p.FormatVersion, Version: p.TerraformVersion, ResourceChanges: []shownChange{}, OutputChanges: map[string]any{}, Configuration: p.Configuration}
	out.plan.Changes, out.noop, out.changed = []engine.Change{}, true, map[string]bool{}
	for _, rc := range p.ResourceChanges {
		out.collect(rc.Change)
		if rc.Change == nil || rc.Change.Actions.NoOp() {
			continue
		}
		c := show(rc)
		s.ResourceChanges = append(s.ResourceChanges, c)
		out.noop, out.changed[rc.Address] = false, true
		out.plan.Changes = append(out.plan.Changes, change(rc, c))
	}
	for _, rc := range p.ResourceDrift {
		out.collect(rc.Change)
		out.noop = false
		if rc.Mode == tfjson.ManagedResourceMode && rc.Change != nil {
			out.moved = append(out.moved, rc)
			if rc.Change.Actions.Delete() {
				out.gone = append(out.gone, rc.Type)
			}
		}
		s.ResourceDrift = append(s.ResourceDrift, show(rc))
	}
	for name, c := range p.OutputChanges {
		out.collect(c)
		if c == nil || c.Actions.NoOp() {
			continue
		}
		out.noop = false
		s.OutputChanges[name] = map[string]any{"actions": c.Actions, "before": veil(c.Before, c.BeforeSensitive, nil), "after": veil(c.After, c.AfterSensitive, c.AfterUnknown)}
	}
	s.Digest = <-keyed
	text, err := json.Marshal(s)
	if err != nil {
		return out, fault.From(err)
	}
	out.plan.Engine = json.RawMessage(text)
	out.digest = digest(out.plan)
	return out, nil
}

// keyed is a digest of all that a plan does, secrets too, under a key that
// nobody outside has: so a secret that changes changes the plan.
func (e *Engine) keyed(p planJSON) string {
	h := hmac.New(sha256.New, []byte(e.planKey.Reveal()))
	_ = json.NewEncoder(h).Encode([]any{p.ResourceChanges, p.ResourceDrift, p.OutputChanges})
	return hex.EncodeToString(h.Sum(nil))
}

// digest tells plans apart. The engine's form has all that the changes have,
// which are taken from it, and the keyed digest of the rest.
func digest(p engine.Plan) string {
	sum := sha256.Sum256(p.Engine)
	return hex.EncodeToString(sum[:])
}

func show(rc *tfjson.ResourceChange) shownChange {
	c := shownChange{Address: rc.Address, Module: rc.ModuleAddress, Mode: string(rc.Mode), Type: rc.Type, Name: rc.Name, Provider: rc.ProviderName}
	for _, a := range rc.Change.Actions {
		c.Change.Actions = append(c.Change.Actions, string(a))
	}
	c.Change.Before = veil(rc.Change.Before, rc.Change.BeforeSensitive, nil)
	c.Change.After = veil(rc.Change.After, rc.Change.AfterSensitive, rc.Change.AfterUnknown)
	return c
}

func change(rc *tfjson.ResourceChange, c shownChange) engine.Change {
	out := engine.Change{Address: c.Address, Kind: c.Type, Action: action(rc.Change.Actions)}
	out.Before, _ = c.Change.Before.(map[string]any)
	out.After, _ = c.Change.After.(map[string]any)
	return out
}

func action(a tfjson.Actions) engine.Action {
	switch {
	case a.Replace():
		return engine.Replace
	case a.Create():
		return engine.Create
	case a.Update():
		return engine.Update
	case a.Delete():
		return engine.Delete
	case a.Read():
		return engine.Read
	case a.NoOp():
		return engine.NoOp
	}
	return engine.Update // forget, import: something of the state changes
}

// veil gives v with redact.Shown where it is sensitive and a note where it is
// not known yet. The marks have the shape of v, or are true for all of it.
func veil(v, sensitive, notKnown any) any {
	if yes, ok := sensitive.(bool); ok && yes {
		return redact.Shown
	}
	if yes, ok := notKnown.(bool); ok && yes {
		return unknown
	}
	switch t := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range t {
			out[k] = veil(x, under(sensitive, k), under(notKnown, k))
		}
		if u, ok := notKnown.(map[string]any); ok {
			for k, x := range u {
				if _, there := t[k]; !there {
					if w := veil(nil, under(sensitive, k), x); w != nil {
						out[k] = w
					}
				}
			}
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i, x := range t {
			out[i] = veil(x, at(sensitive, i), at(notKnown, i))
		}
		return out
	}
	return v
}

func under(marks any, key string) any {
	m, _ := marks.(map[string]any)
	return m[key]
}

func at(marks any, i int) any {
	if l, ok := marks.([]any); ok && i < len(l) {
		return l[i]
	}
	return nil
}

// collect notes the secrets of a change, to be masked in messages.
func (r *reading) collect(c *tfjson.Change) {
	if c == nil {
		return
	}
	r.secrets = secretsOf(r.secrets, c.Before, c.BeforeSensitive, false)
	r.secrets = secretsOf(r.secrets, c.After, c.AfterSensitive, false)
}

func secretsOf(m masker, v, marks any, all bool) masker {
	if yes, ok := marks.(bool); ok && yes {
		all = true
	}
	switch t := v.(type) {
	case string:
		if all && len(t) >= 4 && !slices.Contains(m, t) {
			m = append(m, t)
		}
	case map[string]any:
		for k, x := range t {
			m = secretsOf(m, x, under(marks, k), all)
		}
	case []any:
		for i, x := range t {
			m = secretsOf(m, x, at(marks, i), all)
		}
	}
	return m
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
