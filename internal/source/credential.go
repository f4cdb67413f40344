package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

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
	WithHint("remove the source and add it again with a credential for where it is now")

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
