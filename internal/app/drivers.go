package app

import (
	"context"
	"path/filepath"

	"fairlead/internal/backup"
	"fairlead/internal/conf"
	"fairlead/internal/engine"
	"fairlead/internal/engine/null"
	"fairlead/internal/engine/postgres"
	"fairlead/internal/engine/postgres/pgserver"
	"fairlead/internal/redact"
)

// engineDrivers is every engine there is: name to constructor. Adding one is a
// folder and a line here.
var engineDrivers = map[string]func(context.Context, *App, conf.Raw) (engine.Engine, error){
	"iac":      newIaC,
	"null":     newNull,
	"postgres": newPostgres,
}

func newNull(_ context.Context, _ *App, _ conf.Raw) (engine.Engine, error) {
	return &null.Engine{}, nil
}

func newPostgres(ctx context.Context, a *App, raw conf.Raw) (engine.Engine, error) {
	c, err := postgres.ReadConfig(raw, a.conf.Data)
	if err != nil {
		return nil, err
	}
	a.sections = append(a.sections, a.conf.Section("engines.postgres", c, variables(map[string]string{"url": postgres.URLVariable}))...)
	url := redact.New(c.URL)
	if url.Empty() {
		own, err := pgserver.Start(ctx, pgserver.Options{Dir: filepath.Join(a.conf.Data, "postgres"), Log: a.log})
		if err != nil {
			return nil, err
		}
		a.closers = append(a.closers, func(ctx context.Context) {
			if err := own.Stop(ctx); err != nil {
				a.log.Error("the PostgreSQL server could not be stopped", "error", err)
			}
		})
		url = own.URL("postgres")
	}
	o := c.Options(url)
	o.Installation, o.Ledger, o.Log = a.installation, &postgres.SQLLedger{DB: a.db}, a.log
	dumps, err := backup.NewDumps(ctx, a.db, a.secrets)
	if err != nil {
		return nil, err
	}
	o.Seal = dumps.Seal
	e, err := postgres.New(o)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func(context.Context) { e.Close() })
	a.run(e.Fill)
	return e, nil
}
