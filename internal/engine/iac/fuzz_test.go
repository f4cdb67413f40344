package iac

import (
	"bytes"
	"strings"
	"testing"

	"fairlead/internal/engine"
	"fairlead/internal/redact"
)

// What the program says of a plan is a provider's to forge: it runs under the
// same account. It is read in the server's own process.
func FuzzPlan(f *testing.F) {
	f.Add(`{"format_version":"1.2","resource_changes":[{"address":"a.b","mode":"managed","type":"a","name":"b","change":{"actions":["create"],"before":null,"after":{"p":"secret-1"},"after_sensitive":{"p":true},"after_unknown":{"id":true}}}]}`)
	f.Add(`{"format_version":"1.2","resource_changes":[null]}`)
	f.Add(`{"format_version":"1.2","resource_drift":[{"address":"a.b","mode":"managed"}]}`)
	f.Add(`{"format_version":"1.2","output_changes":{"o":{"actions":["update"],"before":["x"],"after":"yyyy","after_sensitive":true}}}`)
	f.Add(`{"format_version":"1.2","resource_drift":[{"mode":"managed","type":"t","change":{"actions":["delete"],"before":[1,[2]],"before_sensitive":[true,[false,true]]}}]}`)
	e := &Engine{planKey: redact.New("key")}
	f.Fuzz(func(t *testing.T, text string) {
		made, err := e.read(strings.NewReader(text))
		if err != nil {
			return
		}
		again, err := e.read(strings.NewReader(text))
		if err != nil || again.digest != made.digest || made.digest == "" {
			t.Errorf("read again it is another: %v", err)
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"version":4,"serial":1,"lineage":"l","outputs":{"o":{"value":"v","type":"string","sensitive":true}},"resources":[{"module":"module.m","mode":"managed","type":"t","name":"n","instances":[{"index_key":1,"attributes":{"id":"i"},"sensitive_attributes":[]}]}]}`))
	f.Add([]byte(`{"outputs":{"o":null},"resources":[{"mode":"managed","instances":[{"index_key":{},"attributes":[]}]}]}`))
	f.Fuzz(func(_ *testing.T, body []byte) {
		_ = readState(body, engine.Ref{ID: "res_1"})
	})
}

// A plan that lacks what every plan has is refused; it ends nothing else.
func TestAHollowPlanIsRefused(t *testing.T) {
	t.Parallel()
	e := &Engine{planKey: redact.New("key")}
	for _, text := range []string{
		`{"format_version":"1.2","resource_changes":[null]}`, `{"format_version":"1.2","resource_changes":[{"address":"a"},{"address":"b"}]}`,
		`{"format_version":"1.2","resource_drift":[null]}`, `{"format_version":"1.2","resource_drift":[{"mode":"managed"}]}`,
	} {
		if _, err := e.read(bytes.NewReader([]byte(text))); err == nil {
			t.Errorf("%s is taken for a plan", text)
		}
	}
}
