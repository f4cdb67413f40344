package app

import (
	"context"
	"path/filepath"

	"fairlead/internal/loop"
	"fairlead/internal/source"
	"fairlead/internal/template"
)

// buildSources wires where templates come from.
func (a *App) buildSources(ctx context.Context) error {
	a.sources = source.New(source.Options{DB: a.db, Access: a.access, Secrets: a.secrets, Egress: a.egress, Templates: importer{a.templates}, Dir: filepath.Join(a.conf.Data, "git"), Log: a.log})
	if err := a.sources.Tidy(); err != nil {
		return err
	}
	if !a.conf.Replicated() { // no other server can be looking
		if err := source.Release(ctx, a.db); err != nil {
			return err
		}
	}
	group := loop.NewGroup(a.db, a.log)
	a.run(func(ctx context.Context) error { group.Run(ctx, a.sources.Loop()); return nil })
	return nil
}

// importer fits template to what source asks of it.
type importer struct{ svc *template.Service }

func (i importer) Import(ctx context.Context, in source.Import) (version, digest string, err error) {
	v, err := i.svc.Import(ctx, in.Files, template.Naming{Name: in.Name, Version: in.Version}, template.Origin{Details: in.Details, Held: in.Held})
	if err != nil {
		return "", "", err
	}
	return v.Version, v.Digest, nil
}

func (importer) CheckName(name string) error { return template.CheckTemplateName(name) }

func (importer) Release(version string) (string, error) { return template.SortKey(version) }
