package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// Argon2 are argon2id's costs. The zero value is OWASP's choice.
type Argon2 struct {
	MemoryKiB uint32 // 19 MiB by default
	Passes    uint32 // 2 by default
	Lanes     uint8  // 1 by default
}

func (a Argon2) orDefault() Argon2 {
	if a.MemoryKiB == 0 {
		a = Argon2{MemoryKiB: 19 * 1024, Passes: 2, Lanes: 1}
	}
	return a
}

const (
	saltLen = 16
	keyLen  = 32
	// maxHashWaiting bounds how many sign-ins wait for a slot: each waiting
	// request holds memory too, and an answer after many seconds helps nobody.
	maxHashWaiting = 64
)

// hasher computes argon2id, at most so many at a time: a flood of sign-ins
// waits, and beyond that is refused, but never exhausts the memory.
type hasher struct {
	costs   Argon2
	slots   chan struct{}
	waiting chan struct{}
	dummy   string // verified when there is no such account: the same work for every name
}

func newHasher(costs Argon2, slots int) *hasher {
	if slots <= 0 {
		slots = 2
	}
	h := &hasher{costs: costs.orDefault(), slots: make(chan struct{}, slots), waiting: make(chan struct{}, slots+maxHashWaiting)}
	var noise [saltLen + keyLen]byte
	_, _ = rand.Read(noise[:])
	h.dummy = phc(h.costs, noise[:saltLen], noise[saltLen:])
	return h
}

// hash gives the PHC form of a password's argon2id hash with a new salt.
func (h *hasher) hash(ctx context.Context, password redact.Secret) (string, error) {
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt)
	key, err := h.key(ctx, password, salt, h.costs)
	if err != nil {
		return "", err
	}
	return phc(h.costs, salt, key), nil
}

// verify tells whether password has the hash, and whether the hash should be
// made again with today's costs. An empty hash takes as long as any other and
// is never right.
func (h *hasher) verify(ctx context.Context, password redact.Secret, hash string) (ok, weak bool, err error) {
	costs, salt, want, perr := parsePHC(hash)
	if perr != nil {
		costs, salt, want, _ = parsePHC(h.dummy)
	}
	got, err := h.key(ctx, password, salt, costs)
	if err != nil {
		return false, false, err
	}
	same := subtle.ConstantTimeCompare(got, want) == 1
	return same && perr == nil, costs != h.costs, nil
}

func (h *hasher) key(ctx context.Context, password redact.Secret, salt []byte, c Argon2) ([]byte, error) {
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return nil, fault.New(fault.Unavailable, "sign_in_busy", "too many people are signing in at once").
			WithHint("try again in a few seconds").WithRetryAfter(5)
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	plain := norm.NFC.Bytes([]byte(password.Reveal()))
	return argon2.IDKey(plain, salt, c.Passes, c.MemoryKiB, c.Lanes, keyLen), nil
}

var b64 = base64.RawStdEncoding

func phc(c Argon2, salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.MemoryKiB, c.Passes, c.Lanes,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

// parsePHC reads a hash back. Its costs are bounded: a tampered row must not
// make a sign-in eat the machine.
func parsePHC(s string) (c Argon2, salt, key []byte, err error) {
	bad := func() (Argon2, []byte, []byte, error) {
		return Argon2{}, nil, nil, fmt.Errorf("identity: not an argon2id hash that can be used")
	}
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return bad()
	}
	var version int
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return bad()
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.MemoryKiB, &c.Passes, &c.Lanes); err != nil {
		return bad()
	}
	if c.MemoryKiB < 8 || c.MemoryKiB > 256*1024 || c.Passes < 1 || c.Passes > 16 || c.Lanes < 1 || c.Lanes > 16 {
		return bad()
	}
	salt, err1 := b64.DecodeString(parts[4])
	key, err2 := b64.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(key) != keyLen {
		return bad()
	}
	return c, salt, key, nil
}
