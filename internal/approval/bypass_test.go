package approval_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/approval"
	"fairlead/internal/approval/approvaltest"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

func sentinel(code string) error { return fault.New(fault.Internal, code, "") }

func TestBreakGlass(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		ask := approvaltest.Ask(w.Facts(id, "run_1", "dora"), "p", gate.Need{})
		a := w.Settle(ask)
		const reason = "the shop is down and nobody answers"
		for who, want := range map[string]string{"dora": "access_denied", "anna": "access_denied", "olga": "access_denied", "nils": "not_found"} {
			_, err := w.Approvals.Bypass(w.As(who), a.Approval, reason)
			code(t, err, want)
		}
		_, err := w.Approvals.Bypass(w.Admin, a.Approval, " short   ")
		code(t, err, "reason_required")
		_, err = w.Approvals.Bypass(w.Admin, a.Approval, "because"+strings.Repeat("\u200b", 20)) // nothing to see
		code(t, err, "reason_required")
		_, err = w.Approvals.Review(w.As("olga"), a.Approval, "too early")
		code(t, err, "not_bypassed")
		for range 2 {
			got, err := w.Approvals.Bypass(w.Admin, a.Approval, reason)
			w.Must(err)
			if got.Status != approval.Bypassed || got.Reason != reason || got.Decider != "root-ada" {
				t.Fatalf("%+v", got)
			}
		}
		answer := w.Settle(ask)
		status(t, answer, "bypassed")
		if answer.By != "root-ada" || w.Woken(id) != 1 {
			t.Errorf("%+v, woken %d times", answer, w.Woken(id))
		}
		_, err = w.Approve("anna", a.Approval)
		code(t, err, "approval_decided")

		told := w.Told("approval.bypassed", a.Approval)
		for _, who := range []string{"anna", "ben", "cleo", "olga", "root-ada", "dora"} {
			if !slices.Contains(told, w.Ref(who).ID) {
				t.Errorf("%s was not told of the bypass", who)
			}
		}
		if n := len(audittest.Records(t, w.Log, "approval:bypass")); n != 1 {
			t.Errorf("%d audit records of one bypass", n)
		}

		review := func(who string) int {
			list, _, err := w.Approvals.List(w.As(who), approval.Filter{NeedsReview: true}, sqldb.Page{})
			w.Must(err)
			return len(list)
		}
		if review("olga") != 1 || review("sam") != 0 {
			t.Error("the list of what is to review")
		}
		_, err = w.Approvals.Review(w.Admin, a.Approval, "fine by me")
		code(t, err, "own_bypass")
		_, err = w.Approvals.Review(w.As("anna"), a.Approval, "fine")
		code(t, err, "access_denied")
		for range 2 {
			got, err := w.Approvals.Review(w.As("olga"), a.Approval, "it was right, the pager was off")
			w.Must(err)
			if got.Reviewer != "olga" || got.ReviewedAt.IsZero() {
				t.Fatalf("%+v", got)
			}
		}
		if review("olga") != 0 {
			t.Error("it is reviewed and still listed")
		}
	})
}

func TestWhoAskedDoesNotReviewSomebodyElsesBypass(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		// The owner may review, and asks herself; another one goes ahead.
		id := w.Resource("orders", "olga")
		a := w.Settle(approvaltest.Ask(w.Facts(id, "run_1", "olga"), "p", gate.Need{}))
		_, err := w.Approvals.Bypass(w.Admin, a.Approval, "the shop is down and nobody answers")
		w.Must(err)
		_, err = w.Approvals.Review(w.As("olga"), a.Approval, "it was right, of course")
		code(t, err, "own_request")
		if got, err := w.Approvals.Get(w.Admin, a.Approval); err != nil || !got.ReviewedAt.IsZero() {
			t.Errorf("reviewed all the same: %+v %v", got, err)
		}
		audrey := w.User("audrey", "shop", principal.TeamOwner)
		_, err = w.Approvals.Review(audrey, a.Approval, "the pager was off")
		w.Must(err)
	})
}

func TestBypassOfAnotherDigestIsNotThis(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		f := w.Facts(id, "run_1", "dora")
		a := w.Settle(approvaltest.Ask(f, "p1", gate.Need{}))
		_, err := w.Approvals.Bypass(w.Admin, a.Approval, "there is no time to lose")
		w.Must(err)
		status(t, w.Settle(approvaltest.Ask(f, "p2", gate.Need{})), "pending")
		got, err := w.Approvals.Get(w.Admin, a.Approval)
		w.Must(err)
		if got.Status != approval.Bypassed {
			t.Errorf("a bypass that is %s escapes its review", got.Status)
		}
	})
}

func TestAnApprovalWithoutAResource(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		zoe := w.User("zoe", "", principal.PlatformAdmin)
		sub := approval.Subject{Kind: "guardrail", ID: "production@2", Title: "production 2", Action: "activate"}
		ensure := func(b gate.Binding) gate.Answer {
			var answer gate.Answer
			w.Must(w.DB.Write(w.Admin, "test.ensure", func(tx *sqldb.Tx) (err error) {
				answer, err = w.Approvals.Ensure(w.Admin, tx, sub, []gate.Need{{Role: "platform-admin", Within: time.Hour}}, b)
				return err
			}))
			return answer
		}
		a := ensure(gate.Binding{"bundle": "1"})
		status(t, a, "pending")
		if a.Who != "needs 1 platform admin (zoe)" {
			t.Errorf("who: %q", a.Who)
		}
		_, err := w.Approve("root-ada", a.Approval)
		code(t, err, "own_request")
		for _, who := range []string{"anna", "olga", "nils"} {
			_, err := w.Approve(who, a.Approval)
			code(t, err, "not_found")
		}
		_, err = w.Approve("zoe", a.Approval)
		w.Must(err)
		status(t, ensure(gate.Binding{"bundle": "1"}), "approved")
		status(t, ensure(gate.Binding{"bundle": "2"}), "pending")
		list, _, err := w.Approvals.List(zoe, approval.Filter{Mine: true}, sqldb.Page{})
		w.Must(err)
		if len(list) != 1 || list[0].Kind != "guardrail" {
			t.Errorf("zoe has %d to decide", len(list))
		}
	})
}

func TestWhoMadeItHasNoSayEvenIfSomebodyElseAsks(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		sub := approval.Subject{Kind: "guardrail", ID: "sizes", Title: "guardrails sizes", Run: "1", Action: "update", Author: w.Ref("olga").ID}
		var answer gate.Answer
		w.Must(w.DB.Write(w.Admin, "test.ensure", func(tx *sqldb.Tx) (err error) {
			answer, err = w.Approvals.Ensure(w.Admin, tx, sub, []gate.Need{{People: []string{"olga", "anna"}}}, gate.Binding{"bundle": "x"})
			return err
		}))
		_, err := w.Approve("olga", answer.Approval)
		code(t, err, "not_found")
		_, err = w.Approve("anna", answer.Approval)
		w.Must(err)
	})
}
