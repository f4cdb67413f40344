package app

import (
	"bytes"
	"io/fs"
	"testing"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/conf"
	"fairlead/internal/cost"
	"fairlead/internal/engine/iac"
	"fairlead/internal/engine/null"
	"fairlead/internal/engine/postgres"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/template"
	"fairlead/internal/template/bundle"
	"fairlead/templates"
)

// TestShippedTemplatesPassTheirOwnTests runs what "fairlead template test"
// runs, on the engines themselves. There is no store, and nobody listens at
// the PostgreSQL server's address: what looked at either would fail.
func TestShippedTemplatesPassTheirOwnTests(t *testing.T) {
	t.Parallel()
	pg, err := postgres.New(postgres.Options{Installation: "test", Servers: []postgres.Server{{URL: redact.New("postgres://nobody@127.0.0.1:1/postgres")}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pg.Close)
	config, err := iac.ReadConfig(conf.Raw{}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	modules, err := iac.New(iac.Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(modules.Close)
	svc := template.New(template.Options{Access: accesstest.AllowAll{}, Engines: engineSet{"null": &null.Engine{}, "postgres": pg, "iac": modules}, Prices: cost.Rules{}})
	ctx := principal.With(t.Context(), principal.System)
	folders, err := fs.ReadDir(templates.FS, ".")
	if err != nil || len(folders) < 2 {
		t.Fatalf("%d folders, %v", len(folders), err)
	}
	for _, f := range folders {
		t.Run(f.Name(), func(t *testing.T) {
			dir, err := fs.Sub(templates.FS, f.Name())
			if err != nil {
				t.Fatal(err)
			}
			b, err := bundle.FromFS(dir)
			if err != nil {
				t.Fatal(err)
			}
			report, err := svc.Test(ctx, bytes.NewReader(b.Archive()))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range report.Cases {
				for _, why := range c.Failures {
					t.Errorf("%s: %s: %s", c.File, c.Name, why)
				}
			}
			if !report.Passed() {
				t.Errorf("%d cases, and not all passed", len(report.Cases))
			}
		})
	}
}
