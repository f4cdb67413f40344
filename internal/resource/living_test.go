package resource_test

import (
	"context"
	"errors"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/resource/resourcetest"
)

func TestLivingGivesWhatStandsThere(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		one := b.Ready("one", inputs{"size": 3})
		gone := b.Ready("gone", nil)
		if _, err := b.Svc.Destroy(b.Ctx, where("gone"), 0); err != nil {
			t.Fatal(err)
		}
		b.Gone(gone.ID)
		system := principal.With(context.Background(), principal.System)
		var got []gate.Facts
		take := func(f gate.Facts) error { got = append(got, f); return nil }
		if err := b.Svc.Living(system, take); err != nil || len(got) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		f := got[0]
		if f.ResourceID != one.ID || f.Action != gate.Keep || f.Principal.Name != "ann" || f.Environment.Team != "alpha" || f.Environment.Class != "development" ||
			f.Template.Name != "store" || f.Plan == nil || len(f.Plan.Changes) == 0 || f.RunID == "" {
			t.Errorf("%+v", f)
		}
		stop := errors.New("enough")
		if err := b.Svc.Living(system, func(gate.Facts) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("stopped with %v", err)
		}
		got = nil
		if err := b.Svc.Living(principal.With(context.Background(), resourcetest.Stranger), take); err == nil && len(got) > 0 {
			t.Errorf("a stranger got %+v", got)
		}
		if err := b.Svc.Living(context.Background(), take); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("nobody: %v", err)
		}
	})
}
