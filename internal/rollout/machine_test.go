package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"fairlead/internal/fault"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/rollout"
	"fairlead/internal/rollout/rollouttest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

var errCut = errors.New("the server was killed")

// fleet is the model of what a rollout changes: resources in memory, whose
// changes commit with the rollout's own records, and that complain of what a
// rollout must not do.
type fleet struct {
	w        *rollouttest.World
	parallel int
	allowed  int64

	mu       sync.Mutex
	at       map[string]*resource.Resource
	versions map[string][]string // by revision, from 1 on
	upgrades map[string]int
	person   map[string]int64 // the revision that somebody wanted last
	cut      string           // "before" or "after" the next commit the server is killed
	kill     func()
	balks    int // so many changes meet an internal error
	wrong    []string

	observed sync.Map // when a resource was last looked at; told by commits, which wait for nobody that writes
}

func (f *fleet) reset(list []resource.Resource) {
	f.at, f.versions, f.upgrades, f.person, f.cut, f.wrong = map[string]*resource.Resource{}, map[string][]string{}, map[string]int{}, map[string]int64{}, "", nil
	f.balks = 0
	f.observed.Clear()
	for _, r := range list {
		f.at[r.ID], f.versions[r.ID] = &r, []string{"1.0.0"}
	}
}

func (f *fleet) ByID(_ context.Context, id string) (resource.Resource, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := *f.at[id]
	if at, ok := f.observed.Load(id); ok {
		r.ObservedAt, _ = at.(time.Time)
	}
	return r, nil
}

func (f *fleet) PlanChange(context.Context, resource.Where, resource.Change) (resource.Preview, error) {
	return resource.Preview{}, nil
}

func (f *fleet) ObserveSoon(_ context.Context, tx *sqldb.Tx, id string) error {
	tx.After(func() { f.observed.Store(id, tx.Now().Add(time.Microsecond)) })
	return nil
}

// commit writes with the rollout's records, unless the server is killed before
// or after that.
func (f *fleet) commit(ctx context.Context, r *resource.Resource, version string, revise bool) error {
	if f.balks > 0 {
		f.balks--
		return errBroken
	}
	var pins int
	if err := f.w.DB.Read().QueryRowContext(context.WithoutCancel(ctx), `SELECT count(*) FROM rollout_pins WHERE resource_id = $1 AND ended_at IS NULL`, r.ID).Scan(&pins); err != nil || pins > 0 {
		f.wrong = append(f.wrong, fmt.Sprintf("%s was changed while it was pinned: %v", r.Name, err))
	}
	how := f.cut
	f.cut = ""
	if how == "before" {
		f.kill()
		<-ctx.Done() // nothing is written any more
		return errCut
	}
	if err := f.w.DB.Write(context.WithoutCancel(ctx), "test.change", func(*sqldb.Tx) error { return nil }); err != nil {
		return err
	}
	if revise {
		r.Revision++
		f.versions[r.ID] = append(f.versions[r.ID], version)
	}
	r.Version++
	r.TemplateVersion, r.Phase, r.Reason = version, resource.Pending, ""
	busy := 0
	for _, x := range f.at {
		if x.Phase == resource.Pending {
			busy++
		}
	}
	if busy > f.parallel {
		f.wrong = append(f.wrong, fmt.Sprintf("%d change at a time, and %d may", busy, f.parallel))
	}
	if how == "after" {
		f.kill()
		<-ctx.Done() // nothing is written any more
		return errCut
	}
	return nil
}

func (f *fleet) Change(ctx context.Context, w resource.Where, ch resource.Change) (resource.Resource, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.at[w.Name]
	if ch.IfMatch != r.Version {
		return *r, fault.New(fault.Stale, "stale_version", "it moved on")
	}
	fresh := r.TemplateVersion != ch.Version
	if !fresh && r.Phase != resource.Failed {
		return *r, nil
	}
	err := f.commit(ctx, r, ch.Version, fresh)
	if errors.Is(err, errBroken) {
		return *r, err
	}
	if err != nil && !errors.Is(err, errCut) || err != nil && r.Phase != resource.Pending {
		return *r, err
	}
	if fresh {
		f.upgrades[r.ID]++
	}
	var early, failed int64
	if e := f.w.DB.Read().QueryRowContext(context.WithoutCancel(ctx), `SELECT
		(SELECT count(*) FROM rollout_members x WHERE x.rollout_id = m.rollout_id AND x.wave > 0 AND x.wave < m.wave AND x.state IN ('unplanned', 'pending', 'applying', 'upgraded', 'reverting')),
		(SELECT count(*) FROM rollout_members x WHERE x.rollout_id = m.rollout_id AND x.state = 'failed')
		FROM rollout_members m WHERE m.resource_id = $1 AND m.open = 1`, r.ID).Scan(&early, &failed); e != nil {
		f.wrong = append(f.wrong, "look at the members: "+e.Error())
	}
	switch {
	case f.upgrades[r.ID] > 1:
		f.wrong = append(f.wrong, r.Name+" was upgraded twice")
	case early > 0:
		f.wrong = append(f.wrong, r.Name+" was upgraded before the wave before was healthy")
	case failed > f.allowed:
		f.wrong = append(f.wrong, fmt.Sprintf("%s was upgraded after %d failures of %d", r.Name, failed, f.allowed))
	}
	return *r, err
}

func (f *fleet) Rollback(ctx context.Context, w resource.Where, to int64, _ string, ifMatch int64) (resource.Resource, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.at[w.Name]
	switch {
	case ifMatch != r.Version:
		return *r, fault.New(fault.Stale, "stale_version", "it moved on")
	case to < 1 || to >= r.Revision:
		return *r, fault.New(fault.Invalid, "no_such_revision", "no such revision %d", to)
	case f.person[r.ID] == r.Revision:
		f.wrong = append(f.wrong, r.Name+" was taken back over somebody's change")
	}
	return *r, f.commit(ctx, r, f.versions[r.ID][to-1], true)
}

// finish ends the run of a resource: it is ready, or has failed.
func (f *fleet) finish(id string, well bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.at[id]
	r.Version++
	if r.Phase, r.Reason = resource.Failed, "broke"; well {
		r.Phase, r.Reason, r.AppliedRevision = resource.Ready, "", r.Revision
	}
}

// change is somebody's own.
func (f *fleet) change(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.at[id]
	r.Revision++
	r.Version++
	f.versions[id] = append(f.versions[id], r.TemplateVersion)
	r.Phase, r.Reason, r.AppliedRevision, f.person[id] = resource.Ready, "", r.Revision, r.Revision
}

func (f *fleet) pending() (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, r := range f.at {
		if r.Phase == resource.Pending {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// loop is a server's workers, that take a turn when they are told to.
type loop struct {
	w     *rollouttest.World
	svc   *rollout.Service
	token chan struct{}
	done  chan struct{}
	ended chan struct{}
	kill  context.CancelFunc
}

func (l *loop) start() {
	ctx, cancel := context.WithCancel(context.Background())
	l.kill, l.ended = cancel, make(chan struct{})
	handle := func(ctx context.Context, c *queue.Claim) error {
		select {
		case <-l.token:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { l.done <- struct{}{} }()
		return l.svc.Work(ctx, c)
	}
	go func(ended chan struct{}) {
		defer close(ended)
		queue.NewRunner(queue.Options{DB: l.w.DB, Lanes: map[string]int{rollout.Lane: 1, rollout.PlanLane: 2}, Handle: handle, Poll: 10 * time.Millisecond}).Run(ctx)
	}(l.ended)
}

func (l *loop) restart() {
	l.kill()
	<-l.ended
	l.start()
}

// turn lets one claim be worked on; false when there is nothing to do, now or
// later.
func (l *loop) turn(killed func() bool) bool {
	var n int
	l.w.Must(l.w.DB.Read().QueryRowContext(l.w.T.Context(), `SELECT count(*) FROM queue WHERE lane IN ($1, $2) AND due_at IS NOT NULL`, rollout.Lane, rollout.PlanLane).Scan(&n))
	if n == 0 {
		return false
	}
	select {
	case l.token <- struct{}{}:
		<-l.done
		if killed() {
			l.restart()
		}
		return true
	case <-time.After(30 * time.Second):
		l.w.T.Error("nobody works on what is due")
		return false
	}
}

// TestMachine rolls out to resources that turn out well or not, while people
// steer the rollout, pin and change its members, and servers are killed or meet
// internal errors. rapid prints the seed of a failure.
func TestMachine(t *testing.T) {
	t.Parallel()
	w := rollouttest.New(t, sqldbtest.SQLite(t), nil)
	stop := w.Work()
	list := append(w.Fleet("dev", "a", "b", "c", "d"), w.Fleet("prod", "e", "f")...)
	stop()
	f := &fleet{w: w}
	l := &loop{w: w, svc: w.Over(f), token: make(chan struct{}), done: make(chan struct{})}
	w.Rollouts = l.svc
	l.start()
	t.Cleanup(func() { l.kill(); <-l.ended })
	killed := false
	f.kill = func() { killed = true; l.kill() }
	turn := func() bool {
		w.Must(w.DB.Write(t.Context(), "test.due", func(tx *sqldb.Tx) error { // nobody waits for what is tried again later
			_, err := tx.ExecContext(t.Context(), `UPDATE rollout_members SET due_at = 1 WHERE due_at > 1`)
			return err
		}))
		return l.turn(func() bool { was := killed; killed = false; return was })
	}
	rapid.Check(t, func(rt *rapid.T) {
		f.reset(list)
		s := rollout.Settings{
			Waves: rapid.SampledFrom([]string{"class", "50%,100%", "34%,67%,100%", "100%"}).Draw(rt, "waves"), Parallel: int64(rapid.IntRange(1, 3).Draw(rt, "parallel")),
			MaxFailures: int64(rapid.IntRange(0, 2).Draw(rt, "failures")), Rollback: rapid.SampledFrom([]string{"none", "wave", "all"}).Draw(rt, "rollback"),
		}
		f.parallel, f.allowed = int(s.Parallel), s.MaxFailures
		r := w.Create(s, true)
		all := []string{}
		for _, v := range list {
			all = append(all, v.ID)
		}
		steer := func(what string, _ rollout.Rollout, err error) {
			if c := code(err); err != nil && c != "rollout_state" && c != "nothing_to_retry" && c != "nothing_to_take_back" {
				rt.Fatalf("%s: %v", what, err)
			}
		}
		do := func(what string) {
			switch what {
			case "turn":
				turn()
			case "finish":
				if ids := f.pending(); len(ids) > 0 {
					f.finish(pick(rt, ids), rapid.IntRange(0, 3).Draw(rt, "well") > 0)
				}
			case "person":
				f.change(pick(rt, all))
			case "cut":
				f.cut = rapid.SampledFrom([]string{"before", "after"}).Draw(rt, "when")
			case "restart":
				l.restart()
			case "balk":
				f.balks = rapid.IntRange(1, 8).Draw(rt, "often")
			case "pin":
				now, err := w.DB.Now(w.Ctx)
				w.Must(err)
				_, err = l.svc.Pin(w.Ctx, where(pick(rt, list)), "for the test", now.Add(time.Hour))
				w.Must(err)
			case "unpin":
				w.Must(l.svc.Unpin(w.Ctx, where(pick(rt, list))))
			case "pause":
				got, err := l.svc.Pause(w.Ctx, r.ID, 0)
				steer(what, got, err)
			case "resume":
				got, err := l.svc.Resume(w.Ctx, r.ID, 0)
				steer(what, got, err)
			case "retry":
				got, err := l.svc.Retry(w.Ctx, r.ID, 0)
				steer(what, got, err)
			case "rollback":
				got, err := l.svc.Rollback(w.Ctx, r.ID, rapid.SampledFrom([]string{"wave", "all"}).Draw(rt, "scope"), 0)
				steer(what, got, err)
			}
			if len(f.wrong) > 0 {
				rt.Fatal(f.wrong)
			}
		}
		for range 8 { // its plans
			turn()
		}
		steps := []string{"turn", "turn", "turn", "turn", "turn", "finish", "finish", "finish", "person", "cut", "restart", "pause", "resume", "resume", "retry", "rollback", "balk", "pin", "unpin"}
		for range rapid.IntRange(5, 50).Draw(rt, "steps") {
			do(rapid.SampledFrom(steps).Draw(rt, "step"))
		}
		rest(rt, f, turn, r.ID)
		for range rapid.IntRange(0, 3).Draw(rt, "afterwards") {
			do(rapid.SampledFrom([]string{"resume", "retry", "rollback", "person", "pin", "unpin", "balk"}).Draw(rt, "step"))
			rest(rt, f, turn, r.ID)
		}
		if _, err := l.svc.Cancel(w.Ctx, r.ID, 0); err != nil && code(err) != "rollout_state" {
			rt.Fatal(err)
		}
		turn()
		for _, v := range list {
			w.Must(l.svc.Unpin(w.Ctx, where(v)))
		}
	})
}

func pick[T any](rt *rapid.T, list []T) T {
	return list[rapid.IntRange(0, len(list)-1).Draw(rt, "which")]
}

func where(r resource.Resource) resource.Where {
	return resource.Where{Project: r.ProjectID, Environment: r.EnvironmentID, Name: r.ID}
}

// rest lets all go on until nothing happens any more, and looks at it. What
// runs turns out well or not, as it is drawn.
func rest(rt *rapid.T, f *fleet, turn func() bool, id string) {
	for i, more := 0, true; more || len(f.pending()) > 0; i++ {
		for _, id := range f.pending() {
			f.finish(id, rapid.IntRange(0, 4).Draw(rt, "well") > 0)
		}
		more = turn()
		if len(f.wrong) > 0 {
			rt.Fatal(f.wrong)
		}
		if i > 500 {
			rt.Fatalf("it does not come to rest: %v", f.w.Picture(id))
		}
	}
	f.check(rt, id)
}

// check looks at a rollout that rests.
func (f *fleet) check(rt *rapid.T, id string) {
	r, err := f.w.Rollouts.Get(f.w.Ctx, id)
	if err != nil {
		rt.Fatal(err)
	}
	members := f.w.Members(id)
	if len(members) != len(f.at) {
		rt.Fatalf("%d members", len(members))
	}
	switch r.State {
	case rollout.Succeeded, rollout.Reverted, rollout.Halted, rollout.Paused:
	default:
		rt.Fatalf("it rests and is %s", r.State)
	}
	for name, m := range members {
		is, theirs := f.at[m.ResourceID], f.person[m.ResourceID]
		switch {
		case m.State == rollout.Applying || m.State == rollout.Upgraded || m.State == rollout.Backing || m.State == rollout.Unplanned:
			rt.Fatalf("%s: it rests and is %s", name, m.State)
		case r.State == rollout.Succeeded && m.State == rollout.Pending:
			rt.Fatalf("%s: %s of one that succeeded", name, m.State)
		case m.State == rollout.Done && is.TemplateVersion != "1.1.0", m.State == rollout.Back && theirs != is.Revision && is.TemplateVersion != "1.0.0":
			rt.Fatalf("%s is %s, and its resource %s", name, m.State, is.TemplateVersion)
		case r.State == rollout.Reverted && m.Wave >= r.RevertFrom && m.State != rollout.Stuck && theirs != is.Revision && is.TemplateVersion != "1.0.0":
			rt.Fatalf("%s is %s (%s), taken back, and its resource is %s", name, m.State, m.Reason, is.TemplateVersion)
		}
	}
}
