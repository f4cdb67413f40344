package resource_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
)

func TestARunIsCanceledInTheMiddleAndGoesOnByARetry(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		gate := resourcetest.NewGate()
		b.Engine.Next("apply", gate.Step)
		b.Work()
		r := b.Create("orders", nil)
		b.Entered(gate)
		if _, err := b.Svc.Cancel(b.Ctx, r.RunID); err != nil {
			t.Fatal(err)
		}
		if run := b.RunOf(r.RunID); run.Status != resource.RunCanceled {
			t.Errorf("run: %+v", run)
		}
		canceled := b.UntilPhase(r.ID, resource.Canceled)
		if canceled.Hint == "" || canceled.Reason != "canceled" {
			t.Errorf("%+v", canceled)
		}
		if _, err := b.Svc.Cancel(b.Ctx, r.RunID); code(err) != "run_over" {
			t.Errorf("again: %v", err)
		}
		if _, err := b.Svc.Retry(b.Ctx, where("orders")); err != nil {
			t.Fatal(err)
		}
		b.UntilPhase(r.ID, resource.Ready)
		if got := b.Audited(r.ID); !slices.Contains(got, "run:canceled") || !slices.Contains(got, "resource:retry") {
			t.Errorf("audited %v", got)
		}
	})
}

func TestACancelBeforeTheStartHoldsAndHitsNoLaterRun(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		r := b.Create("orders", nil)
		if _, err := b.Svc.Cancel(b.Ctx, r.RunID); err != nil {
			t.Fatal(err)
		}
		other := b.Create("other", nil)
		if _, err := b.Svc.Cancel(b.Ctx, other.RunID); err != nil {
			t.Fatal(err)
		}
		changed, err := b.Svc.Change(b.Ctx, where("other"), resource.Change{Set: inputs{"size": 2}})
		if err != nil {
			t.Fatal(err)
		}
		b.Work()
		b.UntilPhase(r.ID, resource.Canceled)
		if n := len(b.Engine.World().Names()); n > 2 {
			t.Errorf("%d objects", n)
		}
		b.UntilPhase(other.ID, resource.Ready)
		if run := b.RunOf(changed.RunID); run.Status != resource.RunSucceeded {
			t.Errorf("the later run: %+v", run)
		}
		if run := b.RunOf(other.RunID); run.Status != resource.RunSuperseded {
			t.Errorf("the canceled run: %+v", run)
		}
	})
}

func TestFailuresAreTriedAgainOrToldForGood(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		for i, c := range []struct {
			why   string
			op    string
			step  resourcetest.Step
			phase resource.Phase
			code  string
		}{
			{"the provider is down for a moment", "apply", resourcetest.Fails(fault.Unavailable, "down"), resource.Ready, ""},
			{"planning fails for a moment", "plan", resourcetest.Fails(fault.Unavailable, "down"), resource.Ready, ""},
			{"the answer is lost after all was done", "apply", resourcetest.ThenFails(fault.Unavailable, "timed_out"), resource.Ready, ""},
			{"looking fails", "observe", resourcetest.Fails(fault.Unavailable, "blind"), resource.Ready, ""},
			{"the engine panics", "apply", resourcetest.Panics("secret in a panic"), resource.Ready, ""},
			{"the engine panics while planning", "plan", resourcetest.Panics("x"), resource.Ready, ""},
			{"it can never work", "apply", resourcetest.Fails(fault.Invalid, "impossible"), resource.Failed, "impossible"},
			{"something of somebody else is in the way", "apply", resourcetest.Fails(fault.Conflict, "object_not_ours"), resource.Failed, "object_not_ours"},
			{"the data is gone", "apply", resourcetest.Fails(fault.Conflict, "resource_lost"), resource.Lost, "resource_lost"},
		} {
			// The steps are of the engine, not of a resource: one after another.
			name := "orders-" + string(rune('a'+i))
			b.Engine.Next(c.op, c.step)
			r := b.Create(name, nil)
			stop := b.Work()
			r = b.UntilPhase(r.ID, c.phase)
			stop()
			if r.Reason != c.code {
				t.Errorf("%s: %+v", c.why, r)
			}
			run := b.RunOf(r.RunID)
			if c.phase == resource.Ready && (run.Status != resource.RunSucceeded || run.Attempts != 2) {
				t.Errorf("%s: %+v", c.why, run)
			}
			if c.phase != resource.Ready && (run.Status != resource.RunFailed || run.ErrorCode != c.code || run.Attempts != 1) {
				t.Errorf("%s: %+v", c.why, run)
			}
			if log := b.Log(r.RunID); strings.Contains(log, "secret in a panic") || !strings.Contains(log, "error") {
				t.Errorf("%s: log\n%s", c.why, log)
			}
		}
	})
}

func TestANewerRequestTakesThePlaceOfOneUnderWay(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		gate := resourcetest.NewGate()
		b.Engine.Next("apply", gate.Step) // hangs until told to stop
		b.Work()
		r := b.Create("orders", inputs{"size": 1})
		b.Entered(gate)
		changed, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 9}})
		if err != nil {
			t.Fatal(err)
		}
		r2 := b.UntilPhase(r.ID, resource.Ready)
		if r2.AppliedRevision != 2 {
			t.Errorf("%+v", r2)
		}
		if first, second := b.RunOf(r.RunID), b.RunOf(changed.RunID); first.Status != resource.RunSuperseded || second.Status != resource.RunSucceeded {
			t.Errorf("%s, %s", first.Status, second.Status)
		}
		runs, _, err := b.Svc.Runs(b.Ctx, where("orders"), sqldb.Page{})
		if err != nil || len(runs) != 2 || runs[0].Number != 2 || runs[0].ID != changed.RunID {
			t.Errorf("runs: %+v, %v", runs, err)
		}
	})
}

func TestAnEngineThatDoesNotListenCannotMakeAnOldRequestLookDone(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		first, second := resourcetest.NewGate(), resourcetest.NewGate()
		b.Engine.Next("observe", func(ctx context.Context, call func() error) error {
			if err := call(); err != nil { // all is done and seen; the answer comes late
				return err
			}
			return first.Deaf(ctx, func() error { return nil })
		})
		b.Engine.Next("plan", func(_ context.Context, call func() error) error { return call() }, second.Deaf)
		b.Work()
		r := b.Create("orders", inputs{"size": 1})
		b.Entered(first)
		if _, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 2}}); err != nil {
			t.Fatal(err)
		}
		first.Open()
		b.Entered(second)
		now, err := b.Svc.ByID(b.Ctx, r.ID)
		if err != nil || now.Phase == resource.Ready {
			t.Errorf("the first request's end made it %s at revision %d of %d, %v", now.Phase, now.AppliedRevision, now.Revision, err)
		}
		second.Open()
		if r = b.UntilPhase(r.ID, resource.Ready); r.AppliedRevision != 2 {
			t.Errorf("%+v", r)
		}
	})
}

func TestALogIsFollowedLiveAndResumed(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		gate := resourcetest.NewGate()
		b.Engine.Next("apply", func(ctx context.Context, call func() error) error {
			if err := call(); err != nil { // writes its lines, then lasts
				return err
			}
			return gate.Step(ctx, func() error { return nil })
		})
		b.Work()
		r := b.Create("orders", nil)
		var seen []resource.LogLine
		broken := fault.New(fault.Unavailable, "client_gone", "")
		_, err := b.Svc.Follow(b.Ctx, r.RunID, 0, func(l resource.LogLine) error {
			if seen = append(seen, l); len(seen) == 2 {
				return broken
			}
			return nil
		})
		if code(err) != "client_gone" || len(seen) != 2 {
			t.Fatalf("live: %v, %v", seen, err)
		}
		gate.Open()
		ctx, cancel := context.WithTimeout(b.Ctx, time.Minute)
		defer cancel()
		run, err := b.Svc.Follow(ctx, r.RunID, seen[1].Seq, func(l resource.LogLine) error { seen = append(seen, l); return nil })
		if err != nil || run.Status != resource.RunSucceeded {
			t.Fatalf("resumed: %+v, %v", run, err)
		}
		for i, l := range seen {
			if l.Seq != int64(i+1) || l.At.IsZero() || l.Message == "" {
				t.Errorf("line %d: %+v", i+1, l)
			}
		}
		all, over, err := b.Svc.Lines(b.Ctx, r.RunID, 0, 1000)
		if err != nil || !over || len(all) != len(seen) {
			t.Errorf("%d of %d lines, over %v, %v", len(all), len(seen), over, err)
		}
	})
}

func TestALogLineIsCleanedOfWhatIsNoText(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Engine.Next("apply", resourcetest.Fails(fault.Invalid, "bad_\x1b[31m"))
		b.Engine.Next("apply", func(context.Context, func() error) error {
			return fault.New(fault.Invalid, "garbage", "got \xff\xfe\x00\x1b[2J%s", strings.Repeat("é", 2000))
		})
		b.Work()
		for _, name := range []string{"one", "two"} {
			b.UntilPhase(b.Create(name, nil).ID, resource.Failed)
		}
	})
}
