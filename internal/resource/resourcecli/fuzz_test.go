package resourcecli

import "testing"

func FuzzManifests(f *testing.F) {
	f.Add([]byte("apiVersion: fairlead/v1\nkind: Resource\nmetadata: {name: orders, project: web, environment: dev}\nspec: {template: pg, version: 1.0.0, inputs: {size: 3, a: [{b: null}]}}\n---\n{}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("spec: 1\nmetadata: []\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parse("f.yaml", data)
		if err == nil && len(list) == 0 {
			t.Error("neither a manifest nor what is wrong")
		}
	})
}
