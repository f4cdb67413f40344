package identity

import (
	"context"

	"fairlead/internal/redact"
)

// Mint gives the value of a credential of a kind, known to nobody.
func Mint(prefix string) redact.Secret {
	v, _, _ := mint(credentialKind(prefix))
	return v
}

// CheckPassword is the rule for passwords.
func CheckPassword(name, password string) error { return checkPassword(name, "", redact.New(password)) }

// Flush writes down the last uses, as Run does from time to time.
func (s *Service) Flush(ctx context.Context) { s.flushTouched(ctx) }

// RecordFailures writes down failed sign-ins, as Run does from time to time.
func (s *Service) RecordFailures(ctx context.Context) { s.recordFailures(ctx) }

// Forget empties the cache, as time does.
func (s *Service) Forget() { s.cache.clear() }

// CountHashes counts the password hashes computed.
func (s *Service) CountHashes(n *int) { s.local = countingProvider{s.local, n} }

type countingProvider struct {
	Provider
	n *int
}

func (c countingProvider) Prove(ctx context.Context, p Presented) (Proof, error) {
	*c.n++
	return c.Provider.Prove(ctx, p)
}

// Network is how addresses are grouped.
func Network(address string) string { return network(address) }
