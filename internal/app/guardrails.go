package app

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"

	"fairlead/internal/approval"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/loop"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/secret"
	"fairlead/internal/sqldb"
	"fairlead/policies"
)

// buildGuardrails wires the rules that the gates ask.
func (a *App) buildGuardrails(ctx context.Context) error {
	key, err := guardrailKey(ctx, a.db, a.secrets)
	if err != nil {
		return err
	}
	a.guardrails = guardrail.New(guardrail.Options{DB: a.db, Access: a.access, Key: key, Approvals: activations{a.approvals}, Log: a.log})
	group := loop.NewGroup(a.db, a.log)
	a.run(func(ctx context.Context) error { group.Run(ctx, a.guardrails.Loop()); return nil })
	return a.guardrails.SeedShipped(ctx, policies.FS)
}

// activations has people agree to changes of guardrails, which are no
// resources: each is asked about anew once what is in force has changed.
type activations struct{ svc *approval.Service }

func (a activations) Settle(ctx context.Context, tx *sqldb.Tx, ask gate.Ask) (gate.Answer, error) {
	needs := []gate.Need{}
	for _, v := range ask.Verdicts {
		if v.Need != nil {
			needs = append(needs, *v.Need)
			continue
		}
		needs = append(needs, gate.Need{Role: string(principal.PlatformAdmin), Count: 1})
	}
	sub := approval.Subject{Kind: "guardrail", ID: ask.Facts.Resource, Title: "guardrails " + ask.Facts.Resource, Action: string(ask.Facts.Action), Author: ask.Facts.Author,
		Document: ask.Facts.Document(), Verdicts: ask.Verdicts}
	for attempt := range 20 {
		// One that nobody answered in time is asked about again.
		sub.Run = fmt.Sprintf("%s#%d", ask.Facts.RunID, attempt)
		answer, err := a.svc.Ensure(ctx, tx, sub, needs, ask.Binding)
		if err != nil || answer.Status != "expired" {
			return answer, err
		}
	}
	return gate.Answer{Status: "expired"}, nil
}

// guardrailKey is what guardrails are signed with. It is a secret like others,
// so that all replicas have the same and whoever has the database alone does
// not.
func guardrailKey(ctx context.Context, db *sqldb.DB, secrets secret.Store) (ed25519.PrivateKey, error) {
	const owner, name = "guardrails", "signing-key"
	kept, err := secrets.Get(ctx, owner, name)
	if errors.Is(err, secret.ErrNotFound) {
		_, fresh, e := ed25519.GenerateKey(nil)
		if e != nil {
			return nil, e
		}
		// Of replicas that start together the first one's key stays.
		err = db.Write(ctx, "app.guardrail_key", func(tx *sqldb.Tx) error {
			made, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ('guardrails.key', 'made') ON CONFLICT (key) DO NOTHING`)
			if err != nil {
				return err
			}
			if n, err := made.RowsAffected(); err != nil || n == 0 {
				return err
			}
			return secrets.Put(ctx, tx, owner, name, redact.New(base64.StdEncoding.EncodeToString(fresh.Seed())))
		})
		if err == nil {
			kept, err = secrets.Get(ctx, owner, name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	seed, err := base64.StdEncoding.DecodeString(kept.Reveal())
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fault.New(fault.Conflict, "secret_damaged", "the key that signs guardrails cannot be used").WithHint("restore the store from a backup")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
