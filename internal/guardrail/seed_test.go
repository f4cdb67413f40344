package guardrail_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/policies"
)

// golden are the digests of what is shipped. A change here needs a new version
// in policy.yaml: installations keep what they have under the old one.
var golden = map[string]string{
	"baseline@1.0.0": "f42c0ea8293cb25aa13facf57536e796f0653da2028f61dc63531f407e25b5b6",
	"guard@1.0.0":    "992b071219f908e2bb145cd4d95d2cb6ff9949a1d191b23448578ecd76e9e324",
	"modules@1.0.0":  "c17c5fd8e6c8d131debc5dddd71be61b69fb23bddf731af02564ed66c0e08e80",
}

func TestShippedBundlesAreThereAndNotInForce(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newService(t, db)
		for range 2 {
			if err := s.SeedShipped(t.Context(), policies.FS); err != nil {
				t.Fatal(err)
			}
		}
		list, err := s.List(as(t, ada), "", sqldb.Page{})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, v := range list.Items {
			got[v.Name+"@"+v.Version] = v.Digest
			if v.CreatedBy != principal.System.ID || v.Active != "" || !v.Tests.Passed() {
				t.Errorf("%s: by %s, in force %q, tests %+v", v.Name, v.CreatedBy, v.Active, v.Tests)
			}
		}
		if d := cmp.Diff(golden, got); d != "" {
			t.Error(d)
		}
		for _, name := range []string{"baseline", "guard"} { // from the guard on a second person is asked
			activate(t, s, ada, name, "1.0.0")
		}
	})
}
