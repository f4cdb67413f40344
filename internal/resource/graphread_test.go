package resource_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
)

// drawn writes a graph down by names, sorted.
func drawn(g resource.Graph) (nodes string, edges string) {
	names := map[string]string{}
	var list, lines []string
	for _, n := range g.Nodes {
		names[n.ID] = n.Name
		list = append(list, n.Name)
	}
	for _, e := range g.Edges {
		lines = append(lines, fmt.Sprintf("%s>%s:%s/%d", names[e.From], names[e.To], e.Output, e.Outputs))
	}
	slices.Sort(lines)
	return strings.Join(list, " "), strings.Join(lines, " ")
}

func TestAGraphIsPagedAndLooksAround(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Create("net", nil)
		b.Create("db", inputs{"label": nameOf("net")})
		b.Create("app", inputs{"label": nameOf("db"), "peer": nameOf("db")})
		b.Create("web", inputs{"label": nameOf("app")})
		b.Create("alone", nil)
		gone := b.Create("gone", inputs{"label": nameOf("db")})
		stop := b.Work()
		if _, err := b.Svc.Destroy(b.Ctx, where("gone"), 0); err != nil {
			t.Fatal(err)
		}
		b.Gone(gone.ID)
		b.UntilPhase(mustGet(t, b, "web").ID, resource.Ready)
		stop()
		for _, c := range []struct {
			what           string
			f              resource.GraphFilter
			limit          int
			nodes, edges   string
			beyond, wanted int64
		}{
			{"all", resource.GraphFilter{}, 0, "alone app db net web", "app>db:name/2 db>net:name/1 web>app:name/1", 0, 5},
			{"a page", resource.GraphFilter{}, 3, "alone app db", "app>db:name/2", 2, 5},
			{"around the end", resource.GraphFilter{Around: "net", Depth: 1}, 0, "db net", "db>net:name/1", 1, 5},
			{"around the middle", resource.GraphFilter{Around: "db"}, 0, "app db net web", "app>db:name/2 db>net:name/1 web>app:name/1", 0, 5},
			{"the nearest", resource.GraphFilter{Around: "db"}, 2, "db net", "db>net:name/1", 1, 5},
			{"around what has no edge", resource.GraphFilter{Around: "alone"}, 0, "alone", "", 0, 5},
		} {
			g, _, err := b.Svc.Graph(b.Ctx, "shop", "dev", c.f, sqldb.Page{Limit: c.limit})
			nodes, edges := drawn(g)
			if err != nil || nodes != c.nodes || edges != c.edges || g.Beyond != c.beyond || g.Total != c.wanted {
				t.Errorf("%s: %v, nodes %q, edges %q, beyond %d, total %d", c.what, err, nodes, edges, g.Beyond, g.Total)
			}
		}
		g, next, err := b.Svc.Graph(b.Ctx, "shop", "dev", resource.GraphFilter{}, sqldb.Page{Limit: 3})
		if err != nil || next == "" || g.Nodes[0].Phase != resource.Ready || g.Nodes[0].Drifted {
			t.Fatalf("%+v, %q, %v", g, next, err)
		}
		g, next, err = b.Svc.Graph(b.Ctx, "shop", "dev", resource.GraphFilter{}, sqldb.Page{Limit: 3, After: next})
		if nodes, edges := drawn(g); err != nil || next != "" || nodes != "net web" || edges != "" || g.Beyond != 2 || g.Total != 5 {
			t.Errorf("the second page: %v, %q, %q, %+v", err, nodes, edges, g)
		}
		for _, name := range []string{"nothing", "gone", gone.ID} {
			if _, _, err := b.Svc.Graph(b.Ctx, "shop", "dev", resource.GraphFilter{Around: name}, sqldb.Page{}); !fault.Is(err, fault.NotFound) {
				t.Errorf("around %s: %v", name, err)
			}
		}
	})
}

func mustGet(t *testing.T, b *resourcetest.Bench, name string) resource.Resource {
	t.Helper()
	return resourcetest.Must[resource.Resource](t)(b.Svc.Get(b.Ctx, where(name)))
}

func TestTwoEnvironmentsAreComparedByName(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		in := func(env, name, version string, in inputs) resource.Resource {
			t.Helper()
			return resourcetest.Must[resource.Resource](t)(b.Svc.Create(b.Ctx, "shop", env, resource.Wanted{Name: name, Template: "store", Version: version, Inputs: in}))
		}
		in("dev", "alike", "", inputs{"size": 2, "password": "hunter2-one", "label": "l"})
		in("prod", "alike", "", inputs{"size": 2, "password": "hunter2-two", "label": "l"})
		in("dev", "bare", "", inputs{"password": "hunter2-three", "list": []any{map[string]any{"host": "a", "token": "hunter2-t"}}})
		in("prod", "bare", "", inputs{"list": []any{map[string]any{"host": "b", "token": "hunter2-t"}, map[string]any{"host": "c"}}})
		in("dev", "fresh", "", nil)
		in("dev", "older", "1.1.0", inputs{"size": 5})
		in("prod", "older", "1.0.0", inputs{"size": 50})
		in("dev", "reference", "", inputs{"label": nameOf("alike")})
		in("prod", "reference", "", inputs{"label": nameOf("alike")})
		in("prod", "only-here", "", nil)
		text := func(c resource.Contrast) string {
			var out []string
			for _, v := range c.Items {
				s := v.Name + " " + string(v.State)
				for _, d := range v.Inputs {
					s += fmt.Sprintf(" %s:%v>%v:%t", d.Input, d.From, d.To, d.Secret)
				}
				for _, p := range v.Secrets {
					s += " secret:" + p
				}
				out = append(out, s)
			}
			return strings.Join(out, "\n")
		}
		c, next, err := b.Svc.Compare(b.Ctx, "shop", "dev", "prod", resource.CompareFilter{}, sqldb.Page{})
		want := `alike same secret:/password
bare inputs /list/0/host:a>b:false /list/1/host:<nil>>c:false /password:<nil>><nil>:true secret:/list/0/token
fresh only-from
older version /size:5>50:false
only-here only-to
reference same`
		if got := text(c); err != nil || next != "" || got != want {
			t.Errorf("%v\n%s", err, got)
		}
		if strings.Contains(fmt.Sprintf("%+v", c), "hunter2") {
			t.Errorf("a secret is told: %+v", c)
		}
		if n := c.Counts; n[resource.Alike] != 2 || n[resource.OtherInputs] != 1 || n[resource.OtherVersion] != 1 || n[resource.OnlyFrom] != 1 || n[resource.OnlyTo] != 1 {
			t.Errorf("%v", n)
		}
		if c.Items[2].From == nil || c.Items[2].To != nil || c.Items[2].From.Phase != resource.Pending || c.Items[3].To.TemplateVersion != "1.0.0" {
			t.Errorf("%+v", c.Items)
		}
		var pages []string
		for page := (sqldb.Page{Limit: 2}); ; {
			c, next, err := b.Svc.Compare(b.Ctx, "shop", "dev", "prod", resource.CompareFilter{State: resource.Different}, page)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range c.Items {
				pages = append(pages, v.Name)
			}
			if page.After = next; next == "" {
				break
			}
		}
		if strings.Join(pages, " ") != "bare fresh older only-here" {
			t.Errorf("what differs, by pages: %v", pages)
		}
		if c, _, err := b.Svc.Compare(b.Ctx, "shop", "prod", "dev", resource.CompareFilter{State: resource.OnlyFrom, Search: "here"}, sqldb.Page{}); err != nil || len(c.Items) != 1 || c.Items[0].Name != "only-here" {
			t.Errorf("the other way round: %+v, %v", c.Items, err)
		}
		if _, _, err := b.Svc.Compare(b.Ctx, "shop", "dev", "prod", resource.CompareFilter{State: "better"}, sqldb.Page{}); code(err) != "unknown_state" {
			t.Errorf("a state that there is not: %v", err)
		}
	})
}

// Whoever may see one side alone learns nothing of the other, nor by comparing
// that there is one.
func TestBothSidesOfAComparisonAreForWhoMaySeeThem(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Create("orders", nil)
		sam := principal.With(context.Background(), resourcetest.Stranger)
		for _, c := range []struct {
			ctx               context.Context
			project, from, to string
		}{{sam, "shop", "dev", "prod"}, {sam, "other", "dev", "env_dev"}, {sam, "other", "env_dev", "dev"}, {b.Ctx, "shop", "dev", "env_beta"}, {b.Ctx, "shop", "dev", "nowhere"}} {
			got, _, err := b.Svc.Compare(c.ctx, c.project, c.from, c.to, resource.CompareFilter{}, sqldb.Page{})
			if !fault.Is(err, fault.NotFound) || len(got.Items) != 0 || strings.Contains(err.Error(), "orders") {
				t.Errorf("%s: %s and %s: %+v, %v", c.project, c.from, c.to, got.Items, err)
			}
		}
	})
}
