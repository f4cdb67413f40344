package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// asking is a database whose template asks what becomes of what people change;
// of a healing one it is put right by itself.
var (
	asking  = strings.Replace(pgTiny, "name: pg-tiny", "name: asking", 1) + "drift: {person: ask}\n"
	healing = strings.Replace(pgTiny, "name: pg-tiny", "name: healing", 1) + "drift: {person: heal}\n"
)

// easyBrake holds the second repair within the hour.
const easyBrake = "drift:\n  brake: {share: 0.2, least: 1}\n"

// drifting is a job: what somebody changes is seen and put right by itself, or
// held by the brake until that is released, or accepted, or healed when asked.
type drifting struct {
	*job
	s     *server
	names map[string]string // databases by resource
	round int
}

func newDrifting(t testing.TB, s *server) *drifting { return driftingIn(newJob(t, s), s) }

func driftingIn(j *job, s *server) *drifting {
	return &drifting{job: j, s: s, names: map[string]string{}}
}

func (d *drifting) run() {
	d.inTurn([]part{{"set up", d.setUp}, {"make", d.makes}, {"repair", d.repair}, {"brake", d.brake}, {"accept", d.accept}, {"heal", d.heal}})
}

func (d *drifting) makes() {
	t, c := d.t, d.c
	for _, of := range []struct{ name, template, text string }{{"orders", "asking", asking}, {"left", "healing", healing}, {"right", "healing", healing}} {
		c.must(t, "POST", "/api/v1/templates", folder(t, map[string]string{"template.yaml": of.text, "README.md": "# x\n"}), "k-template-"+of.name, 200, 201)
		id := d.create(of.name, of.template, nil)
		r := c.settle(t, id, patience, applied(1))
		outputs, _ := r.json["outputs"].(map[string]any)
		d.names[of.name] = fmt.Sprint(outputs["database"])
		if of.name == "orders" {
			d.orders = id
		}
	}
}

// tampered changes a database past the server, and has that be seen.
func (d *drifting) tampered(name string, limit int) {
	t, c := d.t, d.c
	t.Helper()
	d.round++
	d.s.engine.exec(t, fmt.Sprintf(`ALTER DATABASE %q CONNECTION LIMIT %d`, d.names[name], limit))
	check := c.must(t, "POST", inDev+"/resources/"+name+"/drift/check", nil, fmt.Sprint("k-check-", d.round), 202).str("id")
	eventually(t, patience, func() string {
		r, err := c.try("GET", "/api/v1/drift-checks/"+check+"?state=looking&wait=2", nil, "")
		if err != nil || r.str("state") != "done" {
			return fmt.Sprintf("the look is not over: %v %v", r, err)
		}
		return ""
	})
}

// asks changes what is not put right by itself.
func (d *drifting) asks(limit int) {
	d.t.Helper()
	d.tampered("orders", limit)
	d.c.settle(d.t, d.orders, patience, func(r reply) string {
		if r.str("reason") != "drift_asks" {
			return "it does not ask"
		}
		return ""
	})
}

// limited waits until a database has the limit that is wanted again.
func (d *drifting) limited(name string) {
	d.t.Helper()
	eventually(d.t, patience, func() string {
		got := d.s.engine.value(d.t, `SELECT CAST(datconnlimit AS text) FROM pg_database WHERE datname = $1`, d.names[name])
		r := d.c.must(d.t, "GET", inDev+"/resources/"+name, nil, "", 200)
		if got != "20" || r.str("phase") != "ready" || r.str("reason") != "" {
			return fmt.Sprintf("%s has a limit of %s, and is %s %s", name, got, r.str("phase"), r.str("reason"))
		}
		return ""
	})
}

// repair is of what is put right by itself.
func (d *drifting) repair() {
	d.tampered("left", 5)
	d.limited("left")
}

// brake holds the next repair of the same server, until somebody releases it.
func (d *drifting) brake() {
	t, c := d.t, d.c
	d.tampered("right", 6)
	scope := ""
	eventually(t, patience, func() string {
		for _, b := range items(c.must(t, "GET", "/api/v1/drift-brakes", nil, "", 200)) {
			scope, _ = b["scope"].(string)
			return ""
		}
		return "nothing is held"
	})
	c.must(t, "POST", "/api/v1/drift-brakes/release", map[string]any{"scope": scope, "reason": "for the test"}, "k-release", 200)
	d.tampered("right", 6) // it is repaired when it is looked at next
	d.limited("right")
}

func (d *drifting) accept() {
	d.asks(3)
	d.c.must(d.t, "POST", inDev+"/resources/orders/drift/accept", map[string]any{"reason": "for the test"}, "k-accept", 200)
}

func (d *drifting) heal() {
	d.asks(4)
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
	equal(t, "the history", []string{"person heal healed", "person heal healed", "person ask accepted", "person heal healed"},
		column(t, db, `SELECT cause || ' ' || answer || ' ' || resolution FROM drifts WHERE answer <> 'ignore' ORDER BY id`))
	equal(t, "what is accepted", nil, column(t, db, `SELECT address FROM drift_acceptances`))
	equal(t, "looks that wait", nil, column(t, db, `SELECT id FROM drift_checks WHERE ended_at IS NULL`))
	equal(t, "the audit log", []string{"resource:heal", "drift:release", "resource:heal", "drift:accept", "resource:heal"},
		column(t, db, `SELECT action FROM audit_log WHERE action IN ('drift:accept', 'drift:release', 'resource:heal') ORDER BY seq`))
	equal(t, "what was told", []string{"drift.detected", "drift.resolved", "drift.held", "drift.detected", "drift.released", "drift.detected", "drift.resolved", "drift.detected", "drift.resolved", "drift.detected", "drift.resolved"},
		column(t, db, `SELECT type FROM events WHERE type LIKE 'drift.%' ORDER BY id`))
	equal(t, "what is held", nil, column(t, db, `SELECT scope FROM drift_brakes WHERE held_at IS NOT NULL`))
	for name := range d.names {
		d.limited(name)
	}
	d.verified()
}

// driftPoints are among those where a server is killed while drift is dealt with.
var driftPoints = func() (list []string) {
	for _, op := range []string{"drift.ask", "drift.check", "resource.observed", "drift.accept", "drift.release", "resource.heal"} {
		list = append(list, "write."+op+".before", "write."+op+".after")
	}
	return list
}()

// repairPoints are of the run that puts something right by itself: the fourth,
// after the makings.
var repairPoints = []string{
	"write.run.apply.before#4", "write.run.apply.after#4", "engine.apply.before#4", "engine.apply.after#4", "write.run.succeed.before#4", "write.run.succeed.after#4",
}

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
