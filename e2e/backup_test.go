package e2e

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"filippo.io/age"
)

var backupKey = sync.OnceValues(age.GenerateX25519Identity)

// recipient is whom the tests' backups are encrypted for.
func recipient(t testing.TB) string {
	t.Helper()
	k, err := backupKey()
	if err != nil {
		t.Fatal(err)
	}
	return k.Recipient().String()
}

// identityFile opens them.
func identityFile(t testing.TB) string {
	t.Helper()
	k, err := backupKey()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(file, []byte(k.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
