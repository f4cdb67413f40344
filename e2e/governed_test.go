package e2e

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fairlead/internal/gate"
)

// approvals is what must have come of each question, however often the server
// was killed: asked once, and answered once.
var wantApprovals = []string{
	"late 1 expired", "nope 1 rejected", "paid 1 approved", "paid 2 void", "paid 3 approved", "paid 3 void", "sealed 1 approved", "sealed 2 bypassed",
}

// mustRecord is what the audit log must hold of the job at least once: denials
// are no effects, and what a client repeats is refused again.
var mustRecord = []string{
	"gate:deny forbidden", "gate:deny second", "gate:deny dear", "guardrail:push house", "guardrail:enable house",
}

// exactlyGoverned is what it must hold so often and no more.
var exactlyGoverned = map[string]int{
	"cost:repriced price table": 1, "guardrail:push house": 2, "guardrail:enable house": 4, "resource:create open": 1, "resource:create nope": 1, "resource:create paid": 1,
	"resource:update paid": 2, "resource:create sealed": 1, "resource:update sealed": 1, "resource:create late": 1, "resource:create again": 1,
	"resource:create brief": 1, "resource:destroyed brief": 1, "lease:proof brief": 1, "lease:proof trial": 1, "resource:create kept": 1, "environment:create trial": 1,
	"resource:destroyed open": 1, "resource:destroyed nope": 1, "resource:destroyed late": 1,
}

// invariants holds what there is against what the job was told.
func (g *governance) invariants(s *server) {
	t := g.t
	t.Helper()
	db := s.db(t)
	eventually(t, 20*time.Second, func() string { return compare(s.engine, db) }) // I1, I6
	eventually(t, 10*time.Second, func() string {
		if open := column(t, db, `SELECT id || ' ' || kind || ' ' || phase FROM runs WHERE finished_at IS NULL`); len(open) > 0 {
			return fmt.Sprintf("runs that never end: %v", open)
		}
		return ""
	})
	equal(t, "I2, I5: one resource a request, and the one that was answered", wantResources(g.job), column(t, db, `SELECT id || ' ' || name FROM resources ORDER BY name`))
	slices.Sort(g.lasting)
	equal(t, "what lives", g.lasting, column(t, db, `SELECT name FROM resources WHERE destroyed_at IS NULL AND phase = 'ready' ORDER BY name`))
	for _, name := range append(slices.Clone(g.denied), g.rejected...) {
		g.nothingOf(name)
	}
	for _, name := range g.denied {
		equal(t, "I7: what was denied and is there", nil, column(t, db, `SELECT id FROM resources WHERE name = $1`, name))
		equal(t, "I7: what was denied and has a run", nil, column(t, db, `SELECT d.run_id FROM decisions d WHERE d.resource = $1 AND d.run_id <> ''`, name))
	}
	equal(t, "approvals", wantApprovals, column(t, db, `SELECT title || ' ' || revision || ' ' || status FROM approvals ORDER BY title, revision, status`))
	agreed(t, db)
	counted(t, db)
	equal(t, "what is not priced by the table in force", nil, column(t, db, `SELECT h.resource_id || ' ' || h.amount FROM quota_holdings h WHERE h.metric = 'monthly_cost' AND h.amount NOT IN (0, 13000000)
		UNION SELECT c.resource_id || ' ' || c.monthly FROM cost_spans c WHERE c.ended_at IS NULL AND c.monthly <> 13000000`))
	proved(t, db)
	g.told(s, db)
	g.recorded(db)
	g.verified()
}

func (g *governance) recorded(db *sql.DB) {
	count := map[string]int{}
	for _, v := range column(g.t, db, `SELECT action || ' ' || target_name FROM audit_log`) {
		count[v]++
	}
	for _, what := range mustRecord {
		if count[what] == 0 {
			g.t.Errorf("I3: %q is not in the audit log", what)
		}
	}
	allowed := map[string]int{}
	for _, v := range column(g.t, db, `SELECT action || ' ' || target_name FROM audit_log WHERE decision = 'allowed'`) {
		allowed[v]++
	}
	for what, n := range exactlyGoverned {
		got := allowed[what]
		if strings.HasPrefix(what, "lease:") || strings.HasPrefix(what, "cost:") { // what nobody asks for is neither allowed nor denied
			got = count[what]
		}
		if got != n {
			g.t.Errorf("I2, I3: %q is in the audit log %d times, not %d", what, got, n)
		}
	}
}

// agreed wants each revision that was made real, of what the record says needs
// an approval, to have one that holds for exactly what the run did.
func agreed(t testing.TB, db *sql.DB) {
	t.Helper()
	for _, row := range column(t, db, `SELECT id || ' ' || digest || ' ' || parts FROM approvals`) {
		f := strings.SplitN(row, " ", 3)
		parts := gate.Binding{}
		if err := json.Unmarshal([]byte(f[2]), &parts); err != nil || parts.Digest() != f[1] {
			t.Errorf("approval %s is not bound to its parts: %v", f[0], err)
		}
	}
	// What a request was judged as lies with the run that it led to; the last
	// judgement before the change is that at the plan.
	for _, row := range column(t, db, `SELECT u.id || ' ' || u.resource_id || ' ' || u.revision || ' ' || u.passed FROM runs u
		JOIN environments e ON e.id = u.environment_id AND e.class = 'production'
		WHERE u.kind = 'apply' AND u.passed <> ''
			AND EXISTS (SELECT 1 FROM decisions d WHERE d.resource_id = u.resource_id AND d.revision = u.revision AND d.action IN ('create', 'update') AND d.outcome = 'approval')`) {
		f := strings.SplitN(row, " ", 4)
		passed := map[string]string{}
		if err := json.Unmarshal([]byte(f[3]), &passed); err != nil {
			t.Errorf("run %s: %v", f[0], err)
		}
		holds := false
		for _, text := range column(t, db, `SELECT parts FROM approvals WHERE subject_id = $1 AND revision = $2 AND status IN ('approved', 'bypassed') AND passed_at IS NOT NULL`, f[1], atoi(f[2])) {
			parts := map[string]string{}
			if err := json.Unmarshal([]byte(text), &parts); err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(parts, func(k, _ string) bool { _, there := passed[k]; return !there })
			holds = holds || maps.Equal(parts, passed)
		}
		if !holds {
			t.Errorf("run %s made revision %s real, which nobody agreed to as it was", f[0], f[2])
		}
	}
	equal(t, "revisions of production that were made real without anybody's agreement", nil, column(t, db, `SELECT r.name || ' ' || r.applied_revision FROM resources r
		JOIN environments e ON e.id = r.environment_id AND e.class = 'production'
		WHERE r.applied_revision > 0 AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.subject_id = r.id AND a.revision = r.applied_revision AND a.status IN ('approved', 'bypassed'))
			AND EXISTS (SELECT 1 FROM decisions d WHERE d.resource_id = r.id AND d.revision = r.applied_revision AND d.outcome = 'approval')`))
}

// proved wants every lease that ran out to have a proof of what it ended, taken
// from a record that is in the audit log, or to go on.
func proved(t testing.TB, db *sql.DB) {
	t.Helper()
	equal(t, "leases that nobody drives on", nil, column(t, db, `SELECT id || ' ' || state FROM leases WHERE state <> 'ended' AND due_at IS NULL`))
	equal(t, "two leases of one thing", nil, column(t, db, `SELECT subject_id FROM leases WHERE state <> 'ended' GROUP BY subject_id HAVING count(*) > 1`))
	equal(t, "leases of what is gone", nil, column(t, db, `SELECT l.id FROM leases l JOIN resources r ON r.id = l.subject_id WHERE l.state = 'active' AND r.destroyed_at IS NOT NULL`))
	for _, row := range column(t, db, `SELECT id || ' ' || kind || ' ' || subject_id || ' ' || proof FROM leases WHERE state = 'ended' AND reason = 'expired'`) {
		f := strings.SplitN(row, " ", 4)
		var p struct {
			Resources []struct {
				ResourceID, Found, Hash string
				Record                  int64
			}
		}
		if err := json.Unmarshal([]byte(f[3]), &p); err != nil || f[1] == "resource" && len(p.Resources) != 1 {
			t.Errorf("lease %s ended without a proof: %v", f[0], err)
		}
		for _, e := range p.Resources {
			said := column(t, db, `SELECT hash FROM audit_log WHERE seq = $1 AND action = 'resource:destroyed' AND target_id = $2`, e.Record, e.ResourceID)
			if len(said) != 1 || said[0] != e.Hash {
				t.Errorf("the proof of %s is not what the audit log says: %v", e.ResourceID, said)
			}
			equal(t, "what a lease ended", []string{"1"}, column(t, db, `SELECT count(*) FROM resources WHERE id = $1 AND destroyed_at IS NOT NULL`, e.ResourceID))
			equal(t, "proofs in the audit log", []string{"1"}, column(t, db, `SELECT count(*) FROM audit_log WHERE action = 'lease:proof' AND target_id = $1`, e.ResourceID))
		}
	}
}

func atoi(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// counted wants what quotas say is used to be what living resources hold, and
// nothing beyond them.
func counted(t testing.TB, db *sql.DB) {
	t.Helper()
	equal(t, "quotas whose sum is wrong", nil, column(t, db, `SELECT x.id || ': ' || x.used || ' used, ' || x.held || ' held' FROM (
		SELECT l.id, l.used, coalesce((SELECT sum(h.amount) FROM quota_holdings h WHERE h.metric = l.metric AND l.place IN ('', h.team_id, h.project_id, h.environment_id)
			AND l.class IN ('', h.class) AND l.template IN ('', h.template)), 0) AS held FROM quota_limits l) x WHERE x.used <> x.held`))
	equal(t, "what is gone and holds a share", nil, column(t, db, `SELECT h.resource_id FROM quota_holdings h LEFT JOIN resources r ON r.id = h.resource_id
		WHERE r.id IS NULL OR r.destroyed_at IS NOT NULL`))
	equal(t, "what lives and holds nothing", nil, column(t, db, `SELECT r.name FROM resources r WHERE r.destroyed_at IS NULL
		AND NOT EXISTS (SELECT 1 FROM quota_holdings h WHERE h.resource_id = r.id AND h.metric = 'count')`))
	equal(t, "quotas that are exceeded", nil, column(t, db, `SELECT id FROM quota_limits WHERE enforce = 1 AND used > max`))
	equal(t, "what is gone and still costs", nil, column(t, db, `SELECT c.resource_id FROM cost_spans c JOIN resources r ON r.id = c.resource_id
		WHERE c.ended_at IS NULL AND r.destroyed_at IS NOT NULL`))
}

// told wants every event to come to whoever is to be told, at least once, and
// nothing that did not happen.
func (g *governance) told(s *server, db *sql.DB) {
	t := g.t
	t.Helper()
	if s.store != "sqlite" {
		// What a server that was killed had claimed is its own until the lease
		// runs out, half a minute later; time passes faster here.
		column(t, db, `UPDATE deliveries SET lease_until = 0, fence = fence + 1 WHERE lease_until > 0 RETURNING id`)
	}
	type hook struct {
		r     *receiver
		where string
	}
	for _, h := range []hook{{g.well, `team_id = (SELECT id FROM teams WHERE name = 'shop')`}, {g.ill, `1 = 1`}} {
		since := `(SELECT max(enabled_at) FROM webhooks WHERE url = $1)`
		eventually(t, 45*time.Second, func() string {
			got := h.r.ids()
			var missing []string
			for _, e := range column(t, db, `SELECT id || ' ' || type FROM events WHERE at >= `+since+` AND `+h.where, h.r.URL+"/hook") {
				if id, _, _ := strings.Cut(e, " "); !got[id] {
					missing = append(missing, e)
				}
			}
			if len(missing) > 0 {
				return fmt.Sprintf("%d events were told to nobody: %v; deliveries: %v", len(missing), missing,
					column(t, db, `SELECT status || ' ' || event_type || ' ' || attempts || ' ' || last_error FROM deliveries WHERE status <> 'delivered'`))
			}
			return ""
		})
		happened := map[string]bool{}
		for _, id := range column(t, db, `SELECT id FROM events UNION SELECT event_id FROM deliveries WHERE event_type = 'webhook.ping'`) {
			happened[id] = true
		}
		for id := range h.r.ids() {
			if !happened[id] {
				t.Errorf("somebody was told of %s, which is not in the store", id)
			}
		}
		if err := h.r.genuine(g.secrets[h.r]); err != nil {
			t.Error(err)
		}
	}
	eventually(t, 20*time.Second, func() string {
		if open := column(t, db, `SELECT status || ' ' || event_type FROM deliveries WHERE status <> 'delivered'`); len(open) > 0 {
			return fmt.Sprintf("deliveries that do not end: %v", open)
		}
		return ""
	})
}

// TestGovernance runs the job undisturbed.
func TestGovernance(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"sqlite", "postgres"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			b := bed{store: store, box: newBox(t)}.other("governance")
			points := b.trace(t)
			t.Logf("%d points: %s", len(points), strings.Join(sortedPoints(points), " "))
		})
	}
}
