package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// governedBy is a job on several servers, with people, prices and the rules of
// the house in force.
func governedBy(t *testing.T, servers ...*server) *governance {
	t.Helper()
	g := &governance{job: environment(t, servers...), s: servers[0], well: newReceiver(t), ill: newReceiver(t), secrets: map[*receiver][]string{}}
	g.people()
	g.c.must(t, "PUT", "/api/v1/cost/prices", map[string]any{"document": prices}, "", 200)
	for _, v := range []string{"1.0.0", "1.1.0"} {
		g.c.must(t, "POST", "/api/v1/guardrails", rules(t, v), "", 200, 201)
	}
	g.activate(servers[0], "1.0.0")
	g.inForce(patience, servers...) // a server that does not know yet would ask nobody
	return g
}

// at is somebody on one server alone.
func at(c *client, s *server) *client {
	d := *c
	d.urls = []string{s.url()}
	return &d
}

func (g *governance) activate(s *server, version string) {
	g.t.Helper()
	at(g.c, s).must(g.t, "POST", "/api/v1/guardrails/house/versions/"+version+"/activate", nil, "", 200)
}

// window is how long another replica may decide by the guardrails of before:
// two seconds, with room for a busy machine.
const window = 2 * time.Second

// inForce waits until every server decides by a version's rules: those of the
// first two ask for approvals and deny names alike, so the digest is looked at.
func (g *governance) inForce(limit time.Duration, servers ...*server) {
	g.t.Helper()
	want := ""
	for i, s := range servers {
		eventually(g.t, limit, func() string {
			r := at(g.c, s).once(g.t, "POST", "/api/v1/guardrails/evaluate", map[string]any{"document": map[string]any{"stage": "request"}})
			if i == 0 {
				want = r.str("policy")
			}
			if r.str("policy") != want || want == "" {
				return fmt.Sprintf("server %d decides by %s, not by %s", i, r.str("policy"), want)
			}
			return ""
		})
	}
}

// TestThreeReplicasNeverOvershootAQuota: 64 requests at once, on three
// servers, for ten places; and once more when four are given back.
func TestThreeReplicasNeverOvershootAQuota(t *testing.T) {
	t.Parallel()
	servers := replicas(t, 3, sharedBox(t))
	g := governedBy(t, servers...)
	g.c.must(t, "PUT", "/api/v1/quotas", map[string]any{"team": "shop", "metric": "count", "max": 10}, "", 200)
	g.c.must(t, "PUT", "/api/v1/quotas", map[string]any{"project": "web", "metric": "count", "class": "development", "max": 11}, "", 200)
	race := func(round string) (got []string) {
		var mu sync.Mutex
		var all sync.WaitGroup
		var refused atomic.Int64
		for i := range 64 {
			all.Go(func() {
				r, err := at(g.dora, servers[i%3]).try("POST", inDev+"/resources", map[string]any{"name": fmt.Sprintf("%s%d", round, i), "template": "app"}, fmt.Sprintf("race-%s%d", round, i))
				switch {
				case err != nil:
					t.Error(err)
				case r.status == 201:
					mu.Lock()
					got = append(got, r.str("id"))
					mu.Unlock()
				case r.status != http.StatusForbidden || r.str("code") != "quota_exceeded":
					t.Errorf("%s%d: %v", round, i, r)
				default:
					refused.Add(1)
				}
			})
		}
		all.Wait()
		if int(refused.Load())+len(got) != 64 {
			t.Errorf("%d were refused and %d granted, of 64", refused.Load(), len(got))
		}
		return got
	}
	first := race("a")
	if len(first) != 10 {
		t.Fatalf("%d of 10 places were given", len(first))
	}
	db := servers[0].db(t)
	equal(t, "resources", []string{"10"}, column(t, db, `SELECT count(*) FROM resources`))
	counted(t, db)
	for _, id := range first[:4] {
		g.c.settle(t, id, patience, applied(1))
		g.c.must(t, "DELETE", inDev+"/resources/"+id, nil, "", 202)
		g.c.settle(t, id, patience, inPhase("destroyed"))
	}
	if again := race("b"); len(again) != 4 {
		t.Errorf("%d of 4 places were given", len(again))
	}
	counted(t, db)
	g.verified()
}

// TestApprovalsOnAnotherServerThanTheWorker: people decide on one server while
// the other has the run, and the other way round; decisions on both at once
// count once.
func TestApprovalsOnAnotherServerThanTheWorker(t *testing.T) {
	t.Parallel()
	b := sharedBox(t)
	servers := replicas(t, 2, b)
	g := governedBy(t, servers...)
	db := servers[0].db(t)
	for i, decides := range servers {
		name := fmt.Sprintf("paid%d", i)
		id := g.wants(inProd, name, "app", nil)
		a := g.awaits(id, 1)
		g.decides(at(g.ann, decides), a, "approve", "")
		g.c.settle(t, id, patience, applied(1))
	}
	// A yes and a no on two servers at once: one of them counts.
	for i := range 6 {
		id := g.wants(inProd, fmt.Sprintf("torn%d", i), "app", nil)
		a := g.awaits(id, 1)
		g.c.must(t, "PUT", "/api/v1/teams/shop/members/ben/roles/approver", nil, "", 200, 204)
		var all sync.WaitGroup
		var yes, no reply
		all.Go(func() {
			yes, _ = at(g.ann, servers[0]).try("POST", "/api/v1/approvals/"+a.str("id")+"/approve", map[string]any{"digest": a.str("digest")}, "")
		})
		all.Go(func() {
			no, _ = at(g.ben, servers[1]).try("POST", "/api/v1/approvals/"+a.str("id")+"/reject", map[string]any{"digest": a.str("digest"), "comment": "no"}, "")
		})
		all.Wait()
		if (yes.status == 200) == (no.status == 200) || yes.status >= 500 || no.status >= 500 {
			t.Fatalf("yes: %v; no: %v", yes, no)
		}
		want := applied(1)
		if no.status == 200 {
			want = inPhase("failed")
		}
		g.c.settle(t, id, patience, want)
	}
	agreed(t, db)
	g.verified()
}

// TestGuardrailsComeIntoForceOnEveryReplica: within the window that is
// documented; and what was planned and agreed to under the old ones is not
// applied under the new.
func TestGuardrailsComeIntoForceOnEveryReplica(t *testing.T) {
	t.Parallel()
	servers := replicas(t, 2, sharedBox(t))
	g := governedBy(t, servers...)
	g.inForce(10*time.Second, servers...)
	db := servers[0].db(t)
	for i := range 3 {
		id := g.wants(inProd, fmt.Sprintf("old%d", i), "app", nil)
		old := g.awaits(id, 1)
		// The rules change on one server, and at once somebody agrees on the
		// other to what was planned before.
		g.activate(servers[i%2], []string{"1.1.0", "1.0.0"}[i%2])
		activated := time.Now()
		r := at(g.ann, servers[(i+1)%2]).must(t, "POST", "/api/v1/approvals/"+old.str("id")+"/approve", map[string]any{"digest": old.str("digest")}, "", 200, 409, 412)
		g.inForce(time.Until(activated.Add(window+3*time.Second)), servers[i%2], servers[(i+1)%2])
		took := time.Since(activated)
		var made, anew []string
		eventually(t, patience, func() string {
			made = column(t, db, `SELECT id FROM runs WHERE resource_id = $1 AND passed <> ''`, id)
			anew = column(t, db, `SELECT id FROM approvals WHERE subject_id = $1 AND status = 'pending'`, id)
			if len(made) == 0 && (len(anew) == 0 || anew[0] == old.str("id")) {
				return "it is neither made nor asked about again"
			}
			return ""
		})
		state := column(t, db, `SELECT status FROM approvals WHERE id = $1`, old.str("id"))
		t.Logf("in force everywhere after %s; the vote: %d; the approval of before is %v; applied: %d", took.Round(time.Millisecond), r.status, state, len(made))
		if len(made) > 0 { // by a server that did not know yet, which is what the window is
			if time.Since(activated) > window+patience/4 {
				t.Errorf("a run planned under the old guardrails was applied %s later", time.Since(activated))
			}
			continue
		}
		equal(t, "the approval under the old guardrails", []string{"void"}, state)
		g.decides(g.ann, g.awaits(id, 1, old.str("id")), "approve", "")
		g.c.settle(t, id, patience, applied(1))
	}
	// Well after the window no server goes by what was: never mind which.
	id := g.wants(inProd, "late", "app", nil)
	old := g.awaits(id, 1)
	g.activate(servers[0], "1.0.0")
	time.Sleep(window + 500*time.Millisecond) // all may rely on it then
	r := at(g.ann, servers[1]).must(t, "POST", "/api/v1/approvals/"+old.str("id")+"/approve", map[string]any{"digest": old.str("digest")}, "", 200, 409, 412)
	anew := g.awaits(id, 1, old.str("id"))
	equal(t, "what was agreed to under the old guardrails", []string{"void"}, column(t, db, `SELECT status FROM approvals WHERE id = $1`, old.str("id")))
	t.Logf("the vote: %d %s", r.status, r.str("code"))
	g.decides(g.ann, anew, "approve", "")
	g.c.settle(t, id, patience, applied(1))
	// What a server that just activated denies, the other denies as well.
	for n, s := range servers {
		if r := at(g.dora, s).must(t, "POST", inDev+"/resources", map[string]any{"name": fmt.Sprintf("forbidden%d", n), "template": "app"}, "", 403); r.str("code") != "guardrail_denied" {
			t.Errorf("server %d: %v", n, r)
		}
	}
	agreed(t, db)
	g.verified()
}

// TestAnApprovalExpiresWhileTheReplicaThatAskedSleeps: the other one ends it,
// and the sleeper wakes up to that.
func TestAnApprovalExpiresWhileTheReplicaThatAskedSleeps(t *testing.T) {
	t.Parallel()
	b := sharedBox(t)
	store := b.newStore(t)
	asks := newServer(t, withBox(b), onPostgres(store), withEnv(masterKey))
	asks.start()
	g := governedBy(t, asks)
	id := g.wants(inProd, "nope", "pg-governed", nil)
	a := g.awaits(id, 1)
	other := newServer(t, withBox(b), onPostgres(store), withEnv(masterKey))
	other.start()
	asks.signal(syscall.SIGSTOP)
	g.c.urls, g.ann.urls, g.dora.urls = []string{other.url()}, []string{other.url()}, []string{other.url()}
	g.s = other
	db := other.db(t)
	column(t, db, `UPDATE approvals SET expires_at = 1 WHERE id = $1 RETURNING id`, a.str("id"))
	if r := g.ann.must(t, "POST", "/api/v1/approvals/"+a.str("id")+"/approve", map[string]any{"digest": a.str("digest")}, "", 409); r.str("code") != "approval_expired" {
		t.Errorf("agreed after its time: %v", r)
	}
	failed := g.c.settle(t, id, 90*time.Second, inPhase("failed")) // the sleeper's turn at looking has to run out first
	if failed.str("reason") != "approval_expired" {
		t.Errorf("%v", failed)
	}
	asks.signal(syscall.SIGCONT)
	if r := at(g.ann, asks).must(t, "POST", "/api/v1/approvals/"+a.str("id")+"/approve", map[string]any{"digest": a.str("digest")}, "", 409); r.str("code") != "approval_expired" {
		t.Errorf("agreed on the sleeper after its time: %v", r)
	}
	equal(t, "runs", []string{"failed"}, column(t, db, `SELECT status FROM runs WHERE resource_id = $1`, id))
	g.nothingOf("nope")
	// Whoever asks again asks anew.
	g.dora.must(t, "POST", inProd+"/resources/nope/retry", nil, "", 200)
	g.decides(at(g.ann, asks), g.awaits(id, 1, a.str("id")), "approve", "")
	g.c.settle(t, id, patience, applied(1))
	agreed(t, db)
	g.verified()
}

// TestTortureStoreCrashesUnderApprovals ends the store's PostgreSQL at once,
// again and again, while people ask and decide.
func TestTortureStoreCrashesUnderApprovals(t *testing.T) {
	t.Parallel()
	if !long(t) {
		return
	}
	storeBox := newBox(t)
	s := newServer(t, onPostgres(storeBox.newStore(t)), withConfig(loopback))
	s.start()
	g := governedBy(t, s)
	for _, c := range []*client{g.c, g.ann, g.dora, g.ben} {
		c.patience = 90 * time.Second
	}
	g.ill.down.Store(true)
	g.webhooks()
	g.c.must(t, "PUT", "/api/v1/quotas", map[string]any{"team": "shop", "metric": "count", "max": 20}, "", 200)
	const n = 28
	var all sync.WaitGroup
	var granted, refused atomic.Int64
	for i := range n {
		all.Go(func() {
			name := fmt.Sprintf("r%d", i)
			r, err := g.dora.try("POST", inProd+"/resources", map[string]any{"name": name, "template": "app"}, "load-"+name)
			if err == nil && r.status == 403 && r.str("code") == "quota_exceeded" {
				refused.Add(1)
				return
			}
			if err != nil || r.status != 201 {
				t.Errorf("%s: %v %v", name, r, err)
				return
			}
			granted.Add(1)
			a := g.awaits(r.str("id"), 1)
			if i%4 == 0 {
				g.decides(g.ann, a, "reject", "no")
				g.c.settle(t, r.str("id"), 2*time.Minute, inPhase("failed"))
				return
			}
			g.decides(g.ann, a, "approve", "")
			g.c.settle(t, r.str("id"), 2*time.Minute, applied(1))
		})
		time.Sleep(80 * time.Millisecond)
		if i%9 == 4 {
			storeBox.stop(syscall.SIGQUIT)
			if err := storeBox.start(); err != nil {
				t.Fatal(err)
			}
		}
	}
	all.Wait()
	g.ill.down.Store(false)
	if granted.Load() != 20 || refused.Load() != n-20 {
		t.Errorf("%d were granted and %d refused, of a quota of 20 and %d requests", granted.Load(), refused.Load(), n)
	}
	db := s.db(t)
	agreed(t, db)
	counted(t, db)
	g.told(s, db)
	g.verified()
}

// TestClockJumpsAroundApprovalsAndLeases: a single server, whose own clock its
// store goes by. Time that passes ends approvals and leases, whatever was
// running; a clock that is set back ends nothing twice and gives nobody more
// than the wall clock says.
func TestClockJumpsAroundApprovalsAndLeases(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	clock := newSkew(t, 0)
	s := newServer(t, withBox(b), withEnv(clock.env()), withConfig(loopback))
	s.start()
	g := governedBy(t, s)
	db := s.db(t)
	leased := g.dora.must(t, "POST", inDev+"/resources", map[string]any{"name": "leased", "template": "pg-governed", "lease": "1h"}, "", 201).str("id")
	g.c.settle(t, leased, patience, applied(1))
	id := g.wants(inProd, "nope", "pg-governed", nil)
	a := g.awaits(id, 1)
	// Back by an hour: nothing ends, and a vote counts as it would have.
	clock.set(t, -time.Hour)
	g.dora.must(t, "PATCH", inProd+"/resources/nope", map[string]any{"set": map[string]any{"connection_limit": 9}}, "", 200)
	second := g.awaits(id, 2, a.str("id"))
	g.decides(g.ann, second, "approve", "")
	g.c.settle(t, id, patience, applied(2))
	g.c.settle(t, leased, patience, applied(1))
	g.dora.must(t, "PATCH", inProd+"/resources/nope", map[string]any{"set": map[string]any{"connection_limit": 10}}, "", 200)
	third := g.awaits(id, 3)
	// Ahead by four days: the approval is too late and the lease is over, also
	// when the server was down meanwhile.
	s.signal(syscall.SIGKILL)
	s.await(10 * time.Second)
	clock.set(t, 100*time.Hour)
	s.start()
	failed := g.c.settle(t, id, patience, inPhase("failed"))
	if failed.str("reason") != "approval_expired" {
		t.Errorf("an approval lives beyond its time: %v", failed)
	}
	if r := g.ann.must(t, "POST", "/api/v1/approvals/"+third.str("id")+"/approve", map[string]any{"digest": third.str("digest")}, "", 409); r.str("code") != "approval_expired" {
		t.Errorf("agreed after its time: %v", r)
	}
	eventually(t, patience, func() string {
		return strings.Join(column(t, db, `SELECT phase || ' ' || message FROM resources WHERE id = $1 AND destroyed_at IS NULL`, leased), " ")
	})
	eventually(t, patience, func() string {
		return strings.Join(column(t, db, `SELECT id || ' ' || state FROM leases WHERE state <> 'ended'`), " ")
	})
	proved(t, db)
	// Right again: what ended stays ended.
	clock.set(t, 0)
	again := g.wants(inDev, "again", "pg-governed", nil)
	g.c.settle(t, again, patience, applied(1))
	equal(t, "leases", []string{"ended"}, column(t, db, `SELECT state FROM leases`))
	eventually(t, 20*time.Second, func() string { return compare(s.engine, db) })
	agreed(t, db)
	counted(t, db)
	g.verified()
}
