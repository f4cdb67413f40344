package guardrail

import (
	"context"

	"fairlead/internal/gate"
)

// Standing gives what the set has against what stands there: the guardrails of
// requests, asked with the action keep, and those of plans where f has the
// plan that made it. What would need an approval is nothing against it:
// approvals are for changes.
func (s *Set) Standing(ctx context.Context, f gate.Facts) []gate.Verdict {
	f.Action = gate.Keep
	var out []gate.Verdict
	for _, stage := range []gate.Stage{gate.Request, gate.Plan} {
		if stage == gate.Plan && f.Plan == nil {
			continue
		}
		f.Stage = stage
		for _, v := range s.Evaluate(ctx, f) {
			if v.Strength != gate.Approve {
				out = append(out, v)
			}
		}
	}
	return out
}
