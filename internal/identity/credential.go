package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"math/big"
	"strings"

	"fairlead/internal/redact"
)

// credentialKind is what a credential is, and its prefix on the wire. The
// prefix is part of what is hashed and of what the checksum covers, so that a
// value of one kind is never one of another.
type credentialKind string

const (
	userToken    credentialKind = "fl_pat_"
	robotToken   credentialKind = "fl_bot_"
	signInLink   credentialKind = "fl_link_"
	sessionValue credentialKind = "fl_ses_"
)

const (
	bodyLen     = 43 // 32 bytes in base 62
	checksumLen = 6  // a CRC-32 in base 62: scanners tell a real credential without asking anyone
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// mint makes a new credential: its value, for whoever asked, and its digest,
// for the store. Hint is the value's end, to tell credentials apart.
func mint(kind credentialKind) (value redact.Secret, digest, hint string) {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails; it would abort the process
	s := string(kind) + encode62(new(big.Int).SetBytes(raw[:]), bodyLen)
	s += checksum(s)
	return redact.New(s), digestOf(s), s[len(s)-4:]
}

// parse tells whether s is well-formed and of one of the kinds, and gives its
// digest. What is malformed or mistyped costs no look into the store.
func parse(s string, kinds ...credentialKind) (digest string, ok bool) {
	for _, k := range kinds {
		if !strings.HasPrefix(s, string(k)) || len(s) != len(k)+bodyLen+checksumLen {
			continue
		}
		body := s[:len(s)-checksumLen]
		if strings.Trim(s[len(k):], base62) == "" && checksum(body) == s[len(body):] {
			return digestOf(s), true
		}
	}
	return "", false
}

func digestOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func checksum(s string) string {
	return encode62(new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(s)))), checksumLen)
}

func encode62(n *big.Int, width int) string {
	out := make([]byte, width)
	base, rem := big.NewInt(62), new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.QuoRem(n, base, rem)
		out[i] = base62[rem.Int64()]
	}
	return string(out)
}
