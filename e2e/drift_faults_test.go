package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// asking is a database whose template asks what becomes of what people change.
var asking = strings.Replace(pgTiny, "name: pg-tiny", "name: asking", 1) + "drift: {person: ask}\n"

// TestAServerDiesWhileDriftIsDealtWith kills it before and after each durable
// write of drift: a look that was asked for is answered, an acceptance and a
// repair that were answered are there once, and the history tells them.
func TestAServerDiesWhileDriftIsDealtWith(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"drift.ask", "drift.check", "resource.observed", "drift.accept", "resource.heal"} {
		for _, when := range []string{".before", ".after"} {
			t.Run(op+when, func(t *testing.T) {
				b := sharedBox(t)
				s := newServer(t, withBox(b))
				s.start()
				j := environment(t, s)
				c := j.c
				c.must(t, "POST", "/api/v1/templates", folder(t, map[string]string{"template.yaml": asking, "README.md": "# x\n"}), "k-template", 200, 201)
				r := c.must(t, "POST", inDev+"/resources", map[string]any{"name": "orders", "template": "asking"}, "k-orders", 201)
				id := r.str("id")
				r = c.settle(t, id, patience, applied(1))
				outputs, _ := r.json["outputs"].(map[string]any)
				database := fmt.Sprint(outputs["database"])
				s.stop()
				s.launch("FAIRLEAD_FAILPOINT=write." + op + when)
				k := keep(s)
				defer func() { k.stopping.Store(true) }()

				round := 0
				tampered := func(limit int) {
					t.Helper()
					round++
					b.exec(t, fmt.Sprintf(`ALTER DATABASE %q CONNECTION LIMIT %d`, database, limit))
					check := c.must(t, "POST", inDev+"/resources/orders/drift/check", nil, fmt.Sprint("k-check-", round), 202).str("id")
					eventually(t, patience, func() string {
						r, err := c.try("GET", "/api/v1/drift-checks/"+check+"?state=looking&wait=2", nil, "")
						if err != nil || r.str("state") != "done" {
							return fmt.Sprintf("the look is not over: %v %v", r, err)
						}
						return ""
					})
					c.settle(t, id, patience, func(r reply) string {
						if r.str("reason") != "drift_asks" {
							return "it does not ask"
						}
						return ""
					})
				}
				tampered(3)
				c.must(t, "POST", inDev+"/resources/orders/drift/accept", map[string]any{"reason": "for the test"}, "k-accept", 200)
				tampered(4)
				c.must(t, "POST", inDev+"/resources/orders/drift/heal", nil, "k-heal", 200)
				c.settle(t, id, patience, func(r reply) string {
					if r.str("phase") != "ready" || r.str("reason") != "" {
						return "it is not healed"
					}
					return ""
				})
				for wait := time.Now().Add(6 * time.Second); k.deaths.Load() == 0 && time.Now().Before(wait); {
					time.Sleep(50 * time.Millisecond)
				}
				k.stop()
				if k.deaths.Load() != 1 {
					t.Fatalf("it died %d times", k.deaths.Load())
				}
				db := s.db(t)
				equal(t, "the history", []string{"person ask accepted", "person heal healed"},
					column(t, db, `SELECT cause || ' ' || answer || ' ' || resolution FROM drifts WHERE answer <> 'ignore' ORDER BY id`))
				equal(t, "what is accepted", nil, column(t, db, `SELECT address FROM drift_acceptances`))
				equal(t, "looks that wait", nil, column(t, db, `SELECT id FROM drift_checks WHERE ended_at IS NULL`))
				equal(t, "the audit log", []string{"drift:accept", "resource:heal"},
					column(t, db, `SELECT action FROM audit_log WHERE action IN ('drift:accept', 'resource:heal') ORDER BY seq`))
			})
		}
	}
}
