package guardrail

import "testing"

func FuzzManifest(f *testing.F) {
	f.Add([]byte("apiVersion: fairlead/v1\nkind: PolicyBundle\nmetadata: {name: quiet, version: 1.0.0, title: Quiet}\nguardrails:\n- {package: quiet, stage: request}\n"))
	f.Add([]byte("metadata: 1\nguardrails: {}\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := parseManifest(src)
		if err == nil && (m.Name == "" || m.Version == "" || len(m.Name) > 100) {
			t.Errorf("%+v", m)
		}
	})
}
