package resource_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"fairlead/internal/fault"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb/sqldbtest"
)

// TestWhateverHappensItConverges lets people ask and workers crash at random,
// and compares the end with a model that only knows what was asked for: each
// object has one record (I1), no request made two (I2), and once the crashes
// stop everything is as wanted without a person (I6). rapid prints the seed of
// a failure.
func TestWhateverHappensItConverges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := resourcetest.New(t, sqldbtest.SQLite(t))
		b.T = draw{t, rt}
		m := &machine{b: b, rt: rt, wanted: map[string]int{}, ids: map[string]string{}}
		stop := b.WorkOn(b.DB, m.crashing, 0)
		for range rapid.IntRange(3, 12).Draw(rt, "steps") {
			m.step()
		}
		m.calm.Store(true)
		m.converges()
		stop()
	})
}

// Each check lasts as long as the backoffs that its crashes cost; more of them
// with -rapid.checks.
func init() {
	if err := flag.Set("rapid.checks", "8"); err != nil {
		panic(err)
	}
}

// draw has failures told to rapid, which prints the seed and shrinks.
type draw struct {
	testing.TB
	rt *rapid.T
}

func (d draw) Helper()                        {}
func (d draw) Fatal(args ...any)              { d.rt.Fatal(args...) }
func (d draw) Fatalf(format string, a ...any) { d.rt.Fatalf(format, a...) }

type machine struct {
	b      *resourcetest.Bench
	rt     *rapid.T
	wanted map[string]int    // name -> size, of what shall be there
	ids    map[string]string // name -> id of the newest one of that name
	calm   atomic.Bool
	n      atomic.Int64
}

// crashing is a worker of which every third claim dies: before anything, or
// with its work done and the answer lost.
func (m *machine) crashing(ctx context.Context, c *queue.Claim) error {
	if m.calm.Load() {
		return m.b.Svc.Reconcile(ctx, c)
	}
	switch m.n.Add(1) % 6 {
	case 0:
		panic("killed before it began")
	case 3:
		ctx, cancel := context.WithCancelCause(ctx)
		cancel(queue.ErrStopping)
		return m.b.Svc.Reconcile(ctx, c)
	}
	return m.b.Svc.Reconcile(ctx, c)
}

func (m *machine) step() {
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(m.rt, "name")
	size := rapid.IntRange(1, 9).Draw(m.rt, "size")
	ctx := m.b.Ctx
	switch op := rapid.SampledFrom([]string{"put", "put", "put", "change", "destroy", "retry", "cancel", "rotate", "lose"}).Draw(m.rt, "op"); op {
	case "put":
		a, err := m.b.Svc.Put(ctx, "shop", "dev", resource.Wanted{Name: name, Template: "store", Inputs: inputs{"size": size}})
		if err == nil {
			m.wanted[name], m.ids[name] = size, a.Resource.ID
		} else if code(err) != "being_destroyed" {
			m.rt.Fatalf("put: %v", err)
		}
	case "change":
		r, err := m.b.Svc.Change(ctx, where(name), resource.Change{Set: inputs{"size": size}})
		if err == nil {
			m.wanted[name] = size
			if r.ID != m.ids[name] {
				m.rt.Fatalf("changed %s, knew %s", r.ID, m.ids[name])
			}
		}
	case "destroy":
		if _, err := m.b.Svc.Destroy(ctx, where(name), 0); err == nil {
			delete(m.wanted, name)
		}
	case "retry":
		_, _ = m.b.Svc.Retry(ctx, where(name)) // may not be there
	case "cancel":
		if r, err := m.b.Svc.Get(ctx, where(name)); err == nil {
			_, _ = m.b.Svc.Cancel(ctx, r.RunID) // may be over
		}
	case "rotate":
		_, _ = m.b.Svc.Rotate(ctx, where(name), 0) // may not be ready
	case "lose":
		kind := rapid.SampledFrom([]string{"apply", "destroy", "observe"}).Draw(m.rt, "call")
		m.b.Engine.Next(kind, func(_ context.Context, call func() error) error {
			_ = call()
			return fault.New(fault.Unavailable, "interrupted", "the answer was lost")
		})
	}
}

func (m *machine) converges() {
	b := m.b
	for name, id := range m.ids {
		if _, still := m.wanted[name]; !still {
			b.Gone(id)
			continue
		}
		r := b.Until(id, "settled", func(r resource.Resource) bool { return r.Phase.Settled() })
		if r.Phase == resource.Canceled { // somebody stopped it; it goes on when asked
			if _, err := b.Svc.Retry(b.Ctx, where(name)); err != nil {
				m.rt.Fatal(err)
			}
		}
		r = b.Until(id, "ready", func(r resource.Resource) bool { return r.Phase == resource.Ready && r.AppliedRevision == r.Revision })
		if r.Inputs["size"] != int64(m.wanted[name]) {
			m.rt.Fatalf("%s has size %v, wanted %d", name, r.Inputs["size"], m.wanted[name])
		}
	}
	var want []string
	for name := range m.wanted {
		for _, kind := range []string{"door", "store"} {
			want = append(want, fmt.Sprintf("%s-%s-inst-%s", kind, name, m.ids[name]))
		}
	}
	slices.Sort(want)
	if got := b.Engine.World().Names(); !slices.Equal(got, want) {
		m.rt.Fatalf("there is %v, wanted %v", got, want)
	}
	if list := b.Engine.Overlaps(); len(list) > 0 {
		m.rt.Fatalf("overlaps: %v", list)
	}
}
