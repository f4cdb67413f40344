package audit

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Origin is where a request came from.
type Origin struct {
	Address   string // the client's address, as far as it can be trusted
	RequestID string
}

type originKey struct{}

// WithOrigin puts the request's origin into ctx.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginFrom gives the request's origin; the zero value for background work.
func OriginFrom(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

// Entry is what a mutation says about itself. Details are what an auditor
// needs to understand it (the version, the changed fields); never a secret.
type Entry struct {
	Action   string // usually string(access.Action); a verb in the past is not needed
	Target   access.Target
	Decision access.Decision
	Details  map[string]any
}

// pending is an entry with all that ctx knew, on its way to the flusher.
type pending struct {
	entry  Entry
	actor  principal.Principal
	origin Origin
}

// Append adds the record of a mutation to the transaction that does it. Who
// and from where come from ctx. It is written when the group commits, or the
// whole group is refused.
func Append(ctx context.Context, tx *sqldb.Tx, e Entry) {
	tx.Collect(pendingOf(ctx, e))
}

func pendingOf(ctx context.Context, e Entry) pending {
	return pending{entry: e, actor: principal.From(ctx), origin: OriginFrom(ctx)}
}
