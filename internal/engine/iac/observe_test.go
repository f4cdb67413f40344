package iac_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fairlead/internal/engine"
	"fairlead/internal/engine/iac/iactest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// What somebody does by hand is seen with its cause, by each program, with the
// state in each store.
func TestDriftMadeByHand(t *testing.T) {
	t.Parallel()
	iactest.Each(t, func(t *testing.T, p iactest.Program) {
		sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
			b := open(t, db, p)
			e := b.engine(t, nil)
			req := b.request("hand")
			req.LifeCycle = engine.LifeCycle{}
			req.Template = template(map[string]string{"main.tf": strings.ReplaceAll(storeModule, `"size ${var.size}"`, `jsonencode({ size = var.size })`)}, "")
			look := func(background bool) engine.Observation {
				t.Helper()
				req.Background = background
				seen, err := e.Observe(t.Context(), []engine.Request{req})
				if err != nil || seen[0].Err != nil {
					t.Fatal(err, seen[0].Err)
				}
				return seen[0]
			}
			apply := func() {
				t.Helper()
				res, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard)
				if err != nil {
					t.Fatal(err)
				}
				req.Previous = &res
			}
			change := func(name string, f func(c *thing)) {
				t.Helper()
				c, err := b.load(name)
				if err != nil {
					t.Fatal(err)
				}
				f(&c)
				b.save(t, name, c)
			}
			is := func(what string, o engine.Observation, presence engine.Presence, want ...string) {
				t.Helper()
				var got []string
				for _, d := range o.Drift {
					got = append(got, fmt.Sprintf("%s %s of %s: %v for %v %s", d.Cause, d.Field, d.Address, d.Got, d.Want, d.Noise))
				}
				if o.Presence != presence || strings.Join(got, "\n") != strings.Join(want, "\n") {
					t.Errorf("%s: %s\n%s\nwant %s\n%s", what, o.Presence, strings.Join(got, "\n"), presence, strings.Join(want, "\n"))
				}
			}
			apply()
			is("nothing was done", look(true), engine.Present)

			change("store-hand", func(c *thing) { c.Content = `{"size": 2}` })
			is("the same in another way", look(true), engine.Present, `noise content of testing_file.store: {"size": 2} for {"size":2} text`)
			change("store-hand", func(c *thing) { c.Content = `{"size":9}` })
			is("somebody changed it", look(false), engine.Present, `person content of testing_file.store: {"size":9} for {"size":2} `)
			change("door-hand", func(c *thing) { c.Secret = "somebody's own" })
			o := look(true)
			is("and its secret", o, engine.Present, `person secret of testing_file.door: [redacted] for [redacted] `, `person content of testing_file.store: {"size":9} for {"size":2} `)
			first := o.Drift[0].Print
			change("door-hand", func(c *thing) { c.Secret = "somebody else's" })
			if again := look(true).Drift[0].Print; first == "" || again == first {
				t.Errorf("two secrets are not told apart: %q and %q", first, again)
			}
			apply()
			is("healed", look(true), engine.Present)

			if err := os.Remove(filepath.Join(b.world, "door-hand")); err != nil {
				t.Fatal(err)
			}
			is("somebody deleted a part", look(true), engine.Partial, `deleted exists of testing_file.door: false for true `)
			apply()
			req.Inputs = with(req.Inputs, "size", 3)
			is("something else is wanted", look(true), engine.Present, `desired value of var.size: the value of the last run for the value that is wanted now `)
			apply()
			is("and made", look(true), engine.Present)
		})
	})
}
