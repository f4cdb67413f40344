package redact

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Shown is what stands in for a secret value wherever it is rendered.
const Shown = "[redacted]"

// Secret carries a value that must not appear in a log, an error, JSON or a
// dump. The zero value is an empty secret.
type Secret struct{ v string }

// New wraps a value.
func New(v string) Secret { return Secret{v} }

// Reveal gives the value. Each call is a disclosure: it belongs at the edge
// that needs it (a connection, an encryption, an audited response).
func (s Secret) Reveal() string { return s.v }

// Empty tells whether there is no value.
func (s Secret) Empty() bool { return s.v == "" }

// Equal compares in constant time.
func (s Secret) Equal(o Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.v), []byte(o.v)) == 1
}

// Format implements fmt.Formatter, so that no verb reaches the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Shown)) }

// String implements fmt.Stringer.
func (s Secret) String() string { return Shown }

// MarshalJSON implements json.Marshaler.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Shown + `"`), nil }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Shown), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(Shown) }
