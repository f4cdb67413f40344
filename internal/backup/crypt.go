package backup

import (
	"errors"
	"io"
	"strings"

	"filippo.io/age"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

const minPassphrase = 12

// Encryption says for whom a backup is. Exactly one of the two is set.
type Encryption struct {
	Recipients []string // age public keys, "age1…"
	Passphrase redact.Secret
}

func (e Encryption) recipients() ([]age.Recipient, error) {
	switch {
	case len(e.Recipients) == 0 && e.Passphrase.Empty():
		return nil, fault.New(fault.Invalid, "backup_not_encrypted", "a backup holds every key and secret, so it is always encrypted").
			WithHint("give recipients (age-keygen makes one) or a passphrase")
	case len(e.Recipients) > 0 && !e.Passphrase.Empty():
		return nil, fault.New(fault.Invalid, "backup_two_encryptions", "give recipients or a passphrase, not both").WithField("/passphrase")
	case !e.Passphrase.Empty():
		if len(e.Passphrase.Reveal()) < minPassphrase {
			return nil, fault.New(fault.Invalid, "weak_passphrase", "the passphrase is shorter than %d characters", minPassphrase).WithField("/passphrase")
		}
		r, err := age.NewScryptRecipient(e.Passphrase.Reveal())
		if err != nil {
			return nil, fault.New(fault.Invalid, "weak_passphrase", "the passphrase cannot be used").WithField("/passphrase")
		}
		return []age.Recipient{r}, nil
	}
	if len(e.Recipients) > 100 {
		return nil, fault.New(fault.Invalid, "invalid_recipient", "these are more recipients than 100").WithField("/recipients")
	}
	var out []age.Recipient
	for _, s := range e.Recipients {
		r, err := age.ParseX25519Recipient(strings.TrimSpace(s))
		if err != nil { // age's text repeats what was given, which may be an identity
			return nil, fault.New(fault.Invalid, "invalid_recipient", "this is no age recipient").
				WithHint("it starts with age1; what starts with AGE-SECRET-KEY- is the identity and stays with you").WithField("/recipients")
		}
		out = append(out, r)
	}
	return out, nil
}

// Decryption opens a backup. Exactly one of the two is set.
type Decryption struct {
	Identities redact.Secret // an age key file's content
	Passphrase redact.Secret
}

func (d Decryption) open(r io.Reader) (io.Reader, error) {
	var ids []age.Identity
	if d.Passphrase.Empty() {
		var err error
		if ids, err = age.ParseIdentities(strings.NewReader(d.Identities.Reveal())); err != nil {
			return nil, fault.New(fault.Invalid, "invalid_identity", "this is no age identity").
				WithHint("give the file that age-keygen wrote; it has a line AGE-SECRET-KEY-…")
		}
	} else {
		id, err := age.NewScryptIdentity(d.Passphrase.Reveal())
		if err != nil {
			return nil, fault.New(fault.Invalid, "invalid_identity", "the passphrase cannot be used")
		}
		ids = []age.Identity{id}
	}
	plain, err := age.Decrypt(r, ids...)
	if err == nil {
		return plain, nil
	}
	if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong || errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, fault.New(fault.Denied, "backup_wrong_key", "the backup is not for this key or passphrase").
			WithHint("use the identity of one of its recipients, or its passphrase; nothing was restored")
	}
	return nil, fault.New(fault.Invalid, "backup_damaged", "this is no backup, or its beginning is damaged").
		WithHint("nothing was restored").WithCause(err)
}
