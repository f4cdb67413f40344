package resource_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
)

// background are the exported methods that are no one's to call but Fairlead's.
var background = map[string]bool{"Reconcile": true, "Wake": true, "ObserveDue": true, "ObserveEngine": true, "ObserveRequested": true, "SweepSuspects": true, "ObserveSoon": true}

// everyMethod calls each exported method of the service with sound arguments
// for the resource "orders", found by reflection so that none is forgotten.
func everyMethod(t *testing.T, b *resourcetest.Bench, ctx context.Context, r resource.Resource, check func(name string, out []reflect.Value, err error)) {
	t.Helper()
	svc := reflect.ValueOf(b.Svc)
	for i := range svc.NumMethod() {
		name := svc.Type().Method(i).Name
		if background[name] {
			continue
		}
		m := svc.Method(i)
		args := []reflect.Value{reflect.ValueOf(ctx)}
		texts := []string{"shop", "dev"}
		switch {
		case strings.Contains(name, "Run") && m.Type().NumIn() > 1 && m.Type().In(1).Kind() == reflect.String, name == "Lines", name == "Follow", name == "Cancel":
			texts = []string{r.RunID}
		case strings.Contains(name, "ID"):
			texts = []string{r.ID}
		}
		for j := 1; j < m.Type().NumIn(); j++ {
			in := m.Type().In(j)
			switch v := reflect.New(in).Elem(); {
			case in.Kind() == reflect.String && len(texts) > 0:
				args, texts = append(args, reflect.ValueOf(texts[0])), texts[1:]
			case in == reflect.TypeFor[resource.Where]():
				args = append(args, reflect.ValueOf(where("orders")))
			case in == reflect.TypeFor[resource.Wanted]():
				args = append(args, reflect.ValueOf(resource.Wanted{Name: "evil", Template: "store"}))
			case in == reflect.TypeFor[[]resource.Wanted]():
				args = append(args, reflect.ValueOf([]resource.Wanted{{Name: "orders", Template: "store", Inputs: inputs{"size": 5}}}))
			case in == reflect.TypeFor[resource.Change]():
				args = append(args, reflect.ValueOf(resource.Change{Set: inputs{"size": 77}}))
			case in.Kind() == reflect.Func:
				args = append(args, reflect.MakeFunc(in, func([]reflect.Value) []reflect.Value { return []reflect.Value{reflect.Zero(in.Out(0))} }))
			case in == reflect.TypeFor[time.Duration]():
				args = append(args, reflect.ValueOf(time.Millisecond))
			default:
				args = append(args, v)
			}
		}
		out := m.Call(args)
		err, _ := out[len(out)-1].Interface().(error)
		check(name, out, err)
	}
}

func TestNobodyAndStrangersGetNothingOfAnyMethod(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		stop := b.Work()
		r := b.Ready("orders", nil)
		stop()
		before, err := resourcetest.Dump(t.Context(), b.DB)
		if err != nil {
			t.Fatal(err)
		}
		everyMethod(t, b, principal.With(context.Background(), principal.Nobody), r, func(name string, _ []reflect.Value, err error) {
			if !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s for nobody: %v", name, err)
			}
		})
		everyMethod(t, b, principal.With(context.Background(), resourcetest.Stranger), r, func(name string, out []reflect.Value, err error) {
			if (name == "List" || name == "Tallies") && err == nil && out[0].Len() == 0 {
				return // an empty list is nothing, too
			}
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s for a stranger: %v", name, err)
			}
			if f := fault.From(err); strings.Contains(f.Message+f.Hint, "orders") && name != "Get" {
				t.Errorf("%s tells a stranger: %s", name, f.Message)
			}
		})
		if after, err := resourcetest.Dump(t.Context(), b.DB); err != nil || after != before {
			t.Errorf("something was written, %v", err)
		}
		// What is not there and what is somebody else's read the same.
		stranger := principal.With(context.Background(), resourcetest.Stranger)
		_, there := b.Svc.ByID(stranger, r.ID)
		_, not := b.Svc.ByID(stranger, "res_none")
		if there.Error() != not.Error() {
			t.Errorf("%q and %q differ", there, not)
		}
		_, there = b.Svc.Run(stranger, r.RunID)
		_, not = b.Svc.Run(stranger, "run_none")
		if there.Error() != not.Error() {
			t.Errorf("%q and %q differ", there, not)
		}
	})
}

func TestEveryMutationHasItsAuditRecordOrDoesNotHappen(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		b.Ready("orders", nil)
		b.Ready("kept", nil)
		type call struct {
			name   string
			action string
			do     func() error
		}
		calls := []call{
			{"create", "resource:create", func() error {
				_, err := b.Svc.Create(b.Ctx, "shop", "dev", resource.Wanted{Name: "other", Template: "store"})
				return err
			}},
			{"change", "resource:update", func() error {
				_, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 8}})
				return err
			}},
			{"put", "resource:update", func() error {
				_, err := b.Svc.Put(b.Ctx, "shop", "dev", resource.Wanted{Name: "orders", Template: "store", Inputs: inputs{"size": 9}})
				return err
			}},
			{"apply", "resource:create", func() error {
				_, err := b.Svc.Apply(b.Ctx, "shop", "dev", []resource.Wanted{{Name: "third", Template: "store"}})
				return err
			}},
			{"rollback", "resource:update", func() error { _, err := b.Svc.Rollback(b.Ctx, where("orders"), 1, "", 0); return err }},
			{"retry", "resource:retry", func() error { _, err := b.Svc.Retry(b.Ctx, where("orders")); return err }},
			{"reveal", "resource:reveal", func() error { _, _, err := b.Svc.Reveal(b.Ctx, where("orders")); return err }},
			{"eject", "resource:eject", func() error { _, err := b.Svc.Eject(b.Ctx, where("kept"), false); return err }},
			{"eject with secrets", "resource:reveal", func() error { _, err := b.Svc.Eject(b.Ctx, where("kept"), true); return err }},
			{"adopt", "resource:adopt", func() error {
				_, err := b.Svc.Adopt(b.Ctx, "shop", "dev", resource.Wanted{Name: "taken", Template: "store", Adopt: &resource.Takeover{Object: "store/old"}})
				return err
			}},
			{"release", "resource:release", func() error { _, err := b.Svc.Release(b.Ctx, where("kept"), 0); return err }},
			{"destroy", "resource:destroy", func() error { _, err := b.Svc.Destroy(b.Ctx, where("other"), 0); return err }},
		}
		for _, c := range calls {
			exactly := func() []audit.Record { // a search finds what begins so too, as resource:destroyed
				return slices.DeleteFunc(audittest.Records(t, b.Audit, c.action), func(r audit.Record) bool { return r.Action != c.action })
			}
			had := len(exactly())
			if err := c.do(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			records := exactly()
			if len(records) != had+1 || records[had].ActorID != "usr_ann" || records[had].TeamID != "team_alpha" {
				t.Errorf("%s: %d records of %s after %d", c.name, len(records), c.action, had)
			}
		}
		// When the record cannot be written, nothing else is.
		b.DB.SetFlusher(func(context.Context, *sqldb.Tx, []any) error {
			return fault.New(fault.Unavailable, "audit_down", "the audit log is down")
		})
		if _, err := b.Svc.Create(b.Ctx, "shop", "dev", resource.Wanted{Name: "unaudited", Template: "store"}); code(err) != "audit_down" {
			t.Errorf("create without audit: %v", err)
		}
		if _, _, err := b.Svc.Reveal(b.Ctx, where("orders")); code(err) != "audit_down" {
			t.Errorf("reveal without audit: %v", err)
		}
		if _, err := b.Svc.Get(b.Ctx, where("unaudited")); !fault.Is(err, fault.NotFound) {
			t.Errorf("it is there: %v", err)
		}
	})
}
