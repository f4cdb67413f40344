package rollout_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/rollout"
	"fairlead/internal/rollout/rollouttest"
)

// balks meets internal errors where it is told to.
type balks struct {
	*resource.Service
	back, change atomic.Int64 // so many times more
}

var errBroken = errors.New("something that nobody thought of")

func (b *balks) Rollback(ctx context.Context, w resource.Where, to int64, note string, ifMatch int64) (resource.Resource, error) {
	if b.back.Add(-1) >= 0 {
		return resource.Resource{}, errBroken
	}
	return b.Service.Rollback(ctx, w, to, note, ifMatch)
}

func (b *balks) Change(ctx context.Context, w resource.Where, ch resource.Change) (resource.Resource, error) {
	if b.change.Add(-1) >= 0 {
		return resource.Resource{}, errBroken
	}
	return b.Service.Change(ctx, w, ch)
}

// balking is a world whose rollouts are over resources that balk.
func balking(w *rollouttest.World) *balks {
	b := &balks{Service: w.Svc}
	const lease = 10_000 * time.Hour // the test's time takes no claim away
	w.WorkOn(w.DB, w.Svc.Reconcile, lease)
	w.Observe()
	w.Rollouts = w.Over(b)
	w.TurnFor(w.Rollouts, lease)
	return b
}

// passing lets time go by until ok, but not while a member is worked on: what
// takes a busy machine a moment would take longer than anybody waits for.
func passing(w *rollouttest.World, id, what string, ok func() bool) {
	w.T.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.T.Fatalf("never %s", what)
		}
		worked := false
		for _, m := range w.Members(id) {
			worked = worked || !m.Retried() && (m.State == rollout.Applying || m.State == rollout.Backing)
		}
		if !worked {
			w.Later(5 * time.Minute)
		}
	}
}

const always = 1 << 40

// While it is taken back a member meets internal errors, and its run goes on:
// that is said and waited for, however long it takes, and it is taken back then.
func TestWhatStillRunsIsTakenBackAfterInternalErrors(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		b := balking(w)
		b.back.Store(always)
		w.Fleet("dev", "a")
		hold := resourcetest.NewGate()
		w.T.Cleanup(hold.Open)
		w.Engine.Next("apply", hold.Step)
		r := w.Create(rollout.Settings{Rollback: "all"}, true)
		w.Entered(hold)
		_, err := w.Rollouts.Rollback(w.Ctx, r.ID, rollout.RevertAll, 0)
		w.Must(err)
		seen := map[string]bool{}
		passing(w, r.ID, "tried often", func() bool {
			m := w.Members(r.ID)["a"]
			if m.State != rollout.Applying && m.State != rollout.Failed { // its time may be over
				w.T.Fatalf("it is %s (%s) while its run goes on", m.State, m.Message)
			}
			if m.Retried() {
				seen[m.Message] = true
				if !strings.Contains(m.Message, "its run goes on meanwhile") || !strings.Contains(m.Message, "tried again at") {
					w.T.Fatalf("it says: %s", m.Message)
				}
			}
			return b.back.Load() < always-10
		})
		if len(seen) == 0 {
			w.T.Error("nothing was said of it")
		}
		b.back.Store(0)
		hold.Open()
		passing(w, r.ID, "taken back", func() bool { return w.Members(r.ID)["a"].State == rollout.Back })
		w.Until(r.ID, rollout.Reverted)
		if is := w.Is(w.Members(r.ID)["a"].ResourceID); is.TemplateVersion != "1.0.0" || is.Phase != resource.Ready {
			w.T.Errorf("it is %s, %s", is.TemplateVersion, is.Phase)
		}
	})
}

// What is made, and cannot be taken back again and again, waits for a person.
func TestWhatIsMadeIsStuckAfterInternalErrors(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		b := balking(w)
		w.Fleet("dev", "a", "b")
		r := w.Until(w.Create(rollout.Settings{}, true).ID, rollout.Succeeded)
		b.back.Store(2) // a passing fault is got over without anybody
		_, err := w.Rollouts.Rollback(w.Ctx, r.ID, rollout.RevertAll, 0)
		w.Must(err)
		passing(w, r.ID, "taken back", func() bool { r, err := w.Rollouts.Get(w.Ctx, r.ID); return err == nil && r.State == rollout.Reverted })
		same(w, r.ID, map[string]string{"a": "reverted", "b": "reverted"})

		r = w.Until(w.Create(rollout.Settings{}, true).ID, rollout.Succeeded)
		b.back.Store(always)
		_, err = w.Rollouts.Rollback(w.Ctx, r.ID, rollout.RevertAll, 0)
		w.Must(err)
		passing(w, r.ID, "given up", func() bool { r, err := w.Rollouts.Get(w.Ctx, r.ID); return err == nil && r.State == rollout.Reverted })
		same(w, r.ID, map[string]string{"a": "stuck not_taken_back", "b": "stuck not_taken_back"})
		if n := always - b.back.Load(); n != 10 {
			w.T.Errorf("two members were tried %d times", n)
		}
		b.back.Store(0)
		_, err = w.Rollouts.Rollback(w.Ctx, r.ID, rollout.RevertAll, 0)
		w.Must(err)
		w.UntilMember(r.ID, rollout.Back, 2)
	})
}

// A member that meets internal errors when its turn comes is tried again, and
// the others go on meanwhile.
func TestAnUpgradeIsTriedAgainAfterInternalErrors(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		b := balking(w)
		b.change.Store(1)
		w.Fleet("dev", "a", "b")
		r := w.Create(rollout.Settings{}, true)
		w.UntilMember(r.ID, rollout.Done, 1)
		passing(w, r.ID, "done with both", func() bool { r, err := w.Rollouts.Get(w.Ctx, r.ID); return err == nil && r.State == rollout.Succeeded })
		same(w, r.ID, map[string]string{"a": "done", "b": "done"})

		b.change.Store(always)
		w.Fleet("dev", "c")
		r = w.Create(rollout.Settings{}, true)
		passing(w, r.ID, "set aside", func() bool { r, err := w.Rollouts.Get(w.Ctx, r.ID); return err == nil && r.State == rollout.Succeeded })
		same(w, r.ID, map[string]string{"c": "aside internal"})
	})
}

// Who pins what was upgraded keeps it there: a rollback leaves it and says so,
// and takes it back once the pin is gone.
func TestWhatIsPinnedIsNotTakenBack(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		w.Fleet("dev", "a", "b", "c")
		w.Engine.Next("apply", resourcetest.Fails(fault.Invalid, "broke"))
		r := w.Until(w.Create(rollout.Settings{Parallel: 1, Waves: "100%", Rollback: "none"}, true).ID, rollout.Halted)
		until, err := w.DB.Now(w.T.Context())
		w.Must(err)
		until = until.Add(24 * time.Hour)
		// a has failed, is pinned as it is, and is left out when that is tried again.
		_, err = w.Rollouts.Pin(w.Ctx, resourcetest.Where("a"), "the release", until)
		w.Must(err)
		_, err = w.Rollouts.Retry(w.Ctx, r.ID, 0)
		w.Must(err)
		w.Until(r.ID, rollout.Succeeded)
		same(w, r.ID, map[string]string{"a": "excluded pinned", "b": "done", "c": "done"})
		_, err = w.Rollouts.Exempt(w.Ctx, resourcetest.Where("b"), r.ID, "it is fine here", until)
		w.Must(err)
		_, err = w.Rollouts.Rollback(w.Ctx, r.ID, rollout.RevertAll, 0)
		w.Must(err)
		w.Until(r.ID, rollout.Reverted)
		same(w, r.ID, map[string]string{"a": "stuck pinned", "b": "stuck exempted", "c": "reverted"})
		for name, m := range w.Members(r.ID) {
			if m.State == rollout.Stuck && (w.Is(m.ResourceID).TemplateVersion != "1.1.0" || !strings.Contains(m.Remedy, "fairlead rollout rollback "+r.ID+" --all")) {
				w.T.Errorf("%s: %+v", name, m)
			}
		}
		w.Must(w.Rollouts.Unpin(w.Ctx, resourcetest.Where("a")))
		w.Must(w.Rollouts.Unexempt(w.Ctx, resourcetest.Where("b"), r.ID))
		_, err = w.Rollouts.Rollback(w.Ctx, r.ID, rollout.RevertAll, 0)
		w.Must(err)
		w.UntilMember(r.ID, rollout.Back, 3)
		for _, m := range w.Members(r.ID) {
			if is := w.Is(m.ResourceID); is.TemplateVersion != "1.0.0" {
				w.T.Errorf("%s is %s", m.Resource, is.TemplateVersion)
			}
		}
	})
}

// What a retry left out for another reason was upgraded all the same.
func TestWhatARetryLeftOutIsTakenBack(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		w.Fleet("dev", "a")
		w.Engine.Next("apply", resourcetest.Fails(fault.Invalid, "broke"))
		r := w.Until(w.Create(rollout.Settings{Rollback: "none"}, true).ID, rollout.Halted)
		w.Must(second(w.Svc.Retry(w.Ctx, resourcetest.Where("a"))))
		w.UntilPhase(w.Members(r.ID)["a"].ResourceID, resource.Ready)
		_, err := w.Rollouts.Retry(w.Ctx, r.ID, 0)
		w.Must(err)
		w.Until(r.ID, rollout.Succeeded)
		same(w, r.ID, map[string]string{"a": "excluded up_to_date"})
		_, err = w.Rollouts.Rollback(w.Ctx, r.ID, rollout.RevertAll, 0)
		w.Must(err)
		w.Until(r.ID, rollout.Reverted)
		same(w, r.ID, map[string]string{"a": "reverted up_to_date"})
	})
}

// What is pinned while it is being made is left as it is made, and no sooner.
func TestWhatIsPinnedInItsRunIsWaitedFor(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		w.Fleet("dev", "a", "b")
		hold := resourcetest.NewGate()
		w.T.Cleanup(hold.Open)
		w.Engine.Next("apply", hold.Step)
		r := w.Create(rollout.Settings{Parallel: 1}, true)
		w.Entered(hold)
		now, err := w.DB.Now(w.T.Context())
		w.Must(err)
		_, err = w.Rollouts.Pin(w.Ctx, resourcetest.Where("a"), "the release", now.Add(time.Hour))
		w.Must(err)
		_, err = w.Rollouts.Rollback(w.Ctx, r.ID, rollout.RevertAll, 0)
		w.Must(err)
		turns := 0
		w.When(r.ID, "looked at again", func(rollout.Rollout) bool { // whoever waits looks now and then
			turns++
			return turns > 3
		})
		same(w, r.ID, map[string]string{"a": "applying", "b": "pending"})
		hold.Open()
		w.Until(r.ID, rollout.Reverted)
		same(w, r.ID, map[string]string{"a": "stuck pinned", "b": "pending"})
		if is := w.Is(w.Members(r.ID)["a"].ResourceID); is.TemplateVersion != "1.1.0" || is.Phase != resource.Ready {
			w.T.Errorf("it is %s, %s", is.TemplateVersion, is.Phase)
		}
	})
}
