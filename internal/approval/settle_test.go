package approval_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/approval"
	"fairlead/internal/approval/approvaltest"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func each(t *testing.T, f func(t *testing.T, w *approvaltest.World)) {
	t.Helper()
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, approvaltest.New(t, db)) })
}

func code(t *testing.T, err error, want string) {
	t.Helper()
	if got := ""; err == nil || fault.From(err).Code != want {
		if err != nil {
			got = fault.From(err).Code
		}
		t.Helper()
		t.Fatalf("got %q (%v), want the code %q", got, err, want)
	}
}

func status(t *testing.T, a gate.Answer, want string) {
	t.Helper()
	if a.Status != want {
		t.Fatalf("it is %q (%+v), want %q", a.Status, a, want)
	}
}

func TestWhatWasApprovedIsWhatHappens(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		f := w.Facts(id, "run_1", "dora")
		status(t, w.Settle(approvaltest.Ask(f, "p1")), "")

		first := w.Settle(approvaltest.Ask(f, "p1", gate.Need{}))
		status(t, first, "pending")
		if first.Who != "needs 1 approver of team shop (anna, ben, cleo, olga)" {
			t.Errorf("who: %q", first.Who)
		}
		if again := w.Settle(approvaltest.Ask(f, "p1", gate.Need{})); again.Approval != first.Approval {
			t.Errorf("asking again opened %s beside %s", again.Approval, first.Approval)
		}
		a, err := w.Approve("anna", first.Approval)
		w.Must(err)
		if a.Status != approval.Approved || w.Woken(id) != 1 {
			t.Fatalf("%s, woken %d times", a.Status, w.Woken(id))
		}
		status(t, w.Settle(approvaltest.Ask(f, "p1", gate.Need{})), "approved")

		// Another plan in the same run: what was agreed to was not this.
		second := w.Settle(approvaltest.Ask(f, "p2", gate.Need{}))
		status(t, second, "pending")
		was, err := w.Approvals.Get(w.Admin, first.Approval)
		w.Must(err)
		want := []approval.Change{{Part: gate.PartPlan, Old: "p1", New: "p2"}}
		if was.Status != approval.Void || !cmp.Equal(was.Changed, want) || was.Next != second.Approval {
			t.Fatalf("the old one: %s %+v next %s", was.Status, was.Changed, was.Next)
		}
		_, err = w.Approvals.Decide(w.As("ben"), first.Approval, approval.Ballot{Decision: approval.Approve, Digest: was.Digest})
		code(t, err, "approval_changed")

		// And back again: the first approval stays void.
		third := w.Settle(approvaltest.Ask(f, "p1", gate.Need{}))
		status(t, third, "pending")
		if third.Approval == first.Approval {
			t.Error("a void approval came to life")
		}
	})
}

func TestAnApprovalCountsForItsRunAlone(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		one := w.Settle(approvaltest.Ask(w.Facts(id, "run_1", "dora"), "p", gate.Need{}))
		// A retry by the same person waits for the same approval.
		if two := w.Settle(approvaltest.Ask(w.Facts(id, "run_2", "dora"), "p", gate.Need{})); two.Approval != one.Approval {
			t.Fatal("a retry asked everybody again")
		}
		_, err := w.Approve("anna", one.Approval)
		w.Must(err)
		status(t, w.Settle(approvaltest.Ask(w.Facts(id, "run_2", "dora"), "p", gate.Need{})), "approved")
		// It failed, and is tried again as it was.
		status(t, w.Settle(approvaltest.Ask(w.Facts(id, "run_2b", "dora"), "p", gate.Need{})), "approved")
		// The same plan that nobody asked for: what was agreed to has happened.
		healing := w.Facts(id, "run_2c", "dora")
		healing.Action = gate.Keep
		status(t, w.Settle(approvaltest.Ask(healing, "p", gate.Need{})), "pending")
		// The same change asked for by anna, who agreed to it then.
		three := w.Settle(approvaltest.Ask(w.Facts(id, "run_3", "anna"), "p", gate.Need{}))
		status(t, three, "pending")
		_, err = w.Approve("anna", three.Approval)
		code(t, err, "own_request")
		// The approval that was used stays what it was.
		a, err := w.Approvals.Get(w.Admin, one.Approval)
		w.Must(err)
		if a.Status != approval.Approved {
			t.Errorf("the used approval is %s", a.Status)
		}
	})
}

func TestSeveralNeeds(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		f := w.Facts(id, "run_1", "dora")
		ask := approvaltest.Ask(f, "p", gate.Need{Count: 2}, gate.Need{Role: "approver"}, gate.Need{Role: "platform-admin"}, gate.Need{Team: "other"})
		a := w.Settle(ask)
		if want := "needs 1 platform admin (root-ada) and 1 approver of team other (sam) and 2 approvers of team shop (anna, ben, cleo, olga)"; a.Who != want {
			t.Fatalf("who: %q", a.Who)
		}
		for _, who := range []string{"anna", "root-ada", "anna"} {
			got, err := w.Approve(who, a.Approval)
			w.Must(err)
			if got.Status != approval.Pending {
				t.Fatalf("%s was enough", who)
			}
		}
		_, err := w.Approve("ben", a.Approval)
		w.Must(err)
		got, err := w.Approve("sam", a.Approval) // of another team, asked by the need
		w.Must(err)
		if got.Status != approval.Approved {
			t.Fatalf("all agreed, and it is %s: %+v", got.Status, got.Needs)
		}
	})
}

func TestNeedsThatChangeUnderOneBinding(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		f := w.Facts(id, "run_1", "dora")
		a := w.Settle(approvaltest.Ask(f, "p", gate.Need{}))
		_, err := w.Approve("anna", a.Approval)
		w.Must(err)
		more := w.Settle(approvaltest.Ask(f, "p", gate.Need{Count: 2}))
		status(t, more, "pending")
		if more.Approval != a.Approval || more.Who != "needs 1 approver of team shop (ben, cleo, olga)" {
			t.Errorf("%+v", more)
		}
		status(t, w.Settle(approvaltest.Ask(f, "p", gate.Need{})), "approved")
	})
}

func TestAVoterWhoLostTheRole(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		f := w.Facts(id, "run_1", "dora")
		ask := approvaltest.Ask(f, "p", gate.Need{})
		a := w.Settle(ask)
		_, err := w.Approve("anna", a.Approval)
		w.Must(err)
		w.Must(w.Identity.RevokeRole(w.Admin, identity.Grant{Team: "shop", Member: "anna", Role: principal.Approver}))
		status(t, w.Settle(ask), "pending")
		got, err := w.Approve("ben", a.Approval)
		w.Must(err)
		if got.Status != approval.Approved {
			t.Fatalf("it is %s", got.Status)
		}
		status(t, w.Settle(ask), "approved")
	})
}

func TestVoidWhenTheResourceIsGone(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		a := w.Settle(approvaltest.Ask(w.Facts(id, "run_1", "dora"), "p", gate.Need{}))
		w.Must(w.DB.Write(w.System(), "test.void", func(tx *sqldb.Tx) error {
			return errors.Join(w.Approvals.Void(w.System(), tx, id, "the resource is gone"), w.Approvals.Void(w.System(), tx, id, "again"))
		}))
		got, err := w.Approvals.Get(w.Admin, a.Approval)
		w.Must(err)
		if got.Status != approval.Void || got.Reason != "the resource is gone" {
			t.Errorf("%s %s", got.Status, got.Reason)
		}
	})
}
