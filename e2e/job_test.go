package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// pgTiny is the postgres template with an overlap that a test can wait for.
const pgTiny = `apiVersion: fairlead/v1
kind: Template
metadata: {name: pg-tiny, title: A database, description: For tests., version: 1.0.0}
engine: postgres
inputs:
  type: object
  additionalProperties: false
  properties:
    connection_limit: {type: integer, title: Limit, description: Sessions., minimum: 1, maximum: 200, default: 20}
    keep_last_dump: {type: boolean, title: Dump, description: Keep a last dump., default: false}
outputs:
  host: {type: string, description: Host.}
  port: {type: integer, description: Port.}
  database: {type: string, description: Name.}
  username: {type: string, description: Login.}
  password: {type: string, description: Password., sensitive: true}
  url: {type: string, description: URL., sensitive: true}
spec:
  connectionLimit: ${{ inputs.connection_limit }}
lifecycle: {stateful: true, rotationOverlap: 1s, snapshotOnDestroy: "${{ inputs.keep_last_dump }}"}
docs: README.md
`

// appTemplate takes a secret and an output of another resource.
const appTemplate = `apiVersion: fairlead/v1
kind: Template
metadata: {name: app, title: An app, description: For tests., version: 1.0.0}
engine: "null"
inputs:
  type: object
  additionalProperties: false
  properties:
    database: {type: string, title: Database, description: Where., default: ""}
    key: {type: string, title: Key, description: A secret., format: password}
    delay: {type: string, title: Delay, description: How long.}
    fail: {type: string, title: Fail, description: With what.}
outputs:
  database: {type: string, description: Where.}
  secret: {type: string, description: Random., sensitive: true}
spec:
  outputs: {database: "${{ inputs.database }}"}
  secrets: [secret]
lifecycle: {stateful: false, rotationOverlap: 1s}
docs: README.md
`

// folder packs a template's files as the API takes them.
func folder(t testing.TB, files map[string]string) raw {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(content))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return raw{"application/x-tar", b.Bytes()}
}

const inDev = "/api/v1/projects/web/environments/dev"

// ack is a request that was answered: it must be there for ever after.
type ack struct{ id, name string }

// job is the main job of a developer, from the first sign-in to the last
// destroy, by a client that repeats what was not answered.
type job struct {
	t        testing.TB
	c        *client
	link     func() string
	acked    []ack
	canaries map[string]string // secret -> what it is
	orders   string
	app      string
	keep     string
}

const secretInput = "canary-input-5f3c1d8e77"

func newJob(t testing.TB, s ...*server) *job {
	j := &job{t: t, canaries: map[string]string{secretInput: "a secret input", boxPassword: "the engine's password"}}
	var urls []string
	for _, v := range s {
		urls = append(urls, v.url())
	}
	j.c = newClient(urls...)
	j.link = func() string {
		l := s[0].link()
		if l != "" {
			j.canaries[l] = "a sign-in link"
		}
		return l
	}
	return j
}

// setUp signs in and makes what resources need.
func (j *job) setUp() {
	t, c := j.t, j.c
	c.signIn(t, j.link)
	j.canaries[c.token] = "a token"
	c.must(t, "POST", "/api/v1/teams", map[string]any{"name": "shop"}, "k-team", 201)
	c.must(t, "POST", "/api/v1/projects", map[string]any{"name": "web", "team": "shop"}, "k-project", 201)
	c.must(t, "POST", "/api/v1/projects/web/environments", map[string]any{"name": "dev", "class": "development"}, "k-env", 201)
	c.must(t, "POST", "/api/v1/templates", folder(t, map[string]string{"template.yaml": pgTiny, "README.md": "# A database\n"}), "k-pg", 200, 201)
	c.must(t, "POST", "/api/v1/templates", folder(t, map[string]string{"template.yaml": appTemplate, "README.md": "# An app\n"}), "k-app", 200, 201)
}

func (j *job) create(name, template string, inputs map[string]any) string {
	j.t.Helper()
	r := j.c.must(j.t, "POST", inDev+"/resources", map[string]any{"name": name, "template": template, "inputs": inputs}, "k-create-"+name, 201)
	j.acked = append(j.acked, ack{r.str("id"), name})
	return r.str("id")
}

func (j *job) reveal(name string) map[string]any {
	j.t.Helper()
	r := j.c.must(j.t, "POST", inDev+"/resources/"+name+"/credentials", nil, "", 200)
	out, _ := r.json["outputs"].(map[string]any)
	list, _ := r.json["secrets"].([]any)
	for _, s := range list {
		if v, ok := out[s.(string)].(string); ok {
			j.canaries[v] = name + "'s " + s.(string)
		}
	}
	return out
}

const patience = 40 * time.Second

// run does all of it.
func (j *job) run() {
	j.inTurn([]part{{"set up", j.setUp}, {"stranger", j.stranger}, {"make", j.make}, {"change", j.change}, {"interrupt", j.interrupt}, {"operate", j.operate}, {"destroy", j.destroy}})
}

type part struct {
	name string
	do   func()
}

func (j *job) inTurn(parts []part) {
	began := time.Now()
	took := ""
	for _, p := range parts {
		from := time.Now()
		p.do()
		took += fmt.Sprintf(" %s %.1fs", p.name, time.Since(from).Seconds())
	}
	if time.Since(began) > 12*time.Second {
		j.t.Logf("slow:%s", took)
	}
}

func (j *job) patient(d time.Duration) { j.c.patience = d }

// person makes an account with roles in the team shop, and signs in.
func (j *job) person(name string, roles ...string) *client {
	t, c := j.t, j.c
	t.Helper()
	c.must(t, "POST", "/api/v1/users", map[string]any{"name": name}, "k-user-"+name, 201)
	for _, role := range roles {
		r := c.must(t, "PUT", "/api/v1/teams/shop/members/"+name+"/roles/"+role, nil, "k-role-"+name+role, 200, 204, 409)
		if r.status == 409 && r.str("code") != "already_done" {
			t.Fatalf("%s as %s: %v", name, role, r)
		}
	}
	var link reply
	for n := range 5 { // a link is shown once: when the answer is lost another one is needed
		link, _ = c.try("POST", "/api/v1/users/"+name+"/links", nil, fmt.Sprintf("k-link-%s-%d", name, n))
		if link.status/100 == 2 {
			break
		}
	}
	p := c.as("")
	tries := 0
	p.signIn(t, func() string {
		if tries++; tries > 1 { // used, and the token lost: an administrator makes another link
			link, _ = c.try("POST", "/api/v1/users/"+name+"/links", nil, "")
		}
		j.canaries[link.str("value")] = name + "'s link"
		return link.str("value")
	})
	j.canaries[p.token] = name + "'s token"
	return p
}

// stranger tries what is denied.
func (j *job) stranger() {
	t := j.t
	m := j.person("mallory")
	m.must(t, "POST", inDev+"/resources", map[string]any{"name": "stolen", "template": "pg-tiny"}, "k-stolen", 403, 404)
}

func (j *job) make() {
	t, c := j.t, j.c
	j.orders = j.create("orders", "pg-tiny", map[string]any{"keep_last_dump": true})
	j.app = j.create("app", "app", map[string]any{"database": "${{ resources.orders.outputs.database }}", "key": secretInput})
	c.settle(t, j.orders, patience, applied(1))
	c.settle(t, j.app, patience, applied(1))
	j.sql("orders", `CREATE TABLE IF NOT EXISTS t (v text)`, `INSERT INTO t VALUES ('kept')`)
	r := c.must(t, "POST", inDev+"/apply", map[string]any{"resources": []any{map[string]any{"name": "keep", "template": "pg-tiny"}}}, "k-apply", 200, 409)
	if r.status == 409 && r.str("code") != "already_done" {
		t.Fatalf("apply: %v", r)
	}
	r = c.must(t, "GET", inDev+"/resources/keep", nil, "", 200)
	j.keep = r.str("id")
	j.acked = append(j.acked, ack{j.keep, "keep"})
	c.settle(t, j.keep, patience, applied(1))
}

// sql works in a resource's database as its tenant would.
func (j *job) sql(name string, statements ...string) {
	j.t.Helper()
	url, _ := j.reveal(name)["url"].(string)
	if err := tenant(url, statements...); err != nil {
		j.t.Fatalf("the credentials of %s do not work: %v", name, err)
	}
}

func tenant(url string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) change() {
	t, c := j.t, j.c
	c.must(t, "PATCH", inDev+"/resources/orders", map[string]any{"set": map[string]any{"connection_limit": 7}}, "k-change", 200)
	c.settle(t, j.orders, patience, applied(2))
	before, _ := j.reveal("orders")["url"].(string)
	c.must(t, "POST", inDev+"/resources/orders/rotate", nil, "k-rotate", 200, 409)
	c.must(t, "POST", inDev+"/resources/app/rotate", nil, "k-rotate-app", 200, 409)
	eventually(t, patience, func() string {
		if after, _ := j.reveal("orders")["url"].(string); after == before {
			return "the password was not rotated"
		}
		return ""
	})
	j.sql("orders", `INSERT INTO t VALUES ('rotated')`)
	for _, id := range []string{j.orders, j.app} {
		c.settle(t, id, patience, func(r reply) string {
			if r.json["credentialsRetireAt"] != nil || r.str("phase") != "ready" {
				return "the old credentials are not retired"
			}
			return ""
		})
	}
	if tenant(before) == nil {
		t.Fatal("the password from before the rotation still works after the overlap")
	}
	c.must(t, "POST", inDev+"/resources/orders/rollback", map[string]any{"revision": 1}, "k-rollback", 200, 409)
	c.settle(t, j.orders, patience, applied(3))
	j.sql("orders", `DO $$ BEGIN IF (SELECT count(*) FROM t) <> 2 THEN RAISE 'rows were lost'; END IF; END $$`)
}

// interrupt cancels one run and lets another fail.
func (j *job) interrupt() {
	t, c := j.t, j.c
	slow := j.create("slow", "app", map[string]any{"delay": "60s"})
	r := c.settle(t, slow, patience, func(r reply) string {
		if r.str("phase") != "applying" && r.str("phase") != "retrying" {
			return "does not work on it"
		}
		return ""
	})
	c.must(t, "POST", "/api/v1/runs/"+r.str("runId")+"/cancel", nil, "k-cancel", 200, 202, 409)
	c.settle(t, slow, patience, inPhase("canceled"))
	// What was cancelled is wanted again, otherwise, and so it is made.
	c.must(t, "PATCH", inDev+"/resources/slow", map[string]any{"set": map[string]any{"delay": "1ms"}}, "k-faster", 200)
	c.settle(t, slow, patience, applied(2))
	bad := j.create("bad", "app", map[string]any{"fail": "as asked"})
	c.settle(t, bad, patience, inPhase("failed"))
	c.must(t, "POST", inDev+"/resources/bad/retry", nil, "k-retry", 200, 409)
	c.settle(t, bad, patience, inPhase("failed"))
	for _, v := range []ack{{slow, "slow"}, {bad, "bad"}} {
		c.must(t, "DELETE", inDev+"/resources/"+v.id, nil, "k-destroy-"+v.name, 202, 409)
		c.settle(t, v.id, patience, inPhase("destroyed"))
	}
}

// operate does what the platform team does.
func (j *job) operate() {
	t, c := j.t, j.c
	for n := range 5 {
		r, err := c.try("POST", "/api/v1/tokens", map[string]any{"name": "ci"}, fmt.Sprintf("k-token-%d", n))
		if err != nil {
			t.Fatal(err)
		}
		if r.status == 201 {
			j.canaries[r.str("value")] = "a token"
			c.must(t, "DELETE", "/api/v1/tokens/"+r.str("id"), nil, "k-revoke", 200, 204)
			break
		}
	}
	c.must(t, "POST", "/api/v1/system/master-key/rotate", nil, "k-key", 200, 202, 409)
	eventually(t, patience, func() string {
		r, err := c.try("POST", "/api/v1/system/backup", map[string]any{"recipients": []string{recipient(t)}}, "")
		if err != nil || r.status != http.StatusOK {
			return fmt.Sprintf("no backup: %v %v", r, err)
		}
		return ""
	})
}

func (j *job) destroy() {
	t, c := j.t, j.c
	r := c.must(t, "DELETE", inDev+"/resources/orders", nil, "k-too-early", 409)
	if r.str("code") != "in_use" {
		t.Fatalf("destroying what is referred to: %v", r)
	}
	for _, v := range []ack{{j.app, "app"}, {j.orders, "orders"}} {
		c.must(t, "DELETE", inDev+"/resources/"+v.id, nil, "k-destroy-"+v.name, 202, 409)
		c.settle(t, v.id, patience, inPhase("destroyed"))
	}
}
