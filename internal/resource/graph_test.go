package resource_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/fault"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func nameOf(resource string) string { return "${{ resources." + resource + ".outputs.name }}" }

func TestAReferenceWaitsForItsTargetAndFollowsIt(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		gate := resourcetest.NewGate()
		b.Engine.Next("apply", gate.Step)
		b.Work()
		db := b.Create("db", nil)
		b.Entered(gate)
		app := b.Create("app", inputs{"label": nameOf("db"), "password": "${{ resources.db.outputs.key }}"})
		if app = b.UntilPhase(app.ID, resource.Waiting); app.Reason != "waiting_for_reference" {
			t.Errorf("%+v", app)
		}
		gate.Open()
		b.UntilPhase(db.ID, resource.Ready)
		app = b.UntilPhase(app.ID, resource.Ready)
		before := app.RunID
		// New credentials of the target reach whoever uses them.
		if _, err := b.Svc.Rotate(b.Ctx, where("db"), 0); err != nil {
			t.Fatal(err)
		}
		app = b.Until(app.ID, "made anew", func(r resource.Resource) bool { return r.RunID != before && r.Phase == resource.Ready })
		if got := b.Audited(app.ID); !slices.Contains(got, "resource:reapply") {
			t.Errorf("audited %v", got)
		}
		// What they do not use changes nothing for them.
		plain := b.Ready("plain", inputs{"label": nameOf("db")})
		b.Until(db.ID, "free to rotate", func(r resource.Resource) bool { return r.Phase == resource.Ready && r.RetireAt.IsZero() })
		before = b.UntilPhase(app.ID, resource.Ready).RunID
		if _, err := b.Svc.Rotate(b.Ctx, where("db"), 0); err != nil {
			t.Fatal(err)
		}
		b.Until(app.ID, "made anew again", func(r resource.Resource) bool { return r.RunID != before && r.Phase == resource.Ready })
		if now, err := b.Svc.ByID(b.Ctx, plain.ID); err != nil || now.RunID != plain.RunID {
			t.Errorf("a change of an output that it does not use made it anew: %+v, %v", now, err)
		}
	})
}

func TestDestroyingFollowsTheReferences(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		stop := b.Work()
		db := b.Ready("db", nil)
		app := b.Ready("app", inputs{"label": nameOf("db")})
		_, err := b.Svc.Destroy(b.Ctx, where("db"), 0)
		if code(err) != "in_use" || !fault.Is(err, fault.Conflict) {
			t.Errorf("destroying what is used: %v", err)
		}
		stop()
		gate := resourcetest.NewGate()
		b.Engine.Next("destroy", gate.Step)
		for _, name := range []string{"app", "db"} {
			if _, err := b.Svc.Destroy(b.Ctx, where(name), 0); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Svc.Create(b.Ctx, "shop", "dev", resource.Wanted{Name: "late", Template: "store", Inputs: inputs{"label": nameOf("db")}}); code(err) != "reference_not_found" {
			t.Errorf("a reference to what is on its way out: %v", err)
		}
		b.Work()
		b.Until(db.ID, "waiting for its user", func(r resource.Resource) bool { return r.Reason == "waiting_for_referrers" })
		b.Entered(gate)
		if b.Engine.Calls("destroy") != 1 {
			t.Errorf("%d calls of destroy", b.Engine.Calls("destroy"))
		}
		gate.Open()
		b.Gone(app.ID)
		b.Gone(db.ID)
		if left := b.Engine.World().Names(); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func TestCyclesAreRefused(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Create("a", nil)
		b.Create("b", inputs{"label": nameOf("a")})
		b.Create("c", inputs{"label": nameOf("b")})
		for _, target := range []string{"a", "b", "c"} {
			_, err := b.Svc.Change(b.Ctx, where("a"), resource.Change{Set: inputs{"label": nameOf(target)}})
			if code(err) != "reference_cycle" {
				t.Errorf("a refers to %s: %v", target, err)
			}
		}
		r, err := b.Svc.Get(b.Ctx, where("a"))
		if err != nil || r.Revision != 1 || r.Inputs["label"] != nil {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestTwoReplicasCannotCloseACycleBetweenThem(t *testing.T) {
	t.Parallel()
	url := sqldbtest.PostgresURL(t)
	b := resourcetest.New(t, sqldbtest.Open(t, sqldb.Options{URL: url}))
	other := b.Service(sqldbtest.Open(t, sqldb.Options{URL: url}), accesstest.AllowAll{})
	for round := range 10 {
		x, y := "x"+string(rune('a'+round)), "y"+string(rune('a'+round))
		b.Create(x, nil)
		b.Create(y, nil)
		var errs [2]error
		var both sync.WaitGroup
		both.Go(func() {
			_, errs[0] = b.Svc.Change(b.Ctx, where(x), resource.Change{Set: inputs{"label": nameOf(y)}})
		})
		both.Go(func() {
			_, errs[1] = other.Change(b.Ctx, where(y), resource.Change{Set: inputs{"label": nameOf(x)}})
		})
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || code(errors.Join(errs[0], errs[1])) != "reference_cycle" {
			t.Errorf("round %d: %v", round, errs)
		}
	}
}

func TestDestroyedMeansLookedForAndNotFound(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		b.Ready("orders", inputs{"password": "hunter2-x"})
		b.Engine.Next("destroy", resourcetest.Fails(fault.Unavailable, "busy"), // fails
			func(context.Context, func() error) error { return nil }, // says it did, and did not
		)
		r := resourcetest.Must[resource.Resource](t)(b.Svc.Destroy(b.Ctx, where("orders"), 0))
		if r.Phase != resource.Destroying {
			t.Errorf("%+v", r)
		}
		again := resourcetest.Must[resource.Resource](t)(b.Svc.Destroy(b.Ctx, where("orders"), 0))
		if again.RunID != r.RunID {
			t.Error("asking again started another run")
		}
		for what, err := range map[string]error{
			"change":   second(b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 2}})),
			"rotate":   second(b.Svc.Rotate(b.Ctx, where("orders"), 0)),
			"rollback": second(b.Svc.Rollback(b.Ctx, where("orders"), 1, "", 0)),
		} {
			if code(err) != "being_destroyed" {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := b.Svc.Cancel(b.Ctx, r.RunID); code(err) != "not_cancelable" {
			t.Errorf("cancel: %v", err)
		}
		r = b.Gone(r.ID)
		if r.DestroyedAt.IsZero() || len(r.Outputs) != 0 || len(r.Objects) != 0 || b.Engine.Calls("destroy") != 3 {
			t.Errorf("%+v after %d calls", r, b.Engine.Calls("destroy"))
		}
		var secrets, jobs int
		row := b.DB.Read().QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM secrets), (SELECT count(*) FROM queue)`)
		if err := row.Scan(&secrets, &jobs); err != nil || secrets != 0 || jobs != 0 {
			t.Errorf("%d secrets and %d jobs are left, %v", secrets, jobs, err)
		}
		if _, err := b.Svc.Get(b.Ctx, where("orders")); !fault.Is(err, fault.NotFound) {
			t.Errorf("by its name: %v", err)
		}
		if _, err := b.Svc.Retry(b.Ctx, where(r.ID)); code(err) != "destroyed" {
			t.Errorf("retry: %v", err)
		}
		b.Ready("orders", nil) // the name is free
	})
}

func TestADestroyInterruptsAnApplyThatHangs(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		gate := resourcetest.NewGate()
		b.Engine.Next("apply", gate.Step)
		b.Work()
		r := b.Create("orders", nil)
		b.Entered(gate)
		if _, err := b.Svc.Destroy(b.Ctx, where("orders"), 0); err != nil {
			t.Fatal(err)
		}
		b.Gone(r.ID)
		if left := b.Engine.World().Names(); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func second[T any](_ T, err error) error { return err }
