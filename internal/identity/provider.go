package identity

import (
	"context"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
)

// Provider finds out who somebody is from what they present. The local
// password is one; single sign-on will be another.
type Provider interface {
	// Name is the provider's, stable: subjects are unique within it.
	Name() string

	// Prove gives the identity that presented proves. It fails with
	// Unauthenticated for everything that proves nothing, in the same time
	// whether or not there is such an account, and without saying why. It
	// must be safe for concurrent use and stores nothing.
	Prove(ctx context.Context, presented Presented) (Proof, error)
}

// Presented is what somebody offers to a provider.
type Presented struct {
	Name   string
	Secret redact.Secret
}

// Proof says who somebody is, in the provider's words. An empty subject is
// nobody: what a provider leaves out never maps to anything.
type Proof struct {
	Provider string
	Subject  string // for the local provider the user's id

	// State is what the proof rests on (of a password its hash). When it has
	// changed by the time the session is made, the proof is void.
	State string
	// Renew, when set, replaces State: the hash with today's costs.
	Renew string
}

// localProvider is the password kept here.
type localProvider struct {
	store  store
	hasher *hasher
}

// Name implements Provider.
func (*localProvider) Name() string { return "local" }

// Prove implements Provider.
func (l *localProvider) Prove(ctx context.Context, c Presented) (Proof, error) {
	a, err := l.lookup(ctx, c.Name)
	if err != nil && !missing(err) {
		return Proof{}, err
	}
	known := err == nil && a.disabledAt.IsZero()
	if !known {
		a = account{} // the hash below is made all the same
	}
	ok, weak, err := l.hasher.verify(ctx, c.Secret, a.passwordHash)
	if err != nil {
		return Proof{}, err
	}
	if !ok || !known {
		return Proof{}, wrongPassword()
	}
	p := Proof{Provider: l.Name(), Subject: a.id, State: a.passwordHash}
	if weak {
		if p.Renew, err = l.hasher.hash(ctx, c.Secret); err != nil {
			p.Renew = "" // another sign-in will
		}
	}
	return p, nil
}

// lookup asks the store for any name, so that an impossible one takes as long.
func (l *localProvider) lookup(ctx context.Context, name string) (account, error) {
	a, err := scanAccount(l.store.db.Read().QueryRowContext(ctx,
		`SELECT `+accountColumns+` FROM principals p WHERE p.name = $1 AND p.kind = $2`, lookupName(name), string(principal.User)))
	return a, err
}

func wrongPassword() error {
	return fault.New(fault.Unauthenticated, "wrong_password", "the name or the password is wrong").
		WithHint("check both; an administrator can issue a sign-in link")
}
