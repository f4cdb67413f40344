package app

import (
	"context"
	"time"

	"fairlead/internal/approval"
	"fairlead/internal/identity"
	"fairlead/internal/loop"
	"fairlead/internal/sqldb"
	"fairlead/internal/why"
)

// buildApprovals wires what people must agree to.
func (a *App) buildApprovals(context.Context) error {
	a.approvals = approval.New(approval.Options{DB: a.db, Access: a.access, People: identity.NewDirectory(a.db), Wake: waker{a}, Log: a.log})
	a.notify.Approvals = a.approvals
	group := loop.NewGroup(a.db, a.log)
	a.run(func(ctx context.Context) error {
		group.Run(ctx, loop.Loop{Name: "approvals", Every: 10 * time.Second, Once: true, Do: a.approvals.ExpireDue})
		return nil
	})
	return nil
}

// waker has resources look again; they are built after what wakes them.
type waker struct{ a *App }

func (w waker) Wake(ctx context.Context, tx *sqldb.Tx, resourceID string) error {
	return w.a.resources.Wake(ctx, tx, resourceID)
}

// openApprovals fits approval to what why asks of it.
type openApprovals struct{ svc *approval.Service }

func (o openApprovals) Open(ctx context.Context, resourceID string) (why.Approval, bool, error) {
	a, ok, err := o.svc.Open(ctx, resourceID)
	return why.Approval{ID: a.ID, Who: a.Who, Since: a.CreatedAt, Until: a.ExpiresAt}, ok, err
}
