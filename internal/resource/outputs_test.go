package resource_test

import (
	"fmt"
	"strings"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
)

// What may be referred to is what the environment has, by type, and secrets
// for secret inputs alone.
func TestOutputsAreOfferedToWhoMayRefer(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		stop := b.Work()
		b.Ready("orders", nil)
		stop()
		for i := range 60 {
			b.Create(fmt.Sprintf("many-%02d", i), nil)
		}
		for name, c := range map[string]struct {
			f    resource.OfferFilter
			want string
		}{
			"one by its name":       {resource.OfferFilter{Search: "ORD"}, "orders.name"},
			"secrets for secrets":   {resource.OfferFilter{Search: "orders", Secret: true}, "orders.key orders.name"},
			"by the output":         {resource.OfferFilter{Search: "key", Secret: true}, "60 more orders.key"},
			"of another type":       {resource.OfferFilter{Search: "orders", Type: "integer"}, ""},
			"not itself":            {resource.OfferFilter{Search: "orders", Except: "orders"}, ""},
			"all, a page at a time": {resource.OfferFilter{Type: "string"}, "60 more orders.name"},
			"nothing is so called":  {resource.OfferFilter{Search: "zzz"}, ""},
		} {
			var got []string
			many := 0
			for after, pages := "", 0; pages < 10; pages++ {
				list, next, err := b.Svc.Offers(b.Ctx, "shop", "dev", c.f, after)
				if err != nil {
					t.Fatal(name, err)
				}
				for _, o := range list {
					if o.Resource == "orders" && !o.Sensitive && o.Value == nil || o.Sensitive && o.Value != nil {
						t.Errorf("%s: %+v", name, o)
					}
					if strings.HasPrefix(o.Resource, "many") {
						many++
					} else {
						got = append(got, o.Resource+"."+o.Output)
					}
				}
				if after = next; next == "" {
					break
				}
			}
			if many > 0 {
				got = append([]string{fmt.Sprint(many), "more"}, got...)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s: %v, not %s", name, got, c.want)
			}
		}
		if _, _, err := b.Svc.Offers(b.Ctx, "", "", resource.OfferFilter{}, ""); !fault.Is(err, fault.Invalid) {
			t.Errorf("nowhere: %v", err)
		}
		if r, err := b.Svc.Revision(b.Ctx, where("orders"), 1); err != nil || r.Number != 1 {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := b.Svc.Revision(b.Ctx, where("orders"), 9); code(err) != "no_such_revision" {
			t.Errorf("a revision that is not there: %v", err)
		}
	})
}
