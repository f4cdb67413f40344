package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"fairlead/internal/engine"
	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/regex"
)

// Server is one PostgreSQL server that databases are made on.
type Server struct {
	Name       string        // how specs name it; "default" when there is one
	URL        redact.Secret // administrator's URL of a maintenance database; superuser, or CREATEDB and CREATEROLE
	PublicHost string        // host that outputs name; the URL's when empty
	PublicPort int           // port that outputs name; the URL's when 0
	Params     string        // query string of the output url, such as "sslmode=require"
}

// Options are the engine's dependencies and limits.
type Options struct {
	Installation string // this control plane; marks the pool's databases
	Servers      []Server

	Extensions []string // what an input may ask for; DefaultExtensions when nil

	SnapshotDir string // where Destroy keeps last dumps; none can be kept when empty
	// Seal wraps the writer of a dump, to encrypt it (as an age file); dumps are
	// plain when nil.
	Seal func(dst io.Writer) (io.WriteCloser, error)
	// DumpProgram is pg_dump; found on the machine when empty.
	DumpProgram string

	Pool   int    // prepared databases kept per server; 0 keeps none
	Ledger Ledger // the pool's records; needed when Pool > 0

	Connections      int           // administrator's connections per server; 10 when 0
	ConnectTimeout   time.Duration // 5 s when 0
	StatementTimeout time.Duration // 60 s when 0
	LockWait         time.Duration // how long to wait for a stale worker before its session is ended; 10 s when 0

	Log *slog.Logger
	// OnCall is told the name of each point before and after a call to a
	// server, as failpoint.Hit is. Tests cut calls off there. May be nil.
	OnCall func(point string)
}

// DefaultExtensions may be asked for on any server: they give no access to
// files, network or other databases.
var DefaultExtensions = []string{
	"btree_gin", "btree_gist", "citext", "cube", "fuzzystrmatch", "hstore", "intarray", "isn", "lo", "ltree",
	"pg_trgm", "pgcrypto", "postgis", "seg", "tablefunc", "tcn", "tsm_system_rows", "tsm_system_time", "unaccent",
	"uuid-ossp", "vector",
}

// Engine makes databases. It implements engine.Engine, engine.Rotator and
// engine.Validator.
type Engine struct {
	opt     Options
	servers map[string]*server
	names   []string // of the servers, in the given order
	allowed map[string]bool
	wake    chan struct{} // the pool lost one
	closing sync.Once

	life     context.Context // ends with Close
	end      context.CancelFunc
	greeting sync.WaitGroup

	mu     sync.Mutex
	spares map[string]spare // prepared database -> its log-in's password
	taken  time.Time        // when the pool last lost one
}

var (
	_ engine.Engine     = (*Engine)(nil)
	_ engine.Rotator    = (*Engine)(nil)
	_ engine.Validator  = (*Engine)(nil)
	_ engine.DryPlanner = (*Engine)(nil)

	_ engine.Asker       = (*Engine)(nil)
	_ engine.Snapshotter = (*Engine)(nil)
	_ engine.Pauser      = (*Engine)(nil)
	_ engine.Ejector     = (*Engine)(nil)
	_ engine.Adopter     = (*Engine)(nil)
)

// New makes an engine. It connects to no server yet: one that is down must not
// keep Fairlead from starting. The fault is Invalid.
func New(opt Options) (*Engine, error) {
	setDefaults(&opt)
	if opt.Pool > 0 && (opt.Ledger == nil || opt.Installation == "") {
		return nil, fault.New(fault.Invalid, "postgres_options_invalid", "a pool of prepared databases needs a ledger and an installation id")
	}
	if len(opt.Servers) == 0 {
		return nil, fault.New(fault.Invalid, "postgres_options_invalid", "no PostgreSQL server is given")
	}
	e := &Engine{opt: opt, servers: map[string]*server{}, allowed: map[string]bool{}, wake: make(chan struct{}, 1), spares: map[string]spare{}}
	e.life, e.end = context.WithCancel(context.Background())
	for _, x := range opt.Extensions {
		if !extensionName().MatchString(x) {
			return nil, fault.New(fault.Invalid, "postgres_options_invalid", "%q is not the name of an extension", x)
		}
		e.allowed[x] = true
	}
	for _, s := range opt.Servers {
		srv, err := e.newServer(s)
		if err == nil && e.servers[srv.Name] != nil {
			err = fault.New(fault.Invalid, "postgres_options_invalid", "two PostgreSQL servers are named %q", srv.Name)
		}
		if err != nil {
			e.Close()
			return nil, err
		}
		e.servers[srv.Name] = srv
		e.names = append(e.names, srv.Name)
	}
	return e, nil
}

var extensionName = regex.Late(`^[a-z][a-z0-9_-]{0,62}$`)

func setDefaults(opt *Options) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Extensions == nil {
		opt.Extensions = DefaultExtensions
	}
	if opt.Connections == 0 {
		opt.Connections = 10
	}
	if opt.ConnectTimeout == 0 {
		opt.ConnectTimeout = 5 * time.Second
	}
	if opt.StatementTimeout == 0 {
		opt.StatementTimeout = time.Minute
	}
	if opt.LockWait == 0 {
		opt.LockWait = 10 * time.Second
	}
}

// Close ends the connections. Calls in flight fail.
func (e *Engine) Close() {
	e.closing.Do(func() {
		e.end()
		e.greeting.Wait()
		for _, s := range e.servers {
			s.pool.Close()
		}
	})
}

// AsksBeforeItActs implements engine.Asker: Apply asks when it has the lock and
// has looked.
func (e *Engine) AsksBeforeItActs() {}

// hit marks a point before or after a call to a server.
func (e *Engine) hit(point string) {
	failpoint.Hit(point)
	if e.opt.OnCall != nil {
		e.opt.OnCall(point)
	}
}

// state is what the engine notes in Result.State. It holds no secret: a hash
// of a SCRAM verifier leads to no password and no log-in.
type state struct {
	Server     string            `json:"server"`
	Active     string            `json:"active"`             // "a" or "b": whose credentials the outputs are
	Overlap    bool              `json:"overlap,omitempty"`  // the other one may still work
	Rotation   string            `json:"rotation,omitempty"` // id of the last one
	Verifiers  map[string]string `json:"verifiers"`          // login role -> SHA-256 of its verifier
	Extensions []string          `json:"extensions,omitempty"`
	Settled    bool              `json:"settled,omitempty"`   // the schema public was handed over (servers before 15)
	Limit      int               `json:"limit,omitempty"`     // connection limit that was set last; 0 is not noted
	TakenOver  bool              `json:"takenOver,omitempty"` // all in an adopted database was handed over
	Former     string            `json:"former,omitempty"`    // owned it before, and may use it until a rotation is over
}

func (st state) result(w *want, password redact.Secret) (engine.Result, error) {
	raw, err := json.Marshal(st)
	if err != nil {
		return engine.Result{}, err
	}
	login := w.names.login(st.Active)
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(login, password.Reveal()),
		Host: net.JoinHostPort(w.server.host, strconv.Itoa(w.server.port)), Path: "/" + w.names.Database, RawQuery: w.server.params(),
	}
	return engine.Result{
		Outputs: map[string]engine.Output{
			"host":     {Value: w.server.host},
			"port":     {Value: w.server.port},
			"database": {Value: w.names.Database},
			"username": {Value: login},
			"password": {Secret: password, Sensitive: true},
			"url":      {Secret: redact.New(u.String()), Sensitive: true},
		},
		Objects: w.objects(st.Active == "b" || st.Overlap || st.Rotation != ""),
		State:   raw,
	}, nil
}

// objects lists what belongs to the resource; both logins once it was rotated.
func (w *want) objects(rotated bool) []engine.Object {
	o := []engine.Object{
		w.server.object("database", w.names.Database), w.server.object("role", w.names.Owner), w.server.object("role", w.names.A),
	}
	if rotated {
		o = append(o, w.server.object("role", w.names.B))
	}
	return o
}

func (s *server) object(kind, name string) engine.Object {
	return engine.Object{Kind: kind, Name: name, Host: net.JoinHostPort(s.host, strconv.Itoa(s.port))}
}

// Ping tells whether every server lets us in and is fit to be used.
func (e *Engine) Ping(ctx context.Context) error {
	for _, name := range e.names {
		if err := e.servers[name].with(ctx, "ping", func(context.Context, *pgxpool.Conn) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// Program implements engine.Runner: which servers databases are made on, and
// whether they let us in.
func (e *Engine) Program(ctx context.Context) (engine.Program, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := e.Ping(ctx)
	var versions []string
	for _, name := range e.names {
		if f := e.servers[name].facts.Load(); f != nil {
			v := fmt.Sprintf("%d.%d", f.version/10000, f.version%10000)
			if !slices.Contains(versions, v) {
				versions = append(versions, v)
			}
		}
	}
	return engine.Program{Name: "PostgreSQL", Version: strings.Join(versions, ", ")}, err
}

// CanPause implements engine.Pauser: what is stopped lets nobody log in.
func (e *Engine) CanPause(engine.Template) bool { return true }
