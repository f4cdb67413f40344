package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"fairlead/internal/redact"
)

const scramIterations = 4096 // PostgreSQL's own default

// verifier is what the server keeps of a password (RFC 5802, RFC 7677). It is
// made here so that the password itself never travels in a statement, where
// the server's log could catch it.
func verifier(password redact.Secret) (string, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	return verifierWith(password, salt, scramIterations)
}

func verifierWith(password redact.Secret, salt []byte, iterations int) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password.Reveal(), salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(mac("Server Key"))), nil
}

// hashed is what the engine notes of a verifier, to see that someone changed it.
func hashed(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return hex.EncodeToString(sum[:])
}

// newPassword gives 256 bits in letters and digits, which no URL, shell or
// configuration file needs to quote.
func newPassword() redact.Secret { return redact.New(rand.Text() + rand.Text()) }
