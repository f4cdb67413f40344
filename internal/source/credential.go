package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// credential is what is sealed: with the one place that it is for, so that no
// change of a row makes it go elsewhere.
type credential struct {
	Origin   string `json:"origin"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	Key      string `json:"key,omitempty"`
}

const (
	credentialSlot = "credential"
	hookSlot       = "push"
)

func (s *Service) seal(ctx context.Context, tx *sqldb.Tx, v Source, where place, in NewSource, hook redact.Secret) error {
	if v.Credential != "" {
		b, err := json.Marshal(credential{Origin: where.origin, Username: in.Username, Password: in.Password.Reveal(), Key: in.PrivateKey.Reveal()})
		if err != nil {
			return fmt.Errorf("seal a source's credential: %w", err)
		}
		if err := s.Secrets.Put(ctx, tx, v.ID, credentialSlot, redact.New(string(b))); err != nil {
			return err
		}
	}
	if hook.Empty() {
		return nil
	}
	return s.Secrets.Put(ctx, tx, v.ID, hookSlot, hook)
}

var errOrigin = fault.New(fault.Conflict, "source_origin", "the source's credential is for another place than its URL").
	WithHint("give it the credential for where it is now: fairlead template source update")

// unseal gives the credential, for the place that it was sealed for alone.
func (s *Service) unseal(ctx context.Context, v Source, where place) (credential, error) {
	if v.Credential == "" {
		return credential{}, nil
	}
	sealed, err := s.Secrets.Get(ctx, v.ID, credentialSlot)
	if err != nil {
		return credential{}, fmt.Errorf("a source's credential: %w", err)
	}
	var c credential
	if json.Unmarshal([]byte(sealed.Reveal()), &c) != nil { // the cause would show it
		return credential{}, errors.New("a source's credential cannot be read")
	}
	if c.Origin != where.origin {
		return credential{}, errOrigin
	}
	return c, nil
}

func checkCredential(v *Source, in NewSource) error {
	switch v.Kind {
	case HTTPS:
		if !in.PrivateKey.Empty() || v.KnownHosts != "" {
			return invalid("/privateKey", "a key is for SSH; https takes a user's name and a token")
		}
		if in.Password.Empty() && in.kept && in.Username == "" {
			v.Credential = "password"
			return nil
		}
		if in.Password.Empty() {
			if in.Username != "" {
				return invalid("/password", "a user's name alone is no credential")
			}
			return nil
		}
		if p := in.Password.Reveal(); len(p) > maxPassword || !utf8.ValidString(p) || strings.ContainsAny(p+in.Username, "\r\n\x00") || strings.Contains(in.Username, ":") || len(in.Username) > 200 {
			return invalid("/password", "the credential holds what no credential does")
		}
		v.Credential = "password"
	case SSH:
		if !in.Password.Empty() || in.Username != "" {
			return invalid("/password", "SSH takes a deploy key, and the user's name in the URL")
		}
		if !in.kept {
			if err := checkKey(in.PrivateKey); err != nil {
				return err
			}
		}
		if err := checkKnownHosts(v.KnownHosts); err != nil {
			return err
		}
		v.Credential = "key"
	case Folder, File:
		if !in.Password.Empty() || !in.PrivateKey.Empty() || in.Username != "" || v.KnownHosts != "" {
			return invalid("/password", "what is on the server needs no credential")
		}
	}
	return nil
}

// checkKey holds for a deploy key that can be used with nobody there to type a
// passphrase. The cause is not kept: it might show some of the key.
func checkKey(key redact.Secret) error {
	const make = "make one for this alone: ssh-keygen -t ed25519 -N '' -f deploy-key"
	k := key.Reveal()
	if len(k) > maxKey {
		return invalid("/privateKey", "the private key is too long").WithHint(make)
	}
	_, err := ssh.ParseRawPrivateKey([]byte(k))
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		return invalid("/privateKey", "the private key has a passphrase, which nobody is there to type").WithHint(make)
	}
	if err != nil {
		return invalid("/privateKey", "SSH needs a private key").WithHint(make)
	}
	return nil
}

// checkKnownHosts wants the host's key before the first contact: whoever
// answers then would be believed for ever. Whether a line is for this host ssh
// finds out.
func checkKnownHosts(lines string) error {
	const hint = "ssh-keyscan HOST, compared with what its operator publishes"
	if lines == "" || len(lines) > maxKnownHost || !utf8.ValidString(lines) || strings.Contains(lines, "\x00") {
		return invalid("/knownHosts", "SSH needs the host's own key, as a line of known_hosts").WithHint(hint)
	}
	n := 0
	for rest := []byte(lines); ; n++ {
		var err error
		if _, _, _, _, rest, err = ssh.ParseKnownHosts(rest); errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return invalid("/knownHosts", "entry %d is no line of known_hosts", n+1).WithHint(hint)
		}
	}
	if n == 0 {
		return invalid("/knownHosts", "there is no key in the known hosts").WithHint(hint)
	}
	return nil
}
