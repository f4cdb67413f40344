package identity

import (
	"strings"
	"testing"
)

func FuzzCredential(f *testing.F) {
	for _, kind := range []credentialKind{userToken, sessionValue, signInLink} {
		value, _, _ := mint(kind)
		f.Add(value.Reveal())
		f.Add(value.Reveal() + "x")
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		digest, ok := parse(s, userToken)
		if ok != (digest != "") {
			t.Errorf("%q: %q, %v", s, digest, ok)
		}
		if !ok {
			return
		}
		if len(s) != len(userToken)+bodyLen+checksumLen || !strings.HasPrefix(s, string(userToken)) || strings.Trim(s[len(userToken):], base62) != "" {
			t.Errorf("%q is taken for a token", s)
		}
		if _, ok := parse(s, sessionValue, signInLink); ok {
			t.Errorf("%q is of two kinds", s)
		}
	})
}

func FuzzPHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		c, salt, key, err := parsePHC(s)
		if err != nil {
			return
		}
		if c.MemoryKiB > 256<<10 || c.Passes > 16 || c.Lanes > 16 || len(salt) < 8 || len(key) != keyLen {
			t.Errorf("%q: %+v", s, c)
		}
	})
}
