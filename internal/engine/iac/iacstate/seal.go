package iacstate

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// Secrets keeps the key of each state. secret.Store is one.
type Secrets interface {
	Put(ctx context.Context, tx *sqldb.Tx, owner, name string, value redact.Secret) error
	Get(ctx context.Context, owner, name string) (redact.Secret, error)
	Delete(ctx context.Context, tx *sqldb.Tx, owner string) error
}

const keyName = "key"

// keyOwner is apart from the resource's own secrets: their end is not the
// state's.
func keyOwner(state string) string { return "iac-state:" + state }

func newKey() redact.Secret {
	k := make([]byte, 32)
	_, _ = rand.Read(k) // it never fails
	return redact.New(base64.StdEncoding.EncodeToString(k))
}

func aead(key redact.Secret) (cipher.AEAD, error) {
	raw, err := base64.StdEncoding.DecodeString(key.Reveal())
	if err != nil {
		return nil, damaged()
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, damaged()
	}
	return cipher.NewGCM(block)
}

// bind is the associated data: a version does not open as another, nor as
// another state's.
func bind(state string, version, serial int64, lineage string) []byte {
	return fmt.Appendf(nil, "fairlead/v1 iac-state %q %d %d %q", state, version, serial, lineage)
}

func compress(body []byte) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func seal(key redact.Secret, packed, ad []byte) ([]byte, error) {
	c, err := aead(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, c.NonceSize(), c.NonceSize()+len(packed)+c.Overhead())
	_, _ = rand.Read(nonce)
	return c.Seal(nonce, nonce, packed, ad), nil
}

func unseal(key redact.Secret, sealed, ad []byte) ([]byte, error) {
	c, err := aead(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < c.NonceSize() {
		return nil, damaged()
	}
	packed, err := c.Open(nil, sealed[:c.NonceSize()], sealed[c.NonceSize():], ad)
	if err != nil {
		return nil, damaged()
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, damaged()
	}
	body, err := io.ReadAll(io.LimitReader(z, MaxSize+1))
	if err != nil || len(body) > MaxSize {
		return nil, damaged()
	}
	return body, nil
}

func damaged() error {
	return fault.New(fault.Conflict, "state_damaged", "the state that is kept was changed or is damaged, and is not used").
		WithHint("restore the store from a backup; nothing is planned or made on a damaged state")
}
