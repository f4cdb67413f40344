package resource_test

import (
	"context"
	"strings"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
)

func TestNoSecretIsInAnyTable(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		const canary, other, token = "canary-password-1", "canary-password-2", "canary-token-3"
		leaky := func(secret string) resourcetest.Step {
			return func(_ context.Context, call func() error) error {
				return fault.New(fault.Unavailable, "leaky", "could not log in with %s", secret).WithHint("try %s", secret)
			}
		}
		b.Engine.Next("apply", leaky(canary))
		b.Work()
		in := inputs{"password": canary, "list": []any{inputs{"token": token, "name": "n"}}}
		r := b.Create("orders", in)
		if r.Inputs["password"] != "[redacted]" {
			t.Errorf("the request is answered with %v", r.Inputs)
		}
		r = b.UntilPhase(r.ID, resource.Ready)
		change := resourcetest.Must[resource.Resource](t)
		// What was read may be sent back: the secrets stay.
		change(b.Svc.Change(b.Ctx, where("orders"), resource.Change{Inputs: inputs{"password": "[redacted]", "list": r.Inputs["list"], "size": 2}}))
		r = b.UntilPhase(r.ID, resource.Ready)
		b.Engine.Next("apply", func(ctx context.Context, call func() error) error { return call() })
		change(b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"password": other}}))
		b.UntilPhase(r.ID, resource.Ready)
		change(b.Svc.Rollback(b.Ctx, where("orders"), 1, "", 0))
		r = b.UntilPhase(r.ID, resource.Ready)
		if _, err := b.Svc.Rotate(b.Ctx, where("orders"), 0); err != nil {
			t.Fatal(err)
		}
		r = b.UntilPhase(r.ID, resource.Ready)
		_, secrets, err := b.Svc.Reveal(b.Ctx, where("orders"))
		if err != nil {
			t.Fatal(err)
		}
		revs, _, err := b.Svc.Revisions(b.Ctx, where("orders"), sqldb.Page{})
		if err != nil || revs[0].Inputs["password"] != "[redacted]" || revs[0].Inputs["size"] != int64(1) {
			t.Errorf("revisions show %+v, %v", revs, err)
		}
		dump, err := resourcetest.Dump(t.Context(), b.DB)
		if err != nil || !strings.Contains(dump, r.ID) {
			t.Fatalf("dump: %v", err)
		}
		for _, secret := range []string{canary, other, token, secrets["key"].Reveal()} {
			if i := strings.Index(dump, secret); i >= 0 {
				t.Errorf("%q is in the store: …%s…", secret, dump[max(0, i-200):i+50])
			}
		}
	})
}

func TestTheEngineGetsTheSecretsThatWereSealed(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		db := b.Ready("db", nil)
		// A secret output goes into a secret input, and only there.
		app := b.Ready("app", inputs{"password": "${{ resources.db.outputs.key }}"})
		if app.Inputs["password"] != "${{ resources.db.outputs.key }}" {
			t.Errorf("a reference is no secret: %v", app.Inputs)
		}
		if _, err := b.Svc.Create(b.Ctx, "shop", "dev", resource.Wanted{Name: "leak", Template: "store", Inputs: inputs{"list": []any{"${{ resources.db.outputs.key }}"}}}); code(err) != "secret_reference" {
			t.Errorf("a secret into an open input: %v", err)
		}
		b.Ready("nested", inputs{"list": []any{inputs{"token": "${{ resources.db.outputs.key }}"}}})
		_ = db
	})
}
