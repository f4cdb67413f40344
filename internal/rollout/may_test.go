package rollout_test

import (
	"testing"
	"time"

	"fairlead/internal/principal"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/rollout"
	"fairlead/internal/rollout/rollouttest"
	"fairlead/internal/sqldb"
)

// What may be done is told as it is, and every list is narrowed by parts of
// names, of what the caller may see.
func TestWhatMayBeDoneAndFound(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		w.Fleet("dev", "orders", "invoices")
		w.Engine.Replaces(true)
		r, err := w.Rollouts.Create(w.Ctx, rollout.Wanted{Template: "store", To: "1.1.0", Note: "For the Sale"})
		w.Must(err)
		r = w.Until(r.ID, rollout.Planned)
		may, err := w.Rollouts.May(w.Ctx, r)
		w.Must(err)
		if !may.Steer || !may.Decide[1] {
			w.T.Errorf("who made it may: %+v", may)
		}
		stranger := principal.With(w.Ctx, resourcetest.Stranger)
		if may, err = w.Rollouts.May(stranger, r); err != nil || may.Steer || may.Decide[1] {
			w.T.Errorf("a stranger may: %+v %v", may, err)
		}
		robot := resourcetest.Ann
		robot.Kind = principal.Robot
		if may, err = w.Rollouts.May(principal.With(w.Ctx, robot), r); err != nil || !may.Steer || may.Decide[1] {
			w.T.Errorf("a machine may: %+v %v", may, err)
		}
		res := w.Is(w.Members(r.ID)["orders"].ResourceID)
		if !w.Rollouts.MayPin(w.Ctx, res) || w.Rollouts.MayPin(stranger, res) {
			w.T.Error("who may pin is not told")
		}
		for f, n := range map[rollout.Filter]int{
			{Search: "sto"}: 1, {Search: "the sale"}: 1, {Search: "ANN"}: 1, {Search: "1.1"}: 1, {Search: "%"}: 0, {Search: "x"}: 0, {Template: "store"}: 1, {Template: "sto"}: 0,
			{Project: "shop"}: 1, {Project: "prj_shop"}: 1, {Project: "other"}: 0, {Project: "' OR 1=1"}: 0, {Search: "sto", Project: "shop", Open: true}: 1,
		} {
			if list, _, err := w.Rollouts.List(w.Ctx, f, sqldb.Page{}); err != nil || len(list) != n {
				w.T.Errorf("%+v finds %d, want %d: %v", f, len(list), n, err)
			}
			if list, _, err := w.Rollouts.List(stranger, f, sqldb.Page{}); err != nil || len(list) != 0 {
				w.T.Errorf("%+v finds %d for a stranger: %v", f, len(list), err)
			}
		}
		now, err := w.DB.Now(w.T.Context())
		w.Must(err)
		_, err = w.Rollouts.Pin(w.Ctx, resourcetest.Where("orders"), "The Release", now.Add(time.Hour))
		w.Must(err)
		_, err = w.Rollouts.Exempt(w.Ctx, resourcetest.Where("invoices"), r.ID, "a migration", now.Add(2*time.Hour))
		w.Must(err)
		for f, n := range map[rollout.PinFilter]int{
			{}: 2, {Search: "order"}: 1, {Search: "the rel"}: 1, {Search: "dev"}: 2, {Search: "_"}: 0, {Template: "store"}: 2, {Template: "st"}: 0, {Rollout: r.ID}: 2, {Rollout: "rol_none"}: 0,
			{Project: "shop"}: 2, {Project: "other"}: 0,
		} {
			if list, _, err := w.Rollouts.Pins(w.Ctx, f, sqldb.Page{}); err != nil || len(list) != n {
				w.T.Errorf("%+v finds %d, want %d: %v", f, len(list), n, err)
			}
			if list, _, err := w.Rollouts.Pins(stranger, f, sqldb.Page{}); err != nil || len(list) != 0 {
				w.T.Errorf("%+v finds %d for a stranger: %v", f, len(list), err)
			}
		}
		if _, err := w.Rollouts.Look(stranger, r.ID); code(err) != "not_found" {
			w.T.Errorf("a stranger looks: %v", err)
		}
	})
}
