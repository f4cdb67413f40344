package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// fleetTemplate is a version of a template whose bad version fails for those
// with trouble.
func fleetTemplate(t testing.TB, version, spec string) raw {
	return folder(t, map[string]string{"README.md": "# x\n", "template.yaml": `apiVersion: fairlead/v1
kind: Template
metadata: {name: fleet, title: A fleet, description: For tests., version: ` + version + `}
engine: "null"
inputs:
  properties:
    trouble: {type: string, title: Trouble, description: What goes wrong., default: ""}
outputs:
  trouble: {type: string, description: It.}
  extra: {type: string, description: New.}
spec:
` + spec + "docs: README.md\n"})
}

const fleetSize = 6

// fleet is a job: a bad version that is taken back, and a good one; a member
// that is pinned meanwhile.
type fleet struct {
	*job
	id       []string
	revision map[string]int64 // when the bad version was taken back
}

func newFleet(t testing.TB, s *server) *fleet { return &fleet{job: newJob(t, s)} }

func (f *fleet) run() {
	f.inTurn([]part{{"set up", f.setUp}, {"fleet", f.fleet}, {"bad version", f.bad}, {"good version", f.good}})
}

// fleet makes the members.
func (f *fleet) fleet() {
	t, c := f.t, f.c
	c.must(t, "POST", "/api/v1/templates", fleetTemplate(t, "1.0.0", "  outputs: {trouble: \"${{ inputs.trouble }}\"}\n"), "k-f1", 200, 201)
	for i := range fleetSize {
		inputs := map[string]any{}
		if i == 3 {
			inputs["trouble"] = "broke"
		}
		f.id = append(f.id, f.create(fmt.Sprintf("f%d", i), "fleet", inputs))
	}
	for _, id := range f.id {
		c.settle(t, id, patience, applied(1))
	}
	c.must(t, "POST", "/api/v1/templates", fleetTemplate(t, "1.1.0", "  outputs: {trouble: \"${{ inputs.trouble }}\", extra: \"yes\"}\n  fail: \"${{ inputs.trouble }}\"\n"), "k-f2", 200, 201)
	c.must(t, "POST", "/api/v1/templates", fleetTemplate(t, "1.2.0", "  outputs: {trouble: \"${{ inputs.trouble }}\", extra: \"yes\"}\n"), "k-f3", 200, 201)
}

// rollout makes a rollout to a version. A reply that was lost is found by its
// note.
func (f *fleet) rollout(to string, start bool) string {
	f.t.Helper()
	r, err := f.c.try("POST", "/api/v1/rollouts", map[string]any{"template": "fleet", "to": to, "waves": "50%,100%", "rollback": "all", "start": start, "parallel": 2, "note": "to " + to}, "k-roll-"+to)
	if err != nil {
		f.t.Fatal(err)
	}
	if id := r.str("id"); id != "" {
		return id
	}
	for _, item := range items(f.c.must(f.t, "GET", "/api/v1/rollouts?template=fleet", nil, "", 200)) {
		if item["note"] == "to "+to {
			return item["id"].(string)
		}
	}
	f.t.Fatalf("there is no rollout: %v", r)
	return ""
}

// follow waits until a rollout is as ok wants it.
func (f *fleet) follow(id, what string, ok func(reply) bool) reply {
	f.t.Helper()
	r := reply{}
	for deadline := time.Now().Add(90 * time.Second); ; {
		r = f.c.must(f.t, "GET", fmt.Sprintf("/api/v1/rollouts/%s?wait=2&known=%d", id, r.num("version")), nil, "", 200)
		if ok(r) {
			return r
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("the rollout is not %s: %v", what, r)
		}
	}
}

func isOver(r reply) bool { return r.json["over"] == true }

// steer does something with a rollout that may be done already.
func (f *fleet) steer(id, verb string) {
	f.t.Helper()
	f.c.must(f.t, "POST", "/api/v1/rollouts/"+id+"/"+verb, nil, "k-"+verb, 200, 409)
}

// bad rolls out the version that fails, and looks whether each member is as it
// was.
func (f *fleet) bad() {
	t, c := f.t, f.c
	t.Helper()
	c.must(t, "PUT", inDev+"/resources/f5/pin", map[string]any{"reason": "for the test", "until": time.Now().Add(time.Hour).UTC()}, "k-pin", 200)
	if r := f.follow(f.rollout("1.1.0", true), "over", isOver); r.str("state") != "reverted" {
		t.Errorf("the bad version is %v", r)
	}
	c.must(t, "DELETE", inDev+"/resources/f5/pin", nil, "k-unpin", 200, 204)
	f.revision = map[string]int64{}
	for i, id := range f.id {
		r := c.settle(t, id, patience, inPhase("ready"))
		n := r.num("revision")
		f.revision[id] = n
		if r.str("templateVersion") != "1.0.0" || n != 1 && (n != 3 || i == 5) {
			t.Errorf("taken back, it is %v", r)
		}
	}
}

// good rolls out the version that is well, paused and resumed, to all but one
// that is exempt, and then to that: each member is changed once.
func (f *fleet) good() {
	t, c := f.t, f.c
	t.Helper()
	id := f.rollout("1.2.0", false)
	f.follow(id, "planned", func(r reply) bool { return r.str("state") != "planning" })
	exempt := inDev + "/resources/f4/exemptions/" + id
	c.must(t, "PUT", exempt, map[string]any{"reason": "for the test", "until": time.Now().Add(time.Hour).UTC()}, "k-exempt", 200)
	for _, verb := range []string{"start", "pause", "resume"} {
		f.steer(id, verb)
	}
	if r := f.follow(id, "over", isOver); r.str("state") != "succeeded" {
		t.Errorf("the good version is %v", r)
	}
	if r := c.settle(t, f.id[4], patience, inPhase("ready")); r.num("revision") != f.revision[f.id[4]] {
		t.Errorf("exempt, it is %v", r)
	}
	c.must(t, "DELETE", exempt, nil, "k-unexempt", 200, 204)
	f.steer(id, "retry")
	f.follow(id, "done with all", func(r reply) bool {
		members, _ := r.json["members"].(map[string]any)
		return isOver(r) && members["done"] == float64(fleetSize)
	})
	for _, id := range f.id {
		r := c.settle(t, id, patience, inPhase("ready"))
		if r.str("templateVersion") != "1.2.0" || r.num("revision") != f.revision[id]+1 {
			t.Errorf("upgraded from revision %d, it is %v", f.revision[id], r)
		}
	}
}

func (f *fleet) invariants(s *server) {
	t := f.t
	t.Helper()
	db := s.db(t)
	equal(t, "I2, I5: one resource a request, and the one that was answered", wantResources(f.job), column(t, db, `SELECT id || ' ' || name FROM resources ORDER BY name`))
	equal(t, "runs that never end", nil, column(t, db, `SELECT id || ' ' || kind || ' ' || phase FROM runs WHERE finished_at IS NULL`))
	equal(t, "I6: claims of rollouts that are over", nil, column(t, db, `SELECT id FROM rollout_members WHERE open = 1`))
	equal(t, "I2: rollouts", []string{"reverted", "succeeded"}, column(t, db, `SELECT state FROM rollouts ORDER BY id`))
	equal(t, "I2: pins that hold", nil, column(t, db, `SELECT id FROM rollout_pins WHERE ended_at IS NULL`))
	equal(t, "I3: what rollouts did", []string{"rollout:create", "rollout:halt", "rollout:finish", "rollout:create", "rollout:finish", "rollout:finish"},
		column(t, db, `SELECT action FROM audit_log WHERE action IN ('rollout:create', 'rollout:halt', 'rollout:finish') ORDER BY seq`))
	equal(t, "I3: a record for each change", column(t, db, `SELECT count(*) FROM revisions WHERE number > 1`),
		column(t, db, `SELECT count(*) FROM audit_log WHERE action IN ('resource:update', 'resource:rollback') AND decision = 'allowed'`))
	f.verified()
}

// TestThreeReplicasRollOutOnce: any of three servers does the next step, and
// each member is upgraded once.
func TestThreeReplicasRollOutOnce(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	t.Cleanup(func() { b.clear(t) })
	f := &fleet{job: environment(t, replicas(t, 3, b, withPool(0), withConfig(loopback))...)}
	f.fleet()
	f.bad()
	f.good()
}

// rolloutPoints are among those where a server is killed while it rolls out.
var rolloutPoints = []string{
	"write.rollout.create.after", "rollout.planned", "write.rollout.plan.before", "write.rollout.plan.after", "write.rollout.settle.before", "write.rollout.settle.after",
	"write.rollout.wave.before", "write.rollout.wave.after", "rollout.change.before", "rollout.change.after", "write.resource.change.before", "write.resource.change.after",
	"write.rollout.follow.before", "write.rollout.follow.after", "rollout.halt", "write.rollout.halt.before", "write.rollout.halt.after",
	"rollout.back.before", "rollout.back.after", "write.resource.rollback.before", "write.resource.rollback.after", "rollout.finish", "write.rollout.finish.before", "write.rollout.finish.after",
	"write.rollout.pin.before", "write.rollout.pin.after", "write.rollout.unpin.before", "write.rollout.unpin.after",
	"write.rollout.start.before", "write.rollout.start.after", "write.rollout.pause.before", "write.rollout.pause.after", "write.rollout.resume.before", "write.rollout.resume.after",
	"write.rollout.retry.before", "write.rollout.retry.after", "write.rollout.member.before", "write.rollout.member.after",
}

// TestKillRollout kills at a sample of the points of a rollout; make torture
// does at all of them.
func TestKillRollout(t *testing.T) {
	t.Parallel()
	if *torture {
		return
	}
	t.Logf("seed %d", *seed)
	rnd := rand.New(rand.NewPCG(uint64(*seed), 7))
	sqlite, postgres := beds(t)
	var list []scenario
	for _, b := range []bed{sqlite.other("rollout"), postgres.other("rollout")} {
		for _, p := range rolloutPoints {
			list = append(list, scenario{b, p + "#1"})
		}
	}
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, sc := range list[:3] {
		t.Run(sc.bed.String()+"/"+sc.point, func(t *testing.T) {
			if !sc.bed.killAt(t, sc.point) {
				t.Errorf("the point was not passed")
			}
		})
	}
}
