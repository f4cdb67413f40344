package rollout

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"fairlead/internal/engine"
	"fairlead/internal/redact"
	"fairlead/internal/resource"
)

func planOf(name, id string, action engine.Action, before, after map[string]any) (resource.Resource, engine.Plan) {
	r := resource.Resource{ID: id, Name: name, Environment: "dev", Project: "shop", Team: "alpha", Objects: []engine.Object{{Kind: "database", Name: name + "_x7q2"}}}
	return r, engine.Plan{Changes: []engine.Change{{Address: "database." + name + "_x7q2", Kind: "database", Action: action, Before: before, After: after}, {Address: "read", Action: engine.Read}}}
}

func TestNamesDoNotTellDiffsApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z0-9-]{1,12}[a-z0-9]`), 2, 2, rapid.ID[string]).Draw(t, "names")
		if slices.ContainsFunc(names, func(n string) bool { return slices.Contains([]string{"dev", "shop", "alpha"}, n) }) {
			return
		}
		var shapes []string
		for i, name := range names {
			id := fmt.Sprintf("res_%026d", i)
			r, p := planOf(name, id, engine.Update, map[string]any{"tags": map[string]any{"of": name}}, map[string]any{"tags": map[string]any{"of": name, "id": id}, "host": name + ".shop.example"})
			shape, err := shapeOf(normaliserOf(r).diff(p))
			if err != nil {
				t.Fatal(err)
			}
			shapes = append(shapes, shape)
		}
		if shapes[0] != shapes[1] {
			t.Fatalf("%q are told apart", names)
		}
	})
}

func TestWhatDiffersIsTold(t *testing.T) {
	t.Parallel()
	r, p := planOf("orders", "res_1", engine.Update, map[string]any{"size": 1, "gone": "x"}, map[string]any{"size": 2, "new": "y"})
	base := normaliserOf(r).diff(p)
	if got := titleOf(base); got != "+1 attribute, -1 attribute, ~1 attribute" {
		t.Error(got)
	}
	for why, change := range map[string]func(c *engine.Change){
		"another value":     func(c *engine.Change) { c.After = map[string]any{"size": 3, "new": "y"} },
		"another attribute": func(c *engine.Change) { c.After = map[string]any{"size": 2, "newer": "y"} },
		"another action":    func(c *engine.Change) { c.Action = engine.Replace },
		"another object":    func(c *engine.Change) { c.Address = "database.other" },
		"what it was":       func(c *engine.Change) { c.Before = map[string]any{"size": 7, "gone": "x"} },
	} {
		_, other := planOf("orders", "res_1", engine.Update, map[string]any{"size": 1, "gone": "x"}, map[string]any{"size": 2, "new": "y"})
		change(&other.Changes[0])
		now := normaliserOf(r).diff(other)
		if keeps(base, now) || keeps(now, base) {
			t.Errorf("%s is taken for the same", why)
		}
	}
	if !keeps(base, base) || severityOf(base) != Modifying {
		t.Error("it is not itself")
	}
	_, gone := planOf("orders", "res_1", engine.Delete, map[string]any{"size": 1}, nil)
	if d := normaliserOf(r).diff(gone); severityOf(d) != Destructive || titleOf(d) != "delete 1 database — destructive" {
		t.Errorf("%s %s", severityOf(d), titleOf(d))
	}
	if titleOf(nil) != "nothing but the version" || severityOf(nil) != None {
		t.Error(titleOf(nil))
	}
}

// TestWhatAPlanCouldNotKnowIsAsPlanned: any value then, and no other attribute.
func TestWhatAPlanCouldNotKnowIsAsPlanned(t *testing.T) {
	t.Parallel()
	attribute := func(path string, after any) []ObjectDiff {
		return []ObjectDiff{{Address: "a", Kind: "k", Action: engine.Update, Attributes: []AttributeDiff{{Path: path, Op: "~", Before: "was", After: after}}}}
	}
	for _, unknown := range []string{"(known after apply)", redact.Shown} {
		planned := attribute("peer", unknown)
		if !keeps(planned, attribute("peer", "found")) || !keeps(planned, attribute("peer.deep", "found")) {
			t.Errorf("%s holds what came of it up", unknown)
		}
		if keeps(planned, attribute("other", "found")) {
			t.Errorf("%s lets another attribute through", unknown)
		}
		if keeps(attribute("peer", "known"), attribute("peer", unknown)) {
			t.Errorf("what was known became %s", unknown)
		}
	}
}

func TestEveryMemberIsInOneWave(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"class", "team", "10%,50%,100%", "10%", "production", "team:a,5%,staging", "1%,2%,3%,100%"}).Draw(t, "waves")
		var members []Member
		for i := range rapid.IntRange(1, 60).Draw(t, "n") {
			members = append(members, Member{ID: fmt.Sprintf("m%02d", i), ResourceID: fmt.Sprintf("r%02d", i), Class: rapid.SampledFrom(classes).Draw(t, "class"),
				Team: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "team")})
		}
		names, of, err := inWaves(text, members)
		if err != nil {
			t.Fatal(err)
		}
		used := map[int64]int{}
		for _, m := range members {
			n := of[m.ID]
			if n < 1 || n > int64(len(names)) {
				t.Fatalf("%s is in wave %d of %v", m.ID, n, names)
			}
			used[n]++
		}
		if len(used) != len(names) {
			t.Fatalf("%v has empty waves: %v", names, used)
		}
		if text == "10%,50%,100%" && used[1] > (len(members)*10+99)/100 {
			t.Fatalf("the first wave has %d of %d", used[1], len(members))
		}
		again := slices.Clone(members)
		slices.Reverse(again)
		_, other, err := inWaves(text, again)
		if err != nil || fmt.Sprint(other) != fmt.Sprint(of) {
			t.Fatal("the order in which members come matters")
		}
	})
	for _, bad := range []string{"50%,10%", "101%", "0%", "banana", "team:", "team:../x", "10%,,20%"} {
		if _, err := parseWaves(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
