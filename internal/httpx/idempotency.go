package httpx

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

const (
	maxKey       = 128
	keepKeys     = 24 * time.Hour
	maxKeptReply = 256 << 10
	// replyGrace is how long after a claim another replica may still be about
	// to keep the reply. After it the replica is taken for dead.
	replyGrace = 2 * time.Second
)

// idempotency makes a mutation with an Idempotency-Key happen once.
//
// The key is claimed by the prelude of the mutation's own transaction
// (sqldb.WithPrelude), so there is never a claim without its mutation nor a
// mutation without its claim, whatever dies when. The reply is kept after the
// commit, in batches, off the caller's path. Should the server die in between,
// the claim says that the work is done: the key is then answered by looking at
// what is there (Located), and never by doing it again.
type idempotency struct {
	srv *Server
	db  *sqldb.DB

	mu      sync.Mutex
	flights map[flightKey]*flight
	keep    chan *flight
}

type flightKey struct{ principal, key string }

// flight is one keyed request under way in this process. Its fields are
// written before done is closed, or only by the leader.
type flight struct {
	flightKey
	digest string
	done   chan struct{}
	reply  *reply // nil when nothing was claimed: the next one may try
}

// reply is what a handler answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func newIdempotency(s *Server, db *sqldb.DB) *idempotency {
	return &idempotency{srv: s, db: db, flights: map[flightKey]*flight{}, keep: make(chan *flight, 1024)}
}

// ParseIdempotencyKey checks a key: 1 to 128 printable ASCII characters
// without spaces, in one header.
func ParseIdempotencyKey(headers []string) (string, error) {
	if len(headers) == 1 && visible(headers[0], maxKey) {
		return headers[0], nil
	}
	return "", fault.New(fault.Invalid, "invalid_idempotency_key", "the Idempotency-Key cannot be used").
		WithHint("send one header with 1 to %d printable ASCII characters, best a random UUID", maxKey).WithField("header:Idempotency-Key")
}

// serve answers a mutation that carries a key.
func (i *idempotency) serve(rt *route, x *exchange, r *http.Request, body []byte, keys []string, p principal.Principal) {
	key, err := ParseIdempotencyKey(keys)
	if err != nil {
		x.problem(err, http.StatusBadRequest)
		return
	}
	// Everybody unknown is the same nobody: their keys would be each other's.
	if i.db == nil || rt.traits.again || p.Kind == principal.Anonymous {
		rt.call(x, r)
		return
	}
	digest := digestOf(r, body, p)
	for {
		f, mine := i.board(flightKey{p.ID, key}, digest)
		if !mine {
			if f.digest != digest {
				x.problem(errKeyReused(), 0)
				return
			}
			select {
			case <-f.done:
			case <-r.Context().Done():
				x.problem(r.Context().Err(), 0)
				return
			}
			if f.reply == nil {
				continue // it failed before it did anything: our turn
			}
			i.replay(rt, x, f.reply)
			return
		}
		i.lead(f, rt, x, r, body)
		return
	}
}

// board joins the flight of a key, or starts one.
func (i *idempotency) board(k flightKey, digest string) (f *flight, mine bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if f = i.flights[k]; f != nil {
		return f, false
	}
	f = &flight{flightKey: k, digest: digest, done: make(chan struct{})}
	i.flights[k] = f
	return f, true
}

func (i *idempotency) land(f *flight) {
	i.mu.Lock()
	delete(i.flights, f.flightKey)
	i.mu.Unlock()
	close(f.done)
}

func (i *idempotency) lead(f *flight, rt *route, x *exchange, r *http.Request, body []byte) {
	defer i.land(f)
	c, err := i.look(r.Context(), f.flightKey)
	if err != nil {
		x.problem(err, 0)
		return
	}
	if c == nil {
		var rep *reply
		var outcome claimOutcome
		rep, outcome = i.execute(f, rt, x, r)
		switch outcome {
		case claimMine:
			f.reply = rep
			i.remember(f, rt)
			rep.write(x)
			return
		case claimNone:
			rep.write(x)
			return
		}
		// Another replica was faster. Its transaction has committed, or ours
		// would have got the key.
		if c, err = i.look(r.Context(), f.flightKey); err != nil || c == nil {
			x.problem(errors.Join(err, fault.New(fault.Unavailable, "try_again", "the same request is under way elsewhere").WithRetryAfter(1)), 0)
			return
		}
	}
	if c.digest != f.digest {
		x.problem(errKeyReused(), 0)
		return
	}
	if f.reply, err = i.await(r.Context(), f.flightKey, c, rt.traits.sensitive); err != nil {
		x.problem(err, 0)
		return
	}
	if f.reply != nil {
		i.replay(rt, x, f.reply)
		return
	}
	i.recover(rt, x, r, body, c)
}

type claimOutcome int

const (
	claimNone claimOutcome = iota // nothing was committed
	claimMine
	claimLost // somebody else has the key
)

var errClaimLost = fault.New(fault.Conflict, "idempotency_claimed", "the same request was done elsewhere meanwhile")

// execute runs the handler with the claim in front of its first transaction.
func (i *idempotency) execute(f *flight, rt *route, x *exchange, r *http.Request) (*reply, claimOutcome) {
	var mu sync.Mutex // handlers may write from several goroutines
	outcome := claimNone
	header := "{}"
	if x.location != "" {
		b, _ := json.Marshal(map[string][]string{"Location": {x.location}})
		header = string(b)
	}
	ctx := sqldb.WithPrelude(r.Context(), func(tx *sqldb.Tx) error {
		mu.Lock()
		defer mu.Unlock()
		if outcome == claimMine {
			return nil // a second transaction of the same request
		}
		outcome = claimNone
		res, err := tx.ExecContext(ctx0, `INSERT INTO idempotency_keys (principal_id, key, digest, headers, created_at)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, f.principal, f.key, f.digest, header, tx.Now().UnixMicro())
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			outcome = claimLost
			return errClaimLost
		}
		tx.After(func() {
			mu.Lock()
			defer mu.Unlock()
			outcome = claimMine
		})
		return nil
	})
	w := &recorder{header: x.Header()}
	rt.call(w, r.WithContext(ctx))
	mu.Lock()
	defer mu.Unlock()
	rep := w.reply()
	if rep.status == http.StatusCreated && x.location != "" && rep.header["Location"] == nil {
		rep.header["Location"] = []string{x.location}
	}
	return rep, outcome
}

// ctx0 is for tx's methods, which do not use theirs.
var ctx0 = context.Background()

// claim is a row: the mutation is done.
type claim struct {
	digest string
	status int
	header http.Header
	body   []byte
	at     time.Time
}

func (i *idempotency) look(ctx context.Context, k flightKey) (*claim, error) {
	var c claim
	var header, body string
	var at int64
	err := i.db.Read().QueryRowContext(ctx, `SELECT digest, status, headers, body, created_at FROM idempotency_keys
		WHERE principal_id = $1 AND key = $2`, k.principal, k.key).Scan(&c.digest, &c.status, &header, &body, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(header), &c.header); err != nil {
		c.header, c.status = nil, 0 // a damaged row: the work is done, its reply is lost
	}
	c.body, c.at = []byte(body), time.UnixMicro(at)
	return &c, nil
}

// await gives the kept reply, for a moment waiting for a replica that may be
// about to keep it; nil when there is none.
func (i *idempotency) await(ctx context.Context, k flightKey, c *claim, sensitive bool) (*reply, error) {
	now, err := i.db.Now(ctx)
	if err != nil {
		return nil, err
	}
	tick := time.NewTimer(0)
	defer tick.Stop()
	for deadline := time.Now().Add(c.at.Add(replyGrace).Sub(now)); c.status == 0 && !sensitive && time.Now().Before(deadline); {
		tick.Reset(25 * time.Millisecond)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		again, err := i.look(ctx, k)
		if err != nil {
			return nil, err
		}
		if again == nil { // forgotten this moment
			break
		}
		c.status, c.header, c.body = again.status, again.header, again.body
	}
	if c.status == 0 {
		return nil, nil
	}
	return &reply{c.status, c.header, c.body}, nil
}

// replay gives a kept reply again.
func (i *idempotency) replay(rt *route, x *exchange, rep *reply) {
	i.srv.metrics.replayed.Inc()
	if rt.traits.sensitive {
		x.problem(errNotKept(), 0)
		return
	}
	x.Header()["Idempotency-Replayed"] = []string{"true"}
	rep.write(x)
}

func errKeyReused() error {
	return fault.New(fault.Conflict, "idempotency_key_reused", "this Idempotency-Key was used for another request").
		WithHint("use a new key for each new request, and the same only to send the same again").WithField("header:Idempotency-Key")
}

func errNotKept() error {
	return fault.New(fault.Conflict, "idempotency_replay_unavailable", "this request was done before; its reply held a secret and was not kept").
		WithHint("it was not done again; look at what is there, and make a new secret if this one is lost")
}

// digestOf tells requests apart: all that decides what is done, and how far
// the credential reaches.
func digestOf(r *http.Request, body []byte, p principal.Principal) string {
	h := sha256.New()
	for _, part := range []string{
		r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Content-Type"), r.Header.Get("If-Match"), strings.Join(p.Scopes, " "),
	} {
		h.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}
