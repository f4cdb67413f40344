package sqldb_test

import (
	"maps"
	"testing"

	"fairlead/internal/sqldb"
)

func TestAttributesGoThereAndBack(t *testing.T) {
	t.Parallel()
	for _, m := range []map[string]string{nil, {}, {"cost-centre": "42", "quoted": `"<&>'`}} {
		if got := sqldb.ParseAttributes(sqldb.Attributes(m)); got == nil || !maps.Equal(got, m) {
			t.Errorf("%v became %v", m, got)
		}
	}
	for why, column := range map[string]string{"damaged": `{"a":`, "another type": `["a"]`, "null": `null`, "nothing": ``} {
		if got := sqldb.ParseAttributes(column); got == nil || len(got) != 0 {
			t.Errorf("%s: %v", why, got)
		}
	}
}
