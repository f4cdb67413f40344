package guardrail

import (
	"encoding/json"

	"fairlead/internal/engine"
	"fairlead/internal/rego"
)

// rawPlan gives the plan that Conftest's policies read: the engine's own where
// that is Terraform's plan JSON, else one in its form.
func rawPlan(p *engine.Plan) (rego.Input, error) {
	if p == nil {
		p = &engine.Plan{}
	}
	if terraforms(p.Engine) {
		if in, err := rego.ParseInput(p.Engine); err == nil {
			return in, nil
		}
	}
	changes, planned := make([]any, len(p.Changes)), []any{}
	for i, c := range p.Changes {
		changes[i] = terraformChange(c.Address, c.Kind, string(c.Action), orNull(c.Before), orNull(c.After))
		if c.After != nil {
			planned = append(planned, plannedResource(c.Address, c.Kind, c.After))
		}
	}
	return rego.LazyInput(terraformPlan(changes, planned)), nil
}

// terraforms tells whether an engine's own plan is Terraform's plan JSON. What
// other engines note there is for nobody's policies.
func terraforms(plan json.RawMessage) bool {
	var has struct {
		Changes json.RawMessage `json:"resource_changes"`
		Format  string          `json:"format_version"`
	}
	return len(plan) > 0 && json.Unmarshal(plan, &has) == nil && (has.Changes != nil || has.Format != "")
}

// rawPlanOf makes the same of a recorded document: an engine's own plan is not
// recorded, what it changes is.
func rawPlanOf(document map[string]any) map[string]any {
	plan, _ := document["plan"].(map[string]any)
	list, _ := plan["changes"].([]any)
	changes, planned := []any{}, []any{}
	for _, item := range list {
		c, ok := item.(map[string]any)
		if !ok {
			continue
		}
		action, _ := c["action"].(string)
		changes = append(changes, terraformChange(c["address"], c["kind"], action, c["before"], c["after"]))
		if c["after"] != nil {
			planned = append(planned, plannedResource(c["address"], c["kind"], c["after"]))
		}
	}
	return terraformPlan(changes, planned)
}

func terraformPlan(changes, planned []any) map[string]any {
	return map[string]any{
		"format_version": "1.2", "terraform_version": "0.0.0", "resource_changes": changes,
		"planned_values": map[string]any{"root_module": map[string]any{"resources": planned}},
		"configuration":  map[string]any{"root_module": map[string]any{}},
	}
}

func terraformChange(address, kind any, action string, before, after any) map[string]any {
	actions := []any{action}
	if action == string(engine.Replace) {
		actions = []any{"delete", "create"}
	}
	return map[string]any{
		"address": address, "type": kind, "name": nameOf(address), "mode": "managed", "provider_name": "fairlead",
		"change": map[string]any{"actions": actions, "before": before, "after": after},
	}
}

func plannedResource(address, kind, after any) map[string]any {
	return map[string]any{"address": address, "type": kind, "name": nameOf(address), "mode": "managed", "values": after}
}

// nameOf is what comes behind the kind in an address such as "database.orders".
func nameOf(address any) string {
	s, _ := address.(string)
	for i := range len(s) {
		if s[i] == '.' {
			return s[i+1:]
		}
	}
	return s
}

func orNull(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}
