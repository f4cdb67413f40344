package source

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// Change is what is to be otherwise; nil stays as it is. A password or a key
// replaces the credential, an empty one takes it away.
type Change struct {
	URL, Folder          *string // one of them
	Path, Refs, Release  *string
	Every                *time.Duration
	Username             string // with Password
	Password, PrivateKey *redact.Secret
	KnownHosts           *string
	Hooked               *bool // off and on again gives another secret
}

// Update changes a source and looks at it at once. Versions that came from it
// stay: content that differs under a number that is taken is refused, wherever
// it comes from. A credential stays with its origin: for another one it is
// given anew. It needs template:push, and system:manage for a source that is
// on the server, or is to be. The secret that pushes are signed with is given
// this once, when they begin to be taken. ifVersion 0 is any.
func (s *Service) Update(ctx context.Context, ref string, c Change, ifVersion int64) (Source, redact.Secret, error) {
	none := redact.Secret{}
	was, d, err := s.find(ctx, ref)
	if err != nil {
		return Source{}, none, err
	}
	if ifVersion != 0 && ifVersion != was.Version {
		return Source{}, none, stale()
	}
	if was.Kind.local() { // what the server reads there is not everybody's to turn off or away
		if err := s.mayLocal(ctx); err != nil {
			return Source{}, none, err
		}
	}
	v, in, where, err := s.changed(ctx, was, c)
	if err != nil {
		return Source{}, none, err
	}
	secret, anew := none, in.given()
	if v.Hooked && !was.Hooked {
		secret = newHook()
	}
	what := differences(was, v, anew || v.Credential != was.Credential)
	if len(what) == 0 {
		return was, none, nil
	}
	if v.Kind != was.Kind || v.URL != was.URL || v.Path != was.Path || v.Refs != was.Refs || v.Release != was.Release {
		v.place++
	}
	err = s.DB.Write(ctx, "source.update", func(tx *sqldb.Tx) error {
		now, err := s.store.find(ctx, tx, was.ID, true)
		if errors.Is(err, sql.ErrNoRows) {
			return noSource()
		}
		if err != nil {
			return err
		}
		if now.Version != was.Version {
			return stale()
		}
		if err := s.store.update(ctx, tx, v); err != nil {
			return err
		}
		if err := s.reseal(ctx, tx, was, v, where, in, secret); err != nil {
			return err
		}
		details := map[string]any{"source": v.ID, "changed": slices.Sorted(maps.Keys(what))}
		maps.Copy(details, what)
		audit.Append(ctx, tx, audit.Entry{Action: "template:source-update", Target: v.Target(), Decision: d, Details: details})
		v, err = s.store.find(ctx, tx, v.ID, false)
		if err != nil {
			return err
		}
		return s.tell(ctx, tx, "template.source_changed", v, slices.Sorted(maps.Keys(what)))
	})
	if err != nil {
		return Source{}, none, err
	}
	return v, secret, nil
}

func stale() error {
	return fault.New(fault.Stale, "stale_version", "the source was changed since you looked at it").WithHint("look again, then repeat what you wanted")
}

func newHook() redact.Secret {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return redact.New(hookPrefix + base64.StdEncoding.EncodeToString(b))
}

// tell emits what happened to a source itself.
func (s *Service) tell(ctx context.Context, tx *sqldb.Tx, kind string, v Source, changed []string) error {
	data := map[string]any{"source": v.ID, "template": v.Name, "kind": string(v.Kind), "url": v.URL}
	if len(changed) > 0 {
		data["changed"] = changed
	}
	return event.Emit(ctx, tx, event.Event{Type: kind, Subject: v.ID, To: []string{v.CreatedBy}, Data: data})
}

// changed is the source as it would be, held to the rules for a new one.
func (s *Service) changed(ctx context.Context, was Source, c Change) (Source, NewSource, place, error) {
	v := was
	in := NewSource{Name: was.Name, Path: was.Path, Refs: was.Refs, Release: was.Release, Username: c.Username, Hooked: was.Hooked, Every: c.Every}
	if was.Kind == Folder {
		in.Folder = was.URL
	} else {
		in.URL = was.URL
	}
	if c.URL != nil || c.Folder != nil {
		if in.URL, in.Folder = orEmpty(c.URL), orEmpty(c.Folder); (in.URL == "") == (in.Folder == "") {
			return v, in, place{}, errOnePlace()
		}
	}
	if in.Folder == "" { // a repository's versions are its tags
		in.Release = ""
	}
	for _, f := range []struct{ to, from *string }{{&in.Path, c.Path}, {&in.Refs, c.Refs}, {&in.Release, c.Release}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if c.Hooked != nil {
		in.Hooked = *c.Hooked
	}
	if c.Password != nil {
		in.Password = *c.Password
	}
	if c.PrivateKey != nil {
		in.PrivateKey = *c.PrivateKey
	}
	old, err := parsePlace(was.URL, s.Egress)
	if err != nil || was.Kind == Folder { // what is not allowed any more is nowhere
		old = place{}
	}
	var where place
	if in.URL != "" {
		if where, err = parsePlace(in.URL, s.Egress); err != nil {
			return v, in, where, err
		}
	}
	same := where.kind == old.kind && where.origin == old.origin
	if v.KnownHosts = ""; same {
		v.KnownHosts = was.KnownHosts
	}
	if c.KnownHosts != nil {
		v.KnownHosts = strings.TrimSpace(*c.KnownHosts)
	}
	kept := was.Credential != "" && c.Password == nil && c.PrivateKey == nil
	if kept && !same && (where.kind == HTTPS || where.kind == SSH) {
		return v, in, where, fault.New(fault.Conflict, "source_origin", "the source's credential is for %s alone", old.named()).WithField("/url").
			WithHint("give a credential for where it goes, or take this one away")
	}
	in.kept = kept && same
	v.Path, v.Refs, v.Release, v.Hooked, v.Credential = in.Path, in.Refs, in.Release, in.Hooked, ""
	where, err = s.check(ctx, &v, in)
	return v, in, where, err
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// given tells whether a credential came with it.
func (n NewSource) given() bool { return !n.Password.Empty() || !n.PrivateKey.Empty() }

// differences is what changed, each with what it was and is; of a credential
// only that it did.
func differences(was, v Source, credential bool) map[string]any {
	out := map[string]any{}
	note := func(name string, a, b any) {
		if a != b {
			out[name] = map[string]any{"from": a, "to": b}
		}
	}
	note("kind", string(was.Kind), string(v.Kind))
	note("url", was.URL, v.URL)
	note("path", was.Path, v.Path)
	note("refs", was.Refs, v.Refs)
	note("release", was.Release, v.Release)
	note("knownHosts", was.KnownHosts, v.KnownHosts)
	note("webhook", was.Hooked, v.Hooked)
	note("everySeconds", int64(was.Every.Seconds()), int64(v.Every.Seconds()))
	if credential {
		out["credential"] = map[string]any{"from": was.Credential, "to": v.Credential}
	}
	return out
}

// reseal keeps a credential that stays, and puts what comes, or nothing, over
// what goes.
func (s *Service) reseal(ctx context.Context, tx *sqldb.Tx, was, v Source, where place, in NewSource, hook redact.Secret) error {
	if was.Credential != "" && v.Credential == "" {
		if err := s.Secrets.Put(ctx, tx, v.ID, credentialSlot, redact.New("{}")); err != nil {
			return err
		}
	}
	if was.Hooked && !v.Hooked { // nothing is signed with what nobody knows
		if err := s.Secrets.Put(ctx, tx, v.ID, hookSlot, newHook()); err != nil {
			return err
		}
	}
	if !in.given() {
		v.Credential = ""
	}
	return s.seal(ctx, tx, v, where, in, hook)
}
