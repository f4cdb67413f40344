package access

import "context"

// Authorizer is what services ask before they do anything.
type Authorizer interface {
	// Check decides whether the principal in ctx may do action on target. The
	// error is nil exactly when it is allowed; else it is a fault that can be
	// returned as it is: Unauthenticated for nobody, NotFound when the caller
	// may not even know of the target, Denied otherwise. The Decision goes
	// into the audit record.
	Check(ctx context.Context, action Action, target Target) (Decision, error)

	// Scope says what a list for the principal in ctx may show. The action is
	// a ":view". It is never an error to see nothing.
	Scope(ctx context.Context, action Action) (Scope, error)
}

type wonderingKey struct{}

// Wondering marks questions that nobody tries anything by: who could approve,
// say. Check decides as ever; a refusal is no denial and is not written down.
func Wondering(ctx context.Context) context.Context {
	return context.WithValue(ctx, wonderingKey{}, true)
}

func wondering(ctx context.Context) bool {
	yes, _ := ctx.Value(wonderingKey{}).(bool)
	return yes
}
