package notify

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/egress"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// secretPrefix marks a secret as Standard Webhooks has it.
const secretPrefix = "whsec_"

// bound is a secret as it is sealed: with the one origin that it is for, so
// that no change of a row makes it vouch for something sent elsewhere.
type bound struct {
	Origin string `json:"origin"`
	Secret string `json:"secret"`
}

func newSecret() redact.Secret {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return redact.New(secretPrefix + base64.StdEncoding.EncodeToString(b))
}

// slot is where a generation's secret is kept: there are two, the one in use
// and the one before.
func slot(generation int64) string { return "signing/" + strconv.FormatInt(generation%2, 10) }

func (s *Service) seal(ctx context.Context, tx *sqldb.Tx, id string, generation int64, u *url.URL, secret redact.Secret) error {
	b, err := json.Marshal(bound{Origin: egress.Origin(u), Secret: secret.Reveal()})
	if err != nil {
		return fmt.Errorf("seal a webhook's secret: %w", err)
	}
	return s.Secrets.Put(ctx, tx, id, slot(generation), redact.New(string(b)))
}

// unseal gives a generation's secret, for the origin that it was made for.
func (s *Service) unseal(ctx context.Context, id string, generation int64, u *url.URL) ([]byte, error) {
	sealed, err := s.Secrets.Get(ctx, id, slot(generation))
	if err != nil {
		return nil, fmt.Errorf("a webhook's secret: %w", err)
	}
	var b bound
	if json.Unmarshal([]byte(sealed.Reveal()), &b) != nil { // the cause would show it
		return nil, fault.New(fault.Internal, "webhook_secret_damaged", "the webhook's secret cannot be read").WithHint("rotate it")
	}
	if b.Origin != egress.Origin(u) {
		return nil, fault.New(fault.Conflict, "webhook_origin", "the webhook's secret is for another origin than its URL").WithHint("rotate it, naming the URL")
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(b.Secret, secretPrefix))
	if err != nil {
		return nil, fault.New(fault.Internal, "webhook_secret_damaged", "the webhook's secret cannot be read").WithHint("rotate it")
	}
	return key, nil
}

// signatures are the values of webhook-signature: by the secret in use, and
// for as long as they overlap by the one before.
func (s *Service) signatures(ctx context.Context, w Webhook, u *url.URL, id string, at time.Time, body []byte) (string, error) {
	key, err := s.unseal(ctx, w.ID, w.generation, u)
	if err != nil {
		return "", err
	}
	out := sign(key, id, at, body)
	if at.Before(w.Overlap) {
		old, err := s.unseal(ctx, w.ID, w.generation-1, u)
		if err != nil {
			return "", err
		}
		out += " " + sign(old, id, at, body)
	}
	return out, nil
}

// sign is Standard Webhooks' v1: HMAC-SHA256 over id.timestamp.body.
func sign(key []byte, id string, at time.Time, body []byte) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s.%d.", id, at.Unix())
	h.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}
