package resourceapi_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"fairlead/internal/resource"
	"fairlead/internal/resource/resourceapi"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// A server that dies after its commit has kept no reply: the same key is
// answered with what was done, and nothing is done again.
func TestALostReplyIsFoundAgain(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := newFace(t, db)
		f.b.Work()
		settled := func(id string) resource.Resource {
			return f.b.Until(id, "settled", func(r resource.Resource) bool { return r.Phase.Settled() })
		}
		r := f.b.Ready("orders", map[string]any{"size": 1})
		f.b.Ready("same", map[string]any{"size": 1})
		f.b.Ready("gone", map[string]any{"size": 1})
		run := settled(r.ID).RunID
		var again []func()
		for _, c := range []struct {
			why, method, path, body string
			status                  int
			outcomes                []string
		}{
			{"a rotation", "POST", orders + "/rotate", "", 200, nil},
			{"a change", "PATCH", orders, `{"set":{"size":2}}`, 200, nil},
			{"a way back", "POST", orders + "/rollback", `{"revision":1}`, 200, nil},
			{"another try", "POST", orders + "/retry", "", 200, nil},
			{"another try by its run", "POST", "/api/v1/runs/" + run + "/retry", "", 200, nil},
			{"a set", "POST", env + "/apply", `{"resources":[{"name":"fresh","template":"store","inputs":{"size":1}},
				{"name":"orders","template":"store","inputs":{"size":3}},{"name":"same","template":"store","inputs":{"size":1}}]}`, 200,
				[]string{"created", "changed", "unchanged"}},
			{"a new one by PUT", "PUT", env + "/resources/put", `{"template":"store","inputs":{"size":1}}`, 201, nil},
			{"a change by PUT", "PUT", env + "/resources/put", `{"template":"store","inputs":{"size":2}}`, 200, nil},
			{"the end of one", "DELETE", env + "/resources/gone", "", 202, nil},
		} {
			key := strings.ReplaceAll(c.why, " ", "-")
			first := f.want(c.status, c.method, c.path, c.body, "Idempotency-Key", key)
			if id, ok := first.json["id"].(string); ok {
				settled(id)
			}
			f.forget(key)
			again = append(again, func() {
				again := f.as("ann", c.method, c.path, c.body, "Idempotency-Key", key)
				if again.StatusCode != c.status || again.Header.Get("Idempotency-Replayed") != "true" ||
					again.json["id"] != first.json["id"] || again.json["name"] != first.json["name"] {
					t.Errorf("%s: %d %v %s", c.why, again.StatusCode, again.Header, again.text)
				}
				for i, want := range c.outcomes {
					was, is := set(first)[i], set(again)[i]
					if is.Outcome != want || was.Outcome != want || is.Resource.ID != was.Resource.ID {
						t.Errorf("%s: %d: was %v, is %v", c.why, i, was, is)
					}
				}
			})
		}
		f.b.Ready("gone", map[string]any{"size": 1}) // the name is another's by now
		runs := f.count("runs")
		var wg sync.WaitGroup
		for _, do := range again { // each waits for a reply that somebody may be about to keep
			wg.Go(do)
		}
		wg.Wait()
		if n := f.count("runs"); n != runs {
			t.Errorf("%d runs were %d: something was done again", n, runs)
		}
	})
}

// set is the reply to an apply.
func set(a answer) []resourceapi.AppliedResource {
	var out resourceapi.AppliedSet
	_ = json.Unmarshal([]byte(a.text), &out) // an error shows as an empty set
	return append(out.Resources, make([]resourceapi.AppliedResource, 3)...)
}

// forget makes the reply that was kept for a key, or will be, a lost one.
func (f *face) forget(key string) {
	f.t.Helper()
	err := f.b.DB.Write(f.t.Context(), "test.forget", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(f.t.Context(), `UPDATE idempotency_keys SET status = 0, body = '' WHERE key = $1`, key)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *face) count(table string) (n int) {
	f.t.Helper()
	if err := f.b.DB.Read().QueryRowContext(f.t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}
