package iac

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"fairlead/internal/egress"
	"fairlead/internal/engine"
	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/engine/iac/sandbox"
	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// Options is what an Engine needs.
type Options struct {
	Config Config
	States *iacstate.Store
	Log    *slog.Logger
	// OnCall is told of each point before and after the program runs, as
	// failpoint.Hit is. May be nil.
	OnCall func(point string)
	// Lease is for how long a worker's claim holds that is not renewed: what a
	// run started is ended before that, should this process be stopped. 0: it
	// goes on.
	Lease time.Duration
	// Resolver finds where the names of Config.Allow lead; nil: the system's.
	Resolver *net.Resolver
}

// Engine is the iac engine.
type Engine struct {
	o       Options
	dir     string
	program string
	timeout time.Duration
	egress  *egress.Client
	allow   allowance
	server  *iacstate.Server
	planKey redact.Secret

	programs sandbox.Pool

	seats      chan seat     // one a program at once
	background chan struct{} // of them those that nobody waits for
	every      time.Duration // between two looks at a resource whose template says nothing

	mu      sync.Mutex
	level   sandbox.Level
	kind    string // "tofu" or "terraform"
	version string
	modules map[string]*module
	trials  map[string]*trial
	kept    map[string]keptPlan // by resource

	keepFor time.Duration // for how long the folder of a module stays that is not used
	earlier []string      // runs of a server before this one, which may still be at work
	tidied  time.Time     // when folders were last looked at
	tidying sync.WaitGroup

	onCollect func(point string) // of tests; may be nil
	closed    bool
}

var (
	_ engine.Engine    = (*Engine)(nil)
	_ engine.Looker    = (*Engine)(nil)
	_ engine.Validator = (*Engine)(nil)
	_ engine.Runner    = (*Engine)(nil)
	_ engine.Ejector   = (*Engine)(nil)
	_ engine.Adopter   = (*Engine)(nil)

	_ engine.DryPlanner = (*Engine)(nil)
)

// New makes the engine. It starts no program and makes no folder before the
// first call: a machine without the program has an engine whose calls say what
// to install. Close it.
func New(o Options) (*Engine, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	timeout, err := time.ParseDuration(o.Config.Timeout)
	if err != nil {
		return nil, fault.New(fault.Invalid, "invalid_config", "engines.iac.timeout: %q is no length of time", o.Config.Timeout)
	}
	every, err := time.ParseDuration(o.Config.ObserveEvery)
	if err != nil {
		return nil, fault.New(fault.Invalid, "invalid_config", "engines.iac.observeEvery: %q is no length of time", o.Config.ObserveEvery)
	}
	keep, err := time.ParseDuration(o.Config.KeepModules)
	if err != nil {
		return nil, fault.New(fault.Invalid, "invalid_config", "engines.iac.keepModules: %q is no length of time", o.Config.KeepModules)
	}
	allow, err := readAllow(o.Config.Allow)
	if err != nil {
		return nil, err
	}
	out, err := egress.New(egress.Options{Config: egress.Config{Allow: allow.egress}, Resolver: o.Resolver})
	if err != nil {
		return nil, err
	}
	e := &Engine{
		o: o, program: o.Config.find(), timeout: timeout, egress: out, allow: allow, seats: seats(o.Config.Workers), every: every, keepFor: keep,
		background: make(chan struct{}, max(1, o.Config.Workers/2)),
		modules:    map[string]*module{}, trials: map[string]*trial{}, kept: map[string]keptPlan{},
	}
	return e, nil
}

// Close ends the state server; runs that are under way fail.
func (e *Engine) Close() {
	e.programs.Close()
	e.mu.Lock()
	e.closed = true
	if e.server != nil {
		e.server.Close()
	}
	e.mu.Unlock()
	e.tidying.Wait()
}

// settleIn makes what the engine works with: its folder, its server, its key.
func (e *Engine) settleIn(ctx context.Context) (err error) {
	if e.server != nil {
		return nil
	}
	if e.dir, err = settleAt(e.o.Config.Dir); err != nil {
		return err
	}
	if err := os.WriteFile(e.cliConfig(), []byte(e.o.Config.cliConfig()), 0o644); err != nil { //nolint:gosec // every run reads it; no secrets
		return fault.New(fault.Unavailable, "engine_unavailable", "the folder of the iac engine cannot be written to").WithCause(err)
	}
	if err := os.WriteFile(e.hosts(), []byte(e.allow.hosts()), 0o644); err != nil { //nolint:gosec // as above
		return fault.New(fault.Unavailable, "engine_unavailable", "the folder of the iac engine cannot be written to").WithCause(err)
	}
	e.sweep()
	if e.planKey, err = e.o.States.PlanKey(ctx); err != nil {
		return err
	}
	e.server, err = iacstate.Serve(context.WithoutCancel(ctx), e.o.Log)
	return err
}

func (e *Engine) cliConfig() string { return filepath.Join(e.dir, "cli.hcl") }

func (e *Engine) hosts() string { return filepath.Join(e.dir, "hosts") }

// settleAt makes the engine's folder. Accounts of runs must get through to it;
// where they cannot, it is one that is named by dir.
func settleAt(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if os.Geteuid() == 0 && !passable(filepath.Dir(dir)) {
		sum := sha256.Sum256([]byte(dir))
		dir = "/var/lib/fairlead-iac-" + hex.EncodeToString(sum[:6])
	}
	for _, d := range []string{dir, filepath.Join(dir, "m"), filepath.Join(dir, "r")} {
		if err := os.MkdirAll(d, 0o711); err != nil { //nolint:gosec // accounts of runs pass through it and cannot list it
			return "", fault.New(fault.Unavailable, "engine_unavailable", "the folder %s of the iac engine cannot be made", dir).WithCause(err)
		}
	}
	return dir, nil
}

func passable(dir string) bool {
	for {
		st, err := os.Stat(dir)
		if err == nil && st.Mode().Perm()&0o001 == 0 {
			return false
		}
		up := filepath.Dir(dir)
		if up == dir {
			return true
		}
		dir = up
	}
}

func (e *Engine) hit(point string) {
	failpoint.Hit(point)
	if e.o.OnCall != nil {
		e.o.OnCall(point)
	}
}

// ready finds out, once, which program there is and how it can be kept apart.
func (e *Engine) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return interrupted(ctx)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.version != "" {
		e.tidy()
		return nil
	}
	if e.program == "" {
		return fault.New(fault.Unavailable, "engine_unavailable", "this server has neither tofu nor terraform").
			WithHint("install OpenTofu 1.8 or newer, or set engines.iac.binary; then restart the server")
	}
	if err := e.settleIn(ctx); err != nil {
		return err
	}
	if e.level == "" {
		e.level = sandbox.Probe(ctx)
	}
	out, code, err := e.ask(ctx, "version", "-json")
	var v struct {
		Version string `json:"terraform_version"`
	}
	if err != nil || code != 0 || json.Unmarshal(out, &v) != nil || v.Version == "" {
		if ctx.Err() != nil {
			return interrupted(ctx)
		}
		return fault.New(fault.Unavailable, "engine_unavailable", "the program %s does not say its version", e.program).
			WithHint("install OpenTofu 1.8 or newer, or set engines.iac.binary").WithCause(err)
	}
	e.kind = "terraform"
	if strings.Contains(filepath.Base(e.program), "tofu") {
		e.kind = "tofu"
	}
	e.version = v.Version
	e.tidy()
	e.o.Log.Info("the iac engine", "program", e.program, "version", e.version, "isolation", string(e.level))
	return nil
}

// Program implements engine.Runner.
func (e *Engine) Program(ctx context.Context) (engine.Program, error) {
	program, version, level, err := e.About(ctx)
	return engine.Program{Name: program, Version: version, Isolation: string(level)}, err
}

// About tells which program runs and how it is kept apart.
func (e *Engine) About(ctx context.Context) (program, version string, level sandbox.Level, err error) {
	err = e.ready(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.kind, e.version, e.level, err
}

func interrupted(ctx context.Context) error {
	return fault.New(fault.Unavailable, "interrupted", "the work was cut off").WithCause(context.Cause(ctx))
}

// settle makes a fault of what a cut-off call left; other errors that are none,
// such as the caller's fence, stay as they are.
func settle(ctx context.Context, err *error) {
	if _, known := errors.AsType[*fault.Error](*err); *err == nil || known {
		return
	}
	if errors.Is(*err, context.Canceled) || errors.Is(*err, context.DeadlineExceeded) {
		*err = interrupted(ctx)
	}
}
