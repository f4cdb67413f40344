package app

import (
	"context"
	"time"

	"fairlead/internal/gate"
	"fairlead/internal/identity"
	"fairlead/internal/loop"
	"fairlead/internal/queue"
	"fairlead/internal/rollout"
)

// buildRollouts wires what brings new versions to many. It comes after the
// resources that it changes.
func (a *App) buildRollouts(context.Context) error {
	a.rollouts = rollout.New(rollout.Options{DB: a.db, Access: a.access, Resources: a.resources, Names: a.resources, Templates: rolloutTemplates{a},
		People: identity.NewDirectory(a.db), Poll: 500 * time.Millisecond, Log: a.log})
	// Plans have a lane of their own, so that those of a large fleet keep no
	// rollout from being steered.
	runner := queue.NewRunner(queue.Options{DB: a.db, Lanes: map[string]int{rollout.Lane: 2, rollout.PlanLane: 4}, Handle: a.rollouts.Work, Lease: time.Duration(a.conf.Lease), Log: a.log})
	a.run(func(ctx context.Context) error { runner.Run(ctx); return nil })
	group := loop.NewGroup(a.db, a.log)
	a.run(func(ctx context.Context) error {
		group.Run(ctx, loop.Loop{Name: "pins", Every: 30 * time.Second, Once: true, Do: a.rollouts.ExpirePins})
		return nil
	})
	return nil
}

// lateRollouts fits rollouts, which are built later, to what gate asks of them.
type lateRollouts struct{ a *App }

func (l lateRollouts) Verdicts(ctx context.Context, f gate.Facts) ([]gate.Verdict, error) {
	return l.a.rollouts.Verdicts(ctx, f)
}

// rolloutTemplates fits template to what rollout asks of it.
type rolloutTemplates struct{ a *App }

func (t rolloutTemplates) Version(ctx context.Context, name, version string) (rollout.Version, error) {
	v, err := t.a.templates.Get(ctx, name, version)
	if err != nil {
		return rollout.Version{}, err
	}
	now, err := t.a.db.Now(ctx)
	return rollout.Version{Template: v.Name, Version: v.Version, Digest: v.Digest, Deprecated: v.Deprecation.Reason, EndOfLife: v.Deprecation.Ended(now)}, err
}
