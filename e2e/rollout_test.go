package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
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

// fleet is a job: a bad version that is taken back, and a good one.
type fleet struct {
	t  *testing.T
	c  *client
	id []string
}

func newFleet(t *testing.T, s ...*server) *fleet {
	j := environment(t, s...)
	f := &fleet{t: t, c: j.c}
	f.c.must(t, "POST", "/api/v1/templates", fleetTemplate(t, "1.0.0", "  outputs: {trouble: \"${{ inputs.trouble }}\"}\n"), "k-f1", 200, 201)
	for i := range fleetSize {
		inputs := map[string]any{}
		if i == 3 {
			inputs["trouble"] = "broke"
		}
		name := fmt.Sprintf("f%d", i)
		r := f.c.must(t, "POST", inDev+"/resources", map[string]any{"name": name, "template": "fleet", "inputs": inputs}, "k-"+name, 201)
		f.id = append(f.id, r.str("id"))
	}
	for _, id := range f.id {
		f.c.settle(t, id, patience, applied(1))
	}
	f.c.must(t, "POST", "/api/v1/templates", fleetTemplate(t, "1.1.0", "  outputs: {trouble: \"${{ inputs.trouble }}\", extra: \"yes\"}\n  fail: \"${{ inputs.trouble }}\"\n"), "k-f2", 200, 201)
	f.c.must(t, "POST", "/api/v1/templates", fleetTemplate(t, "1.2.0", "  outputs: {trouble: \"${{ inputs.trouble }}\", extra: \"yes\"}\n"), "k-f3", 200, 201)
	return f
}

// roll makes a rollout to a version, and follows it until it is over. A reply
// that was lost is found by its note.
func (f *fleet) roll(to, want string) reply {
	f.t.Helper()
	r, err := f.c.try("POST", "/api/v1/rollouts", map[string]any{"template": "fleet", "to": to, "waves": "50%,100%", "rollback": "all", "start": true, "parallel": 2, "note": "to " + to}, "k-roll-"+to)
	if err != nil {
		f.t.Fatal(err)
	}
	id := r.str("id")
	if id == "" {
		for _, item := range items(f.c.must(f.t, "GET", "/api/v1/rollouts?template=fleet", nil, "", 200)) {
			if item["note"] == "to "+to {
				id, _ = item["id"].(string)
			}
		}
	}
	if id == "" {
		f.t.Fatalf("there is no rollout: %v", r)
	}
	for deadline := time.Now().Add(90 * time.Second); ; {
		r = f.c.must(f.t, "GET", fmt.Sprintf("/api/v1/rollouts/%s?wait=2&known=%d", id, r.num("version")), nil, "", 200)
		if r.json["over"] == true {
			break
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("the rollout is not over: %v", r)
		}
	}
	if r.str("state") != want {
		f.t.Errorf("the rollout to %s is %v", to, r)
	}
	return r
}

// run does both, and looks whether each member was changed as often as it must.
func (f *fleet) run() {
	f.t.Helper()
	f.roll("1.1.0", "reverted")
	before := map[string]int64{}
	for _, id := range f.id {
		r := f.c.settle(f.t, id, patience, inPhase("ready"))
		before[id] = r.num("revision")
		if n := r.num("revision"); r.str("templateVersion") != "1.0.0" || n != 1 && n != 3 {
			f.t.Errorf("taken back, it is %v", r)
		}
	}
	f.roll("1.2.0", "succeeded")
	for _, id := range f.id {
		r := f.c.settle(f.t, id, patience, inPhase("ready"))
		if r.str("templateVersion") != "1.2.0" || r.num("revision") != before[id]+1 {
			f.t.Errorf("upgraded from revision %d, it is %v", before[id], r)
		}
	}
}

// TestThreeReplicasRollOutOnce: any of three servers does the next step, and
// each member is upgraded once.
func TestThreeReplicasRollOutOnce(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	t.Cleanup(func() { b.clear(t) })
	newFleet(t, replicas(t, 3, b, withPool(0), withConfig(loopback))...).run()
}

// rolloutPoints are where a server is killed while it rolls out.
var rolloutPoints = []string{
	"write.rollout.create.after", "rollout.planned", "write.rollout.plan.before", "write.rollout.plan.after", "write.rollout.settle.before", "write.rollout.settle.after",
	"write.rollout.wave.before", "write.rollout.wave.after", "rollout.change.before", "rollout.change.after", "write.resource.change.before", "write.resource.change.after",
	"write.rollout.follow.before", "write.rollout.follow.after", "rollout.halt", "write.rollout.halt.before", "write.rollout.halt.after",
	"rollout.back.before", "rollout.back.after", "write.resource.rollback.before", "write.resource.rollback.after", "rollout.finish", "write.rollout.finish.before", "write.rollout.finish.after",
}

// TestKillRollout kills at a sample of the points of a rollout; at all of them,
// on both stores and at the second passing too, with -torture.
func TestKillRollout(t *testing.T) {
	t.Parallel()
	t.Logf("seed %d", *seed)
	rnd := rand.New(rand.NewPCG(uint64(*seed), 7))
	sqlite, postgres := beds(t)
	var list []scenario
	for _, b := range []bed{sqlite, postgres} {
		b.pool = 0
		for _, p := range rolloutPoints {
			list = append(list, scenario{b, p + "#1"}, scenario{b, p + "#2"})
		}
	}
	if !*torture {
		rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		list = list[:3]
	}
	for _, sc := range list {
		t.Run(sc.bed.String()+"/"+sc.point, func(t *testing.T) { sc.bed.killRollout(t, sc.point) })
	}
}

func (b bed) killRollout(t *testing.T, point string) {
	t.Cleanup(func() { b.box.clear(t) })
	s := b.server(t)
	s.launch("FAIRLEAD_FAILPOINT=" + point)
	k := keep(s)
	defer func() { k.stopping.Store(true) }()
	newFleet(t, s).run()
	k.stop()
	if sig, _ := s.status(); k.deaths.Load() == 0 && sig != syscall.SIGKILL && strings.HasSuffix(point, "#1") {
		t.Errorf("the point was not passed")
	}
}
