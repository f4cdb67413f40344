package approval_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"fairlead/internal/approval"
	"fairlead/internal/approval/approvaltest"
	"fairlead/internal/audit"
	"fairlead/internal/gate"
	"fairlead/internal/identity"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// replica is another server on the same store.
func replica(t *testing.T, w *approvaltest.World) *approval.Service {
	t.Helper()
	db := sqldbtest.Open(t, sqldb.Options{URL: w.DB.URL()})
	if _, err := audit.NewLog(t.Context(), audit.Options{DB: db, KeyDir: t.TempDir(), Authorizer: w.Access}); err != nil {
		t.Fatal(err)
	}
	return approval.New(approval.Options{DB: db, Access: w.Access, People: identity.NewDirectory(db), Wake: w})
}

// Two people vote at the same moment on different servers: neither vote is
// lost, and it is decided once.
func TestVotesOnTwoReplicas(t *testing.T) {
	t.Parallel()
	w := approvaltest.New(t, sqldbtest.Postgres(t))
	other := replica(t, w)
	for i := range 10 {
		id := w.Resource(fmt.Sprint("r", i), "dora")
		ask := approvaltest.Ask(w.Facts(id, "run_1", "dora"), "p", gate.Need{Count: 2})
		a := w.Settle(ask)
		b := approval.Ballot{Decision: approval.Approve, Digest: w.Digest(a.Approval)}
		anna, ben := w.As("anna"), w.As("ben")
		var errs [2]error
		var both sync.WaitGroup
		both.Go(func() { _, errs[0] = w.Approvals.Decide(anna, a.Approval, b) })
		both.Go(func() { _, errs[1] = other.Decide(ben, a.Approval, b) })
		both.Wait()
		w.Must(errors.Join(errs[:]...))
		status(t, w.Settle(ask), "approved")
		if w.Woken(id) != 1 {
			t.Fatalf("woken %d times", w.Woken(id))
		}
	}
}

// A vote on one server races with a worker that settles another plan on the
// other: either it comes first and counts for the old plan, or it is told that
// things changed. The new plan is never approved by it.
func TestAVoteRacesWithAChangeElsewhere(t *testing.T) {
	t.Parallel()
	w := approvaltest.New(t, sqldbtest.Postgres(t))
	other := replica(t, w)
	for i := range 10 {
		id := w.Resource(fmt.Sprint("r", i), "dora")
		f := w.Facts(id, "run_1", "dora")
		a := w.Settle(approvaltest.Ask(f, "old", gate.Need{}))
		b := approval.Ballot{Decision: approval.Approve, Digest: w.Digest(a.Approval)}
		anna := w.As("anna")
		var voted error
		var answer gate.Answer
		var both sync.WaitGroup
		both.Go(func() { _, voted = other.Decide(anna, a.Approval, b) })
		both.Go(func() { answer = w.Settle(approvaltest.Ask(f, "new", gate.Need{})) })
		both.Wait()
		if !known(voted) {
			t.Fatal(voted)
		}
		status(t, answer, "pending")
		status(t, w.Settle(approvaltest.Ask(f, "new", gate.Need{})), "pending")
		old, err := w.Approvals.Get(w.Admin, a.Approval)
		w.Must(err)
		if old.Status != approval.Void {
			t.Fatalf("the old one is %s", old.Status)
		}
	}
}
