package approval_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"fairlead/internal/approval"
	"fairlead/internal/approval/approvaltest"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/gate"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Whatever changes something says so in the audit log, once.
func TestEveryChangeIsRecorded(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		d := delegate(w, "ben", "nils")
		id := w.Resource("orders", "dora")
		f := w.Facts(id, "run_1", "dora")
		one := w.Settle(approvaltest.Ask(f, "p1", gate.Need{}))
		told := w.Told("approval.requested", one.Approval)
		for _, who := range []string{"anna", "ben", "cleo", "olga", "nils"} {
			if !slices.Contains(told, w.Ref(who).ID) {
				t.Errorf("%s was not told", who)
			}
		}
		if len(told) != 5 {
			t.Errorf("%d were told, want 5", len(told))
		}
		two := w.Settle(approvaltest.Ask(f, "p2", gate.Need{}))
		_, err := w.Approve("anna", two.Approval)
		w.Must(err)
		w.Must(w.Identity.RevokeRole(w.Admin, identity.Grant{Team: "shop", Member: "anna", Role: principal.Approver}))
		w.Settle(approvaltest.Ask(f, "p2", gate.Need{}))
		w.Move(two.Approval, -1)
		w.Must(w.Approvals.ExpireDue(t.Context()))
		three := w.Settle(approvaltest.Ask(w.Facts(id, "run_2", "dora"), "p3", gate.Need{}))
		_, err = w.Approvals.Bypass(w.Admin, three.Approval, "there is no time to lose")
		w.Must(err)
		_, err = w.Approvals.Review(w.As("olga"), three.Approval, "well done")
		w.Must(err)
		w.Must(w.Approvals.EndDelegation(w.As("ben"), d.ID))
		for action, want := range map[string]int{"approval:request": 3, "approval:void": 1, "approval:decide": 1, "approval:reopen": 1, "approval:expire": 1,
			"approval:bypass": 1, "approval:review": 1, "approval:delegate": 1, "approval:undelegate": 1} {
			if n := len(audittest.Records(t, w.Log, action)); n != want {
				t.Errorf("%d records of %s, want %d", n, action, want)
			}
		}
	})
}

// Nobody, and a stranger, get nothing from any method.
func TestStrangers(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Settle(approvaltest.Ask(w.Facts(w.Resource("orders", "dora"), "run_1", "dora"), "p", gate.Need{})).Approval
		d := delegate(w, "anna", "ben")
		s := w.Approvals
		for name, call := range map[string]func(context.Context) error{
			"Get": func(ctx context.Context) error { _, err := s.Get(ctx, id); return err },
			"Decide": func(ctx context.Context) error {
				_, err := s.Decide(ctx, id, approval.Ballot{Decision: approval.Approve, Digest: "x"})
				return err
			},
			"Bypass":        func(ctx context.Context) error { _, err := s.Bypass(ctx, id, "there is no time"); return err },
			"Review":        func(ctx context.Context) error { _, err := s.Review(ctx, id, "fine"); return err },
			"WhoCould":      func(ctx context.Context) error { _, err := s.WhoCould(ctx, id); return err },
			"Delegation":    func(ctx context.Context) error { _, err := s.Delegation(ctx, d.ID); return err },
			"EndDelegation": func(ctx context.Context) error { return s.EndDelegation(ctx, d.ID) },
			"Delegate": func(ctx context.Context) error {
				_, err := s.Delegate(ctx, approval.NewDelegation{From: "anna", To: "sam", Until: time.Now().Add(time.Hour)})
				return err
			},
		} {
			t.Run(name, func(t *testing.T) {
				code(t, call(t.Context()), "unauthenticated")
				code(t, call(w.As("sam")), "not_found")
			})
		}
		for name, call := range map[string]func(context.Context) (int, error){
			"List": func(ctx context.Context) (int, error) {
				l, _, err := s.List(ctx, approval.Filter{}, sqldb.Page{})
				return len(l), err
			},
			"Delegations": func(ctx context.Context) (int, error) {
				l, _, err := s.Delegations(ctx, true, sqldb.Page{})
				return len(l), err
			},
			"Open": func(ctx context.Context) (int, error) {
				a, ok, err := s.Open(ctx, "res_x")
				if !ok {
					return len(a.ID), err
				}
				return 1, err
			},
		} {
			if n, err := call(w.As("sam")); n != 0 || err != nil {
				t.Errorf("%s gives a stranger %d: %v", name, n, err)
			}
			_, err := call(t.Context())
			code(t, err, "unauthenticated")
		}
	})
}
