package pgserver

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// Superuser is the name of the server's administrator.
const Superuser = "fairlead"

// Options say where the server lives.
type Options struct {
	Dir            string        // Fairlead's folder for it; made when missing
	Port           int           // wanted port; 0 takes a free one at the first start and keeps it
	MaxConnections int           // 200 when 0
	StartTimeout   time.Duration // how long a start, with its crash recovery, may take; 60 s when 0
	Log            *slog.Logger
}

// Server is a running PostgreSQL server.
type Server struct {
	opt      Options
	place    place
	password redact.Secret
	bin      string
	adopted  bool
	fresh    bool     // this start chose the place
	lock     *os.File // one start at a time; initdb's processes hold it too

	mu       sync.Mutex
	proc     *process
	stopping chan struct{}
	watched  chan struct{} // closed when the watcher has ended
}

// place is server.json: all that must survive a restart of Fairlead.
type place struct {
	Data    string  `json:"data"` // PostgreSQL's data directory
	Port    int     `json:"port"`
	Account account `json:"account"`
}

// Start makes the server when there is none, adopts it when it runs already,
// else starts it, and returns when it accepts log-ins. Faults are Unavailable:
// "postgres_binaries_missing", "postgres_no_account", "postgres_unreachable_dir",
// "postgres_init_failed", "postgres_start_failed".
func Start(ctx context.Context, opt Options) (*Server, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.MaxConnections == 0 {
		opt.MaxConnections = 200
	}
	if opt.StartTimeout == 0 {
		opt.StartTimeout = time.Minute
	}
	dir, err := filepath.Abs(opt.Dir)
	if err != nil {
		return nil, dirFault(opt.Dir, err)
	}
	opt.Dir = dir
	if err := makePassable(dir); err != nil {
		return nil, dirFault(dir, err)
	}
	s := &Server{opt: opt, stopping: make(chan struct{}), watched: make(chan struct{})}
	if s.lock, err = lock(filepath.Join(dir, "lock")); err != nil {
		return nil, dirFault(dir, err)
	}
	defer func() { _ = s.lock.Close() }()
	if s.bin, err = Binaries("initdb"); err != nil {
		return nil, err
	}
	if err := s.settle(); err != nil {
		return nil, err
	}
	if err := s.initialise(ctx); err != nil {
		s.forget()
		return nil, err
	}
	interrupted := ctx.Done()
	ctx, cancel := context.WithTimeout(ctx, opt.StartTimeout)
	defer cancel()
	if _, port := readPIDFile(s.place.Data); port != 0 {
		s.place.Port = port
	}
	if s.proc = s.running(ctx); s.proc != nil {
		s.adopted = true
		opt.Log.InfoContext(ctx, "adopted the running PostgreSQL server", "pid", s.proc.pid, "port", s.place.Port)
	} else if s.proc, err = s.launch(ctx, true); err != nil {
		s.abandon(interrupted)
		return nil, err
	}
	if err := s.closeToPublic(ctx); err != nil {
		s.abandon(interrupted)
		return nil, startFault("its maintenance databases cannot be closed to tenants", err)
	}
	go s.watch() //nolint:gosec // it watches for as long as the server lives, not as long as Start
	return s, nil
}

// abandon ends the server after a start that failed: nobody else would. One
// that runs since before is left alone, unless Fairlead is told to stop.
func (s *Server) abandon(interrupted <-chan struct{}) {
	select {
	case <-interrupted:
	default:
		if s.adopted || s.proc == nil {
			return
		}
	}
	if p := postmasterOf(s.place.Data); p != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.stop(ctx); err != nil {
			s.opt.Log.Error("the PostgreSQL server could not be stopped", "error", err)
		}
	}
}

// forget takes back what a first start made that did not get as far as a data
// directory.
func (s *Server) forget() {
	if !s.fresh {
		return
	}
	if _, err := os.Stat(s.place.Data); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	home := fallback(s.opt.Dir)
	for _, file := range []string{filepath.Join(s.opt.Dir, "server.json"), filepath.Join(s.opt.Dir, "password"), home} {
		_ = os.Remove(file) // a folder only when it is empty
	}
}

// closeToPublic keeps tenants out of the maintenance databases, into which
// PostgreSQL lets everyone: there they would meet each other, and Fairlead's
// advisory locks.
func (s *Server) closeToPublic(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres").Reveal())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, `REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC`)
	return err
}

// settle reads server.json, or decides and writes it at the first start.
func (s *Server) settle() error {
	file := filepath.Join(s.opt.Dir, "server.json")
	acc, err := chooseAccount()
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(file)
	switch {
	case err == nil:
		if err := json.Unmarshal(raw, &s.place); err != nil || s.place.Data == "" {
			return dirFault(file, errors.Join(errors.New("server.json is damaged"), err))
		}
		s.place.Account.drop = acc.drop
		return s.openFallback()
	case !errors.Is(err, fs.ErrNotExist):
		return dirFault(file, err)
	}
	data := filepath.Join(s.opt.Dir, "data")
	if !acc.reaches(data) {
		home := fallback(s.opt.Dir)
		if !acc.reaches(filepath.Join(home, "data")) && !acc.reaches(home) {
			return fault.New(fault.Unavailable, "postgres_unreachable_dir", "the account %s cannot reach %s, and not %s either", acc.Name, s.opt.Dir, home).
				WithHint("choose a data directory that it can reach, such as /var/lib/fairlead")
		}
		if err := makePassable(home); err != nil {
			return dirFault(home, err)
		}
		s.opt.Log.Warn("PostgreSQL's account cannot reach the data directory; its data lives elsewhere",
			"account", acc.Name, "wanted", data, "data", filepath.Join(home, "data"))
		data = filepath.Join(home, "data")
	}
	port := s.opt.Port
	if port == 0 {
		if port, err = freePort(); err != nil {
			return dirFault(file, err)
		}
	}
	s.place, s.fresh = place{Data: data, Port: port, Account: acc}, true
	return errors.Join(s.openFallback(), s.save())
}

// openFallback lets the account pass through the folder that only we make,
// whatever umask it was made under.
func (s *Server) openFallback() error {
	home := fallback(s.opt.Dir)
	if !s.place.Account.drop || s.place.Data != filepath.Join(home, "data") {
		return nil
	}
	err := os.Chmod(home, 0o711) //nolint:gosec // what is in it is closed; the account must pass
	if errors.Is(err, fs.ErrNotExist) {
		return nil // initialise says what is missing
	}
	if err != nil {
		return dirFault(home, err)
	}
	return nil
}

// makePassable makes a folder, and those above it, so that others may pass but
// not list: the umask, which is about files of the operator's own, must not
// shut the server's account out. What is there already keeps its mode.
func makePassable(dir string) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if above := filepath.Dir(dir); above != dir {
		if err := makePassable(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // what is in it is closed; the account must pass
		return err
	}
	return os.Chmod(dir, 0o711) //nolint:gosec // as above
}

func (s *Server) save() error {
	raw, err := json.MarshalIndent(s.place, "", "  ")
	if err != nil {
		return err
	}
	return writeDurably(filepath.Join(s.opt.Dir, "server.json"), append(raw, '\n'), 0o600)
}

// Port gives the port on 127.0.0.1.
func (s *Server) Port() int { return s.place.Port }

// DataDir gives PostgreSQL's data directory.
func (s *Server) DataDir() string { return s.place.Data }

// Adopted tells whether Start found the server running.
func (s *Server) Adopted() bool { return s.adopted }

// URL gives the administrator's URL of a database, "postgres" being the usual.
func (s *Server) URL(database string) redact.Secret {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(Superuser, s.password.Reveal()),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.place.Port)), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return redact.New(u.String())
}

// Stop ends the server: sessions are cut, what was committed is safe. It
// returns when the process is gone, or when ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	select {
	case <-s.stopping:
	default:
		close(s.stopping)
	}
	p := s.proc
	s.mu.Unlock()
	failpoint.Hit("pgserver.stop.before")
	err := p.stop(ctx)
	failpoint.Hit("pgserver.stop.after")
	if err != nil {
		return fault.New(fault.Unavailable, "postgres_stop_failed", "the PostgreSQL server did not stop in time").WithCause(err)
	}
	<-s.watched
	return nil
}

// Detach leaves the server running and stops watching over it; the next Start
// adopts it.
func (s *Server) Detach() {
	s.mu.Lock()
	select {
	case <-s.stopping:
	default:
		close(s.stopping)
	}
	s.mu.Unlock()
	<-s.watched
}

// watch starts the server again when it ends without being asked to.
func (s *Server) watch() {
	defer close(s.watched)
	pause := 200 * time.Millisecond
	for {
		s.mu.Lock()
		p := s.proc
		s.mu.Unlock()
		began := time.Now()
		select {
		case <-s.stopping:
			return
		case <-p.gone():
		}
		if time.Since(began) > time.Minute {
			pause = 200 * time.Millisecond
		}
		select {
		case <-s.stopping:
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, 10*time.Second)
		s.opt.Log.Warn("the PostgreSQL server ended unasked; starting it again", "port", s.place.Port)
		ctx, cancel := context.WithTimeout(context.Background(), s.opt.StartTimeout)
		next := s.running(ctx) // someone else may have started it
		if next == nil {
			var err error
			if next, err = s.launch(ctx, false); err != nil {
				s.opt.Log.Error("the PostgreSQL server does not start", "error", err)
			}
		}
		cancel()
		if next != nil && !s.keep(next) {
			return
		}
	}
}

// keep makes p the server's process, or ends it when Stop was quicker.
func (s *Server) keep(p *process) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.stopping:
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = p.stop(ctx)
		return false
	default:
		s.proc = p
		return true
	}
}

// Remove stops the server of a folder, if it runs, and deletes it with all its
// data. A folder that holds no server is success.
func Remove(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return dirFault(dir, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "server.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return dirFault(dir, err)
	}
	var pl place
	if err := json.Unmarshal(raw, &pl); err != nil {
		return dirFault(dir, err)
	}
	if p := postmasterOf(pl.Data); p != nil {
		if err := p.stop(ctx); err != nil {
			return fault.New(fault.Unavailable, "postgres_stop_failed", "the PostgreSQL server did not stop in time").WithCause(err)
		}
	}
	// Only what this package made: its own folder, or the one derived from it.
	if pl.Data == filepath.Join(fallback(dir), "data") {
		if err := os.RemoveAll(fallback(dir)); err != nil {
			return dirFault(fallback(dir), err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return dirFault(dir, err)
	}
	return nil
}

func lock(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func newPassword() redact.Secret { return redact.New(rand.Text() + rand.Text()) }

func dirFault(path string, err error) error {
	return fault.New(fault.Unavailable, "postgres_unreachable_dir", "PostgreSQL's folder %s cannot be used", path).
		WithHint("check that it exists, is writable and has space").WithCause(err)
}
