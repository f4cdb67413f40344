package rollout_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/rollout"
	"fairlead/internal/rollout/rollouttest"
)

// A freeze while it rolls holds members up, without their time running out.
func TestAFreezeHoldsMembersUp(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		w.Fleet("dev", "a", "b")
		w.Gates.Close(gate.Window{Closed: true, Name: "sale", Reason: "the sale"})
		r := w.Create(rollout.Settings{Patience: time.Minute}, true)
		waiting := func(r rollout.Rollout) bool {
			p := w.Picture(r.ID)
			return p["a"] == "applying waiting" && p["b"] == "applying waiting"
		}
		w.When(r.ID, "one that waits", waiting)
		w.Later(time.Hour)
		_, err := w.Rollouts.Pause(w.Ctx, r.ID, 0) // has it looked at
		w.Must(err)
		_, err = w.Rollouts.Resume(w.Ctx, r.ID, 0)
		w.Must(err)
		w.When(r.ID, "one that waits", waiting)
		w.Gates.Close(gate.Window{})
		for name := range w.Picture(r.ID) {
			w.Must(second(w.Svc.Retry(w.Ctx, resourcetest.Where(name))))
		}
		w.Until(r.ID, rollout.Succeeded)
	})
}

// A version may be deprecated while it rolls out; at its end of life it halts.
func TestAVersionEndsWhileItRollsOut(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		w.Fleet("dev", "a", "b")
		hold := resourcetest.NewGate()
		w.T.Cleanup(hold.Open)
		w.Engine.Next("apply", hold.Step)
		r := w.Create(rollout.Settings{Parallel: 1, Rollback: "all"}, true)
		w.Entered(hold)
		w.Say("1.1.0", func(v *rollout.Version) { v.Deprecated = "it leaks" })
		w.When(r.ID, "deprecated", func(r rollout.Rollout) bool { return r.State == rollout.Running && r.Reason == "version_deprecated" })
		w.Say("1.1.0", func(v *rollout.Version) { v.EndOfLife = true })
		r = w.Until(r.ID, rollout.Halted)
		if r.Reason != "version_end_of_life" {
			w.T.Errorf("it has halted: %s", r.Reason)
		}
		hold.Open()
		w.UntilMember(r.ID, rollout.Done, 1)
		same(w, r.ID, map[string]string{"a": "done", "b": "pending"})
		if _, err := w.Rollouts.Resume(w.Ctx, r.ID, 0); code(err) != "version_end_of_life" {
			w.T.Errorf("resumed: %v", err)
		}
		if _, err := w.Rollouts.Create(w.Ctx, rollout.Wanted{Template: "store", To: "1.1.0"}); code(err) != "version_end_of_life" {
			w.T.Errorf("created: %v", err)
		}
		_, err := w.Rollouts.Rollback(w.Ctx, r.ID, rollout.RevertAll, 0)
		w.Must(err)
		w.Until(r.ID, rollout.Reverted)
		same(w, r.ID, map[string]string{"a": "reverted", "b": "pending"})
	})
}

var bob = principal.Principal{Kind: principal.User, ID: "usr_bob", Name: "bob", Memberships: resourcetest.Ann.Memberships}

// Whose rights it rolls with loses them, or goes: it halts, and another goes on.
func TestItsAuthorLosesTheirRights(t *testing.T) {
	for name, lose := range map[string]func(w *rollouttest.World){
		"roles": func(w *rollouttest.World) {
			p := resourcetest.Ann
			p.Memberships = nil
			w.Know(p)
		},
		"gone": func(w *rollouttest.World) { w.Forget(resourcetest.Ann.ID) },
	} {
		t.Run(name, func(t *testing.T) {
			rollouttest.Each(t, func(w *rollouttest.World) {
				w.Go()
				fleet := w.Fleet("dev", "a", "b")
				hold := resourcetest.NewGate()
				w.T.Cleanup(hold.Open)
				w.Engine.Next("apply", hold.Step)
				r := w.Create(rollout.Settings{Parallel: 1}, true)
				w.Entered(hold)
				lose(w)
				r = w.Until(r.ID, rollout.Halted)
				if r.Reason != "author_gone" {
					w.T.Errorf("it has halted: %s", r.Reason)
				}
				hold.Open()
				w.UntilMember(r.ID, rollout.Done, 1)
				if is := w.Is(fleet[1].ID); is.Revision != 1 {
					w.T.Errorf("b was changed with rights that are gone: %d", is.Revision)
				}
				w.Know(bob)
				_, err := w.Rollouts.Resume(principal.With(w.Ctx, bob), r.ID, 0)
				w.Must(err)
				w.Until(r.ID, rollout.Succeeded)
			})
		})
	}
}

// While it is being planned, too: that comes to an end.
func TestItsAuthorGoesWhileItIsPlanned(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Work()
		w.Observe()
		w.Fleet("dev", "a")
		r := w.Create(rollout.Settings{}, true)
		w.Forget(resourcetest.Ann.ID)
		w.Turn(w.Rollouts)
		w.When(r.ID, "planned", func(r rollout.Rollout) bool { return r.State != rollout.Planning })
		same(w, r.ID, map[string]string{"a": "excluded author_gone"})
	})
}

func TestAMemberTakesTooLong(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		w.Fleet("dev", "a", "b")
		hold := resourcetest.NewGate()
		w.T.Cleanup(hold.Open)
		w.Engine.Next("apply", hold.Step)
		r := w.Create(rollout.Settings{Parallel: 1, Patience: time.Hour, Rollback: "none"}, true)
		w.Entered(hold)
		w.Later(61 * time.Minute)
		w.Until(r.ID, rollout.Halted)
		same(w, r.ID, map[string]string{"a": "failed timed_out", "b": "pending"})
	})
}

// What cannot be taken back is stuck, and is tried again when somebody says so.
func TestWhatIsStuckIsTakenBackAgain(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		fleet := w.Fleet("dev", "a", "b")
		broke := resourcetest.Fails(fault.Invalid, "broke")
		w.Engine.Next("apply", nil, broke, broke)
		r := w.Until(w.Create(rollout.Settings{Parallel: 1, Rollback: "all"}, true).ID, rollout.Reverted)
		stuck := 0
		for _, m := range w.Members(r.ID) {
			switch m.State {
			case rollout.Stuck:
				stuck++
			case rollout.Back:
			default:
				w.T.Errorf("%s is %s", m.Resource, m.State)
			}
		}
		if stuck != 1 {
			w.T.Errorf("%d are stuck: %v", stuck, w.Picture(r.ID))
		}
		_, err := w.Rollouts.Rollback(w.Ctx, r.ID, rollout.RevertAll, 0)
		w.Must(err)
		w.When(r.ID, "taken back", func(r rollout.Rollout) bool { return r.State == rollout.Reverted && r.Counts[rollout.Back] == 2 })
		for _, f := range fleet {
			if is := w.Is(f.ID); is.TemplateVersion != "1.0.0" || is.Phase != resource.Ready {
				w.T.Errorf("%s is %s, %s", is.Name, is.TemplateVersion, is.Phase)
			}
		}
	})
}

// A group that destroys waits for a person, and somebody's own change is left.
func TestWhatDestroysWaitsAndWhatPeopleChangeIsLeft(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		fleet := w.Fleet("dev", "a", "b")
		w.Engine.Replaces(true)
		r := w.Create(rollout.Settings{}, true)
		r = w.When(r.ID, "waiting", func(r rollout.Rollout) bool { return r.Reason == "awaiting_approval" })
		if _, err := w.Rollouts.Approve(w.Ctx, r.ID, 1, "another digest", ""); code(err) != "group_changed" {
			w.T.Errorf("agreed to what is not: %v", err)
		}
		_, err := w.Svc.Change(w.Ctx, resourcetest.Where("a"), resource.Change{Set: map[string]any{"size": 2}})
		w.Must(err)
		w.UntilPhase(fleet[0].ID, resource.Ready)
		_, err = w.Rollouts.Approve(w.Ctx, r.ID, 1, r.Groups[0].Digest, "backups were taken")
		w.Must(err)
		w.Until(r.ID, rollout.Succeeded)
		same(w, r.ID, map[string]string{"a": "aside changed", "b": "done"})
		if n := w.Events("rollout.waiting", r.ID); n != 1 {
			w.T.Errorf("%d events of waiting", n)
		}
	})
}

// What was resumed without a failed member is on the version still: taking all
// back takes that back, too.
func TestWhatWasLeftFailedIsTakenBack(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		fleet := w.Fleet("dev", "a", "b", "c")
		broke := resourcetest.Fails(fault.Invalid, "broke")
		w.Engine.Next("apply", broke)
		r := w.Until(w.Create(rollout.Settings{Rollback: "none", Parallel: 1, Waves: "100%"}, true).ID, rollout.Halted)
		_, err := w.Rollouts.Resume(w.Ctx, r.ID, 0)
		w.Must(err)
		w.Until(r.ID, rollout.Succeeded)
		_, err = w.Svc.Change(w.Ctx, resourcetest.Where("b"), resource.Change{Set: map[string]any{"size": 2}})
		w.Must(err)
		_, err = w.Rollouts.Rollback(w.Ctx, r.ID, rollout.RevertAll, 0)
		w.Must(err)
		w.Until(r.ID, rollout.Reverted)
		same(w, r.ID, map[string]string{"a": "reverted broke", "b": "aside changed", "c": "reverted"})
		if is := w.Is(fleet[0].ID); is.TemplateVersion != "1.0.0" || is.Phase != resource.Ready {
			w.T.Errorf("a is %s, %s", is.TemplateVersion, is.Phase)
		}
	})
}

// cancels has a rollout be canceled in the midst of a look at its members.
type cancels struct {
	*resource.Service
	do func()
}

func (c *cancels) ByID(ctx context.Context, id string) (resource.Resource, error) {
	r, err := c.Service.ByID(ctx, id)
	if r.Phase == resource.Ready && r.TemplateVersion == "1.1.0" {
		c.do()
	}
	return r, err
}

// Whoever cancels lets go of every member, whatever is just being written.
func TestNobodyHasAClaimOnWhatWasCanceled(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Work()
		w.Observe()
		w.Fleet("dev", "a")
		id := make(chan string, 1)
		var once sync.Once
		w.Rollouts = w.Over(&cancels{w.Svc, func() {
			once.Do(func() {
				if _, err := w.Rollouts.Cancel(w.Ctx, <-id, 0); err != nil {
					w.T.Errorf("cancel: %v", err)
				}
			})
		}})
		r := w.Create(rollout.Settings{}, true)
		id <- r.ID
		w.Turn(w.Rollouts)
		w.Until(r.ID, rollout.Cancelled)
		w.UntilMember(r.ID, rollout.Done, 1)
		if h, err := w.Rollouts.Standing(w.Ctx, resourcetest.Where("a")); err != nil || h.Rollout != nil {
			w.T.Errorf("it has a claim still: %+v %v", h.Rollout, err)
		}
	})
}
