package iac

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"fairlead/internal/redact"
)

// planOf is the JSON of a plan that makes n objects.
func planOf(n int) []byte {
	var values, changes strings.Builder
	for i := range n {
		if i > 0 {
			values.WriteByte(',')
			changes.WriteByte(',')
		}
		head := fmt.Sprintf(`"address":"terraform_data.a[%d]","mode":"managed","type":"terraform_data","name":"a","index":%d,"provider_name":"terraform.io/builtin/terraform"`, i, i)
		fmt.Fprintf(&values, `{%s,"schema_version":0,"values":{"input":"/some/where/m-1-%d","triggers_replace":null},"sensitive_values":{}}`, head, i)
		fmt.Fprintf(&changes, `{%s,"change":{"actions":["create"],"before":null,"after":{"input":"/some/where/m-1-%d","triggers_replace":null},"after_unknown":{"id":true,"output":true},"before_sensitive":false,"after_sensitive":{}}}`, head, i)
	}
	return fmt.Appendf(nil, `{"format_version":"1.2","terraform_version":"1.12.6","variables":{"path":{"value":"/some/where/m-1"}},"planned_values":{"root_module":{"resources":[%s]}},"resource_changes":[%s],"configuration":{"root_module":{"variables":{"path":{}}}},"timestamp":"2026-11-30T20:00:00Z","applyable":true,"complete":true,"errored":false}`, values.String(), changes.String())
}

func BenchmarkReadPlanOf1000(b *testing.B) {
	e, raw := &Engine{planKey: redact.New("a key for tests")}, planOf(1000)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if made, err := e.read(bytes.NewReader(raw)); err != nil || len(made.plan.Changes) != 1000 {
			b.Fatal(err)
		}
	}
}
