package resource_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
)

func code(err error) string {
	if err == nil {
		return ""
	}
	return fault.From(err).Code
}

func TestAChangeIsANewRevisionAndNothingNewIsNone(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		must := resourcetest.Must[resource.Resource](t)
		b.Ready("orders", inputs{"size": 1})
		r := must(b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 4, "label": "x"}, Note: "grow"}))
		if r.Revision != 2 || r.Phase != resource.Pending {
			t.Errorf("changed: %+v", r)
		}
		r = b.UntilPhase(r.ID, resource.Ready)
		if r.AppliedRevision != 2 || r.Inputs["size"] != int64(4) {
			t.Errorf("applied: %+v", r)
		}
		same := must(b.Svc.Change(b.Ctx, where("orders"), resource.Change{Inputs: inputs{"size": 4.0, "label": "x"}}))
		if same.Revision != 2 || same.Version != r.Version {
			t.Errorf("a change that changes nothing: revision %d, version %d after %d", same.Revision, same.Version, r.Version)
		}
		r = must(b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"label": nil}}))
		if r.Revision != 3 || r.Inputs["label"] != nil {
			t.Errorf("taken away: %+v", r)
		}
		r = must(b.Svc.Rollback(b.Ctx, where("orders"), 1, "too big", 0))
		if r.Revision != 4 || r.Inputs["size"] != int64(1) {
			t.Errorf("rolled back: %+v", r)
		}
		b.UntilPhase(r.ID, resource.Ready)
		revs, _, err := b.Svc.Revisions(b.Ctx, where("orders"), sqldb.Page{})
		if err != nil || len(revs) != 4 || revs[0].RolledBackTo != 1 || revs[0].CreatedByName != "ann" || revs[2].Note != "grow" {
			t.Errorf("revisions: %+v, %v", revs, err)
		}
		for _, to := range []int64{4, 9, 0} {
			if _, err := b.Svc.Rollback(b.Ctx, where("orders"), to, "", 0); code(err) != "no_such_revision" {
				t.Errorf("roll back to %d: %v", to, err)
			}
		}
		want := []string{"resource:create", "run:succeed", "resource:update", "run:succeed", "resource:update", "resource:update", "run:succeed"}
		got := slices.DeleteFunc(b.Audited(r.ID), func(a string) bool { return a == "run:fail" })
		if len(got) < len(want) || got[0] != want[0] {
			t.Errorf("audited %v", got)
		}
	})
}

func TestPutIsIdempotentAtAnyMoment(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		put := func(size int) resource.Applied {
			t.Helper()
			return resourcetest.Must[resource.Applied](t)(b.Svc.Put(b.Ctx, "shop", "dev", resource.Wanted{Name: "orders", Template: "store", Inputs: inputs{"size": size}}))
		}
		if a := put(1); a.Outcome != resource.Created {
			t.Errorf("first: %s", a.Outcome)
		}
		if a := put(1); a.Outcome != resource.Unchanged || a.Resource.Revision != 1 {
			t.Errorf("again while pending: %+v", a)
		}
		b.Engine.Next("apply", resourcetest.Fails(fault.Invalid, "no_way"))
		b.Work()
		r := b.UntilPhase(put(1).Resource.ID, resource.Failed)
		if a := put(1); a.Outcome != resource.Unchanged || a.Resource.Revision != 1 || a.Resource.RunID == r.RunID {
			t.Errorf("again after a failure tries again: %+v", a)
		}
		b.UntilPhase(r.ID, resource.Ready)
		if a := put(2); a.Outcome != resource.Changed || a.Resource.Revision != 2 {
			t.Errorf("changed: %+v", a)
		}
		_, err := b.Svc.Put(b.Ctx, "shop", "dev", resource.Wanted{Name: "orders", Template: "orphan"})
		if code(err) != "template_differs" {
			t.Errorf("other template: %v", err)
		}
	})
}

func TestIfMatchRefusesWhatSomebodyElseChangedAndNothingElse(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		r := b.Create("orders", nil)
		asked := r.Version
		b.Work()
		r = b.UntilPhase(r.ID, resource.Ready)
		if r.Version == asked {
			t.Fatal("the worker left no trace")
		}
		r, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 2}, IfMatch: asked})
		if err != nil {
			t.Errorf("the worker's own writes made the caller's version stale: %v", err)
		}
		for _, try := range []struct {
			what string
			do   func() error
		}{
			{"change", func() error {
				_, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 3}, IfMatch: asked})
				return err
			}},
			{"put", func() error {
				_, err := b.Svc.Put(b.Ctx, "shop", "dev", resource.Wanted{Name: "orders", Template: "store", Inputs: inputs{"size": 5}, IfMatch: asked})
				return err
			}},
			{"rollback", func() error { _, err := b.Svc.Rollback(b.Ctx, where("orders"), 1, "", asked); return err }},
			{"rotate", func() error { _, err := b.Svc.Rotate(b.Ctx, where("orders"), asked); return err }},
			{"destroy", func() error { _, err := b.Svc.Destroy(b.Ctx, where("orders"), asked); return err }},
			{"a version from the future", func() error { _, err := b.Svc.Destroy(b.Ctx, where("orders"), r.Version+1000); return err }},
		} {
			if err := try.do(); code(err) != "stale_version" || !fault.Is(err, fault.Stale) {
				t.Errorf("%s: %v", try.what, err)
			}
		}
	})
}

func TestTwoChangesAtOnceLoseNeither(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		r := b.Create("orders", nil)
		var all sync.WaitGroup
		for _, set := range []inputs{{"size": 7}, {"label": "a"}, {"password": "hunter2-a"}, {"peer": "p"}} {
			all.Go(func() {
				if _, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: set}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		r, err := b.Svc.ByID(b.Ctx, r.ID)
		if err != nil || r.Revision != 5 || r.Inputs["size"] != int64(7) || r.Inputs["label"] != "a" || r.Inputs["peer"] != "p" || r.Inputs["password"] == nil {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestBadRequestsLeaveNothing(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		long := make([]byte, 1001)
		for _, c := range []struct {
			why     string
			project string
			w       resource.Wanted
			code    string
			field   string
		}{
			{"no such template", "shop", resource.Wanted{Name: "x", Template: "nix"}, "unknown_template", "/template"},
			{"no such version", "shop", resource.Wanted{Name: "x", Template: "store", Version: "9.9.9"}, "unknown_template", "/template"},
			{"an input of the wrong type", "shop", resource.Wanted{Name: "x", Template: "store", Inputs: inputs{"size": "big"}}, "invalid_inputs", "/inputs/size"},
			{"an input that is not there", "shop", resource.Wanted{Name: "x", Template: "store", Inputs: inputs{"extra": 1}}, "invalid_inputs", "/inputs/extra"},
			{"SQL for a name", "shop", resource.Wanted{Name: "a';drop table x", Template: "store"}, "invalid_name", "/name"},
			{"a path for a name", "shop", resource.Wanted{Name: "../x", Template: "store"}, "invalid_name", "/name"},
			{"a reserved word", "shop", resource.Wanted{Name: "postgres", Template: "store"}, "invalid_name", "/name"},
			{"a long note", "shop", resource.Wanted{Name: "x", Template: "store", Note: string(long)}, "note_too_long", "/note"},
			{"a note that is no text", "shop", resource.Wanted{Name: "x", Template: "store", Note: "a\x00b"}, "invalid_text", "/note"},
			{"an engine that is not there", "shop", resource.Wanted{Name: "x", Template: "orphan"}, "engine_unavailable", ""},
			{"what a secret is shown as", "shop", resource.Wanted{Name: "x", Template: "store", Inputs: inputs{"password": "[redacted]"}}, "redacted_input", "/inputs/password"},
			{"somebody else's environment", "other", resource.Wanted{Name: "x", Template: "store"}, "environment_not_found", ""},
			{"no such environment", "none", resource.Wanted{Name: "x", Template: "store"}, "environment_not_found", ""},
		} {
			_, err := b.Svc.Create(b.Ctx, c.project, "dev", c.w)
			if code(err) != c.code || fault.From(err).Field != c.field {
				t.Errorf("%s: %v (field %q)", c.why, err, fault.From(err).Field)
			}
		}
		b.Create("taken", nil)
		if _, err := b.Svc.Create(b.Ctx, "shop", "dev", resource.Wanted{Name: "taken", Template: "store"}); code(err) != "name_taken" {
			t.Errorf("a name that is taken: %v", err)
		}
		list, _, err := b.Svc.List(b.Ctx, resource.Filter{}, sqldb.Page{})
		if err != nil || len(list) != 1 {
			t.Errorf("%d resources, %v", len(list), err)
		}
	})
}

func TestASetIsAppliedWholeOrNotAtAll(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		ref := func(name string) string { return "${{ resources." + name + ".outputs.name }}" }
		apply := func(wanted ...resource.Wanted) ([]resource.Applied, error) {
			return b.Svc.Apply(b.Ctx, "shop", "dev", wanted)
		}
		store := func(name string, in inputs) resource.Wanted {
			return resource.Wanted{Name: name, Template: "store", Inputs: in}
		}
		out, err := apply(store("app", inputs{"label": ref("db")}), store("db", nil), store("cache", inputs{"label": ref("db"), "peer": ref("app")}))
		if err != nil || len(out) != 3 || out[0].Outcome != resource.Created || out[0].Resource.Name != "app" || out[2].Resource.Name != "cache" {
			t.Fatalf("%+v, %v", out, err)
		}
		to, from, err := b.Svc.References(b.Ctx, where("app"))
		if err != nil || len(to) != 1 || to[0].Resource != "db" || len(from) != 1 || from[0].Resource != "cache" {
			t.Errorf("references of app: %v, %v, %v", to, from, err)
		}
		for _, c := range []struct {
			why   string
			set   []resource.Wanted
			code  string
			field string
		}{
			{"a cycle within the set", []resource.Wanted{store("a", inputs{"label": ref("b")}), store("b", inputs{"label": ref("a")})}, "reference_cycle", "/resources/1/inputs/label"},
			{"a cycle with what is there", []resource.Wanted{store("fresh", nil), store("db", inputs{"label": ref("cache")})}, "reference_cycle", "/resources/1/inputs/label"},
			{"one of them is wrong", []resource.Wanted{store("good", nil), store("bad", inputs{"size": "x"})}, "invalid_inputs", "/resources/1/inputs/size"},
			{"one twice", []resource.Wanted{store("one", nil), store("one", nil)}, "duplicate_name", "/resources/1/name"},
			{"a reference to nothing", []resource.Wanted{store("good", nil), store("bad", inputs{"label": ref("nix")})}, "reference_not_found", "/resources/1/inputs/label"},
			{"an output that is not there", []resource.Wanted{store("good", nil), store("bad", inputs{"label": "${{ resources.good.outputs.nix }}"})}, "unknown_output", "/resources/1/inputs/label"},
			{"a secret into the open", []resource.Wanted{store("good", nil), store("bad", inputs{"label": "${{ resources.good.outputs.key }}"})}, "secret_reference", "/resources/1/inputs/label"},
			{"none at all", nil, "set_size", "/resources"},
		} {
			_, err := apply(c.set...)
			if code(err) != c.code || fault.From(err).Field != c.field {
				t.Errorf("%s: %v (field %q)", c.why, err, fault.From(err).Field)
			}
		}
		if list, _, err := b.Svc.List(b.Ctx, resource.Filter{Project: "shop", Environment: "dev"}, sqldb.Page{}); err != nil || len(list) != 3 {
			t.Errorf("%d resources, %v", len(list), err)
		}
		// The edge turns round in one go: neither order alone would do.
		out, err = apply(store("app", nil), store("db", inputs{"label": ref("app")}), store("cache", inputs{"label": ref("db"), "peer": ref("app")}))
		if err != nil || out[0].Outcome != resource.Changed || out[1].Outcome != resource.Changed || out[2].Outcome != resource.Unchanged {
			t.Fatalf("turned round: %+v, %v", out, err)
		}
		b.Work()
		for _, a := range out {
			b.UntilPhase(a.Resource.ID, resource.Ready)
		}
	})
}

func TestListsArePagedFilteredAndScoped(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		for i := range 7 {
			b.Create(fmt.Sprintf("store-%d", i), nil)
		}
		var seen []string
		for page := (sqldb.Page{Limit: 3}); ; {
			list, next, err := b.Svc.List(b.Ctx, resource.Filter{}, page)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range list {
				seen = append(seen, r.Name)
			}
			if page.After = next; next == "" {
				break
			}
		}
		if len(seen) != 7 || !slices.IsSorted(seen) {
			t.Errorf("pages gave %v", seen)
		}
		for _, c := range []struct {
			f    resource.Filter
			want int
		}{
			{resource.Filter{Search: "-3"}, 1}, {resource.Filter{Search: "%"}, 0}, {resource.Filter{Template: "store"}, 7}, {resource.Filter{Template: "x"}, 0},
			{resource.Filter{Phase: resource.Pending}, 7}, {resource.Filter{Phase: resource.Ready}, 0}, {resource.Filter{Project: "shop"}, 7},
			{resource.Filter{Environment: "dev"}, 7}, {resource.Filter{Environment: "prod"}, 0}, {resource.Filter{Project: "shop", Environment: "prod"}, 0},
		} {
			if list, _, err := b.Svc.List(b.Ctx, c.f, sqldb.Page{}); err != nil || len(list) != c.want {
				t.Errorf("%+v: %d, %v", c.f, len(list), err)
			}
		}
		if _, _, err := b.Svc.List(b.Ctx, resource.Filter{Project: "other", Environment: "dev"}, sqldb.Page{}); !fault.Is(err, fault.NotFound) {
			t.Errorf("somebody else's environment: %v", err)
		}
	})
}

func TestAPlanShowsWhatWouldHappenAndChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		p, err := b.Svc.Plan(b.Ctx, "shop", "dev", resource.Wanted{Name: "orders", Template: "store"})
		if err != nil || len(p.Changes) != 2 || resource.PlanSummary(p.Plan) != "2 to create" {
			t.Errorf("%+v, %v", p, err)
		}
		b.Work()
		r := b.Ready("orders", inputs{"size": 1})
		if _, err := b.Svc.Plan(b.Ctx, "shop", "dev", resource.Wanted{Name: "orders", Template: "store"}); code(err) != "name_taken" {
			t.Errorf("plan of a name that is taken: %v", err)
		}
		p, err = b.Svc.PlanChange(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 2}})
		if err != nil || resource.PlanSummary(p.Plan) != "2 to update" {
			t.Errorf("%+v, %v", p, err)
		}
		p, err = b.Svc.PlanChange(b.Ctx, where("orders"), resource.Change{})
		if err != nil || !p.Empty() {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err = b.Svc.PlanChange(b.Ctx, where("orders"), resource.Change{Set: inputs{"label": "${{ resources.orders.outputs.name }}"}}); code(err) != "reference_cycle" {
			t.Errorf("a plan to refer to itself: %v", err)
		}
		after, err := b.Svc.ByID(b.Ctx, r.ID)
		if err != nil || after.Version != r.Version {
			t.Errorf("planning wrote something: %d, %d, %v", after.Version, r.Version, err)
		}
	})
}
