package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fairlead/internal/source/sourcetest"
)

// sourcing is the job of who looks after templates that come from
// repositories: added, pushed, polled, moved, changed, removed.
type sourcing struct {
	*job
	s        *server
	old, now *sourcetest.Repo
	id       string
	secret   string
	digest   string // of the version that somebody tries to change
	wanted   []string
	lived    chan struct{} // the server that was seen last
}

func newSourcing(t testing.TB, s *server) *sourcing {
	g := &sourcing{job: newJob(t, s), s: s, old: sourcetest.New(t), now: sourcetest.New(t)}
	g.old.Commit(kept("a"), "v1.0.0")
	g.old.Commit(kept("b"), "v1.1.0")
	g.old.Commit(map[string]string{"template.yaml": "no: template"}, "v1.2.0")
	g.now.Commit(kept("a"), "v1.0.0")
	g.now.Commit(kept("another b"), "v1.1.0")
	g.now.Commit(kept("c"), "v2.0.0")
	g.soon()
	return g
}

func kept(title string) map[string]string {
	return map[string]string{"template.yaml": strings.Replace(nullTemplate, "A source", title, 1)}
}

func (g *sourcing) run() {
	g.inTurn([]part{{"set up", func() { g.c.signIn(g.t, g.link); g.canaries[g.c.token] = "a token" }}, {"add", g.add}, {"push", g.push}, {"move", g.move}, {"change", g.change}, {"poll", g.poll}, {"remove", g.remove}})
}

const itsPath = "/api/v1/template-sources/kept"

// once asks for what is done once: when the reply was lost, the server says so.
func (g *sourcing) once(method, path string, body any, key string) reply {
	g.t.Helper()
	r := g.c.must(g.t, method, path, body, key, 200, 201, 204, 404, 409)
	if r.status >= 400 && r.str("code") != "already_done" && r.str("code") != "idempotency_replay_unavailable" && !(method == "DELETE" && r.status == 404) {
		g.t.Fatalf("%s %s: %v", method, path, r)
	}
	return r
}

func (g *sourcing) add() {
	t := g.t
	made := g.once("POST", "/api/v1/template-sources", map[string]any{"name": "kept", "url": g.old.URL(), "everySeconds": 0, "webhook": true}, "k-add")
	for n := 0; made.str("secret") == "" && n < 10; n++ { // lost with its reply: another is made
		g.once("PATCH", itsPath, map[string]any{"webhook": false}, fmt.Sprint("k-off-", n))
		made = g.once("PATCH", itsPath, map[string]any{"webhook": true}, fmt.Sprint("k-on-", n))
	}
	if g.secret = made.str("secret"); g.secret == "" {
		t.Fatalf("no secret: %v", made)
	}
	g.canaries[g.secret] = "a source's secret"
	g.id = g.c.must(t, "GET", itsPath, nil, "", 200).str("id")
	g.comes("1.0.0", "1.1.0")
	g.digest = g.c.must(t, "GET", "/api/v1/templates/kept?version=1.1.0", nil, "", 200).str("digest")
}

// comes waits for a whole look after which the template has these versions.
func (g *sourcing) comes(versions ...string) {
	g.t.Helper()
	g.wanted = append(g.wanted, versions...)
	slices.Sort(g.wanted)
	eventually(g.t, patience, func() string {
		g.soon()
		v := g.c.must(g.t, "GET", itsPath, nil, "", 200)
		if v.num("looked") < v.num("wanted") {
			return fmt.Sprintf("the source was not looked at: %v", v)
		}
		if got := g.versions(); !slices.Equal(got, g.wanted) {
			return fmt.Sprintf("versions %v, not %v; %v", got, g.wanted, v)
		}
		return ""
	})
}

func (g *sourcing) versions() (out []string) {
	for _, v := range items(g.c.must(g.t, "GET", "/api/v1/templates/kept/versions", nil, "", 200, 404)) {
		version, _ := v["version"].(string)
		out = append(out, version)
	}
	slices.Sort(out)
	return out
}

// soon lets the minute pass that a killed server's claim holds, and the moment
// that it leads.
func (g *sourcing) soon() {
	g.s.mu.Lock()
	exited := g.s.exited
	g.s.mu.Unlock()
	if g.s.store == "sqlite" || exited == g.lived {
		return
	}
	if g.lived != nil {
		column(g.t, g.s.db(g.t), `UPDATE template_sources SET lease_until = 1 WHERE lease_until > 1 RETURNING id`)
		column(g.t, g.s.db(g.t), `UPDATE leaders SET lease_until = 0 WHERE name = 'sources' RETURNING name`)
	}
	g.lived = exited
}

// push has the forge say that there is something, as often as it takes.
func (g *sourcing) push() {
	g.old.Commit(kept("d"), "v1.3.0")
	body := `{"ref":"refs/tags/v1.3.0"}`
	h := hmac.New(sha256.New, []byte(g.secret))
	_, _ = h.Write([]byte(body))
	forge := newClient(g.c.urls...)
	eventually(g.t, patience, func() string {
		r, err := forge.request(g.t.Context(), forge.urls[0], "POST", "/api/v1/template-sources/"+g.id+"/push", raw{"application/json", []byte(body)},
			map[string]string{"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(h.Sum(nil))})
		if err == nil && (r.status == http.StatusAccepted || r.str("code") == "push_replayed") {
			return ""
		}
		return fmt.Sprintf("the push was not taken: %v %v", r, err)
	})
	g.comes("1.3.0")
}

// move has a tag lead elsewhere, which is seen when somebody asks.
func (g *sourcing) move() {
	g.old.Git("tag", "--force", "v1.0.0", "v1.1.0^{commit}")
	g.once("POST", itsPath+"/sync", nil, "k-sync")
	g.comes()
	g.becomes("v1.0.0", "moved", "tag_moved")
}

func (g *sourcing) becomes(tag, status, code string) {
	g.t.Helper()
	for _, v := range items(g.c.must(g.t, "GET", itsPath+"/tags", nil, "", 200)) {
		problem, _ := v["problem"].(map[string]any)
		if v["tag"] == tag && v["status"] == status && (code == "" || problem["code"] == code) {
			return
		}
	}
	g.t.Errorf("%s is not %s %s: %v", tag, status, code, g.c.must(g.t, "GET", itsPath+"/tags", nil, "", 200))
}

// change has it lead elsewhere: one version is the same there, one is not, one
// is new.
func (g *sourcing) change() {
	g.once("PATCH", itsPath, map[string]any{"url": g.now.URL()}, "k-change")
	g.comes("2.0.0")
	g.becomes("v1.0.0", "imported", "")
	g.becomes("v1.1.0", "broken", "version_exists")
}

// poll has the time of a look come by itself.
func (g *sourcing) poll() {
	g.now.Commit(kept("e"), "v2.1.0")
	column(g.t, g.s.db(g.t), `UPDATE template_sources SET due_at = 1, every_s = 86400 WHERE name = 'kept' RETURNING id`)
	g.comes("2.1.0")
}

func (g *sourcing) remove() {
	g.once("POST", "/api/v1/template-sources", map[string]any{"name": "spare", "url": g.now.URL(), "everySeconds": 0}, "k-spare")
	g.once("DELETE", "/api/v1/template-sources/spare", nil, "k-no-spare")
}

func (g *sourcing) invariants(s *server) {
	t := g.t
	t.Helper()
	db := s.db(t)
	equal(t, "I2: versions", g.wanted, g.versions())
	if got := g.c.must(t, "GET", "/api/v1/templates/kept?version=1.1.0", nil, "", 200).str("digest"); got != g.digest {
		t.Errorf("a version changed: %s, not %s", got, g.digest)
	}
	count := map[string]int{}
	for _, v := range column(t, db, `SELECT action || ' ' || target_name FROM audit_log WHERE decision = 'allowed'`) {
		count[v]++
	}
	for _, v := range column(t, db, `SELECT type FROM events WHERE subject = $1`, g.id) {
		count[v]++
	}
	for what, n := range map[string]int{
		"template:push kept": len(g.wanted), "template:source-add kept": 1, "template:source-add spare": 1, "template:source-remove spare": 1, "template:source-pushed kept": 1, "template:source-sync kept": 1,
		"template.version_added": len(g.wanted), "template.tag_moved": 1, "template.version_refused": 1, "template.source_added": 1,
	} {
		if count[what] != n {
			t.Errorf("I2, I3: %s %d times, not %d", what, count[what], n)
		}
	}
	if count["template:source-update kept"] != count["template.source_changed"] || count["template.source_changed"] < 1 {
		t.Errorf("I3: %d changes and %d events of them", count["template:source-update kept"], count["template.source_changed"])
	}
	equal(t, "sources", []string{"kept"}, column(t, db, `SELECT name FROM template_sources`))
	equal(t, "tags of places that were left, or of nothing", nil, column(t, db, `SELECT t.tag FROM template_source_tags t LEFT JOIN template_sources s ON s.id = t.source AND s.place = t.place WHERE s.id IS NULL`))
	equal(t, "secrets of what is gone", nil, column(t, db, `SELECT owner FROM secrets WHERE owner LIKE 'src\_%' ESCAPE '\' AND owner NOT IN (SELECT id FROM template_sources)`))
	eventually(t, patience, func() string { // what is being looked at just now, such as of a source that was removed meanwhile
		if left, err := os.ReadDir(filepath.Join(s.dir, "git")); err != nil || len(left) > 0 {
			return fmt.Sprintf("left on the disk: %v %v", left, err)
		}
		return ""
	})
	g.verified()
}
