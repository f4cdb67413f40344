package approval_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/approval"
	"fairlead/internal/approval/approvaltest"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

func TestWhoMayNot(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		// anna is an approver and asks herself; ben made the revision.
		id := w.Resource("orders", "ben")
		a := w.Settle(approvaltest.Ask(w.Facts(id, "run_1", "anna"), "p", gate.Need{}))
		digest := w.Digest(a.Approval)
		for _, row := range []struct{ who, code, why string }{
			{"anna", "own_request", "nobody agrees to what they asked for"},
			{"ben", "own_request", "nor to what they wrote"},
			{"nils", "not_found", "a stranger learns nothing"},
			{"sam", "not_found", "nor does an approver of another team"},
			{"vera", "not_an_approver", "a viewer sees it and has no say"},
			{"dora", "not_an_approver", "nor has a developer"},
			{"root-ada", "not_an_approver", "nor an administrator, who may break the glass instead"},
		} {
			for _, d := range []approval.Decision{approval.Approve, approval.Reject} {
				_, err := w.Approvals.Decide(w.As(row.who), a.Approval, approval.Ballot{Decision: d, Comment: "because", Digest: digest})
				if err == nil {
					t.Fatalf("%s could %s: %s", row.who, d, row.why)
				}
				code(t, err, row.code)
			}
		}
		_, err := w.Approvals.Decide(t.Context(), a.Approval, approval.Ballot{Decision: approval.Approve, Digest: digest})
		code(t, err, "unauthenticated")
		narrow := w.Ref("cleo")
		narrow.Scopes, narrow.TokenID = []string{"resource:view"}, "tok_x"
		_, err = w.Approvals.Decide(principal.With(w.System(), narrow), a.Approval, approval.Ballot{Decision: approval.Approve, Digest: digest})
		code(t, err, "scope_too_narrow")
		for _, row := range []struct {
			ballot approval.Ballot
			code   string
		}{
			{approval.Ballot{Decision: "maybe", Digest: digest}, "invalid_decision"},
			{approval.Ballot{Decision: approval.Approve}, "digest_required"},
			{approval.Ballot{Decision: approval.Approve, Digest: "other"}, "approval_changed"},
			{approval.Ballot{Decision: approval.Reject, Digest: digest}, "comment_required"},
			{approval.Ballot{Decision: approval.Approve, Digest: digest, Comment: "a\x1bb"}, "invalid_text"},
		} {
			_, err := w.Approvals.Decide(w.As("cleo"), a.Approval, row.ballot)
			code(t, err, row.code)
		}
		if got, _ := w.Approvals.Get(w.Admin, a.Approval); got.Status != approval.Pending || len(got.Votes) > 0 || w.Woken(id) > 0 {
			t.Errorf("a refused vote left something: %+v", got.Votes)
		}
	})
}

func TestRobots(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		_, err := w.Identity.CreateRobot(w.Admin, identity.NewRobot{Name: "ci", Team: "shop"})
		w.Must(err)
		w.Must(w.Identity.GrantRole(w.Admin, identity.Grant{Team: "shop", Member: "ci", Role: principal.Approver}))
		w.Must(w.Identity.GrantRole(w.Admin, identity.Grant{Team: "shop", Member: "ci", Role: principal.Developer}))
		_, err = w.Identity.CreateToken(w.As("olga"), identity.NewToken{Robot: "ci", Name: "pipeline", Lifetime: time.Hour})
		w.Must(err)
		id := w.Resource("orders", "ci")
		a := w.Settle(approvaltest.Ask(w.Facts(id, "run_1", "ci"), "p", gate.Need{}))
		_, err = w.Approve("olga", a.Approval) // she holds the robot's token and could have asked
		code(t, err, "own_request")
		_, err = w.Approve("ci", a.Approval)
		code(t, err, "robot_cannot_approve")
		_, err = w.Approvals.Bypass(w.As("ci"), a.Approval, "because it is late at night")
		code(t, err, "access_denied")
		if a.Who != "needs 1 approver of team shop (anna, ben, cleo)" {
			t.Errorf("who: %q", a.Who)
		}
		got, err := w.Approve("anna", a.Approval)
		w.Must(err)
		if got.Status != approval.Approved {
			t.Errorf("it is %s", got.Status)
		}
	})
}

func TestTwoOfThreeAndAVoteAgain(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		ask := approvaltest.Ask(w.Facts(id, "run_1", "dora"), "p", gate.Need{People: []string{"anna", "ben", "nils"}, Count: 2})
		a := w.Settle(ask)
		for range 3 { // a reply that was lost is asked for again
			got, err := w.Approve("nils", a.Approval) // named, with no role at all
			w.Must(err)
			if got.Status != approval.Pending || len(got.Votes) != 1 || got.Needs[0].Have != 1 {
				t.Fatalf("one person counts for %d: %+v", got.Needs[0].Have, got.Votes)
			}
		}
		_, err := w.Approve("cleo", a.Approval)
		code(t, err, "not_an_approver")
		for range 2 {
			got, err := w.Approve("ben", a.Approval)
			w.Must(err)
			if got.Status != approval.Approved || got.Decider != "ben" {
				t.Fatalf("%s by %s", got.Status, got.Decider)
			}
		}
		_, err = w.Approve("anna", a.Approval)
		code(t, err, "approval_decided")
		_, err = w.Reject("ben", a.Approval, "no, after all")
		code(t, err, "approval_decided")
		if w.Woken(id) != 1 {
			t.Errorf("woken %d times", w.Woken(id))
		}
	})
}

func TestOneNoIsEnough(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		ask := approvaltest.Ask(w.Facts(id, "run_1", "dora"), "p", gate.Need{Count: 3})
		a := w.Settle(ask)
		_, err := w.Approve("anna", a.Approval)
		w.Must(err)
		for range 2 {
			got, err := w.Reject("anna", a.Approval, "on second thoughts") // changed her mind
			w.Must(err)
			if got.Status != approval.Rejected {
				t.Fatalf("it is %s", got.Status)
			}
		}
		answer := w.Settle(ask)
		status(t, answer, "rejected")
		if answer.By != "anna" || answer.Comment != "on second thoughts" || w.Woken(id) != 1 {
			t.Errorf("%+v, woken %d times", answer, w.Woken(id))
		}
		// Asked again, it is asked anew.
		ask.Facts.RunID = "run_2"
		if again := w.Settle(ask); again.Status != "pending" || again.Approval == a.Approval {
			t.Errorf("%+v", again)
		}
	})
}

func TestExpiry(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		ask := approvaltest.Ask(w.Facts(id, "run_1", "dora"), "p", gate.Need{Within: 2 * time.Hour}, gate.Need{Count: 2, Within: time.Hour})
		a := w.Settle(ask)
		got, err := w.Approvals.Get(w.Admin, a.Approval)
		w.Must(err)
		if d := got.ExpiresAt.Sub(got.CreatedAt); d != time.Hour || !a.Until.Equal(got.ExpiresAt) {
			t.Errorf("it lasts %v until %v", d, a.Until)
		}
		w.Must(w.Approvals.ExpireDue(t.Context()))
		status(t, w.Settle(ask), "pending")
		w.Move(a.Approval, -1)
		_, err = w.Approve("anna", a.Approval)
		code(t, err, "approval_expired")
		for range 2 {
			w.Must(w.Approvals.ExpireDue(t.Context()))
		}
		if w.Woken(id) != 1 {
			t.Errorf("woken %d times", w.Woken(id))
		}
		status(t, w.Settle(ask), "expired")
		_, err = w.Approve("anna", a.Approval)
		code(t, err, "approval_expired")

		// The worker may come before the loop.
		other := w.Resource("invoices", "dora")
		ask = approvaltest.Ask(w.Facts(other, "run_9", "dora"), "p", gate.Need{})
		w.Move(w.Settle(ask).Approval, -1)
		status(t, w.Settle(ask), "expired")
		w.Must(w.Approvals.ExpireDue(t.Context()))
	})
}

func TestDisabledBetweenVoteAndUse(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		ask := approvaltest.Ask(w.Facts(id, "run_1", "dora"), "p", gate.Need{People: []string{"nils"}})
		a := w.Settle(ask)
		nils := w.As("nils")
		_, err := w.Approve("nils", a.Approval)
		w.Must(err)
		w.Must(w.Identity.DisableUser(w.Admin, "nils", 0))
		answer := w.Settle(ask)
		status(t, answer, "pending")
		if answer.Who != "needs 1 named person (nobody can at present)" {
			t.Errorf("who: %q", answer.Who)
		}
		// A session that the cache still knew counts for nothing.
		_, err = w.Approvals.Decide(nils, a.Approval, approval.Ballot{Decision: approval.Approve, Digest: w.Digest(a.Approval)})
		code(t, err, "not_found")
	})
}

// Many people decide while a worker settles other plans: whatever is approved
// was approved by somebody who had seen its digest.
func TestVotesRaceWithChanges(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		f := w.Facts(id, "run_1", "dora")
		voters := []string{"anna", "ben", "cleo", "olga"}
		seen := sync.Map{} // digest -> somebody looked
		first := w.Settle(approvaltest.Ask(f, "0", gate.Need{Count: 2}))
		current := struct {
			sync.Mutex
			id string
		}{id: first.Approval}
		done := make(chan struct{})
		var all sync.WaitGroup
		for _, who := range voters {
			ctx := w.As(who)
			all.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					current.Lock()
					at := current.id
					current.Unlock()
					a, err := w.Approvals.Get(ctx, at)
					if err != nil {
						t.Error(err)
						return
					}
					seen.Store(a.Digest, true)
					_, err = w.Approvals.Decide(ctx, at, approval.Ballot{Decision: approval.Approve, Digest: a.Digest})
					if !known(err) {
						t.Errorf("%s: %v", who, err)
						return
					}
				}
			})
		}
		last := ""
		for i := range 30 {
			ask := approvaltest.Ask(f, string(rune('a'+i)), gate.Need{Count: 2})
			answer := w.Settle(ask)
			if answer.Status == "approved" {
				if _, ok := seen.Load(ask.Binding.Digest()); !ok {
					t.Error("approved what nobody had seen")
				}
			}
			current.Lock()
			current.id = answer.Approval
			current.Unlock()
			last = answer.Approval
		}
		deadline := time.After(20 * time.Second)
		for {
			a, err := w.Approvals.Get(w.Admin, last)
			w.Must(err)
			if a.Status == approval.Approved {
				break
			}
			select {
			case <-deadline:
				t.Fatalf("the last is %s", a.Status)
			default:
			}
		}
		close(done)
		all.Wait()
		list, _, err := w.Approvals.List(w.Admin, approval.Filter{Subject: id}, sqldb.Page{Limit: 200})
		w.Must(err)
		open := 0
		for _, a := range list {
			if a.Status == approval.Pending || a.Status == approval.Approved {
				open++
			}
		}
		if open != 1 {
			t.Errorf("%d of %d approvals count for one resource", open, len(list))
		}
	})
}

func known(err error) bool {
	if err == nil {
		return true
	}
	for _, c := range []string{"approval_changed", "approval_decided"} {
		if errors.Is(err, sentinel(c)) {
			return true
		}
	}
	return false
}

func TestATokenThatIsRevokedAfterwardsStillTells(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		_, err := w.Identity.CreateRobot(w.Admin, identity.NewRobot{Name: "ci", Team: "shop"})
		w.Must(err)
		w.Must(w.Identity.GrantRole(w.Admin, identity.Grant{Team: "shop", Member: "ci", Role: principal.Developer}))
		made, err := w.Identity.CreateToken(w.As("olga"), identity.NewToken{Robot: "ci", Name: "pipeline", Lifetime: time.Hour})
		w.Must(err)
		id := w.Resource("orders", "ci")
		// The worker comes when the token is gone: it was good when it was asked.
		w.Must(w.Identity.RevokeToken(w.As("olga"), made.Credential.ID))
		a := w.Settle(approvaltest.Ask(w.Facts(id, "run_1", "ci"), "p", gate.Need{}))
		_, err = w.Approve("olga", a.Approval)
		code(t, err, "own_request")
	})
}

func TestWhatOnesChangeWasBuiltUponIsOnesOwn(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		id := w.Resource("orders", "dora")
		revise := func(number int64, by string) {
			w.Must(w.DB.Write(t.Context(), "test.revise", func(tx *sqldb.Tx) error {
				_, err := tx.ExecContext(t.Context(), `INSERT INTO revisions (resource_id, number, template, template_version, template_digest, inputs, created_at, created_by)
					VALUES ($1, $2, 'null', '1.0.0', 'd', '{}', 0, $3)`, id, number, w.Ref(by).ID)
				return err
			}))
		}
		// Anna asks; dora changes a label on top of that, without a thought.
		revise(2, "anna")
		revise(3, "dora")
		f := w.Facts(id, "run_3", "dora")
		f.Revision = 3
		a := w.Settle(approvaltest.Ask(f, "p", gate.Need{}))
		_, err := w.Approve("anna", a.Approval)
		code(t, err, "own_request")
		_, err = w.Approve("ben", a.Approval)
		w.Must(err)
		// What is in use by now is nobody's any more.
		w.Must(w.DB.Write(t.Context(), "test.applied", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE resources SET applied_revision = 3 WHERE id = $1`, id)
			return err
		}))
		revise(4, "dora")
		f = w.Facts(id, "run_4", "dora")
		f.Revision = 4
		a = w.Settle(approvaltest.Ask(f, "q", gate.Need{}))
		_, err = w.Approve("anna", a.Approval)
		w.Must(err)
	})
}

func TestWhoChangedWhatIsReferredToHasNoSay(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		exec := func(query string, args ...any) {
			w.Must(w.DB.Write(t.Context(), "test.exec", func(tx *sqldb.Tx) error {
				_, err := tx.ExecContext(t.Context(), query, args...)
				return err
			}))
		}
		// app takes from orders, which takes from base.
		base, orders, app := w.Resource("base", "dora"), w.Resource("orders", "dora"), w.Resource("app", "dora")
		exec(`INSERT INTO resource_references (resource_id, input, target_id, output) VALUES ($1, '/a', $2, 'name'), ($2, '/b', $3, 'name')`, app, orders, base)
		exec(`INSERT INTO runs (id, resource_id, number, environment_id, kind, revision, phase, status, requested_by, created_at, started_at, passed)
			VALUES ('run_0', $1, 1, $2, 'apply', 1, 'done', 'succeeded', 'x', 1, 2, '{"references":"before"}')`, app, w.Env.ID)
		change := func(id, by string, at int64) {
			exec(`INSERT INTO revisions (resource_id, number, template, template_version, template_digest, inputs, created_at, created_by)
				VALUES ($1, $2, 'null', '1.0.0', 'd', '{}', $2, $3)`, id, at, w.Ref(by).ID)
		}
		change(orders, "cleo", 2) // what app was made with
		change(base, "anna", 7)   // app is made again, because orders is
		ask := approvaltest.Ask(w.Facts(app, "run_1", "dora"), "p", gate.Need{})
		ask.Binding[gate.PartReferences] = "after"
		a := w.Settle(ask)
		_, err := w.Approve("anna", a.Approval)
		code(t, err, "own_request")
		if !strings.Contains(fault.From(err).Error(), "base") {
			t.Errorf("it does not say why: %v", err)
		}
		_, err = w.Approve("cleo", a.Approval)
		w.Must(err)
		// What comes to the same was agreed to already.
		ask = approvaltest.Ask(w.Facts(app, "run_2", "dora"), "q", gate.Need{})
		ask.Binding[gate.PartReferences] = "before"
		_, err = w.Approve("anna", w.Settle(ask).Approval)
		w.Must(err)
	})
}
