package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// asking is a database whose template asks what becomes of what people change.
var asking = strings.Replace(pgTiny, "name: pg-tiny", "name: asking", 1) + "drift: {person: ask}\n"

// drifting is a job: what somebody changes is seen, accepted, seen again and
// healed.
type drifting struct {
	*job
	s        *server
	database string
	round    int
}

func newDrifting(t testing.TB, s *server) *drifting { return &drifting{job: newJob(t, s), s: s} }

func (d *drifting) run() {
	d.inTurn([]part{{"set up", d.setUp}, {"make", d.makes}, {"accept", d.accept}, {"heal", d.heal}})
}

func (d *drifting) makes() {
	t, c := d.t, d.c
	c.must(t, "POST", "/api/v1/templates", folder(t, map[string]string{"template.yaml": asking, "README.md": "# x\n"}), "k-template", 200, 201)
	d.orders = d.create("orders", "asking", nil)
	r := c.settle(t, d.orders, patience, applied(1))
	outputs, _ := r.json["outputs"].(map[string]any)
	d.database = fmt.Sprint(outputs["database"])
}

// tampered changes the database past the server, and has that be seen.
func (d *drifting) tampered(limit int) {
	t, c := d.t, d.c
	t.Helper()
	d.round++
	d.s.engine.exec(t, fmt.Sprintf(`ALTER DATABASE %q CONNECTION LIMIT %d`, d.database, limit))
	check := c.must(t, "POST", inDev+"/resources/orders/drift/check", nil, fmt.Sprint("k-check-", d.round), 202).str("id")
	eventually(t, patience, func() string {
		r, err := c.try("GET", "/api/v1/drift-checks/"+check+"?state=looking&wait=2", nil, "")
		if err != nil || r.str("state") != "done" {
			return fmt.Sprintf("the look is not over: %v %v", r, err)
		}
		return ""
	})
	c.settle(t, d.orders, patience, func(r reply) string {
		if r.str("reason") != "drift_asks" {
			return "it does not ask"
		}
		return ""
	})
}

func (d *drifting) accept() {
	d.tampered(3)
	d.c.must(d.t, "POST", inDev+"/resources/orders/drift/accept", map[string]any{"reason": "for the test"}, "k-accept", 200)
}

func (d *drifting) heal() {
	d.tampered(4)
	d.c.must(d.t, "POST", inDev+"/resources/orders/drift/heal", nil, "k-heal", 200)
	d.c.settle(d.t, d.orders, patience, func(r reply) string {
		if r.str("phase") != "ready" || r.str("reason") != "" {
			return "it is not healed"
		}
		return ""
	})
}

// invariants: a look that was asked for is answered, an acceptance and a repair
// that were answered are there once, and the history tells them.
func (d *drifting) invariants(s *server) {
	t := d.t
	t.Helper()
	db := s.db(t)
	equal(t, "the history", []string{"person ask accepted", "person heal healed"},
		column(t, db, `SELECT cause || ' ' || answer || ' ' || resolution FROM drifts WHERE answer <> 'ignore' ORDER BY id`))
	equal(t, "what is accepted", nil, column(t, db, `SELECT address FROM drift_acceptances`))
	equal(t, "looks that wait", nil, column(t, db, `SELECT id FROM drift_checks WHERE ended_at IS NULL`))
	equal(t, "the audit log", []string{"drift:accept", "resource:heal"},
		column(t, db, `SELECT action FROM audit_log WHERE action IN ('drift:accept', 'resource:heal') ORDER BY seq`))
	equal(t, "what was told", []string{"drift.detected", "drift.resolved", "drift.detected", "drift.resolved"},
		column(t, db, `SELECT type FROM events WHERE type LIKE 'drift.%' ORDER BY id`))
	d.verified()
}

// driftPoints are among those where a server is killed while drift is dealt with.
var driftPoints = func() (list []string) {
	for _, op := range []string{"drift.ask", "drift.check", "resource.observed", "drift.accept", "resource.heal"} {
		list = append(list, "write."+op+".before", "write."+op+".after")
	}
	return list
}()

// TestAServerDiesWhileDriftIsDealtWith kills it before and after each durable
// write of drift.
func TestAServerDiesWhileDriftIsDealtWith(t *testing.T) {
	t.Parallel()
	if *torture {
		return
	}
	b := bed{store: "sqlite", box: newBox(t)}.other("drift")
	for _, point := range driftPoints {
		t.Run(point, func(t *testing.T) {
			if !b.killAt(t, point+"#1") {
				t.Error("the point was not passed")
			}
		})
	}
}
