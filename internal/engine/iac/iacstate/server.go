package iacstate

import (
	"context"
	"crypto/md5" //nolint:gosec // the protocol's checksum, which guards nothing
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// User is the name that a run gives in basic authentication, beside its token.
const User = "run"

const prefix = "/state/"

// Server serves sessions to the children of this process, on loopback. A
// session has a token from Admit until the function that Admit gave is called,
// and the token opens that session's state and nothing else.
type Server struct {
	log  *slog.Logger
	http *http.Server
	addr string

	mu       sync.Mutex
	sessions map[[sha256.Size]byte]*Session
}

// Serve starts a server on a free port of loopback. Close it.
func Serve(ctx context.Context, log *slog.Logger) (*Server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fault.New(fault.Unavailable, "state_server", "the state server cannot listen on loopback").WithCause(err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{log: log, addr: l.Addr().String(), sessions: map[[sha256.Size]byte]*Session{}}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10}
	s.ServeOn(l)
	return s, nil
}

// ServeOn serves on one more listener, such as one in a run's own network. It
// returns at once.
func (s *Server) ServeOn(l net.Listener) {
	go func() {
		if err := s.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.log.Error("the state server ended", "error", err)
		}
	}()
}

// Close ends the server and every token.
func (s *Server) Close() {
	s.mu.Lock()
	s.sessions = map[[sha256.Size]byte]*Session{}
	s.mu.Unlock()
	_ = s.http.Close()
}

// Address is where it listens, as host:port.
func (s *Server) Address() string { return s.addr }

// Path is the state's path on the server.
func Path(state string) string { return prefix + state }

// Admit gives a token for a session. The token is dead once end was called.
func (s *Server) Admit(c *Session) (token redact.Secret, end func()) {
	text := rand.Text() + rand.Text()
	key := sha256.Sum256([]byte(text))
	s.mu.Lock()
	s.sessions[key] = c
	s.mu.Unlock()
	return redact.New(text), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.sessions, key)
	}
}

// session finds whose token a request carries. The table is by the token's
// hash, so the time of a look-up tells nothing of it.
func (s *Server) session(r *http.Request) *Session {
	user, token, ok := r.BasicAuth()
	if !ok || user != User {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[sha256.Sum256([]byte(token))]
}

// ServeHTTP speaks the protocol of the http backend.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := s.session(r)
	if c == nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="state"`)
		http.Error(w, "this token opens nothing, or its run has ended", http.StatusUnauthorized)
		return
	}
	if state, ok := strings.CutPrefix(r.URL.Path, prefix); !ok || state != c.State {
		http.Error(w, "the run has another state", http.StatusForbidden)
		return
	}
	var err error
	switch r.Method {
	case http.MethodGet:
		err = get(w, r, c)
	case http.MethodPost:
		err = post(w, r, c)
	case "LOCK":
		err = lock(w, r, c)
	case "UNLOCK":
		err = unlock(w, r, c)
	default:
		http.Error(w, "a state is not deleted by its run", http.StatusMethodNotAllowed)
	}
	if err != nil {
		s.refuse(w, r, c, err)
	}
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, c *Session, err error) {
	var busy Busy
	if errors.As(err, &busy) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusLocked)
		_ = json.NewEncoder(w).Encode(busy.Holder)
		return
	}
	f := fault.From(err)
	status := map[fault.Kind]int{
		fault.Invalid: http.StatusBadRequest, fault.Denied: http.StatusForbidden, fault.Conflict: http.StatusConflict,
		fault.TooLarge: http.StatusRequestEntityTooLarge, fault.Unavailable: http.StatusServiceUnavailable,
	}[f.Kind]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	s.log.Warn("a state request was refused", "state", c.State, "run", c.Run, "method", r.Method, "code", f.Code, "error", err)
	http.Error(w, f.Message, status)
}

func get(w http.ResponseWriter, r *http.Request, c *Session) error {
	body, m, err := c.Read(r.Context())
	if err != nil {
		return err
	}
	if m.Version == 0 {
		http.Error(w, "there is no state yet", http.StatusNotFound)
		return nil
	}
	sum := md5.Sum(body) //nolint:gosec // as above
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	_, _ = w.Write(body)
	return nil
}

// read takes a bounded body.
func read(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, tooLarge()
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "state_invalid", "the request was cut off").WithCause(err)
	}
	return body, nil
}

func post(w http.ResponseWriter, r *http.Request, c *Session) error {
	body, err := read(w, r, MaxSize)
	if err != nil {
		return err
	}
	if want := r.Header.Get("Content-MD5"); want != "" {
		if sum := md5.Sum(body); want != base64.StdEncoding.EncodeToString(sum[:]) { //nolint:gosec // as above
			return fault.New(fault.Invalid, "state_invalid", "the state was changed on its way")
		}
	}
	return c.Write(r.Context(), r.URL.Query().Get("ID"), body)
}

const maxLock = 64 << 10

func readLock(w http.ResponseWriter, r *http.Request) (l Lock, err error) {
	body, err := read(w, r, maxLock)
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(body, &l); err != nil {
		return l, fault.New(fault.Invalid, "state_lock_invalid", "what was sent is no lock")
	}
	return l, nil
}

func lock(w http.ResponseWriter, r *http.Request, c *Session) error {
	l, err := readLock(w, r)
	if err != nil {
		return err
	}
	return c.Lock(r.Context(), l)
}

func unlock(w http.ResponseWriter, r *http.Request, c *Session) error {
	l, err := readLock(w, r)
	if err != nil {
		return err
	}
	return c.Unlock(r.Context(), l.ID)
}
