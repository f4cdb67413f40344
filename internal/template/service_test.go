package template_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/template"
	"fairlead/internal/template/templatetest"
	"fairlead/templates"
)

// byAttribute lets a principal see the templates whose attribute "for" is
// their own name, and push nothing.
type byAttribute struct{}

func (byAttribute) Check(ctx context.Context, a access.Action, t access.Target) (access.Decision, error) {
	p := principal.From(ctx)
	switch {
	case p.Kind == principal.Internal || p.HasOrgRole(principal.PlatformAdmin):
		return access.Decision{Allowed: true, Policies: []string{"admin"}}, nil
	case p.Kind == principal.Anonymous:
		return access.Decision{}, fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
	case a == access.TemplatePush:
		return access.Decision{}, fault.New(fault.Denied, "denied", "no")
	case t.Attributes["for"] != p.Name:
		return access.Decision{}, fault.New(fault.NotFound, "not_found", "no such template")
	}
	return access.Decision{Allowed: true}, nil
}

func (byAttribute) Scope(context.Context, access.Action) (access.Scope, error) {
	return access.Scope{}, nil
}

func push(t *testing.T, s *template.Service, f templatetest.Files) *template.Version {
	t.Helper()
	v, _, err := s.Push(admin(), f.Tar(t))
	if err != nil {
		t.Fatalf("%v %v", err, fault.From(err).Violations)
	}
	return v
}

func code(c string) error { return fault.New(fault.Internal, c, "") }

func TestVersionsAreImmutable(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var entries int
		db.SetFlusher(func(_ context.Context, _ *sqldb.Tx, items []any) error { entries += len(items); return nil })
		s := service(db)
		files := templatetest.New("thing", "1.0.0").With(templatetest.Files{"docs/README.md": "# hi"})
		v, created, err := s.Push(admin(), files.Tar(t))
		if err != nil || !created || v.CreatedBy != "usr_1" || v.CreatedAt.IsZero() {
			t.Fatalf("%+v %v %v", v, created, err)
		}
		again, created, err := s.Push(admin(), files.Tar(t))
		if err != nil || created || again.Digest != v.Digest || !again.CreatedAt.Equal(v.CreatedAt) {
			t.Errorf("the same again: created %v, %v", created, err)
		}
		if _, _, err := s.Push(admin(), files.With(templatetest.Files{"docs/README.md": "# ho"}).Tar(t)); !errors.Is(err, code("version_exists")) || !fault.Is(err, fault.Conflict) {
			t.Errorf("other content: %v", err)
		}
		if entries != 1 {
			t.Errorf("%d audit records, want 1", entries)
		}
		fresh := service(db) // nothing cached
		got, err := fresh.Get(admin(), "thing", "1.0.0")
		if err != nil || got.Digest != v.Digest || got.CreatedBy != "usr_1" || !got.CreatedAt.Equal(v.CreatedAt) {
			t.Fatalf("%+v %v", got, err)
		}
		if _, err := fs.ReadFile(mustRender(t, got).Files, "docs/README.md"); err != nil {
			t.Error(err)
		}
		if loaded, err := fresh.Load(admin(), "thing", "1.0.0"); err != nil || loaded.Digest != v.Digest {
			t.Error(err)
		}
	})
}

func mustRender(t *testing.T, v *template.Version) (out struct{ Files fs.FS }) {
	t.Helper()
	r, err := v.Render(map[string]any{"size": 1}, ref, "development")
	if err != nil {
		t.Fatal(err)
	}
	out.Files = r.Files
	return out
}

func TestPushRaced(t *testing.T) {
	t.Parallel()
	url := sqldbtest.PostgresURL(t)
	var replicas []*template.Service
	for range 3 {
		replicas = append(replicas, service(sqldbtest.Open(t, sqldb.Options{URL: url})))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range 12 {
		body := templatetest.New("thing", "1.0.0").Tar(t)
		wg.Go(func() {
			_, created, err := replicas[i%3].Push(admin(), body)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if created {
				made++
			}
		})
	}
	wg.Wait()
	if made != 1 {
		t.Errorf("created %d times", made)
	}
}

func TestGetChoosesBySemanticVersion(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := service(db)
		order := []string{"2.0.0-rc.1", "2.0.0-beta.11", "2.0.0-beta.2", "2.0.0-beta", "2.0.0-alpha.beta", "2.0.0-alpha.1", "2.0.0-alpha", "1.10.0", "1.9.3", "1.2.0", "0.9.0"}
		for _, i := range []int{3, 7, 0, 9, 5, 1, 10, 4, 8, 2, 6} {
			push(t, s, templatetest.New("thing", order[i]))
		}
		push(t, s, templatetest.New("early", "0.1.0-a"))
		for want, list := range map[string][]string{
			"1.10.0":     {"", "1.10.0", "1.x", "^1.2", ">=1.0.0 <2.0.0", "*"},
			"1.9.3":      {"~1.9", "1.9.x", "<1.10.0"},
			"0.9.0":      {"0.x"},
			"2.0.0-rc.1": {"2.0.0-rc.1", "^2.0.0-0", ">1.10.0-0"},
		} {
			for _, c := range list {
				if v, err := s.Get(admin(), "thing", c); err != nil || v.Version != want {
					t.Errorf("%q gave %v %v, want %s", c, v, err, want)
				}
			}
		}
		if v, err := s.Get(admin(), "early", ""); err != nil || v.Version != "0.1.0-a" {
			t.Errorf("only pre-releases: %v", err)
		}
		for c, want := range map[string]string{
			"3.0.0": "unknown_template_version", "^2": "unknown_template_version", "1.2": "", "latest": "invalid_version", "1.0.0+x": "unknown_template_version",
			"' OR 1=1": "invalid_version", strings.Repeat("1", 200): "invalid_version", "v1.2.0": "",
		} {
			_, err := s.Get(admin(), "thing", c)
			if (want == "") != (err == nil) || (err != nil && !errors.Is(err, code(want))) {
				t.Errorf("%q: %v, want %q", c, err, want)
			}
		}
		var seen []string
		for page := (sqldb.Page{Limit: 4}); ; {
			list, err := s.Versions(admin(), "thing", page)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range list.Items {
				seen = append(seen, v.Version)
			}
			if page.After = list.Next; list.Next == "" {
				break
			}
		}
		if d := cmp.Diff(order, seen); d != "" {
			t.Error(d)
		}
	})
}

func TestUnknownTemplateSuggestsOnlyWhatTheCallerSees(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	s := template.New(template.Options{DB: db, Access: byAttribute{}, Engines: fakes()})
	for name, whose := range map[string]string{"redis": "bob", "secret-one": "eve"} {
		f := templatetest.Files{"template.yaml": templatetest.Manifest(name, "1.0.0") + "access: {attributes: {for: " + whose + "}}\n"}
		push(t, s, f)
	}
	bob := principal.With(context.Background(), principal.Principal{Kind: principal.User, ID: "usr_2", Name: "bob"})
	if v, err := s.Get(bob, "redis", "1.x"); err != nil || v.Name != "redis" {
		t.Fatal(err)
	}
	_, err := s.Get(bob, "rediss", "")
	if f := fault.From(err); f.Kind != fault.NotFound || f.Code != "unknown_template" || !strings.Contains(f.Hint, `"redis"`) {
		t.Errorf("%v: %s", err, f.Hint)
	}
	// A template that bob may not see and one that there is not answer alike.
	for _, version := range []string{"", "1.0.0", "9.9.9", "1.x", "nonsense"} {
		_, hidden := s.Get(bob, "secret-one", version)
		_, absent := s.Get(bob, "absent-one", version)
		h, a := fault.From(hidden), fault.From(absent)
		if h.Kind != fault.NotFound || h.Code != a.Code || h.Hint != a.Hint || strings.ReplaceAll(h.Message, "secret", "absent") != a.Message {
			t.Errorf("version %q: %v / %v", version, hidden, absent)
		}
	}
	_, err = s.Get(bob, "secret-on", "")
	if strings.Contains(fault.From(err).Hint, "secret-one") {
		t.Error("the hint gives away a hidden template")
	}
	if _, err := s.Versions(bob, "secret-one", sqldb.Page{}); !errors.Is(err, code("unknown_template")) {
		t.Error(err)
	}
	list, err := s.List(bob, template.Filter{}, sqldb.Page{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != "redis" {
		t.Errorf("%v %v", list.Items, err)
	}
	if _, _, err := s.Push(bob, templatetest.New("x", "1.0.0").Tar(t)); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
	if _, err := s.Test(bob, templatetest.New("x", "1.0.0").Tar(t)); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
}

func TestNobodyGetsNothing(t *testing.T) {
	t.Parallel()
	s := service(sqldbtest.SQLite(t))
	push(t, s, templatetest.New("thing", "1.0.0"))
	ctx := context.Background()
	for name, call := range map[string]func() error{
		"Push":     func() error { _, _, err := s.Push(ctx, templatetest.New("x", "1.0.0").Tar(t)); return err },
		"Test":     func() error { _, err := s.Test(ctx, templatetest.New("x", "1.0.0").Tar(t)); return err },
		"Get":      func() error { _, err := s.Get(ctx, "thing", ""); return err },
		"Get none": func() error { _, err := s.Get(ctx, "nothing", ""); return err },
		"Load":     func() error { _, err := s.Load(ctx, "thing", "1.0.0"); return err },
		"List":     func() error { _, err := s.List(ctx, template.Filter{}, sqldb.Page{}); return err },
		"Versions": func() error { _, err := s.Versions(ctx, "thing", sqldb.Page{}); return err },
	} {
		if err := call(); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListFiltersAndPages(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := service(db)
		for i := range 7 {
			f := edit(t, "name: thing", fmt.Sprintf("name: t%d", i))
			if i%2 == 0 {
				f["template.yaml"] = strings.Replace(f["template.yaml"], "tags: [test]", "tags: [even, test]", 1)
			}
			if i == 3 {
				f["template.yaml"] = strings.Replace(f["template.yaml"], "engine: fake", `engine: "null"`, 1)
				f["template.yaml"] = strings.Replace(f["template.yaml"], "The thing template", "100% GRÜN_er", 1)
			}
			push(t, s, f)
			f["template.yaml"] = strings.Replace(f["template.yaml"], "1.0.0", "1.1.0", 1)
			push(t, s, f)
		}
		names := func(f template.Filter) []string {
			var out []string
			for page := (sqldb.Page{Limit: 2}); ; {
				list, err := s.List(admin(), f, page)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range list.Items {
					if v.Version != "1.1.0" {
						t.Errorf("%s is listed as %s", v.Name, v.Version)
					}
					out = append(out, v.Name)
				}
				if page.After = list.Next; list.Next == "" {
					return out
				}
			}
		}
		for _, tc := range []struct {
			f    template.Filter
			want []string
		}{
			{template.Filter{}, []string{"t0", "t1", "t2", "t3", "t4", "t5", "t6"}},
			{template.Filter{Tag: "even"}, []string{"t0", "t2", "t4", "t6"}},
			{template.Filter{Tag: "eve"}, nil},
			{template.Filter{Engine: "null"}, []string{"t3"}},
			{template.Filter{Search: "100% grün_"}, []string{"t3"}},
			{template.Filter{Search: "%"}, []string{"t3"}},
			{template.Filter{Search: "THING"}, []string{"t0", "t1", "t2", "t4", "t5", "t6"}},
			{template.Filter{Search: `\`}, nil},
		} {
			if d := cmp.Diff(tc.want, names(tc.f)); d != "" {
				t.Errorf("%+v: %s", tc.f, d)
			}
		}
	})
}

func TestDamagedTemplatesHideNoNeighbours(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	push(t, service(db), templatetest.New("good", "1.0.0"))
	push(t, service(db), templatetest.New("poor", "1.0.0"))
	if err := db.Write(context.Background(), "test.damage", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(context.Background(), `UPDATE template_versions SET archive = (SELECT archive FROM template_versions WHERE name = 'good') WHERE name = 'poor'`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s := service(db)
	list, err := s.List(admin(), template.Filter{}, sqldb.Page{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != "good" {
		t.Errorf("%v %v", list.Items, err)
	}
	if _, err := s.Get(admin(), "poor", ""); !errors.Is(err, code("template_damaged")) {
		t.Error(err)
	}
}

// golden are the digests of what is shipped. A change here needs a new version
// in template.yaml: installations keep what they have under the old one.
var golden = map[string]string{
	"null@1.0.0":     "6fefe6e046bb65252572cb3f8db98ca0f386dcf288f6f2960237e1bc955c8858",
	"postgres@1.0.0": "68a60d227e8ad15bf67e121a3d3df4b3f16bd9303536b752394a65b879d0bc19",
}

func TestShippedTemplates(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := service(db)
		for range 2 {
			if err := s.SeedShipped(context.Background(), templates.FS); err != nil {
				t.Fatal(err, fault.From(err).Violations)
			}
		}
		list, err := s.List(admin(), template.Filter{}, sqldb.Page{})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, v := range list.Items {
			got[v.Name+"@"+v.Version] = v.Digest
			if v.CreatedBy != principal.System.ID || v.DocsText() == "" {
				t.Errorf("%s: by %s, docs %q", v.Name, v.CreatedBy, v.DocsText())
			}
		}
		if d := cmp.Diff(golden, got); d != "" {
			t.Error(d)
		}
		pg, err := s.Get(admin(), "postgres", "^1")
		if err != nil {
			t.Fatal(err)
		}
		in, err := pg.Check(map[string]any{"extensions": []any{"hstore"}, "keep_last_dump": true})
		if err != nil {
			t.Fatal(err)
		}
		if l := pg.EngineLifeCycle(in); !l.Stateful || !l.SnapshotOnDestroy {
			t.Errorf("%+v", l)
		}
		if in, _ = pg.Check(nil); pg.EngineLifeCycle(in).SnapshotOnDestroy {
			t.Error("a dump that nobody asked for")
		}
		r, err := pg.Render(in, ref, "production")
		if err != nil || string(r.Spec) != `{"connectionLimit":20,"extensions":[]}` {
			t.Errorf("%s %v", r.Spec, err)
		}
		sensitive := pg.SensitiveOutputs()
		if !sensitive["password"] || !sensitive["url"] || sensitive["host"] || !slices.Equal(pg.OutputNames(), []string{"database", "host", "password", "port", "url", "username"}) {
			t.Errorf("%v", sensitive)
		}
	})
}
