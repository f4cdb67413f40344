package app

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/access/accessapi"
	"fairlead/internal/apidoc"
	"fairlead/internal/audit/auditapi"
	"fairlead/internal/backup/backupapi"
	"fairlead/internal/httpx"
	"fairlead/internal/identity/identityapi"
	"fairlead/internal/identity/identityweb"
	"fairlead/internal/project/projectapi"
	"fairlead/internal/resource/resourceapi"
	"fairlead/internal/secret/secretapi"
	"fairlead/internal/template/templateapi"
)

// buildFaces mounts every API and page on one server.
func (a *App) buildFaces(context.Context) error {
	proxies, err := a.trustedProxies()
	if err != nil {
		return err
	}
	api, web := httpx.New(httpx.Options{
		Version: Version, Log: a.log, Auth: a.identity, DB: a.db, TrustedProxies: proxies,
		Ready: []httpx.Check{{Name: "store", Probe: a.askStore}},
	})
	a.web = web
	a.registerAPI(api)
	a.registerMetrics(web.Registry())
	apidoc.Mount(web)
	identityweb.Mount(web, a.identity, strings.HasPrefix(a.conf.PublicURL, "https:"))
	a.run(func(ctx context.Context) error { web.Run(ctx); return nil })
	return nil
}

// registerAPI is every operation there is.
func (a *App) registerAPI(api huma.API) {
	identityapi.Register(api, a.identity, identityapi.Options{Secure: strings.HasPrefix(a.conf.PublicURL, "https:")})
	projectapi.Register(api, a.projects)
	accessapi.Register(api, a.access)
	auditapi.Register(api, a.audit)
	templateapi.Register(api, a.templates)
	resourceapi.Register(api, a.resources)
	secretapi.Register(api, a.masterKey)
	backupapi.Register(api, a.backups)
}

func (a *App) askStore(ctx context.Context) error {
	_, err := a.db.Now(ctx)
	return err
}
