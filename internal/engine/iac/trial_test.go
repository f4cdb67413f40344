package iac_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"fairlead/internal/engine"
	"fairlead/internal/engine/iac"
	"fairlead/internal/fault"
)

// A trial is an ordinary plan of nothing: it is in no store, and little of it
// stays on the disk.
func TestATrialLeavesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		e := b.engine(t, nil)
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				req := b.request(fmt.Sprint("tried-", i))
				req.Template = template(map[string]string{"main.tf": storeModule + fmt.Sprintf("\nresource \"terraform_data\" \"n%d\" {}\n", i)}, "")
				for range 2 {
					p, err := e.PlanNew(t.Context(), req)
					if err != nil || len(p.Changes) != 4 {
						t.Errorf("%+v, %v", p.Changes, err)
					}
				}
			})
		}
		all.Wait()
		for query, most := range map[string]int{`SELECT count(*) FROM iac_states`: 0, `SELECT count(*) FROM iac_lock_files`: 0, `SELECT count(*) FROM iac_state_versions`: 0} {
			var n int
			if err := b.db.Read().QueryRowContext(t.Context(), query).Scan(&n); err != nil || n > most {
				t.Errorf("%s: %d, %v", query, n, err)
			}
		}
		modules, err := filepath.Glob(filepath.Join(b.config.Dir, "m", "*"))
		runs, runErr := filepath.Glob(filepath.Join(b.config.Dir, "r", "*"))
		if err != nil || runErr != nil || len(modules) > 2 || len(runs) > 0 {
			t.Errorf("left: %v, %v", modules, runs)
		}
	})
}

// What needs the world to plan is told so, and not that it will be tried again.
func TestATrialThatNeedsTheWorld(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		e := b.engine(t, nil)
		for what, c := range map[string]struct{ module, code, says string }{
			"a server that is not there": {`data "terraform_remote_state" "x" {
  backend = "http"
  config  = { address = "http://127.0.0.1:1/" }
}
output "x" { value = data.terraform_remote_state.x.outputs }`, "module_not_plannable", "leave expect.plan out"},
			"a rule of the module": {`variable "n" {
  default = 3
  validation {
    condition     = var.n < 3
    error_message = "N is small."
  }
}`, "module_input_invalid", "N is small"},
		} {
			_, err := e.PlanNew(t.Context(), engine.Request{Ref: b.request("world").Ref, Template: template(map[string]string{"main.tf": c.module}, "")})
			if f := fault.From(err); err == nil || f.Code != c.code || f.Kind != fault.Invalid || !strings.Contains(f.Message, c.says) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// Who tries a template gets nothing that the platform team gives it.
func TestATrialIsGivenNothingReal(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		tmpl := template(map[string]string{"main.tf": `variable "who" { type = string }
variable "where" { type = object({ host = string, port = number, tags = list(string), more = optional(string) }) }
variable "left" { default = "the default" }
resource "terraform_data" "a" { input = [var.who, var.where, var.left] }`}, `{"given":["who","where","left"],"variables":{}}`)
		b.config.Given = iac.Given{tmpl.Name: {"who": "the real one", "where": map[string]any{}, "left": "the real one"}}
		p, err := b.engine(t, nil).PlanNew(t.Context(), engine.Request{Ref: b.request("given").Ref, Template: tmpl})
		if err != nil || len(p.Changes) != 1 {
			t.Fatalf("%+v, %v", p.Changes, err)
		}
		if got := fmt.Sprint(p.Changes[0].After["input"]); got != "[example map[host:example more:<nil> port:1 tags:[]] the default]" || strings.Contains(string(p.Engine), "real") {
			t.Errorf("%s in %s", got, p.Engine)
		}
	})
}
