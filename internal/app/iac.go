package app

import (
	"context"
	"time"

	"fairlead/internal/conf"
	"fairlead/internal/engine"
	"fairlead/internal/engine/iac"
	"fairlead/internal/engine/iac/iacstate"
)

func newIaC(_ context.Context, a *App, raw conf.Raw) (engine.Engine, error) {
	c, err := iac.ReadConfig(raw, a.conf.Data)
	if err != nil {
		return nil, err
	}
	a.sections = append(a.sections, a.conf.Section("engines.iac", c, nil)...)
	a.iacStates = iacstate.New(iacstate.Options{DB: a.db, Secrets: a.secrets, Log: a.log})
	e, err := iac.New(iac.Options{Config: c, States: a.iacStates, Log: a.log, Lease: time.Duration(a.conf.Lease)})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func(context.Context) { e.Close() })
	return e, nil
}
