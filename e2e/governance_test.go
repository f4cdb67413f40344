package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// governed is pgTiny with what quotas and budgets count.
var governed = strings.Replace(pgTiny, "name: pg-tiny", "name: pg-governed", 1) + "units: {databases: 1}\ncost: cost.rego\n"

const governedCost = `package cost

items contains {"item": "database", "quantity": 1}
`

const (
	prices = "currency: EUR\nitems:\n  database: {monthly: 12}\n"
	dearer = "currency: EUR\nitems:\n  database: {monthly: 13}\n"
)

// rules are a bundle of guardrails that denies names and asks for an approval
// in production.
func rules(t testing.TB, version string) raw {
	t.Helper()
	return folder(t, map[string]string{
		"policy.yaml": `apiVersion: fairlead/v1
kind: PolicyBundle
metadata: {name: house, version: ` + version + `, title: The rules of the house}
guardrails:
  - package: house.names
    stage: request
  - package: house.production
    stage: request
    strength: approve
    scope: {classes: [production]}
    approval: {role: approver, count: 1}
`,
		"names.rego": `package house.names

deny contains {"msg": sprintf("%s is a forbidden name", [input.resource.name]), "remedy": "take another name"} if {
	startswith(input.resource.name, "forbidden")
}
`,
		"production.rego": `package house.production

approve contains {"msg": sprintf("%s in production", [input.action])} if input.action in {"create", "update"}
`,
		"names_test.rego": `package house.names_test

import data.house.names

test_forbidden if count(names.deny) == 1 with input as {"resource": {"name": "forbidden-x"}}

test_allowed if count(names.deny) == 0 with input as {"resource": {"name": "orders"}}
`,
		"README.md": "# The rules of the house, " + version + "\n",
	})
}

const inProd = "/api/v1/projects/web/environments/prod"

// governance is the job of everybody around the developer: the platform team
// that sets rules, prices and quotas, approvers, receivers of webhooks.
type governance struct {
	*job
	s        *server
	dora     *client // asks
	ann      *client // approves
	ben      *client // stands in for her
	well     *receiver
	ill      *receiver // down at first
	secrets  map[*receiver][]string
	late     string            // a resource's id
	hurry    bool              // the time of an approval passes unseen by what looks for that
	brief    map[string]string // name -> id of what a lease ends
	denied   []string          // names that must not exist
	rejected []string          // names that nobody agreed to
	lasting  []string          // names that live when the job is done
	gone     []string
}

func newGovernance(t testing.TB, s *server) *governance {
	g := &governance{job: newJob(t, s), s: s, well: newReceiver(t), ill: newReceiver(t), secrets: map[*receiver][]string{}}
	g.ill.down.Store(true)
	return g
}

func (g *governance) run() {
	g.inTurn([]part{{"set up", g.setUp}, {"people", g.people}, {"webhooks", g.webhooks}, {"rules", g.rules}, {"limits", g.limits}, {"denials", g.denials}, {"leases", g.leases},
		{"too late", g.tooLate}, {"rejection", g.rejection}, {"approval", g.approval}, {"void", g.void}, {"stand in", g.standIn}, {"break glass", g.breakGlass},
		{"dearer", g.dearer}, {"expired", g.expired}, {"freed", g.freed}, {"frozen", g.frozen}, {"ended", g.ended}, {"priced", g.priced}, {"tidy", g.tidy}})
}

func (g *governance) patient(d time.Duration) {
	g.job.patient(d)
	g.c.patience = d
}

func (g *governance) people() {
	t, c := g.t, g.c
	g.dora, g.ann, g.ben = g.person("dora", "developer"), g.person("ann", "approver"), g.person("ben")
	c.must(t, "POST", "/api/v1/projects/web/environments", map[string]any{"name": "prod", "class": "production"}, "k-prod", 201)
	c.must(t, "POST", "/api/v1/templates", folder(t, map[string]string{"template.yaml": governed, "cost.rego": governedCost, "README.md": "# A database\n"}), "k-governed", 200, 201)
}

// webhook makes one, and gets hold of its secret however often that is lost.
func (g *governance) webhook(name string, r *receiver, team string) string {
	t, c := g.t, g.c
	t.Helper()
	body := map[string]any{"url": r.URL + "/hook", "description": name}
	if team != "" {
		body["team"] = team
	}
	made := c.must(t, "POST", "/api/v1/webhooks", body, "k-webhook-"+name, 200, 201, 409)
	if made.status == 409 { // done, and the secret lost with the reply
		list := c.must(t, "GET", "/api/v1/webhooks", nil, "", 200)
		id := ""
		for _, w := range items(list) {
			if w["description"] == name {
				id, _ = w["id"].(string)
			}
		}
		for n := range 5 {
			if made, _ = c.try("POST", "/api/v1/webhooks/"+id+"/rotate", map[string]any{"overlapSeconds": 0}, fmt.Sprintf("k-rotate-%s-%d", name, n)); made.status == 200 {
				break
			}
		}
	}
	g.known(r, made)
	return made.str("id")
}

func (g *governance) known(r *receiver, made reply) {
	secret := made.str("secret")
	if secret == "" {
		g.t.Fatalf("no secret: %v", made)
	}
	g.canaries[secret] = "a webhook's secret"
	g.secrets[r] = append(g.secrets[r], secret)
}

// does asks for what is done once: when the reply was lost, the server says so.
func (g *governance) does(c *client, method, path string, body any, key string) reply {
	g.t.Helper()
	r := c.must(g.t, method, path, body, key, 200, 201, 204, 404, 409)
	if r.status >= 400 && r.str("code") != "already_done" && r.str("code") != "idempotency_replay_unavailable" && !(method == "DELETE" && r.status == 404) {
		g.t.Fatalf("%s %s: %v", method, path, r)
	}
	return r
}

// id is that of what was made, also when the reply was lost.
func (g *governance) id(made reply, list, key, value string) string {
	g.t.Helper()
	if id := made.str("id"); id != "" {
		return id
	}
	for _, v := range items(g.c.must(g.t, "GET", list, nil, "", 200)) {
		if v[key] == value {
			id, _ := v["id"].(string)
			return id
		}
	}
	g.t.Fatalf("%s: nothing has the %s %s", list, key, value)
	return ""
}

func items(r reply) []map[string]any {
	list, _ := r.json["items"].([]any)
	var out []map[string]any
	for _, v := range list {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func (g *governance) webhooks() {
	c := g.c
	well := g.webhook("well", g.well, "shop")
	g.webhook("ill", g.ill, "")
	g.does(c, "POST", "/api/v1/webhooks/"+well+"/ping", nil, "k-ping")
	g.does(c, "PATCH", "/api/v1/webhooks/"+well, map[string]any{"types": []string{"*"}}, "k-types")
	if r := g.does(c, "POST", "/api/v1/webhooks/"+well+"/rotate", map[string]any{"overlapSeconds": 3600}, "k-another-secret"); r.status == 200 {
		g.known(g.well, r) // otherwise the reply was lost, and the secret before signs too
	}
	spare := g.webhook("spare", g.ill, "shop")
	g.does(c, "DELETE", "/api/v1/webhooks/"+spare, nil, "k-no-spare")
	g.does(g.dora, "PUT", "/api/v1/me/notifications", map[string]any{"muted": []string{"approval.*"}}, "k-mute")
}

func (g *governance) rules() {
	t, c := g.t, g.c
	for _, v := range []string{"1.0.0", "1.1.0"} {
		g.does(c, "POST", "/api/v1/guardrails", rules(t, v), "k-push-"+v)
	}
	g.does(c, "POST", "/api/v1/guardrails/house/versions/1.0.0/activate", nil, "k-activate")
}

func (g *governance) limits() {
	c := g.c
	g.does(c, "PUT", "/api/v1/cost/prices", map[string]any{"document": prices}, "k-prices")
	g.does(c, "PUT", "/api/v1/quotas", map[string]any{"team": "shop", "metric": "monthly_cost", "max": 40, "warnAt": 0.5}, "k-budget")
	g.does(c, "PUT", "/api/v1/quotas", map[string]any{"project": "web", "environment": "dev", "metric": "databases", "max": 5}, "k-quota")
	g.does(c, "PUT", "/api/v1/quotas", map[string]any{"project": "web", "environment": "dev", "metric": "databases", "max": 1}, "k-quota-less")
	spare := g.does(c, "PUT", "/api/v1/quotas", map[string]any{"team": "shop", "metric": "count", "max": 100}, "k-quota-spare")
	quota := g.id(spare, "/api/v1/quotas", "metric", "count")
	g.does(c, "PATCH", "/api/v1/quotas/"+quota, map[string]any{"max": 90}, "k-quota-change")
	g.does(c, "DELETE", "/api/v1/quotas/"+quota, nil, "k-quota-gone")
}

// wants asks for a resource as dora.
func (g *governance) wants(in, name, template string, inputs map[string]any) string {
	g.t.Helper()
	r := g.dora.must(g.t, "POST", in+"/resources", map[string]any{"name": name, "template": template, "inputs": inputs}, "k-create-"+name, 201)
	g.acked = append(g.acked, ack{r.str("id"), name})
	return r.str("id")
}

// refused asks for what is denied.
func (g *governance) refused(in, name, code string) {
	g.t.Helper()
	r := g.dora.must(g.t, "POST", in+"/resources", map[string]any{"name": name, "template": "pg-governed"}, "k-create-"+name, 403)
	if r.str("code") != code || r.str("hint") == "" {
		g.t.Fatalf("%s is refused with %v, not %s", name, r, code)
	}
	g.denied = append(g.denied, name)
}

func (g *governance) denials() {
	g.refused(inDev, "forbidden", "guardrail_denied")
	open := g.wants(inDev, "open", "pg-governed", nil) // 12 of 40, and the one of dev
	g.refused(inDev, "second", "quota_exceeded")
	g.c.settle(g.t, open, patience, applied(1))
	g.up()
}

// up ends the outage of the receiver that is down at first, once it turned
// somebody away.
func (g *governance) up() {
	eventually(g.t, patience, func() string {
		g.ill.mu.Lock()
		defer g.ill.mu.Unlock()
		if g.ill.turned == 0 {
			return "nobody tried the receiver that is down"
		}
		return ""
	})
	g.ill.down.Store(false)
}

// awaits wants a resource to wait for an approval of a revision, and gives it.
func (g *governance) awaits(id string, revision int64, not ...string) reply {
	t := g.t
	t.Helper()
	var found map[string]any
	eventually(t, patience, func() string {
		r, err := g.c.try("GET", "/api/v1/approvals?status=pending&subject="+url.QueryEscape(id), nil, "")
		if err != nil {
			return err.Error()
		}
		for _, a := range items(r) {
			if a["revision"] == float64(revision) && !strings.Contains(strings.Join(not, " "), a["id"].(string)) {
				found = a
				return ""
			}
		}
		return fmt.Sprintf("nothing waits for revision %d: %v", revision, r)
	})
	g.c.settle(t, id, patience, func(r reply) string {
		if r.str("phase") != "waiting" || r.str("reason") != "awaiting_approval" {
			return fmt.Sprintf("is %s (%s), and does not wait", r.str("phase"), r.str("reason"))
		}
		return ""
	})
	return g.c.must(t, "GET", "/api/v1/approvals/"+found["id"].(string), nil, "", 200)
}

// decides votes on what it was shown.
func (g *governance) decides(by *client, a reply, decision, comment string) {
	g.t.Helper()
	by.must(g.t, "POST", "/api/v1/approvals/"+a.str("id")+"/"+decision, map[string]any{"digest": a.str("digest"), "comment": comment}, "k-"+decision+a.str("id"), 200)
}

func (g *governance) rejection() {
	t := g.t
	id := g.wants(inProd, "nope", "pg-governed", nil) // 24
	a := g.awaits(id, 1)
	g.nothingOf("nope")
	if r := g.dora.must(t, "POST", "/api/v1/approvals/"+a.str("id")+"/approve", map[string]any{"digest": a.str("digest")}, "k-own", 403); r.str("code") != "own_request" {
		t.Fatalf("one's own request: %v", r)
	}
	if r := g.ben.must(t, "POST", "/api/v1/approvals/"+a.str("id")+"/approve", map[string]any{"digest": a.str("digest")}, "k-strange", 404); r.str("code") == "" {
		t.Fatalf("a stranger: %v", r)
	}
	g.decides(g.ann, a, "reject", "too large")
	r := g.c.settle(t, id, patience, inPhase("failed"))
	if r.str("reason") != "approval_rejected" {
		t.Fatalf("rejected: %v", r)
	}
	g.nothingOf("nope")
	g.rejected = append(g.rejected, "nope")
}

// nothingOf wants no object of a resource.
func (g *governance) nothingOf(name string) {
	g.t.Helper()
	there, err := world(g.s.engine)
	if err != nil {
		g.t.Fatal(err)
	}
	for o := range there {
		if strings.Contains(o, " "+name+"_") || strings.HasSuffix(o, " "+name) {
			g.t.Errorf("I7: %s exists, and nobody agreed to it", o)
		}
	}
}

func (g *governance) approval() {
	id := g.wants(inProd, "paid", "pg-governed", map[string]any{"connection_limit": 5}) // 36
	g.decides(g.ann, g.awaits(id, 1), "approve", "fine")
	g.c.settle(g.t, id, patience, applied(1))
	g.refused(inProd, "dear", "budget_exceeded") // 48
	g.lasting = append(g.lasting, "paid")
}

// void changes what is to be agreed to, and then the rules by which it is.
func (g *governance) void() {
	t := g.t
	id := g.acked[len(g.acked)-1].id
	path := inProd + "/resources/paid"
	g.dora.must(t, "PATCH", path, map[string]any{"set": map[string]any{"connection_limit": 6}}, "k-six", 200)
	first := g.awaits(id, 2)
	g.dora.must(t, "PATCH", path, map[string]any{"set": map[string]any{"connection_limit": 7}}, "k-seven", 200)
	second := g.awaits(id, 3)
	if r := g.ann.must(t, "POST", "/api/v1/approvals/"+first.str("id")+"/approve", map[string]any{"digest": first.str("digest")}, "k-too-late", 409, 412); r.str("code") != "approval_changed" {
		t.Fatalf("what is void: %v", r)
	}
	g.does(g.c, "POST", "/api/v1/guardrails/house/versions/1.1.0/activate", nil, "k-activate-next")
	// Whoever agrees to what was shown under the old rules finds that out: at
	// once, or because the run asks anew.
	r := g.ann.must(t, "POST", "/api/v1/approvals/"+second.str("id")+"/approve", map[string]any{"digest": second.str("digest")}, "k-old-rules", 200, 409, 412)
	if r.status != 200 && r.str("code") != "approval_changed" {
		t.Fatalf("agreed under the old rules: %v", r)
	}
	g.decides(g.ann, g.awaits(id, 3, first.str("id"), second.str("id")), "approve", "still fine")
	g.c.settle(t, id, patience, applied(3))
	g.does(g.c, "POST", "/api/v1/guardrails/house/rollback", nil, "k-rules-back")
}

// standIn has somebody decide in another's name, on a resource with a secret.
func (g *governance) standIn() {
	t := g.t
	delegation := g.id(g.does(g.ann, "POST", "/api/v1/delegations", map[string]any{"to": "ben", "until": time.Now().Add(48 * time.Hour), "reason": "holiday"}, "k-holiday"),
		"/api/v1/delegations", "reason", "holiday")
	id := g.wants(inProd, "sealed", "app", map[string]any{"key": secretInput, "delay": "1ms"})
	g.decides(g.ben, g.awaits(id, 1), "approve", "in her name")
	g.c.settle(t, id, patience, applied(1))
	g.does(g.ann, "DELETE", "/api/v1/delegations/"+delegation, nil, "k-back")
	g.lasting = append(g.lasting, "sealed")
}

// breakGlass goes ahead without anybody.
func (g *governance) breakGlass() {
	t := g.t
	id := g.acked[len(g.acked)-1].id
	g.dora.must(t, "PATCH", inProd+"/resources/sealed", map[string]any{"set": map[string]any{"delay": "2ms"}}, "k-hurry", 200)
	a := g.awaits(id, 2)
	g.c.must(t, "POST", "/api/v1/approvals/"+a.str("id")+"/bypass", map[string]any{"reason": "the shop is down and nobody answers"}, "k-bypass", 200)
	g.c.settle(t, id, patience, applied(2))
	g.does(g.c, "PUT", "/api/v1/teams/shop/members/ben/roles/auditor", nil, "k-auditor")
	g.ben.must(t, "POST", "/api/v1/approvals/"+a.str("id")+"/review", map[string]any{"comment": "it was right"}, "k-review", 200)
}

// tooLate lets the time of an approval pass.
func (g *governance) tooLate() {
	t := g.t
	g.late = g.wants(inProd, "late", "app", nil)
	a := g.awaits(g.late, 1)
	column(t, g.s.db(t), `UPDATE approvals SET expires_at = $2 WHERE id = $1 AND status = 'pending' RETURNING id`, a.str("id"), 1)
}

// expired finds that it has; Fairlead looks every ten seconds.
func (g *governance) expired() {
	g.hasten()
	if g.hurry { // the resource itself finds it when it looks
		column(g.t, g.s.db(g.t), `UPDATE queue SET due_at = 1 WHERE key LIKE '%' || $1 AND due_at IS NOT NULL RETURNING key`, g.late)
	}
	r := g.c.settle(g.t, g.late, patience, inPhase("failed"))
	if r.str("reason") != "approval_expired" {
		g.t.Fatalf("expired: %v", r)
	}
	g.rejected = append(g.rejected, "late")
}

// freed gives back what is no longer used, and somebody else takes it.
func (g *governance) freed() {
	t, c := g.t, g.c
	c.must(t, "DELETE", inDev+"/resources/open", nil, "k-destroy-open", 202, 404, 409)
	for _, a := range g.acked {
		switch a.name {
		case "open":
			c.settle(t, a.id, patience, inPhase("destroyed"))
		case "nope", "late":
			c.must(t, "DELETE", inProd+"/resources/"+a.id, nil, "k-destroy-"+a.name, 202, 404, 409)
			c.settle(t, a.id, patience, inPhase("destroyed"))
		default:
			continue
		}
		g.gone = append(g.gone, a.name)
	}
}

// frozen asks for the same again, in a freeze that ends.
func (g *governance) frozen() {
	t, c := g.t, g.c
	g.does(c, "POST", "/api/v1/calendar/windows", map[string]any{"name": "week", "project": "web", "environment": "dev", "weekdays": []string{"mon-sun"}, "opens": "00:00", "closes": "24:00", "zone": "UTC"}, "k-window")
	g.does(c, "POST", "/api/v1/calendar/freezes", map[string]any{"name": "sale", "project": "web", "environment": "dev", "until": time.Now().Add(time.Hour), "reason": "no changes now"}, "k-freeze")
	id := g.wants(inDev, "again", "pg-governed", nil)
	c.settle(t, id, patience, func(r reply) string {
		if r.str("phase") != "waiting" || r.str("reason") != "change_window" {
			return fmt.Sprintf("is %s (%s), and does not wait for the end of the freeze", r.str("phase"), r.str("reason"))
		}
		return ""
	})
	g.nothingOf("again")
	g.does(c, "DELETE", "/api/v1/calendar/freezes/sale", nil, "k-thaw")
	g.does(c, "DELETE", "/api/v1/calendar/windows/week", nil, "k-no-window")
	c.settle(t, id, patience, applied(1))
	g.lasting = append(g.lasting, "again")
}

// leases begins what ends by itself: a resource, an environment with one in
// it, and one that is kept after all.
func (g *governance) leases() {
	t, c := g.t, g.c
	g.does(c, "PUT", "/api/v1/lease-rules", map[string]any{"class": "development", "max": "30d", "warnBefore": []string{"1s"}}, "k-lease-rule")
	rule := g.does(c, "PUT", "/api/v1/lease-rules", map[string]any{"class": "staging", "max": "30d"}, "k-lease-rule-spare")
	g.does(c, "DELETE", "/api/v1/lease-rules/"+g.id(rule, "/api/v1/lease-rules", "class", "staging"), nil, "k-lease-rule-gone")
	brief := g.dora.must(t, "POST", inDev+"/resources", map[string]any{"name": "brief", "template": "app", "lease": "3s"}, "k-create-brief", 201).str("id")
	c.must(t, "POST", "/api/v1/projects/web/environments", map[string]any{"name": "trial", "class": "development", "lease": "4s"}, "k-trial", 201)
	// When the server is killed just now, the environment may be ending already.
	guest := g.dora.must(t, "POST", "/api/v1/projects/web/environments/trial/resources", map[string]any{"name": "guest", "template": "pg-tiny"}, "k-create-guest", 201, 403, 404, 409)
	kept := g.dora.must(t, "POST", inDev+"/resources", map[string]any{"name": "kept", "template": "app", "lease": "1h"}, "k-create-kept", 201).str("id")
	g.acked = append(g.acked, ack{brief, "brief"}, ack{kept, "kept"})
	g.brief = map[string]string{"brief": brief}
	if guest.status == 201 {
		g.acked = append(g.acked, ack{guest.str("id"), "guest"})
		g.brief["guest"] = guest.str("id")
	}
	lease := ""
	for _, l := range items(c.must(t, "GET", "/api/v1/leases", nil, "", 200)) {
		if l["subjectId"] == kept {
			lease, _ = l["id"].(string)
		}
	}
	g.does(g.dora, "POST", "/api/v1/leases/"+lease+"/extend", map[string]any{"by": "1h"}, "k-extend")
	g.does(c, "POST", "/api/v1/leases/"+lease+"/transfer", map[string]any{"to": "ann"}, "k-transfer")
	g.does(c, "PUT", "/api/v1/leases", map[string]any{"project": "web", "environment": "dev", "resource": "kept", "ends": time.Now().Add(48 * time.Hour)}, "k-set-lease")
	g.does(c, "DELETE", "/api/v1/leases/"+lease, nil, "k-no-lease")
	g.lasting = append(g.lasting, "kept")
}

// ended finds what had a lease gone, and the proof of it.
func (g *governance) ended() {
	t, c := g.t, g.c
	db := g.s.db(t)
	g.hasten()
	for name, id := range g.brief { // a resource goes out of sight with its environment
		eventually(t, patience, func() string {
			if there := column(t, db, `SELECT phase || ' ' || message FROM resources WHERE id = $1 AND destroyed_at IS NULL`, id); len(there) > 0 {
				return fmt.Sprintf("%s, whose lease is over, is %v", name, there)
			}
			return ""
		})
		g.gone = append(g.gone, name)
	}
	eventually(t, patience, func() string {
		for _, l := range items(c.must(t, "GET", "/api/v1/leases?state=ending", nil, "", 200)) {
			return fmt.Sprintf("a lease that does not end: %v", l)
		}
		return ""
	})
}

// dearer puts other prices in force.
func (g *governance) dearer() {
	g.does(g.c, "PUT", "/api/v1/cost/prices", map[string]any{"document": dearer}, "k-dearer")
	// Nobody asks by those of before any more, by the clock here.
	column(g.t, g.s.db(g.t), `UPDATE price_tables SET created_at = created_at - 60000000 WHERE version = $1 RETURNING version`, 2)
}

// priced wants them to have reached all that lives.
func (g *governance) priced() {
	db := g.s.db(g.t)
	eventually(g.t, patience, func() string {
		g.hasten()
		if done := column(g.t, db, `SELECT version FROM price_tables WHERE version = 2 AND repriced_at IS NOT NULL`); len(done) == 0 {
			return fmt.Sprintf("the new prices did not reach all: %v", column(g.t, db, `SELECT resource_id || ' ' || amount FROM quota_holdings WHERE metric = 'monthly_cost'`))
		}
		return ""
	})
}

// hasten has time pass faster for what looks after leases: a server that was
// killed leads that for seconds more. Points of leases are tried without this.
func (g *governance) hasten() {
	if g.hurry {
		column(g.t, g.s.db(g.t), `UPDATE leaders SET lease_until = 0 WHERE name IN ('leases', 'approvals', 'reprice') RETURNING name`)
	}
}

// tidy takes the bundle out of force.
func (g *governance) tidy() {
	g.does(g.c, "POST", "/api/v1/guardrails/house/deactivate", nil, "k-no-rules")
}
