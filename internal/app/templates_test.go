package app

import (
	"bytes"
	"io/fs"
	"os"
	"testing"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/conf"
	"fairlead/internal/cost"
	"fairlead/internal/engine/iac"
	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/engine/iac/iactest"
	"fairlead/internal/engine/null"
	"fairlead/internal/engine/postgres"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/secret/embedded"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/template"
	"fairlead/internal/template/bundle"
	"fairlead/templates"
)

// TestShippedTemplatesPassTheirOwnTests runs what "fairlead template test"
// runs, on the engines themselves, with each program that runs modules. Nobody
// listens at the PostgreSQL servers' addresses: what looked at one would fail.
func TestShippedTemplatesPassTheirOwnTests(t *testing.T) {
	t.Parallel()
	iactest.Each(t, func(t *testing.T, p iactest.Program) { shippedTests(t, p) })
}

func shippedTests(t *testing.T, program iactest.Program) {
	t.Helper()
	pg, err := postgres.New(postgres.Options{Installation: "test", Servers: []postgres.Server{{URL: redact.New("postgres://nobody@127.0.0.1:1/postgres")}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pg.Close)
	dir := passable(t)
	if err := os.Mkdir(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	config, err := iac.ReadConfig(conf.Raw{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	config.Binary = program.Path
	config.Mirror, _ = iactest.Mirror(t, dir)
	db := sqldbtest.SQLite(t)
	secrets, err := embedded.New(t.Context(), embedded.Options{DB: db, KeyDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	modules, err := iac.New(iac.Options{Config: config, States: iacstate.New(iacstate.Options{DB: db, Secrets: secrets})})
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
