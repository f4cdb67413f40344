package approval_test

import (
	"strings"
	"testing"

	"fairlead/internal/access"
	"fairlead/internal/approval"
	"fairlead/internal/approval/approvaltest"
	"fairlead/internal/gate"
)

// put adds a policy to those in force.
func put(w *approvaltest.World, policy string) {
	v, err := w.Access.Current(w.Admin)
	w.Must(err)
	_, err = w.Access.Put(w.Admin, access.PutRequest{Source: v.Source + "\n" + policy})
	w.Must(err)
}

// What a policy forbids counts also for who is named, who stands in, and who
// has voted already.
func TestAForbidWins(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		delegate(w, "anna", "ben")
		id := w.Resource("orders", "dora")
		ask := approvaltest.Ask(w.Facts(id, "run_1", "dora"), "p", gate.Need{People: []string{"ben", "nils"}})
		a := w.Settle(ask)
		_, err := w.Approve("ben", a.Approval)
		w.Must(err)
		put(w, `@id("not-ben") forbid (principal == User::"`+w.Ref("ben").ID+`", action == Action::"approval:decide", resource);`)
		answer := w.Settle(ask)
		status(t, answer, "pending")
		if !strings.Contains(answer.Who, "(nils)") {
			t.Errorf("who: %q", answer.Who)
		}
		_, err = w.Approve("ben", a.Approval)
		code(t, err, "not_an_approver")
		other := w.Settle(approvaltest.Ask(w.Facts(w.Resource("invoices", "dora"), "run_2", "dora"), "p", gate.Need{}))
		_, err = w.Approve("ben", other.Approval) // in his own right, and in anna's
		code(t, err, "not_an_approver")
		got, err := w.Approve("nils", a.Approval)
		w.Must(err)
		if got.Status != approval.Approved {
			t.Errorf("it is %s", got.Status)
		}
	})
}

// A role that is asked for and that policies no longer let decide is asked in vain.
func TestARoleThatMayNot(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		a := w.Settle(approvaltest.Ask(w.Facts(w.Resource("orders", "anna"), "run_1", "anna"), "p", gate.Need{Role: "developer"}))
		if a.Who != "needs 1 developer of team shop (olga)" {
			t.Errorf("who: %q", a.Who)
		}
		_, err := w.Approve("dora", a.Approval)
		code(t, err, "not_an_approver")
		list, err := w.Approvals.WhoCould(w.As("dora"), a.Approval)
		w.Must(err)
		for _, p := range list {
			if p.Name == "dora" && (p.Can || !strings.Contains(p.Why, "access policies")) {
				t.Errorf("%+v", p)
			}
		}
		put(w, `@id("peers") permit (principal in Role::"developer", action == Action::"approval:decide", resource);`)
		got, err := w.Approve("dora", a.Approval)
		w.Must(err)
		if got.Status != approval.Approved {
			t.Errorf("it is %s", got.Status)
		}
	})
}

// A team that is not there is asked in vain, rather than the owning one.
func TestATeamThatIsNotThere(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		a := w.Settle(approvaltest.Ask(w.Facts(w.Resource("orders", "dora"), "run_1", "dora"), "p", gate.Need{Team: "gone"}))
		if a.Who != "needs 1 approver of team gone (nobody can at present)" {
			t.Errorf("who: %q", a.Who)
		}
		for _, who := range []string{"anna", "olga"} {
			_, err := w.Approve(who, a.Approval)
			code(t, err, "not_an_approver")
		}
	})
}
