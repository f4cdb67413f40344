package resource_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/engine"
	"fairlead/internal/engine/enginetest"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
)

func adopts(name, object string, in inputs) resource.Wanted {
	return resource.Wanted{Name: name, Template: "store", Inputs: in, Adopt: &resource.Takeover{Object: object}}
}

// store is the object of somebody who never heard of us.
func store(b *resourcetest.Bench, name string, size int) {
	b.Engine.World().Change("store-"+name, func(*enginetest.Thing) *enginetest.Thing { return &enginetest.Thing{Size: size} })
}

// told are the events about a resource, in their order.
func told(b *resourcetest.Bench, id string) []string {
	b.T.Helper()
	list, err := sqldb.Collect(b.Ctx, b.DB.Read(), func(r sqldb.Row) (string, error) {
		var kind, team, text string
		err := r.Scan(&kind, &team, &text)
		var data map[string]any
		if err == nil {
			err = json.Unmarshal([]byte(text), &data)
		}
		if team == "" || data["resource"] == "" || data["template"] == "" {
			b.T.Errorf("%s lacks what it is about: %q %s", kind, team, text)
		}
		if v, ok := data["secrets"]; ok {
			kind += fmt.Sprintf(" secrets=%v", v)
		}
		return kind, err
	}, `SELECT type, team_id, data FROM events WHERE subject = $1 AND type LIKE 'resource.%' ORDER BY at, id`, id)
	if err != nil {
		b.T.Fatal(err)
	}
	return list
}

func TestWhatIsEjectedHoldsSecretsOnlyWhenTheyAreAskedFor(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := b.Ready("orders", inputs{"size": 3})
		_, secrets, err := b.Svc.Reveal(b.Ctx, where("orders"))
		if err != nil {
			t.Fatal(err)
		}
		before := b.Engine.World().Picture()
		for _, reveal := range []bool{false, true} {
			x, err := b.Svc.Eject(b.Ctx, where("orders"), reveal)
			if err != nil {
				t.Fatal(err)
			}
			found := slices.ContainsFunc(x.Files, func(f engine.File) bool { return bytes.Contains(f.Data, []byte(secrets["key"].Reveal())) })
			if found != reveal || x.Resource.ID != r.ID {
				t.Errorf("with secrets %v: %v", reveal, found)
			}
		}
		if b.Engine.World().Picture() != before {
			t.Error("something changed")
		}
		if got := told(b, r.ID); !slices.Equal(got, []string{"resource.ejected secrets=false", "resource.ejected secrets=true"}) {
			t.Errorf("told %v", got)
		}
		if got := b.Audited(r.ID); slices.Index(got, "resource:eject") < 0 || got[len(got)-1] != "resource:reveal" {
			t.Errorf("audited %v", got)
		}
		g := resourcetest.NewGate()
		b.Engine.Next("apply", g.Step)
		if _, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 4}}); err != nil {
			t.Fatal(err)
		}
		b.Entered(g)
		if _, err := b.Svc.Eject(b.Ctx, where("orders"), false); code(err) != "not_ready" {
			t.Errorf("while it is being changed: %v", err)
		}
		if _, err := b.Svc.Release(b.Ctx, where("orders"), 0); code(err) != "not_ready" {
			t.Errorf("while it is being changed: %v", err)
		}
		g.Open()
		b.UntilPhase(r.ID, resource.Ready)
	})
}

func TestWhatIsLetGoOfStaysWhereItIsAndCanBeTakenOverAgain(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Svc.Access = accesstest.AllowAll{}
		b.Work()
		r := b.Ready("orders", nil)
		app, err := b.Svc.Create(b.Ctx, "shop", "dev", resource.Wanted{Name: "app", Template: "store", Inputs: inputs{"label": "${{ resources.orders.outputs.name }}"}})
		if err != nil {
			t.Fatal(err)
		}
		b.UntilPhase(app.ID, resource.Ready)
		if _, err := b.Svc.Release(b.Ctx, where("orders"), 0); code(err) != "in_use" {
			t.Fatalf("while another refers to it: %v", err)
		}
		if _, err := b.Svc.Destroy(b.Ctx, where("app"), 0); err != nil {
			t.Fatal(err)
		}
		b.Gone(app.ID)
		if _, err := b.Svc.Release(b.Ctx, where("orders"), 999); code(err) != "stale_version" {
			t.Errorf("of a version that is gone by: %v", err)
		}
		before := b.Engine.World().Picture()
		// The answer of the engine is lost: the release is done again.
		b.Engine.Next("release", resourcetest.ThenFails(fault.Unavailable, "lost"))
		asked, err := b.Svc.Release(b.Ctx, where("orders"), 0)
		if err != nil || asked.Phase != resource.Releasing {
			t.Fatalf("%+v, %v", asked, err)
		}
		gone := b.UntilPhase(r.ID, resource.Released)
		if b.Engine.World().Picture() != before {
			t.Error("something changed outside")
		}
		if gone.DestroyedAt.IsZero() || len(gone.Outputs) != 0 || b.Engine.Calls("destroy") != 1 { // app's
			t.Errorf("%+v, %d calls", gone, b.Engine.Calls("destroy"))
		}
		if got := b.Audited(r.ID); !slices.Contains(got, "resource:release") || !slices.Contains(got, "resource:released") || slices.Contains(got, "resource:destroyed") {
			t.Errorf("audited %v", got)
		}
		if got := told(b, r.ID); !slices.Equal(got, []string{"resource.release_requested", "resource.released"}) {
			t.Errorf("told %v", got)
		}
		_, open := sweep(t, b, time.Millisecond, one(sees(database("left", r.ID))))
		if len(open) != 0 {
			t.Errorf("what was let go of waits for a person: %v", open)
		}
		if _, err := b.Svc.Destroy(b.Ctx, where("orders"), 0); code(err) != "resource_not_found" {
			t.Errorf("destroy by name: %v", err)
		}
		object := ""
		for _, name := range b.Engine.World().Names() {
			if strings.HasPrefix(name, "store-orders") {
				object = "store/" + strings.TrimPrefix(name, "store-")
			}
		}
		again, err := b.Svc.Adopt(b.Ctx, "shop", "dev", adopts("orders", object, nil))
		if err != nil {
			t.Fatal(err)
		}
		again = b.UntilPhase(again.ID, resource.Ready)
		if again.ID == r.ID || again.Outputs["name"].Value != strings.TrimPrefix(object, "store/") {
			t.Errorf("%+v", again)
		}
	})
}

func TestWhatExistsIsAdoptedAfterAPlan(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Svc.Access = accesstest.AllowAll{}
		store(b, "old", 2)
		before := b.Engine.World().Picture()
		p, err := b.Svc.PlanAdoption(b.Ctx, "shop", "dev", adopts("orders", "store/old", inputs{"size": 5}))
		if err != nil || p.Empty() || p.Destructive() || len(p.Changes) != 2 {
			t.Fatalf("%+v, %v", p.Changes, err)
		}
		if b.Engine.World().Picture() != before {
			t.Error("a plan changed something")
		}
		if _, err := b.Svc.Get(b.Ctx, where("orders")); !fault.Is(err, fault.NotFound) {
			t.Errorf("a plan made a resource: %v", err)
		}
		// Its worker dies after the object was marked.
		b.Engine.Next("adopt", resourcetest.ThenFails(fault.Unavailable, "lost"))
		b.Work()
		r, err := b.Svc.Adopt(b.Ctx, "shop", "dev", adopts("orders", "store/old", inputs{"size": 5}))
		if err != nil {
			t.Fatal(err)
		}
		r = b.UntilPhase(r.ID, resource.Ready)
		if r.Adopted != "store/old" || r.Outputs["name"].Value != "old" || len(r.Drift) != 0 {
			t.Errorf("%+v", r)
		}
		same, err := b.Svc.Adopt(b.Ctx, "shop", "dev", adopts("orders", "store/old", inputs{"size": 5}))
		if err != nil || same.ID != r.ID {
			t.Errorf("asked for again: %+v, %v", same, err)
		}
		if _, err := b.Svc.Adopt(b.Ctx, "shop", "dev", adopts("orders", "store/other", nil)); code(err) != "name_taken" {
			t.Errorf("another object by the same name: %v", err)
		}
		second, err := b.Svc.Adopt(b.Ctx, "shop", "dev", adopts("second", "store/old", nil))
		if err != nil {
			t.Fatal(err)
		}
		if second = b.UntilPhase(second.ID, resource.Failed); second.Reason != "object_not_ours" {
			t.Errorf("a second resource: %+v", second)
		}
		if got := told(b, r.ID); !slices.Equal(got, []string{"resource.adoption_requested", "resource.adopted"}) {
			t.Errorf("told %v", got)
		}
		if got := told(b, second.ID); !slices.Equal(got, []string{"resource.adoption_requested"}) {
			t.Errorf("of what could not be adopted: %v", got)
		}
		// To give up the attempt touches nothing of the first's.
		if _, err := b.Svc.Destroy(b.Ctx, where("second"), 0); err != nil {
			t.Fatal(err)
		}
		b.Gone(second.ID)
		changed, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 7}})
		if err != nil {
			t.Fatal(err)
		}
		if run := b.RunOf(changed.RunID); run.Status != resource.RunSucceeded {
			t.Errorf("%+v", run)
		}
		if got := told(b, r.ID); len(got) != 2 {
			t.Errorf("adopted once, told %v", got)
		}
		if _, err := b.Svc.Destroy(b.Ctx, where("orders"), 0); err != nil {
			t.Fatal(err)
		}
		b.Gone(r.ID)
		if got := b.Engine.World().Names(); len(got) != 0 {
			t.Errorf("left: %v", got)
		}
	})
}

func TestWhatCannotBeAdoptedIsRefused(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		if _, err := b.Svc.Adopt(b.Ctx, "shop", "dev", adopts("orders", "store/old", nil)); err != nil {
			t.Fatalf("the bench lets members adopt: %v", err)
		}
		for why, c := range map[string]struct {
			t    *resource.Takeover
			code string
		}{
			"nothing":          {nil, "nothing_to_adopt"},
			"nothing named":    {&resource.Takeover{}, "nothing_to_adopt"},
			"both":             {&resource.Takeover{Object: "store/x", State: redact.New("{}")}, "nothing_to_adopt"},
			"a long name":      {&resource.Takeover{Object: strings.Repeat("x", 201)}, "nothing_to_adopt"},
			"no text":          {&resource.Takeover{Object: "store/\x1b[2J"}, "nothing_to_adopt"},
			"a digest":         {&resource.Takeover{Object: "state/0123"}, "nothing_to_adopt"},
			"what nobody has":  {&resource.Takeover{Object: "store/none"}, "nothing_to_adopt"},
			"too large a file": {&resource.Takeover{State: redact.New(strings.Repeat("x", resource.MaxTakeover+1))}, "state_too_large"},
		} {
			_, err := b.Svc.PlanAdoption(b.Ctx, "shop", "dev", resource.Wanted{Name: "fresh", Template: "store", Adopt: c.t})
			if code(err) != c.code {
				t.Errorf("%s: %v", why, err)
			}
		}
	})
}
