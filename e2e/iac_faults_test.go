package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fairlead/internal/engine/iac/iactest"
)

// filesTemplate makes four files, one after the other. Between the second and
// the third it is as slow as the file "slow" says, which is read when it is
// planned: so who plans later is not.
const filesTemplate = `apiVersion: fairlead/v1
kind: Template
metadata: {name: files, title: Files, description: For tests., version: 1.0.0}
engine: iac
inputs:
  type: object
  additionalProperties: false
  properties:
    size: {type: integer, title: Size, description: Of each., default: 1}
outputs:
  size: {type: string, description: Of each.}
spec:
  variables: {dir: "%s", owner: "${{ resource.name }}", size: "${{ inputs.size }}"}
lifecycle: {stateful: false}
docs: README.md
`

const filesModule = `terraform {
  required_providers {
    testing = { source = "fairlead.test/fairlead/testing" }
  }
}
variable "dir"   { type = string }
variable "owner" { type = string }
variable "size"  { type = number }
resource "testing_file" "a" {
  path    = "${var.dir}/a"
  owner   = var.owner
  content = "size ${var.size}"
}
resource "testing_file" "b" {
  path       = "${var.dir}/b"
  owner      = var.owner
  content    = "size ${var.size}"
  delay      = fileexists("${var.dir}/slow") ? trimspace(file("${var.dir}/slow")) : null
  depends_on = [testing_file.a]
}
resource "testing_file" "c" {
  path       = "${var.dir}/c"
  owner      = var.owner
  content    = "size ${var.size}"
  depends_on = [testing_file.b]
}
resource "testing_file" "d" {
  path       = "${var.dir}/d"
  owner      = var.owner
  content    = "size ${var.size}"
  depends_on = [testing_file.c]
}
output "size" { value = testing_file.d.content }
`

// shop is a store with servers that run modules, and the world that those make.
type shop struct {
	t       *testing.T
	program iactest.Program
	box     *box
	store   string
	mirror  string
	world   string
}

func newShop(t *testing.T, p iactest.Program) *shop {
	t.Helper()
	b := sharedBox(t)
	h := &shop{t: t, program: p, box: b, store: b.newStore(t)}
	dir := h.folder()
	h.world = filepath.Join(dir, "world")
	for _, err := range []error{os.Mkdir(h.world, 0o777), os.Chmod(h.world, 0o777)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	h.mirror, _ = iactest.Mirror(t, dir)
	return h
}

// folder is one that the accounts of runs get through to.
func (h *shop) folder() string {
	h.t.Helper()
	dir, err := os.MkdirTemp(root, "iac-")
	if err == nil {
		err = os.Chmod(dir, 0o711)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// machine is a server with a disk of its own; own is where its runs are.
type machine struct {
	*server
	own string
}

func (h *shop) machine(lease time.Duration, more string, env ...string) machine {
	h.t.Helper()
	own := filepath.Join(h.folder(), "iac")
	config := fmt.Sprintf("  iac: {binary: %q, mirror: %q, dir: %q%s}\n", h.program.Path, h.mirror, own, more)
	s := newServer(h.t, withBox(h.box), onPostgres(h.store), withEnv(masterKey), withConfig(config), func(s *server) { s.lease = lease })
	s.start(env...)
	return machine{s, own}
}

// wants signs in at the first machine and asks for the files.
func (h *shop) wants(m machine) (*job, string) {
	h.t.Helper()
	j := environment(h.t, m.server)
	j.c.must(h.t, "POST", "/api/v1/templates", folder(h.t, map[string]string{"template.yaml": fmt.Sprintf(filesTemplate, h.world), "README.md": "# Files\n", "module/main.tf": filesModule}), "k-files", 200, 201)
	return j, j.create("one", "files", nil)
}

// slow makes the module that slow, or "" not at all.
func (h *shop) slow(d string) {
	h.t.Helper()
	at := filepath.Join(h.world, "slow")
	err := os.WriteFile(at, []byte(d), 0o644)
	if d == "" {
		err = os.Remove(at)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *shop) has(name string) bool {
	_, err := os.Stat(filepath.Join(h.world, name))
	return err == nil
}

func (h *shop) awaits(name string) {
	h.t.Helper()
	eventually(h.t, patience, func() string {
		if !h.has(name) {
			return name + " is not there"
		}
		return ""
	})
}

// whole wants one of everything, of this owner and size, and nothing else.
func (h *shop) whole(size int) {
	h.t.Helper()
	list, err := os.ReadDir(h.world)
	if err != nil {
		h.t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range list {
		text, err := os.ReadFile(filepath.Join(h.world, f.Name()))
		if err != nil {
			h.t.Fatal(err)
		}
		got[f.Name()] = string(text)
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		if !strings.Contains(got[name], `"one"`) || !strings.Contains(got[name], fmt.Sprintf("size %d", size)) {
			h.t.Errorf("%s is %q", name, got[name])
		}
	}
	if len(got) != 4 {
		h.t.Errorf("the world is %v", got)
	}
}

// state is what is known of the one state there is.
func (h *shop) state(s *server) string {
	h.t.Helper()
	return strings.Join(column(h.t, s.db(h.t), `SELECT lineage || ' serial ' || serial || ' version ' || version || ' objects ' || objects || ' lock ' || lock_id || ' kept ' || (SELECT count(*) FROM iac_state_versions v WHERE v.state = iac_states.id) FROM iac_states`), "; ")
}

// programs are the processes of runs of this machine: those that were started
// with its folder in their environment or arguments, but the server itself.
func (m machine) programs() (pids []string) {
	list, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range list {
		env, _ := os.ReadFile(p + "/environ") // of one that has ended meanwhile there is none
		if strings.Contains(string(env), m.own) {
			pids = append(pids, filepath.Base(p))
		}
	}
	return pids
}

func (h *shop) noneOf(m machine, pids []string) {
	h.t.Helper()
	eventually(h.t, patience, func() string {
		for _, pid := range m.programs() {
			for _, was := range pids {
				if pid == was {
					return "the program " + pid + " of a run that is over is alive"
				}
			}
		}
		return ""
	})
}

// middle is no failpoint: the server is stopped while its program works.
const middle = "the middle of an apply"

// TestAServerThatSleptWhileItsProgramApplied stops one server past its lease,
// in the middle of what it started. That is ended before a peer takes over;
// the peer makes one of everything; then the sleeper wakes up. The state is the
// peer's, and the sleeper's next run starts from what is there.
func TestAServerThatSleptWhileItsProgramApplied(t *testing.T) {
	t.Parallel()
	iactest.Each(t, func(t *testing.T, p iactest.Program) { sleeps(t, p, middle, 15*time.Second) })
}

// TestTortureASleepingServersPrograms is that at each point where it matters,
// with a lease so short that the peer takes over while the program still works:
// what it writes is refused.
func TestTortureASleepingServersPrograms(t *testing.T) {
	if !long(t) || *only != "" {
		return
	}
	for _, p := range iactest.Programs(t) {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			for _, point := range []string{middle, "iac.claim.before", "iac.claim.after", "iac.apply.before", "iac.apply.after", "engine.apply.after"} {
				t.Run(strings.NewReplacer(".", "-", " ", "-").Replace(point), func(t *testing.T) { sleeps(t, p, point, 2*time.Second) })
			}
		})
	}
}

func sleeps(t *testing.T, p iactest.Program, point string, lease time.Duration) {
	h := newShop(t, p)
	env := []string(nil)
	if point == middle {
		h.slow("1h")
	} else {
		env = []string{"FAIRLEAD_FAILPOINT=" + point + "=stop"}
	}
	sleeper := h.machine(lease, "", env...)
	j, id := h.wants(sleeper)
	if point == middle {
		h.awaits("b")
		sleeper.signal(syscall.SIGSTOP)
		h.slow("")
	}
	eventually(t, patience, func() string {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", sleeper.cmd.Process.Pid))
		if err != nil || !strings.Contains(string(stat), ") T ") {
			return "the server does not sleep"
		}
		return ""
	})
	left := sleeper.programs()
	if point == middle && len(left) == 0 {
		t.Fatal("nothing of the sleeper's is at work: the test is not what it says")
	}
	peer := h.machine(lease, "")
	if lease >= 15*time.Second {
		h.noneOf(sleeper, left)
		equal(t, "claims when the sleeper's program has ended", []string{"1"}, column(t, peer.db(t), `SELECT fence FROM queue WHERE key LIKE '%' || $1`, id))
	}
	j.c.urls = []string{peer.url()}
	j.c.settle(t, id, patience, applied(1))
	h.whole(1)
	before := h.state(peer.server)
	if !strings.Contains(before, "objects 4 lock  kept") {
		t.Errorf("the peer's state is %s", before)
	}
	sleeper.signal(syscall.SIGCONT)
	eventually(t, patience, func() string {
		if !strings.Contains(tail(sleeper.log, 1<<20), "claim lost") {
			return "the sleeper did not notice that its claim is lost"
		}
		return ""
	})
	h.noneOf(sleeper, left)
	if after := h.state(peer.server); after != before {
		t.Errorf("the sleeper wrote: %s, then %s", before, after)
	}
	h.whole(1)
	equal(t, "one success", []string{"1"}, column(t, peer.db(t), `SELECT count(*) FROM audit_log WHERE action = 'run:succeed'`))
	// What the sleeper's program left behind does not come over what is there.
	peer.stop()
	j.c.urls = []string{sleeper.url()}
	j.c.must(t, "PATCH", inDev+"/resources/one", map[string]any{"set": map[string]any{"size": 2}}, "k-two", 200)
	j.c.settle(t, id, patience, applied(2))
	h.whole(2)
	if after := h.state(sleeper.server); strings.Fields(after)[0] != strings.Fields(before)[0] || !strings.Contains(after, "objects 4 lock  kept") {
		t.Errorf("another state: %s, then %s", before, after)
	}
	h.ends(j, id, sleeper)
}

// ends destroys it, and nothing is left.
func (h *shop) ends(j *job, id string, m machine) {
	h.t.Helper()
	j.c.must(h.t, "DELETE", inDev+"/resources/one", nil, "k-end", 202)
	j.c.settle(h.t, id, patience, inPhase("destroyed"))
	if left, err := os.ReadDir(h.world); err != nil || len(left) != 0 {
		h.t.Errorf("left: %v %v", left, err)
	}
	if state := h.state(m.server); !strings.HasPrefix(state, " serial 0 version 0 objects 0 lock  kept 0") {
		h.t.Errorf("the state is left: %s", state)
	}
	if left, err := filepath.Glob(filepath.Join(m.own, "r", "*")); err != nil || len(left) != 0 {
		h.t.Errorf("left of its runs: %v %v", left, err)
	}
}

// TestAProviderThatTakesLongerThanItMay is stopped at its limit, by its own
// server: for as long as it lasts the claim is kept, so no peer takes over, and
// nothing of it lives on. What it made until then is known to the run that
// follows by itself.
func TestAProviderThatTakesLongerThanItMay(t *testing.T) {
	t.Parallel()
	iactest.Each(t, func(t *testing.T, p iactest.Program) {
		h := newShop(t, p)
		h.slow("1h")
		first := h.machine(2*time.Second, ", timeout: 8s") // four leases
		j, id := h.wants(first)
		h.awaits("b")
		began := time.Now()
		atWork := first.programs()
		peer := h.machine(2*time.Second, "")
		fence := column(t, peer.db(t), `SELECT fence FROM queue WHERE key LIKE '%' || $1`, id)
		if len(atWork) == 0 || h.has("c") {
			t.Fatal("nothing is at work: the test is not what it says")
		}
		j.c.settle(t, id, patience, func(r reply) string {
			if r.str("reason") != "engine_timeout" {
				return fmt.Sprintf("is %s (%s), and did not meet its limit", r.str("phase"), r.str("reason"))
			}
			return ""
		})
		if took := time.Since(began); took < 3*time.Second {
			t.Errorf("it was stopped after %s", took)
		}
		h.noneOf(first, atWork)
		for _, s := range []*server{first.server, peer.server} {
			if strings.Contains(tail(s.log, 1<<20), "claim lost") {
				t.Error("a peer took over what was only slow")
			}
		}
		h.slow("")
		j.c.urls = append(j.c.urls, peer.url())
		j.c.settle(t, id, patience, applied(1))
		h.whole(1)
		if now := column(t, peer.db(t), `SELECT fence FROM queue WHERE key LIKE '%' || $1`, id); len(fence) != 1 || len(now) != 1 || now[0] == fence[0] {
			t.Errorf("fences %v, then %v", fence, now)
		}
		equal(t, "one success", []string{"1"}, column(t, peer.db(t), `SELECT count(*) FROM audit_log WHERE action = 'run:succeed'`))
		if state := h.state(peer.server); !strings.Contains(state, "objects 4 lock  kept") {
			t.Errorf("the state is %s", state)
		}
		j.c.must(t, "DELETE", inDev+"/resources/one", nil, "k-end", 202)
		j.c.settle(t, id, patience, inPhase("destroyed"))
		if left, err := os.ReadDir(h.world); err != nil || len(left) != 0 {
			t.Errorf("left: %v %v", left, err)
		}
	})
}
