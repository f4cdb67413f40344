package iacstate

import "testing"

// What a run sends is a module's to forge.
func FuzzHead(f *testing.F) {
	f.Add([]byte(`{"version":4,"serial":3,"lineage":"l","resources":[{"mode":"managed","instances":[{},null]}]}`))
	f.Add([]byte(`{"version":4,"serial":-1,"lineage":"l"}`))
	f.Add([]byte(`{"version":4,"serial":1e3,"lineage":"l","resources":[null]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := readHead(body)
		if err == nil && (h.Version != 4 || h.Serial < 0 || h.Lineage == "" || h.objects() < 0) {
			t.Errorf("%+v is taken for a state", h)
		}
	})
}
