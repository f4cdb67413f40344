package source

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

const (
	hookPrefix = "whsec_"
	hookWindow = 5 * time.Minute       // how old a signed time may be, or how far ahead
	hookKeep   = 7 * 24 * time.Hour    // how long a push is remembered
	maxHookID  = 200                   // bytes
	hookPolicy = "signature-of-a-push" // what an audit record names as what allowed it
)

// Push is what a forge says when something was pushed. Only that it says so
// counts: the source is looked at, and nothing of the body is believed.
type Push struct {
	ID        string // Standard Webhooks: webhook-id
	Timestamp string // webhook-timestamp
	Signature string // webhook-signature
	Hub       string // GitHub, Gitea, Forgejo: X-Hub-Signature-256
	Token     string // GitLab: X-Gitlab-Token
	Body      []byte
}

var (
	errPush     = fault.New(fault.Unauthenticated, "push_refused", "the push is not signed with the source's secret, or is too old").WithHint("set the secret that fairlead template add showed as the webhook's secret")
	errReplayed = fault.New(fault.Conflict, "push_replayed", "this push was taken already").WithHint("nothing to do: the source is looked at once for it")
)

// Pushed looks at a source because its forge says so. The right to it is the
// signature. A push is taken once: by its signed id and time, or where the
// forge signs neither by what it says.
func (s *Service) Pushed(ctx context.Context, id string, p Push) error {
	if !ident.IsRef(id) || !strings.HasPrefix(id, "src_") {
		return errPush
	}
	v, err := s.store.find(ctx, s.DB.Read(), id, false)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !v.Hooked {
		return errPush
	}
	if err != nil {
		return err
	}
	secret, err := s.Secrets.Get(ctx, v.ID, hookSlot)
	if fault.Is(err, fault.NotFound) {
		return errPush
	}
	if err != nil {
		return err
	}
	now, err := s.DB.Now(ctx)
	if err != nil {
		return err
	}
	once, ok := p.verify(secret.Reveal(), now)
	if !ok {
		return errPush
	}
	ctx = principal.With(ctx, principal.System)
	return s.DB.Write(ctx, "source.push", func(tx *sqldb.Tx) error {
		fresh, err := s.store.push(ctx, tx, v.ID, once, hookKeep)
		if err != nil {
			return err
		}
		if !fresh {
			return errReplayed
		}
		if _, err := s.store.want(ctx, tx, v.ID); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return errPush
			}
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: "template:source-pushed", Target: v.Target(), Decision: access.Decision{Allowed: true, Policies: []string{hookPolicy}},
			Details: map[string]any{"source": v.ID, "push": once}})
		return nil
	})
}

// verify tells whether a push is signed, and what makes it the one that it is.
// All comparisons take the same time whatever they compare.
func (p Push) verify(secret string, now time.Time) (once string, ok bool) {
	sum := sha256.Sum256(p.Body)
	body := "body:" + hex.EncodeToString(sum[:])
	switch {
	case p.Signature != "":
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, hookPrefix))
		at, terr := strconv.ParseInt(p.Timestamp, 10, 64)
		if err != nil || terr != nil || p.ID == "" || len(p.ID) > maxHookID {
			return "", false
		}
		if age := now.Sub(time.Unix(at, 0)); age > hookWindow || age < -hookWindow {
			return "", false
		}
		h := hmac.New(sha256.New, key)
		_, _ = fmt.Fprintf(h, "%s.%d.", p.ID, at)
		_, _ = h.Write(p.Body)
		want := "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
		for i, one := range strings.Fields(p.Signature) {
			if i < 10 && subtle.ConstantTimeCompare([]byte(one), []byte(want)) == 1 {
				ok = true
			}
		}
		id := sha256.Sum256([]byte(p.ID))
		return "id:" + hex.EncodeToString(id[:]), ok
	case p.Hub != "":
		h := hmac.New(sha256.New, []byte(secret))
		_, _ = h.Write(p.Body)
		want := "sha256=" + hex.EncodeToString(h.Sum(nil))
		return body, subtle.ConstantTimeCompare([]byte(p.Hub), []byte(want)) == 1
	case p.Token != "":
		a, b := sha256.Sum256([]byte(p.Token)), sha256.Sum256([]byte(secret))
		return body, subtle.ConstantTimeCompare(a[:], b[:]) == 1
	}
	return "", false
}
