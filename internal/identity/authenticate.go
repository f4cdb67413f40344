package identity

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

const (
	cacheFor  = 5 * time.Second // how old a snapshot may be when every wake-up got lost
	cacheSize = 8192
	touchAge  = time.Minute // last use is written down no more often
)

// AuthenticateToken recognises an API token of a user or a robot. Everything
// else fails with Unauthenticated, the same way for each reason.
func (s *Service) AuthenticateToken(ctx context.Context, value redact.Secret) (principal.Principal, error) {
	digest, ok := parse(value.Reveal(), userToken, robotToken)
	if !ok {
		return principal.Nobody, badToken()
	}
	return s.recognise(ctx, digest, s.loadToken, badToken)
}

// AuthenticateSession recognises a session by the secret of its cookie.
func (s *Service) AuthenticateSession(ctx context.Context, value redact.Secret) (principal.Principal, error) {
	digest, ok := parse(value.Reveal(), sessionValue)
	if !ok {
		return principal.Nobody, badSession()
	}
	return s.recognise(ctx, digest, s.loadSession, badSession)
}

func badToken() error {
	return fault.New(fault.Unauthenticated, "invalid_token", "the token is unknown, expired or revoked").
		WithHint("run fairlead login, or make a new token")
}

func badSession() error {
	return fault.New(fault.Unauthenticated, "invalid_session", "the session is unknown or has ended").WithHint("sign in again")
}

// snapshot is a recognised principal. It is dead at the database's time
// expires, and read again when it is cacheFor old.
type snapshot struct {
	p       principal.Principal
	expires time.Time // the database's clock
	read    time.Time // the same clock when it was read
	loaded  time.Time // this process's clock then; only ever compared with itself
}

func (v snapshot) dead() bool  { return !v.read.Add(time.Since(v.loaded)).Before(v.expires) }
func (v snapshot) fresh() bool { return time.Since(v.loaded) < cacheFor }

func (s *Service) recognise(ctx context.Context, digest string, load func(context.Context, string) (snapshot, error), bad func() error) (principal.Principal, error) {
	v, generation, ok := s.cache.get(digest)
	if !ok || !v.fresh() {
		var err error
		if v, err = load(ctx, digest); missing(err) {
			return principal.Nobody, bad()
		} else if err != nil {
			return principal.Nobody, err
		}
		s.cache.put(digest, v, generation)
	}
	if v.dead() {
		return principal.Nobody, bad()
	}
	return v.p, nil
}

// loadToken gives the snapshot, or sql.ErrNoRows for whatever is not valid.
func (s *Service) loadToken(ctx context.Context, digest string) (snapshot, error) {
	q := s.db.Read()
	t, err := s.store.tokenByDigest(ctx, q, digest)
	if err != nil {
		return snapshot{}, err
	}
	if !t.RevokedAt.IsZero() {
		return snapshot{}, sql.ErrNoRows
	}
	v, err := s.snapshot(ctx, q, t.OwnerID)
	if err != nil {
		return snapshot{}, err
	}
	v.p.TokenID, v.p.Scopes, v.expires = t.ID, t.Scopes, t.ExpiresAt
	if v.read.Sub(t.LastUsed) >= touchAge && v.read.Before(v.expires) {
		s.touched.token(t.ID)
	}
	return v, nil
}

func (s *Service) loadSession(ctx context.Context, digest string) (snapshot, error) {
	q := s.db.Read()
	row, err := s.store.sessionByDigest(ctx, q, digest)
	if err != nil {
		return snapshot{}, err
	}
	if row.revoked {
		return snapshot{}, sql.ErrNoRows
	}
	v, err := s.snapshot(ctx, q, row.PrincipalID)
	if err != nil {
		return snapshot{}, err
	}
	v.p.SessionID, v.expires = row.ID, row.ExpiresAt
	if idle := row.LastSeenAt.Add(s.idle); idle.Before(v.expires) {
		v.expires = idle
	}
	if v.read.Sub(row.LastSeenAt) >= min(touchAge, s.idle/4) && v.read.Before(v.expires) {
		s.touched.session(row.ID)
	}
	return v, nil
}

// snapshot makes the principal as it is now.
func (s *Service) snapshot(ctx context.Context, q sqldb.Querier, id string) (snapshot, error) {
	loaded := time.Now()
	a, err := s.store.accountByID(ctx, q, id, false)
	if err != nil {
		return snapshot{}, err
	}
	if !a.disabledAt.IsZero() || a.kind != principal.User && a.kind != principal.Robot {
		return snapshot{}, sql.ErrNoRows
	}
	p, err := s.store.principal(ctx, q, a)
	if err != nil {
		return snapshot{}, err
	}
	now, err := s.db.Now(ctx)
	if err != nil {
		return snapshot{}, err
	}
	return snapshot{p: p, read: now, loaded: loaded}, nil
}

// cache keeps snapshots by the digest of their credential.
type cache struct {
	generation atomic.Uint64
	mu         sync.RWMutex
	m          map[string]snapshot
}

// get gives a snapshot and the generation to put one back with.
func (c *cache) get(digest string) (v snapshot, generation uint64, ok bool) {
	generation = c.generation.Load()
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok = c.m[digest]
	return v, generation, ok
}

// put keeps a snapshot unless something changed since generation: what was
// read before a revocation must not outlive it.
func (c *cache) put(digest string, v snapshot, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation.Load() != generation {
		return
	}
	if c.m == nil || len(c.m) >= cacheSize {
		c.m = map[string]snapshot{}
	}
	c.m[digest] = v
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation.Add(1)
	c.m = nil
}

// touched collects which credentials were used, off the hot path.
type touched struct {
	mu               sync.Mutex
	tokens, sessions map[string]bool
}

func (t *touched) token(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tokens == nil {
		t.tokens = map[string]bool{}
	}
	t.tokens[id] = true
}

func (t *touched) session(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sessions == nil {
		t.sessions = map[string]bool{}
	}
	t.sessions[id] = true
}

func (t *touched) take() (tokens, sessions []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.tokens {
		tokens = append(tokens, id)
	}
	for id := range t.sessions {
		sessions = append(sessions, id)
	}
	t.tokens, t.sessions = nil, nil
	return tokens, sessions
}

// flushTouched writes down when credentials were last used. What cannot be
// written is dropped: the next use says it again.
func (s *Service) flushTouched(ctx context.Context) {
	tokens, sessions := s.touched.take()
	if len(tokens)+len(sessions) == 0 {
		return
	}
	err := s.db.Write(ctx, "identity.touch", func(tx *sqldb.Tx) error { return s.store.touch(ctx, tx, tokens, sessions) })
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "the last use of credentials could not be written down", "error", err)
	}
}
