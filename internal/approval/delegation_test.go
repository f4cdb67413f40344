package approval_test

import (
	"fmt"
	"testing"
	"time"

	"fairlead/internal/approval"
	"fairlead/internal/approval/approvaltest"
	"fairlead/internal/gate"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

func delegate(w *approvaltest.World, from, to string) approval.Delegation {
	d, err := w.Approvals.Delegate(w.As(from), approval.NewDelegation{To: to, Until: time.Now().Add(24 * time.Hour), Reason: "on holiday"})
	w.Must(err)
	return d
}

func TestADelegateVotesForAnother(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		delegate(w, "anna", "nils")
		a := w.Settle(approvaltest.Ask(w.Facts(id, "run_1", "dora"), "p", gate.Need{Count: 2}))
		list, _, err := w.Approvals.List(w.As("nils"), approval.Filter{Mine: true}, sqldb.Page{})
		w.Must(err)
		if len(list) != 1 {
			t.Fatalf("nils stands in for anna and sees %d", len(list))
		}
		got, err := w.Approve("nils", a.Approval)
		w.Must(err)
		if len(got.Votes) != 1 || got.Votes[0].OnBehalfOf != "anna" || got.Needs[0].Have != 1 {
			t.Fatalf("%+v", got.Votes)
		}
		// Anna herself: one right is one voice, however many use it.
		got, err = w.Approve("anna", a.Approval)
		w.Must(err)
		if got.Status != approval.Pending || got.Needs[0].Have != 1 {
			t.Fatalf("one right counted for %d", got.Needs[0].Have)
		}
		got, err = w.Approve("ben", a.Approval)
		w.Must(err)
		if got.Status != approval.Approved {
			t.Errorf("it is %s", got.Status)
		}
	})
}

func TestOnePersonIsOneVoice(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		delegate(w, "anna", "ben")
		delegate(w, "cleo", "ben")
		a := w.Settle(approvaltest.Ask(w.Facts(id, "run_1", "dora"), "p", gate.Need{Count: 2}))
		got, err := w.Approve("ben", a.Approval)
		w.Must(err)
		if got.Status != approval.Pending || got.Needs[0].Have != 1 || len(got.Votes) != 3 {
			t.Fatalf("ben alone is %d voices: %+v", got.Needs[0].Have, got.Votes)
		}
		// Anna's right was used by ben, who has one of his own: both count.
		got, err = w.Approve("anna", a.Approval)
		w.Must(err)
		if got.Status != approval.Approved {
			t.Errorf("two people agreed, and it is %s", got.Status)
		}
	})
}

func TestDelegationGivesNoMoreThanThereIs(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		delegate(w, "anna", "dora") // who asks
		delegate(w, "anna", "sam")
		delegate(w, "sam", "vera") // no chain: vera has sam's own right, which is none here
		d := delegate(w, "dora", "nils")
		a := w.Settle(approvaltest.Ask(w.Facts(id, "run_1", "dora"), "p", gate.Need{}))
		_, err := w.Approve("dora", a.Approval)
		code(t, err, "own_request")
		_, err = w.Approve("vera", a.Approval)
		code(t, err, "not_an_approver")
		_, err = w.Approve("nils", a.Approval) // in the name of who asked
		code(t, err, "not_found")
		w.Must(w.Identity.RevokeRole(w.Admin, identity.Grant{Team: "shop", Member: "anna", Role: principal.Approver}))
		_, err = w.Approve("sam", a.Approval)
		code(t, err, "not_found")

		w.Must(w.Identity.GrantRole(w.Admin, identity.Grant{Team: "shop", Member: "dora", Role: principal.Approver}))
		other := w.Settle(approvaltest.Ask(w.Facts(w.Resource("invoices", "anna"), "run_2", "anna"), "p", gate.Need{}))
		for range 2 {
			w.Must(w.Approvals.EndDelegation(w.As("dora"), d.ID))
		}
		_, err = w.Approve("nils", other.Approval)
		code(t, err, "not_found")
	})
}

func TestWhoDelegates(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		until := time.Now().Add(time.Hour)
		for _, row := range []struct {
			as   string
			in   approval.NewDelegation
			code string
		}{
			{"anna", approval.NewDelegation{To: "anna", Until: until}, "unknown_delegate"},
			{"anna", approval.NewDelegation{To: "nobody-here", Until: until}, "unknown_delegate"},
			{"anna", approval.NewDelegation{To: "ben"}, "invalid_delegation"},
			{"anna", approval.NewDelegation{To: "ben", Until: until.Add(-2 * time.Hour)}, "invalid_delegation"},
			{"anna", approval.NewDelegation{To: "ben", Until: until.Add(91 * 24 * time.Hour)}, "invalid_delegation"},
			{"anna", approval.NewDelegation{To: "ben", Until: until, Reason: "a\x00b"}, "invalid_text"},
			{"dora", approval.NewDelegation{From: "anna", To: "dora", Until: until}, "not_found"},
		} {
			_, err := w.Approvals.Delegate(w.As(row.as), row.in)
			code(t, err, row.code)
		}
		_, err := w.Approvals.Delegate(t.Context(), approval.NewDelegation{To: "ben", Until: until})
		code(t, err, "unauthenticated")
		d, err := w.Approvals.Delegate(w.Admin, approval.NewDelegation{From: "anna", To: "ben", Until: until, Reason: "she is ill"})
		w.Must(err)
		for who, want := range map[string]int{"anna": 1, "ben": 1, "cleo": 0, "root-ada": 1} {
			list, _, err := w.Approvals.Delegations(w.As(who), false, sqldb.Page{})
			w.Must(err)
			if len(list) != want {
				t.Errorf("%s sees %d delegations, want %d", who, len(list), want)
			}
		}
		code(t, w.Approvals.EndDelegation(w.As("cleo"), d.ID), "not_found")
		w.Must(w.Approvals.EndDelegation(w.As("ben"), d.ID)) // who stands in may give it back
		list, _, err := w.Approvals.Delegations(w.As("anna"), true, sqldb.Page{})
		w.Must(err)
		if len(list) != 1 || list[0].EndedAt.IsZero() {
			t.Errorf("%+v", list)
		}
	})
}

func TestADelegationThatIsEndedTakesItsVotesBack(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		ask := approvaltest.Ask(w.Facts(w.Resource("orders", "dora"), "run_1", "dora"), "p", gate.Need{})
		d := delegate(w, "anna", "nils")
		a := w.Settle(ask)
		got, err := w.Approve("nils", a.Approval)
		w.Must(err)
		if got.Status != approval.Approved {
			t.Fatalf("it is %s", got.Status)
		}
		w.Must(w.Approvals.EndDelegation(w.As("anna"), d.ID)) // nils was not to be trusted
		status(t, w.Settle(ask), "pending")
		delegate(w, "anna", "nils") // he was, after all
		status(t, w.Settle(ask), "approved")
		// One that runs out takes nothing back.
		other := approvaltest.Ask(w.Facts(w.Resource("invoices", "dora"), "run_2", "dora"), "p", gate.Need{})
		d = delegate(w, "ben", "vera")
		b := w.Settle(other)
		_, err = w.Approve("vera", b.Approval)
		w.Must(err)
		w.Must(w.DB.Write(t.Context(), "test.over", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE approval_delegations SET until_at = $2 WHERE id = $1`, d.ID, tx.Now().UnixMicro())
			return err
		}))
		status(t, w.Settle(other), "approved")
	})
}

func TestAskingAndCancelingFillsNoMailbox(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		told := 0
		for i := range 15 {
			run := fmt.Sprint("run_", i)
			a := w.Settle(approvaltest.Ask(w.Facts(id, run, "dora"), "p", gate.Need{}))
			if len(w.Told("approval.requested", a.Approval)) > 0 {
				told++
			}
			w.Must(w.DB.Write(t.Context(), "test.cancel", func(tx *sqldb.Tx) error { return w.Approvals.Void(w.System(), tx, id, "canceled") }))
		}
		if told == 0 || told > 10 {
			t.Errorf("told %d times", told)
		}
	})
}
