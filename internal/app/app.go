package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/approval"
	"fairlead/internal/audit"
	"fairlead/internal/backup"
	"fairlead/internal/calendar"
	"fairlead/internal/compliance"
	"fairlead/internal/conf"
	"fairlead/internal/cost"
	"fairlead/internal/drift"
	"fairlead/internal/egress"
	"fairlead/internal/engine"
	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/httpx"
	"fairlead/internal/ident"
	"fairlead/internal/identity"
	"fairlead/internal/lease"
	"fairlead/internal/loop"
	"fairlead/internal/notify"
	"fairlead/internal/project"
	"fairlead/internal/queue"
	"fairlead/internal/quota"
	"fairlead/internal/replay"
	"fairlead/internal/resource"
	"fairlead/internal/rollout"
	"fairlead/internal/secret"
	"fairlead/internal/secret/embedded"
	"fairlead/internal/source"
	"fairlead/internal/sqldb"
	"fairlead/internal/state"
	"fairlead/internal/system"
	"fairlead/internal/template"
	"fairlead/internal/why"
	"fairlead/templates"
)

// App is one server, built and ready to run.
type App struct {
	conf conf.Server
	log  *slog.Logger
	db   *sqldb.DB

	installation string
	access       *access.Service
	audit        *audit.Log
	identity     *identity.Service
	leases       *lease.Service
	projects     *project.Service
	calendar     *calendar.Service
	secrets      *embedded.Store
	egress       *egress.Client
	notify       *notify.Service
	masterKey    *secret.Service
	engines      engineSet
	templates    *template.Service
	sources      *source.Service
	approvals    *approval.Service
	quotas       *quota.Service
	costs        *cost.Service
	guardrails   *guardrail.Service
	backtests    *replay.Service
	compliance   *compliance.Service
	gates        *gate.Service
	why          *why.Service
	drifts       *drift.Service
	resources    *resource.Service
	iacStates    *iacstate.Store
	states       *state.Service
	rollouts     *rollout.Service
	backups      *backup.Service
	sections     []conf.Setting // of adapters, as they are in force
	system       *system.Service
	web          *httpx.Server

	runner     *queue.Runner
	background []func(ctx context.Context)
	closers    []func(ctx context.Context)
}

// Build makes every part in the order of their dependencies. It connects to
// the store and migrates it, starts what adapters run by themselves, and
// listens to nothing yet. Close what it returns.
func Build(ctx context.Context, c conf.Server, log *slog.Logger, fatal func(error)) (*App, error) {
	a := &App{conf: c, log: log}
	for _, step := range []struct {
		what string
		make func(context.Context) error
	}{
		{"store", func(ctx context.Context) error { return a.openStore(ctx, fatal) }},
		{"governance", a.buildGovernance},
		{"leases", a.buildLeases},
		{"projects", a.buildProjects},
		{"calendar", a.buildCalendar},
		{"secrets", a.buildSecrets},
		{"notify", a.buildNotify},
		{"engines", a.buildEngines},
		{"templates", a.buildTemplates},
		{"sources", a.buildSources},
		{"approvals", a.buildApprovals},
		{"quotas", a.buildQuotas},
		{"guardrails", a.buildGuardrails},
		{"gates", a.buildGates},
		{"drift", a.buildDrift},
		{"resources", a.buildResources},
		{"states", a.buildStates},
		{"rollouts", a.buildRollouts},
		{"compliance", a.buildCompliance},
		{"why", a.buildWhy},
		{"backup", a.buildBackup},
		{"system", a.buildSystem},
		{"faces", a.buildFaces},
	} {
		if err := step.make(ctx); err != nil {
			a.Close(context.WithoutCancel(ctx))
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return a, nil
}

// Close ends what Build started, last first.
func (a *App) Close(ctx context.Context) {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i](ctx)
	}
	a.closers = nil
}

func (a *App) openStore(ctx context.Context, fatal func(error)) error {
	db, err := sqldb.Open(ctx, sqldb.Options{URL: a.conf.StoreURL(), Log: a.log, Fatal: fatal, Sole: !a.conf.Replicated()})
	if err != nil {
		return err
	}
	a.db = db
	a.closers = append(a.closers, func(context.Context) { _ = db.Close() })
	a.installation, err = installation(ctx, db)
	return err
}

// installation is this control plane's id, made at the first start. It marks
// external objects as ours, so it goes with the store and into its backups.
func installation(ctx context.Context, db *sqldb.DB) (string, error) {
	var id string
	err := db.Write(ctx, "app.installation", func(tx *sqldb.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ('installation', $1) ON CONFLICT (key) DO NOTHING`, ident.New("ins")); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT value FROM settings WHERE key = 'installation'`).Scan(&id)
	})
	return id, err
}

func (a *App) keyDir() string { return filepath.Join(a.conf.Data, "keys") }

// buildGovernance wires audit, access and identity. They need each other: the
// log asks access who may read it, and access writes its first policies to the
// log. lateAuthorizer closes the ring.
func (a *App) buildGovernance(ctx context.Context) error {
	late := &lateAuthorizer{}
	var err error
	a.audit, err = audit.NewLog(ctx, audit.Options{DB: a.db, KeyDir: a.keyDir(), Authorizer: late, Log: a.log})
	if err != nil {
		return err
	}
	a.access, err = access.New(ctx, access.Options{DB: a.db, Audit: appendAudit, Keep: whoAndWhence, Log: a.log})
	if err != nil {
		return err
	}
	late.Authorizer = a.access
	a.identity = identity.New(identity.Options{DB: a.db, Access: a.access, Log: a.log})
	a.access.SetPrincipals(identity.NewDirectory(a.db))
	group := loop.NewGroup(a.db, a.log)
	a.run(func(ctx context.Context) error { return a.audit.Run(ctx) })
	a.run(func(ctx context.Context) error { return a.identity.Run(ctx) })
	a.run(a.access.RunDenials)
	a.run(func(ctx context.Context) error { group.Run(ctx, a.access.Loop()); return nil })
	return nil
}

// run adds background work that goes on until its context ends.
func (a *App) run(f func(ctx context.Context) error) {
	a.background = append(a.background, func(ctx context.Context) {
		if err := f(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			a.log.Error("background work ended", "error", err)
		}
	})
}

func (a *App) buildProjects(context.Context) error {
	a.projects = project.New(project.Options{DB: a.db, Access: a.access, Leases: environmentLeases{a.leases}, Limits: environmentLimits{a}, Log: a.log})
	a.access.SetDirectory(project.NewDirectory(a.db, identity.NewDirectory(a.db)))
	return nil
}

func (a *App) buildSecrets(ctx context.Context) error {
	var err error
	a.secrets, err = embedded.New(ctx, embedded.Options{DB: a.db, KeyDir: a.keyDir(), Environment: os.Getenv(embedded.KeyVariable), Log: a.log})
	if err != nil {
		return err
	}
	a.run(func(ctx context.Context) error { return a.secrets.Run(ctx) })
	a.masterKey = secret.NewService(secret.Options{Rotator: a.secrets, Authorizer: a.access})
	return nil
}

func (a *App) buildEngines(ctx context.Context) error {
	a.engines = engineSet{}
	for name, driver := range engineDrivers {
		made, err := driver(ctx, a, a.conf.Engines[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		a.engines[name] = made
	}
	for name := range a.conf.Engines {
		if a.engines[name] == nil {
			return fault.New(fault.Invalid, "unknown_engine", "engines.%s: there is no such engine", name)
		}
	}
	return nil
}

func (a *App) buildTemplates(ctx context.Context) error {
	a.templates = template.New(template.Options{DB: a.db, Access: a.access, Engines: a.engines, Prices: cost.Rules{}, Log: a.log})
	return a.templates.SeedShipped(ctx, templates.FS)
}

func (a *App) buildResources(ctx context.Context) error {
	// Each needs the other: the runner has the resources worked on, and they
	// ask it for that.
	a.runner = queue.NewRunner(queue.Options{DB: a.db, Lanes: a.lanes(), Lease: time.Duration(a.conf.Lease), Log: a.log,
		Handle: func(ctx context.Context, c *queue.Claim) error { return a.resources.Reconcile(ctx, c) }})
	a.resources = resource.New(resource.Options{
		DB: a.db, Access: a.access, Environments: environments{a.projects}, Templates: &templateBridge{svc: a.templates}, Secrets: a.secrets, Gates: a.gates, Drifts: a.drifts, Acceptances: a.drifts, Checks: a.drifts, Queue: a.runner,
		Engines: a.engines, Inventories: a.inventories(), Installation: a.installation, ObserveEvery: time.Duration(a.conf.ObserveEvery), Log: a.log,
	})
	if !a.conf.Replicated() { // the data directory is locked: no other worker can be alive
		if err := queue.Release(ctx, a.db); err != nil {
			return err
		}
		if err := loop.Release(ctx, a.db); err != nil {
			return err
		}
	}
	group := loop.NewGroup(a.db, a.log)
	a.observe(group)
	a.run(func(ctx context.Context) error {
		group.Run(ctx, loop.Loop{Name: "suspects", Every: 10 * time.Minute, Once: true, Do: func(ctx context.Context) error {
			_, err := a.resources.SweepSuspects(ctx, 5*time.Second)
			return err
		}})
		return nil
	})
	return nil
}

// lanes are how many resources each engine works on at once here.
func (a *App) lanes() map[string]int {
	lanes := map[string]int{}
	for name := range a.engines {
		lanes[name] = max(a.conf.Workers[name], 1)
	}
	return lanes
}

// Run does the server's background work until ctx ends, and waits for it.
func (a *App) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, f := range a.background {
		all.Go(func() { f(ctx) })
	}
	all.Go(func() { a.runner.Run(ctx) })
	all.Wait()
}

func (a *App) trustedProxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range a.conf.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fault.New(fault.Invalid, "invalid_config", "trustedProxies: %q is no address range", s).WithHint("as 10.0.0.0/8")
		}
		out = append(out, p)
	}
	return out, nil
}

// engineSet is every engine of this server by its name.
type engineSet map[string]engine.Engine

// Lookup finds an engine.
func (s engineSet) Lookup(name string) (engine.Engine, bool) { e, ok := s[name]; return e, ok }

// Names lists them.
func (s engineSet) Names() []string { return sortedKeys(s) }
