package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// bed is where scenarios run: a kind of store and a size of the pool, on one
// PostgreSQL server that is theirs alone, so that whatever is found on it is
// theirs.
type bed struct {
	store string // sqlite, postgres
	pool  int
	box   *box
	job   string // "" is the main one; governance, sources, rollout, drift
	hurry bool   // governance need not wait for loops that are led: leases, expired approvals
}

func (b bed) String() string {
	if b.job != "" {
		return fmt.Sprintf("%s-%s/%d", b.store, b.job, b.pool)
	}
	return fmt.Sprintf("%s/%d", b.store, b.pool)
}

// other is the same bed for another job than the main one.
func (b bed) other(job string) bed {
	b.job, b.pool = job, 0
	return b
}

func (b bed) server(t testing.TB) *server {
	config := loopback
	if b.job == "drift" {
		config += easyBrake
	}
	o := []serverOption{withBox(b.box), withPool(b.pool), withConfig(config)}
	if b.store == "postgres" {
		o = append(o, onPostgres(b.box.newStore(t)))
	}
	return newServer(t, o...)
}

// work is a job that can be cut off anywhere, and what must hold afterwards.
type work interface {
	run()
	invariants(s *server)
	secrecy(s *server, boxLogFrom int64)
	patient(d time.Duration)
}

func (b bed) work(t testing.TB, s *server) work {
	switch b.job {
	case "governance":
		g := newGovernance(t, s)
		g.hurry = b.hurry
		return g
	case "sources":
		return newSourcing(t, s)
	case "rollout":
		return newFleet(t, s)
	case "drift":
		return newDrifting(t, s)
	}
	return newJob(t, s)
}

// keeper starts a server again whenever it was killed, as systemd would.
type keeper struct {
	s        *server
	deaths   atomic.Int64
	stopping atomic.Bool
	done     chan struct{}
}

func keep(s *server) *keeper {
	k := &keeper{s: s, done: make(chan struct{})}
	go func() {
		defer close(k.done)
		for {
			<-s.gone()
			if sig, code := s.status(); sig == syscall.SIGKILL {
				k.deaths.Add(1)
			} else if !k.stopping.Load() {
				s.t.Errorf("the server ended by itself: signal %v, code %d", sig, code)
			}
			if k.stopping.Load() {
				return
			}
			s.launch()
		}
	}()
	return k
}

// stop ends the server for good, gracefully.
func (k *keeper) stop() {
	k.stopping.Store(true)
	k.s.signal(syscall.SIGTERM)
	select {
	case <-k.done:
	case <-time.After(20 * time.Second):
		k.s.signal(syscall.SIGQUIT)
		<-k.done
		k.s.t.Errorf("the server does not stop")
	}
}

// trace runs the job undisturbed and gives how often it passed each point.
func (b bed) trace(t testing.TB) map[string]int {
	t.Cleanup(func() { b.box.clear(t) })
	s := b.server(t)
	file := filepath.Join(filepath.Dir(s.log), "trace")
	from := b.box.logSize()
	s.start("FAIRLEAD_FAILPOINT_TRACE=" + file)
	j := b.work(t, s)
	j.run()
	j.invariants(s)
	s.stop()
	j.secrecy(s, from)
	b.box.clear(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	points := map[string]int{}
	for _, p := range strings.Fields(string(text)) {
		points[p]++
	}
	return points
}

// killAt runs the job, killed at a point; false when the point was not passed.
func (b bed) killAt(t testing.TB, point string) bool {
	t.Cleanup(func() { b.box.clear(t) }) // after the server's own: whatever happened, the next scenario starts clean
	b.hurry = !slices.ContainsFunc([]string{"expire", "lease", "loop."}, func(p string) bool { return strings.Contains(point, p) })
	s := b.server(t)
	from := b.box.logSize()
	s.launch("FAIRLEAD_FAILPOINT=" + point)
	k := keep(s)
	j := b.work(t, s)
	// Whatever happens to the job, the keeper must stop before the server's end.
	defer func() { k.stopping.Store(true) }()
	j.run()
	for wait := time.Now().Add(6 * time.Second); k.deaths.Load() == 0 && periodic(point) && time.Now().Before(wait); {
		time.Sleep(50 * time.Millisecond)
	}
	j.invariants(s)
	k.stop()
	if sig, _ := s.status(); sig == syscall.SIGKILL { // it was a point of the shutdown
		s.start()
		j.invariants(s)
		s.stop()
	}
	j.secrecy(s, from)
	return k.deaths.Load() > 0
}

// periodic points come by the clock, not by what is asked for.
func periodic(point string) bool {
	for _, p := range []string{"loop.", "touch", "checkpoint", "forget-key", "observe", "renew", "write.system."} {
		if strings.Contains(point, p) {
			return true
		}
	}
	return false
}

// scenario is one kill to try.
type scenario struct {
	bed   bed
	point string
}

// kills runs scenarios one after another in each lane, until the time is over,
// and tells which were covered.
func kills(t *testing.T, lanes map[string][]scenario, limit time.Duration) (covered, missed []string) {
	deadline := time.Now().Add(limit)
	held := heldBefore(t)
	var mu sync.Mutex
	t.Run("lanes", func(t *testing.T) {
		for name, list := range lanes {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for i, sc := range list {
					if time.Now().After(deadline) {
						t.Logf("the time is over: %d of %d were tried", i, len(list))
						return
					}
					id := sc.bed.String() + "/" + sc.point
					if held[id] {
						covered = locked(&mu, covered, id)
						continue
					}
					t.Run(id, func(t *testing.T) {
						died := true // of a scenario that failed, too
						defer func() {
							if died {
								covered = locked(&mu, covered, id)
							} else {
								missed = locked(&mu, missed, id)
							}
							if died && !t.Failed() {
								holds(t, id)
							}
						}()
						died = sc.bed.killAt(t, sc.point)
					})
				}
			})
		}
	})
	slices.Sort(covered)
	slices.Sort(missed)
	return covered, missed
}

func locked(mu *sync.Mutex, list []string, id string) []string {
	mu.Lock()
	defer mu.Unlock()
	return append(list, id)
}

// heldBefore reads which scenarios an earlier part of this run has tried.
func heldBefore(t testing.TB) map[string]bool {
	held := map[string]bool{}
	if *resume == "" {
		return held
	}
	text, err := os.ReadFile(*resume)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, id := range strings.Fields(string(text)) {
		held[id] = true
	}
	return held
}

// holds writes down that a scenario held, in one write, as a run can end any time.
func holds(t testing.TB, id string) {
	if *resume == "" {
		return
	}
	f, err := os.OpenFile(*resume, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(id + "\n"); err != nil {
		t.Fatal(err)
	}
}

// sharded deals the scenarios of each store out to lanes side by side, each
// with a PostgreSQL of its own.
func sharded(t testing.TB, stores map[string][]scenario, n int) map[string][]scenario {
	out := map[string][]scenario{}
	for store, list := range stores {
		for lane := range n {
			b := list[0].bed.box
			if lane > 0 {
				b = newBox(t)
			}
			name := fmt.Sprintf("%s-%d", store, lane)
			for i := lane; i < len(list); i += n {
				sc := list[i]
				sc.bed.box = b
				out[name] = append(out[name], sc)
			}
		}
	}
	return out
}

// TestTortureRandomKills kills at any moment, again and again, within one job.
func TestTortureRandomKills(t *testing.T) {
	if !long(t) || testing.Short() || *only != "" {
		return
	}
	t.Logf("seed %d", *seed)
	sqlite, postgres := beds(t)
	for i, b := range []bed{sqlite, postgres} {
		t.Run(b.store, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(uint64(*seed), uint64(i)+2))
			rounds, deaths := 0, int64(0)
			for end := time.Now().Add(4 * time.Minute); time.Now().Before(end); rounds++ {
				t.Run(fmt.Sprint(rounds), func(t *testing.T) { deaths += b.killOften(t, rnd) })
			}
			t.Logf("%d jobs, %d kills", rounds, deaths)
		})
	}
}

// killOften runs the job while its server is killed every few moments.
func (b bed) killOften(t testing.TB, rnd *rand.Rand) int64 {
	t.Cleanup(func() { b.box.clear(t) }) // after the server's own: whatever happened, the next scenario starts clean
	s := b.server(t)
	from := b.box.logSize()
	s.launch()
	k := keep(s)
	defer func() { k.stopping.Store(true) }()
	j := b.work(t, s)
	j.patient(time.Minute)
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for range 12 { // then it is left in peace: a job must end
			select {
			case <-over:
				return
			case <-time.After(time.Duration(200+rnd.IntN(1300)) * time.Millisecond):
				s.signal(syscall.SIGKILL)
			}
		}
	}()
	func() {
		defer func() { close(over); <-ended }()
		j.run()
	}()
	j.invariants(s)
	k.stop()
	j.secrecy(s, from)
	return k.deaths.Load()
}

func beds(t testing.TB) (sqlite, postgres bed) {
	sqlite = bed{store: "sqlite", pool: 1, box: newBox(t)}
	postgres = bed{store: "postgres", pool: 1, box: newBox(t)}
	return sqlite, postgres
}

func sortedPoints(m map[string]int) []string {
	var out []string
	for p := range m {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// TestKillSample kills at a random sample of all points of all jobs: the short
// form.
func TestKillSample(t *testing.T) {
	if *torture {
		return // all of them are tried
	}
	t.Logf("seed %d", *seed)
	rnd := rand.New(rand.NewPCG(uint64(*seed), 1))
	sqlite, postgres := beds(t)
	points := sortedPoints(sqlite.trace(t))
	governed := sortedPoints(sqlite.other("governance").trace(t))
	sourced := sortedPoints(own(sqlite.other("sources").trace(t), sourcePrefixes))
	if len(points) < 40 || len(governed) < 100 || len(sourced) < 20 {
		t.Fatalf("only %d, %d and %d points were found: marks are missing", len(points), len(governed), len(sourced))
	}
	pick := func(b bed, points []string, n int) (out []scenario) {
		points = slices.DeleteFunc(slices.Clone(points), func(p string) bool { // of one store, or of a time that a short run does not have
			return strings.HasPrefix(p, "backup.copy") || strings.HasSuffix(p, ".release.before") || strings.HasSuffix(p, ".release.after") || periodic(p)
		})
		for _, i := range rnd.Perm(len(points))[:n] {
			out = append(out, scenario{b, points[i] + "#1"})
		}
		return out
	}
	lanes := map[string][]scenario{}
	for name, b := range map[string]bed{"sqlite": sqlite, "postgres": postgres} {
		n := 10
		if name == "postgres" {
			n = 5
		}
		main, other := pick(b, points, n), pick(b.other("governance"), governed, 3)
		for i, sc := range pick(b.other("sources"), sourced, 2) {
			other = slices.Insert(other, 2*i+1, sc)
		}
		for i := range main { // a run that is cut short has tried some of both
			lanes[name] = append(lanes[name], main[i])
			if i < len(other) {
				lanes[name] = append(lanes[name], other[i])
			}
		}
	}
	covered, missed := kills(t, lanes, 50*time.Second)
	t.Logf("killed at %d of %d points: %s; not passed: %v", len(covered), len(points)+len(governed)+len(sourced), strings.Join(covered, " "), missed)
	if len(covered) == 0 {
		t.Error("nothing was killed")
	}
}

// TestTortureKill kills at every point of the main job, on both stores.
func TestTortureKill(t *testing.T) {
	if !long(t) {
		return
	}
	t.Logf("seed %d", *seed)
	sqlite, postgres := beds(t)
	if *only != "" {
		p := strings.SplitN(*only, "/", 3)
		store, job, _ := strings.Cut(p[0], "-")
		b := map[string]bed{"sqlite": sqlite, "postgres": postgres}[store]
		b.job = job
		_, _ = fmt.Sscan(p[1], &b.pool)
		t.Logf("killed: %v", b.killAt(t, p[2]))
		return
	}
	lanes := map[string][]scenario{}
	all := map[string]bool{}
	for _, b := range []bed{sqlite, postgres} {
		points := b.trace(t)
		bare := b
		bare.pool = 0
		without := bare.trace(t)
		lanes[b.store] = scenarios(b, points)
		for _, p := range sortedPoints(points) {
			all[p] = true
		}
		for _, p := range sortedPoints(without) {
			all[p] = true
			switch {
			case points[p] == 0, !testing.Short() && (strings.HasPrefix(p, "postgres.") || strings.HasPrefix(p, "engine.")):
				lanes[b.store] = append(lanes[b.store], scenario{bare, p + "#1"})
			}
		}
	}
	if len(all) < 40 {
		t.Fatalf("only %d points were found: marks are missing", len(all))
	}
	killAll(t, lanes, len(all))
}

// TestTortureKillGovernance kills at every point of the other job, on both
// stores.
func TestTortureKillGovernance(t *testing.T) {
	if !long(t) || *only != "" {
		return
	}
	t.Logf("seed %d", *seed)
	sqlite, postgres := beds(t)
	lanes := map[string][]scenario{}
	all := map[string]bool{}
	for _, b := range []bed{sqlite.other("governance"), postgres.other("governance")} {
		points := b.trace(t)
		lanes[b.store] = scenarios(b, points)
		for p := range points {
			all[p] = true
		}
	}
	for _, must := range []string{"write.gate.refuse", "write.approval.decide", "write.approval.expire", "write.approval.bypass", "write.guardrail.change", "write.quota.set",
		"write.cost.prices", "write.cost.reprice", "write.cost.priced", "write.lease.due", "write.lease.prove", "write.event.consume", "write.notify.claim", "write.notify.settle", "notify.send"} {
		for _, side := range []string{".before", ".after"} {
			if !all[must+side] {
				t.Errorf("the job does not pass %s", must+side)
			}
		}
	}
	killAll(t, lanes, len(all))
}

// sourcePrefixes are of the points that only sources pass: what they have in
// common with the other jobs is tried by those.
var sourcePrefixes = []string{"source.", "write.source.", "write.template.push"}

// own are the points that begin with one of some prefixes.
func own(points map[string]int, prefixes []string) map[string]int {
	out := map[string]int{}
	for p, n := range points {
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(p, prefix) }) {
			out[p] = n
		}
	}
	return out
}

// TestTortureKillSources kills at every point that only sources pass, on both
// stores.
func TestTortureKillSources(t *testing.T) {
	killOwn(t, "sources", sourcePrefixes, []string{"source.import.before", "source.import.after", "source.look.done", "write.source.add.before", "write.source.claim.after", "write.source.tag.before",
		"write.source.tag.after", "write.source.done.before", "write.source.done.after", "write.source.push.before", "write.source.push.after", "write.source.update.after", "write.source.sync.after",
		"write.source.remove.after"})
}

// TestTortureKillRollout kills at every point of a rollout that is halted and
// taken back, and of one that succeeds, on both stores.
func TestTortureKillRollout(t *testing.T) {
	killOwn(t, "rollout", []string{"write.rollout.", "rollout.", "write.resource.change.", "write.resource.rollback."}, rolloutPoints)
}

// TestTortureKillDrift kills at every point where drift is looked for, held,
// released, accepted and healed, on both stores, and at those of a repair.
func TestTortureKillDrift(t *testing.T) {
	killOwn(t, "drift", []string{"write.drift.", "write.resource.observed.", "write.resource.heal."}, driftPoints, repairPoints...)
}

// killOwn kills at those points of a job that begin with one of some prefixes:
// the others are tried with the main job. must are among them; also are passings
// of others.
func killOwn(t *testing.T, job string, prefixes, must []string, also ...string) {
	if !long(t) || *only != "" {
		return
	}
	t.Logf("seed %d", *seed)
	sqlite, postgres := beds(t)
	lanes := map[string][]scenario{}
	all := map[string]bool{}
	for _, b := range []bed{sqlite.other(job), postgres.other(job)} {
		points := own(b.trace(t), prefixes)
		for p := range points {
			all[p] = true
		}
		lanes[b.store] = scenarios(b, points)
		for _, p := range also {
			lanes[b.store] = append(lanes[b.store], scenario{b, p})
		}
	}
	for _, p := range must {
		if !all[p] {
			t.Errorf("the job does not pass %s", p)
		}
	}
	killAll(t, lanes, len(all))
}

// scenarios kills at each point, and in the long form at its second passing.
func scenarios(b bed, points map[string]int) (out []scenario) {
	for _, p := range sortedPoints(points) {
		out = append(out, scenario{b, p + "#1"})
		if !testing.Short() && points[p] > 1 {
			out = append(out, scenario{b, p + "#2"})
		}
	}
	return out
}

func killAll(t *testing.T, stores map[string][]scenario, points int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(uint64(*seed), 1))
	for _, list := range stores { // a run that is cut short has tried some of everything
		rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	limit := 60 * time.Minute
	if testing.Short() {
		limit = 32 * time.Minute
	}
	if *resume != "" { // what is left is tried by the next part
		limit = 3 * time.Hour
	}
	covered, missed := kills(t, sharded(t, stores, *lanes), limit)
	t.Logf("%d points; %d kills; killed at:\n%s\nnot passed: %v", points, len(covered), strings.Join(covered, "\n"), missed)
	if len(missed)*20 > len(covered) {
		t.Errorf("%d of %d scenarios did not pass their point", len(missed), len(missed)+len(covered))
	}
}
