package access

import "testing"

func TestARefusalIsASentence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		why    string
		a      Action
		t      Target
		wanted string
	}{
		{"there is one audit log, whatever it is called", AuditExport, Target{Kind: "audit", Name: "audit"}, "export the audit log"},
		{"there is one set of policies", AccessUpdate, Target{Kind: "access"}, "update the access policies"},
		{"a thing with a name", ResourceDestroy, Target{Kind: "resource", Name: "orders"}, "destroy the resource orders"},
		{"a thing still to be made", TeamCreate, Organisation, "create a team"},
		{"the article", EnvironmentCreate, Target{Kind: "environment"}, "create an environment"},
	} {
		if got := describe(c.a, c.t); got != c.wanted {
			t.Errorf("%s: %q, wanted %q", c.why, got, c.wanted)
		}
	}
}
