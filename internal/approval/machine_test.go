package approval_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"fairlead/internal/approval"
	"fairlead/internal/approval/approvaltest"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// model is one resource's approval as it should be: the plan that is wanted,
// and who agreed to exactly that.
type model struct {
	id, run, plan string
	asked         string // the run that settled last
	needs         int
	agreed        map[string]bool
	status        string // "", pending, approved, rejected, bypassed
	seen          map[string]string
}

// TestMachine plays a worker that settles changing plans, people who vote on
// what they last looked at, and an administrator, against a model of what must
// come of it. rapid prints the seed of a failure.
func TestMachine(t *testing.T) {
	t.Parallel()
	w := approvaltest.New(t, sqldbtest.SQLite(t))
	voters := []string{"anna", "ben", "cleo", "olga", "dora", "vera", "nils"}
	able := []string{"anna", "ben", "cleo", "olga"}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		id := w.Resource(fmt.Sprint("r", n), "dora")
		m := &model{run: "run_0", needs: rapid.IntRange(1, 3).Draw(rt, "needs"), agreed: map[string]bool{}, seen: map[string]string{}}
		settle := func(plan string) {
			got, err := w.TrySettle(approvaltest.Ask(w.Facts(id, m.run, "dora"), plan, gate.Need{Count: m.needs}))
			if err != nil {
				rt.Fatal(err)
			}
			over := (m.status == "rejected" || m.status == "bypassed") && m.asked != m.run // those count for their run alone
			if plan != m.plan || m.status == "" || over {
				m.plan, m.status, m.agreed, m.id = plan, "pending", map[string]bool{}, got.Approval
			}
			m.asked = m.run
			if got.Status != m.status || got.Approval != m.id {
				rt.Fatalf("settled plan %s: %s (%s), want %s (%s)", plan, got.Status, got.Approval, m.status, m.id)
			}
		}
		settle("p0")
		steps := rapid.IntRange(3, 25).Draw(rt, "steps")
		for i := range steps {
			switch rapid.SampledFrom([]string{"vote", "vote", "vote", "look", "look", "settle", "change", "reject", "bypass", "retry"}).Draw(rt, "step") {
			case "look":
				m.seen[rapid.SampledFrom(voters).Draw(rt, "who")] = m.id
			case "vote":
				who := rapid.SampledFrom(voters).Draw(rt, "who")
				at := m.seen[who]
				if at == "" {
					continue
				}
				a, err := w.Approve(who, at)
				switch code := faultCode(err); {
				case !slices.Contains(able, who):
					if code != "own_request" && code != "not_an_approver" && code != "not_found" {
						rt.Fatalf("%s voted: %v", who, err)
					}
				case at != m.id:
					if code != "approval_changed" {
						if old, _ := w.Approvals.Get(w.Admin, at); old.Status == approval.Void {
							rt.Fatalf("%s voted on what is gone: %v", who, err)
						}
					}
				case m.status == "pending":
					if err != nil {
						rt.Fatal(err)
					}
					if m.agreed[who] = true; len(m.agreed) >= m.needs {
						m.status = "approved"
					}
					if string(a.Status) != m.status {
						rt.Fatalf("%d of %d agreed and it is %s", len(m.agreed), m.needs, a.Status)
					}
				case m.status == "approved" && m.agreed[who]:
					if err != nil {
						rt.Fatalf("a vote sent again: %v", err)
					}
				case code != "approval_decided":
					rt.Fatalf("%s voted on what is %s: %v", who, m.status, err)
				}
			case "settle":
				settle(m.plan)
			case "change":
				settle(fmt.Sprint("p", i+1))
			case "reject":
				who := rapid.SampledFrom(able).Draw(rt, "who")
				if _, err := w.Reject(who, m.id, "no"); m.status == "pending" {
					if err != nil {
						rt.Fatal(err)
					}
					m.status = "rejected"
				}
			case "bypass":
				if _, err := w.Approvals.Bypass(w.Admin, m.id, "there is no time to lose"); m.status == "pending" {
					if err != nil {
						rt.Fatal(err)
					}
					m.status = "bypassed"
				}
			case "retry":
				m.run = fmt.Sprint("run_", i+1)
			}
		}
		settle(m.plan)
		list, _, err := w.Approvals.List(w.Admin, approval.Filter{Subject: id, Status: approval.Pending}, sqldb.Page{})
		if err != nil || len(list) > 1 {
			rt.Fatalf("%d are open: %v", len(list), err)
		}
	})
}

func faultCode(err error) string {
	if err == nil {
		return ""
	}
	return fault.From(err).Code
}
