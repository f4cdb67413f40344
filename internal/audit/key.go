package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/keyfile"
)

// The files of a key folder. A backup holds them.
const (
	KeyFile     = "audit.pem"
	WitnessFile = "audit.witness"
)

// Key is a public key that checkpoints are signed with.
type Key struct {
	ID     string
	Public ed25519.PublicKey
}

func keyOf(private ed25519.PrivateKey) Key {
	public, _ := private.Public().(ed25519.PublicKey) // by ed25519's contract
	return newKey(public)
}

func newKey(public ed25519.PublicKey) Key {
	sum := sha256.Sum256(public)
	return Key{ID: hex.EncodeToString(sum[:8]), Public: public}
}

func (k Key) encoded() string { return base64.StdEncoding.EncodeToString(k.Public) }

// String gives the key as ParseKey reads it.
func (k Key) String() string { return k.encoded() }

// ParseKey reads a public key: 32 bytes in base64, as an export, the API and
// "fairlead audit status" show it. The fault is Invalid, "invalid_audit_key".
func ParseKey(s string) (Key, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return Key{}, fault.New(fault.Invalid, "invalid_audit_key", "this is no Ed25519 public key").
			WithHint("give the 44 characters that the audit status shows")
	}
	return newKey(raw), nil
}

// loadKey reads the signing key, and makes it when there is none.
func loadKey(dir string) (ed25519.PrivateKey, error) {
	path := filepath.Join(dir, KeyFile)
	data, _, err := keyfile.LoadOrCreate(path, func() ([]byte, error) {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
	})
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(data); block != nil {
		if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if private, ok := k.(ed25519.PrivateKey); ok {
				return private, nil
			}
		}
	}
	return nil, fault.New(fault.Invalid, "audit_key_damaged", "%s holds no Ed25519 key", path).
		WithHint("restore it from a backup; or move it away, and a new one is made and recorded")
}

// The witness is what this process signed last, kept outside of the database:
// whoever rewrites the database does not rewrite it.
type witness struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

func loadWitness(dir string) (head, error) {
	path := filepath.Join(dir, WitnessFile)
	data, err := keyfile.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return head{0, genesis}, nil
	}
	if err != nil {
		return head{}, err
	}
	var w witness
	if err := json.Unmarshal(data, &w); err != nil || len(w.Hash) != 64 || w.Seq < 0 {
		return head{}, fault.New(fault.Invalid, "audit_witness_damaged", "%s is damaged", path).
			WithHint("verify an export of the audit log, then remove the file")
	}
	return head{w.Seq, w.Hash}, nil
}

// SaveWitness sets what the key folder's process signed last. It is for a
// restore, which puts the chain back to where the backup was.
func SaveWitness(dir string, seq int64, hash string) error {
	data, err := json.Marshal(witness{seq, hash})
	if err != nil {
		return err
	}
	return keyfile.Replace(filepath.Join(dir, WitnessFile), append(data, '\n'))
}
