package guardrail

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/gate"
	"fairlead/internal/loop"
	"fairlead/internal/rego"
	"fairlead/internal/sqldb"
	"fairlead/internal/template/bundle"
)

// Topic is woken when other guardrails are in force.
const Topic = "guardrails"

// maxAge is how long a replica decides without looking whether what is in
// force has changed.
const maxAge = 2 * time.Second

// Approvals settles whether a change of guardrails has been agreed to, as
// gate.Approvals does for requests.
type Approvals interface {
	Settle(ctx context.Context, tx *sqldb.Tx, ask gate.Ask) (gate.Answer, error)
}

// Options are what a Service needs; all but Approvals, Limits and Log are
// required.
type Options struct {
	DB        *sqldb.DB
	Access    access.Authorizer
	Key       ed25519.PrivateKey // signs what is stored; the same on every replica
	Approvals Approvals          // nil: what needs an approval is refused
	Limits    rego.Limits        // of one evaluation
	Log       *slog.Logger
}

// Service keeps guardrails and asks them. It is safe for concurrent use.
type Service struct {
	db        *sqldb.DB
	access    access.Authorizer
	signer    signer
	approvals Approvals
	limits    rego.Limits
	log       *slog.Logger

	seen    seen
	now     func() time.Time // monotonic
	loading sync.Mutex
	current atomic.Pointer[inForce]
	stale   atomic.Bool
}

// inForce is what this replica decides by.
type inForce struct {
	set     *Set
	version int64
	list    []version
	unsound bool         // the record of what is in force cannot be trusted
	checked atomic.Int64 // nanoseconds since epoch began; by the monotonic clock
}

var epoch = time.Now()

// New makes a Service.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{db: o.DB, access: o.Access, signer: signer{o.Key}, approvals: o.Approvals, limits: o.Limits, log: o.Log, now: time.Now}
}

// Loop keeps what is in force current: woken by other replicas, and by a slow
// poll because wake-ups get lost. Evaluate looks by itself besides.
func (s *Service) Loop() loop.Loop {
	return loop.Loop{Name: "guardrails.reload", Every: 10 * time.Second, Wake: Topic, Do: s.Reload}
}

// Reload looks what is in force and compiles what is new.
func (s *Service) Reload(ctx context.Context) error {
	s.stale.Store(true)
	_, err := s.active(ctx)
	return err
}

// Evaluate implements gate.Rules. A replica may decide by what was in force
// two seconds ago at most.
func (s *Service) Evaluate(ctx context.Context, f gate.Facts) ([]gate.Verdict, string, error) {
	a, err := s.active(ctx)
	if err != nil {
		return nil, "", err
	}
	return a.set.Evaluate(ctx, f), a.set.digest, nil
}

// Active gives the set that is in force, for whoever evaluates recorded
// documents. It asks nobody for leave: faces go through the other methods.
func (s *Service) Active(ctx context.Context) (*Set, error) {
	a, err := s.active(ctx)
	if err != nil {
		return nil, err
	}
	return a.set, nil
}

// Replay asks a set about a recorded document; see Set.Replay.
func (s *Service) Replay(ctx context.Context, set *Set, document map[string]any) []gate.Verdict {
	return set.Replay(ctx, document)
}

func (s *Service) active(ctx context.Context) (*inForce, error) {
	a := s.current.Load()
	if a != nil && !s.stale.Load() && s.since()-a.checked.Load() < int64(maxAge) {
		return a, nil
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	a = s.current.Load()
	if a != nil && !s.stale.Load() && s.since()-a.checked.Load() < int64(maxAge) {
		return a, nil
	}
	began := s.since() // before looking: what changes meanwhile is found next time
	s.stale.Store(false)
	next, err := s.look(ctx, a)
	if err != nil {
		s.stale.Store(true)
		return nil, fmt.Errorf("guardrails in force: %w", err)
	}
	next.checked.Store(began) // old itself, mostly
	s.current.Store(next)
	return next, nil
}

func (s *Service) since() int64 { return int64(s.now().Sub(epoch)) }

// look gives old when it is still in force.
func (s *Service) look(ctx context.Context, old *inForce) (*inForce, error) {
	q := queries{s.db.Read()}
	if old != nil && len(old.set.damaged) == 0 {
		v, err := q.version(ctx)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		if err == nil && v == old.version {
			return old, nil
		}
	}
	st, err := q.state(ctx, "")
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	list, e := st.versions()
	if err != nil || e != nil || !s.signer.stateHolds(st) || old != nil && st.version < old.version {
		s.log.ErrorContext(ctx, "the record of the guardrails in force was changed from outside; requests are denied until it is mended")
		set := newSet(s.limits)
		set.damaged = []gate.Verdict{tampered("", "the record of what is in force is not what was activated")}
		return &inForce{set: set, version: max(st.version, versionOf(old)), unsound: true}, nil
	}
	set, err := s.build(ctx, list, old)
	if err != nil {
		return nil, err
	}
	s.log.InfoContext(ctx, "guardrails in force", "change", st.version, "bundles", len(set.bundles), "digest", set.digest)
	return &inForce{set: set, version: st.version, list: list}, nil
}

func versionOf(f *inForce) int64 {
	if f == nil {
		return 0
	}
	return f.version
}

// build makes the set of a list. What was changed from outside is put aside
// and denies everything: nobody knows what it would have denied.
func (s *Service) build(ctx context.Context, list []version, old *inForce) (*Set, error) {
	var bundles []*Bundle
	var damaged []gate.Verdict
	for _, v := range list {
		if old != nil {
			if b, ok := old.set.Bundle(v.Name); ok && b.Version == v.Version && b.Digest == v.Digest {
				bundles = append(bundles, b)
				continue
			}
		}
		b, err := s.load(ctx, v.Name, v.Version)
		if err == nil && b.Digest != v.Digest {
			err = damagedBundle(Summary{Name: v.Name, Version: v.Version}, errors.New("it is another one than was activated"))
		}
		switch {
		case err == nil:
			bundles = append(bundles, b)
		case errors.Is(err, errDamaged), errors.Is(err, errUnknown):
			s.log.ErrorContext(ctx, "a stored bundle of guardrails cannot be used; requests are denied until it is mended", "bundle", v.Name, "version", v.Version, "error", err)
			damaged = append(damaged, tampered(v.Name+"@"+v.Version, "the stored bundle is not what was pushed"))
		default:
			return nil, err
		}
	}
	set := newSet(s.limits, bundles...)
	set.digest, set.damaged = digestOf(list), damaged
	return set, nil
}

func tampered(label, what string) gate.Verdict {
	return gate.Verdict{
		Source: "guardrail", Rule: "integrity", Bundle: label, Strength: gate.Deny, Message: "the guardrails were tampered with: " + what,
		Remedy: "whoever keeps the guardrails: push the same content again, or activate another version; see docs/guardrails.md",
	}
}

// restore makes a bundle of what is stored.
func restore(s Summary, archive []byte) (*Bundle, error) {
	files, err := bundle.Read(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	if files.Digest() != s.Digest {
		return nil, errors.New("the digest differs")
	}
	b, err := parseStored(files, s)
	if err != nil {
		return nil, err
	}
	b.CreatedAt, b.CreatedBy = s.CreatedAt, s.CreatedBy
	return b, nil
}

func parseStored(files *bundle.Bundle, s Summary) (*Bundle, error) {
	if _, manifest := files.File(ManifestFile); manifest {
		b, err := NewBundle(files, "", "")
		if err == nil && (b.Name != s.Name || b.Version != s.Version) {
			return nil, errors.New("it is of another name or version")
		}
		return b, err
	}
	return NewBundle(files, s.Name, s.Version)
}
