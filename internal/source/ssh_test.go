package source_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/redact"
	"fairlead/internal/source"
	"fairlead/internal/source/sourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// locked is a key with a passphrase.
func locked(t *testing.T) redact.Secret {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	return redact.New(string(pem.EncodeToMemory(block)))
}

// TestASourceOverSSH is the whole way: added by its URL, looked at, its key
// sent nowhere else.
func TestASourceOverSSH(t *testing.T) {
	t.Parallel()
	r, key := sourcetest.New(t), sourcetest.NewSSHKey(t)
	r.Commit(map[string]string{"main.tf": "# one"}, "v1.0.0")
	s, spy := sourcetest.ServeSSH(t, key, ""), sourcetest.ServeSSH(t, key, "")
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, accesstest.AllowAll{}, "")
		v, _, err := w.Add(as("ada"), source.NewSource{Name: "bucket", URL: s.URL("127.0.0.1", r), PrivateKey: redact.New(key.Private), KnownHosts: s.Known("127.0.0.1") + "\n" + spy.Known("127.0.0.1")})
		if err != nil || v.Kind != source.SSH || v.Credential != "key" {
			t.Fatal(v, err)
		}
		if v := w.look(t, "bucket"); v.Problem.Code != "" || w.shelf.count() != 1 {
			t.Fatalf("%+v: %s", v.Problem, s.Said())
		}
		repoint := func(url string) {
			t.Helper()
			if err := w.db.Write(t.Context(), "test.repoint", func(tx *sqldb.Tx) error {
				_, err := tx.ExecContext(t.Context(), `UPDATE template_sources SET url = $1, due_at = 1`, url)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		for _, url := range []string{spy.URL("127.0.0.1", r), strings.Replace(s.URL("127.0.0.1", r), s.User+"@", "other@", 1)} {
			repoint(url)
			if v := w.look(t, "bucket"); v.Problem.Code != "source_origin" || spy.Asked.Load() != 0 {
				t.Errorf("%s: %+v; the other place was asked %d times", url, v.Problem, spy.Asked.Load())
			}
		}
		repoint("ssh://-oProxyCommand=touch@127.0.0.1/x")
		if v := w.look(t, "bucket"); v.Problem.Code != "invalid_source" {
			t.Errorf("%+v", v.Problem)
		}
	})
}
