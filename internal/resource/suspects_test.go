package resource_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
)

// looks is an inventory that says something else at each look; the last
// answer is given again and again.
type looks []func() ([]resource.Made, error)

func (l *looks) Objects(context.Context) ([]resource.Made, error) {
	f := (*l)[0]
	if len(*l) > 1 {
		*l = (*l)[1:]
	}
	return f()
}

func sees(made ...resource.Made) func() ([]resource.Made, error) {
	return func() ([]resource.Made, error) { return made, nil }
}

func database(name, resourceID string) resource.Made {
	return resource.Made{Object: engine.Object{Kind: "database", Name: name, Host: "h"}, ResourceID: resourceID}
}

// sweep looks with an inventory, and gives the names of what waits for a
// person afterwards.
func sweep(t *testing.T, b *resourcetest.Bench, apart time.Duration, inv map[string]resource.Inventory) (resource.Sweep, []string) {
	t.Helper()
	b.Svc.Inventories = inv
	w, err := b.Svc.SweepSuspects(t.Context(), apart)
	if err != nil {
		t.Fatal(err)
	}
	open, _, err := b.Svc.Suspects(b.Ctx, false, sqldb.Page{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range open {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	if n, err := resource.CountSuspects(t.Context(), b.DB); err != nil || n != len(names) {
		t.Errorf("%d are counted of %v: %v", n, names, err)
	}
	return w, names
}

func one(answers ...func() ([]resource.Made, error)) map[string]resource.Inventory {
	l := looks(answers)
	return map[string]resource.Inventory{"fake": &l}
}

func TestWhatNoRecordExplainsIsListedUntilItIsGone(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Svc.Access = accesstest.AllowAll{}
		b.Work()
		living, gone := b.Ready("orders", nil), b.Ready("old", nil)
		if _, err := b.Svc.Destroy(b.Ctx, where("old"), 0); err != nil {
			t.Fatal(err)
		}
		b.Gone(gone.ID)
		forged := resource.Made{Object: engine.Object{Kind: "role", Name: "forged", Host: "h"}, Doubt: "its name does not fit its marker"}
		all := []resource.Made{database("known", living.ID), database("left", gone.ID), database("newer", "res_unheard"), forged}

		for range 2 { // the second sweep adds nothing
			w, open := sweep(t, b, time.Millisecond, one(sees(all...)))
			if want := []string{"forged", "left", "newer"}; !slices.Equal(open, want) || len(w.Suspects) != 3 || w.Resolved != 0 {
				t.Fatalf("%v %+v", open, w)
			}
		}
		boom := errors.New("down")
		w, open := sweep(t, b, time.Millisecond, one(func() ([]resource.Made, error) { return nil, boom }))
		if len(open) != 3 || w.Resolved != 0 || !errors.Is(w.NotLooked["fake"], boom) {
			t.Fatalf("an engine that did not answer: %v %+v", open, w)
		}
		w, open = sweep(t, b, time.Millisecond, map[string]resource.Inventory{})
		if len(open) != 3 || w.Resolved != 0 {
			t.Fatalf("an engine that is not there any more: %v %+v", open, w)
		}
		w, open = sweep(t, b, time.Millisecond, one(sees(all[0], all[2])))
		if !slices.Equal(open, []string{"newer"}) || w.Resolved != 2 {
			t.Fatalf("%v %+v", open, w)
		}
		if _, open = sweep(t, b, time.Millisecond, one(sees(all[0], all[1]))); !slices.Equal(open, []string{"left"}) {
			t.Fatalf("one that came back is listed anew: %v", open)
		}
		n := 0
		for _, r := range audittest.Records(t, b.Audit, "") {
			if r.Action == "system:suspects" {
				n++
			}
		}
		if n != 3 {
			t.Errorf("%d audit records of three changes", n)
		}
	})
}

// TestASweepWhileResourcesComeAndGo: what is unexplained at one look only is
// nothing to tell anyone of.
func TestASweepWhileResourcesComeAndGo(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Svc.Access = accesstest.AllowAll{}
		passing, odd := database("passing", "res_passing"), database("odd", "res_odd")
		if _, open := sweep(t, b, time.Millisecond, one(sees(passing, odd), sees(odd))); !slices.Equal(open, []string{"odd"}) {
			t.Errorf("destroyed between the looks: %v", open)
		}
		late := database("late", "res_late")
		if _, open := sweep(t, b, time.Millisecond, one(sees(odd), sees(odd, late))); !slices.Equal(open, []string{"odd"}) {
			t.Errorf("seen once so far: %v", open)
		}
		boom := func() ([]resource.Made, error) { return nil, errors.New("down") }
		if w, open := sweep(t, b, time.Millisecond, one(sees(late), boom)); !slices.Equal(open, []string{"odd"}) || len(w.NotLooked) != 1 {
			t.Errorf("one answer of two is not heard: %v %+v", open, w)
		}
		if _, open := sweep(t, b, 0, one(sees(late))); !slices.Equal(open, []string{"late"}) {
			t.Errorf("in a system that stands still one look counts: %v", open)
		}
		ctx, cancel := context.WithCancel(t.Context())
		b.Svc.Inventories = one(func() ([]resource.Made, error) { cancel(); return []resource.Made{odd}, nil })
		if _, err := b.Svc.SweepSuspects(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("a sweep ends with its server: %v", err)
		}
	})
}

func TestTwoReplicasSweepAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Svc.Access = accesstest.AllowAll{}
		made := func() map[string]resource.Inventory { return one(sees(database("a", "res_x"), database("b", "res_x"))) }
		other := b.Service(b.DB, accesstest.AllowAll{})
		b.Svc.Inventories, other.Inventories = made(), made()
		errs := make(chan error, 2)
		for _, svc := range []*resource.Service{b.Svc, other} {
			go func() { _, err := svc.SweepSuspects(t.Context(), time.Millisecond); errs <- err }()
		}
		for range 2 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if _, open := sweep(t, b, 0, made()); !slices.Equal(open, []string{"a", "b"}) {
			t.Errorf("%v", open)
		}
	})
}

// TestAReleasedSuspectStaysReleased: it waits for nobody, is not found again,
// and is one that the next look explains as any other.
func TestAReleasedSuspectStaysReleased(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Svc.Access = accesstest.AllowAll{}
		_, open := sweep(t, b, 0, one(sees(database("newer", "res_unheard"), database("other", "res_unheard"))))
		if !slices.Equal(open, []string{"newer", "other"}) {
			t.Fatalf("open: %v", open)
		}
		list, _, err := b.Svc.Suspects(b.Ctx, false, sqldb.Page{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Svc.ReleaseSuspect(b.Ctx, list[0].ID, " "); fault.From(err).Code != "reason_missing" {
			t.Errorf("without a reason: %v", err)
		}
		if _, err := b.Svc.ReleaseSuspect(b.Ctx, "sus_nobodys", "x"); fault.From(err).Code != "suspect_not_found" {
			t.Errorf("of none: %v", err)
		}
		for range 2 { // again is success
			v, err := b.Svc.ReleaseSuspect(b.Ctx, list[0].ID, "the auditors have it")
			if err != nil || v.ReleasedAt.IsZero() || v.ReleaseReason != "the auditors have it" {
				t.Fatalf("%+v %v", v, err)
			}
		}
		if _, open = sweep(t, b, 0, one(sees(database("newer", "res_unheard"), database("other", "res_unheard")))); !slices.Equal(open, []string{"other"}) {
			t.Errorf("open after the next look: %v", open)
		}
		released, _, err := b.Svc.Suspects(b.Ctx, true, sqldb.Page{})
		if err != nil || len(released) != 1 || released[0].Name != "newer" {
			t.Errorf("released: %+v %v", released, err)
		}
		sweep(t, b, 0, one(sees()))
		if released, _, _ = b.Svc.Suspects(b.Ctx, true, sqldb.Page{}); len(released) != 0 {
			t.Errorf("gone, and still released: %+v", released)
		}
	})
}
