package app

import (
	"context"
	"maps"
	"slices"
	"time"

	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/loop"
	"fairlead/internal/resource"
	"fairlead/internal/template"
)

// buildDrift wires what is done about what is not as wanted.
func (a *App) buildDrift(context.Context) error {
	b, r := a.conf.Drift.Brake, a.conf.Drift.Repeats
	a.drifts = drift.New(drift.Options{DB: a.db, Access: a.access, Log: a.log,
		Brake:   drift.Brake{Share: b.Share, Least: b.Least, Window: time.Duration(b.Window)},
		Repeats: drift.Repeats{Times: r.Times, Window: time.Duration(r.Window)}})
	return nil
}

// observe has resources looked at: a loop for each engine, so that a slow one
// holds up no other, and one for what people asked to look at.
func (a *App) observe(group *loop.Group) {
	every := min(time.Duration(a.conf.ObserveEvery)/4, 5*time.Second)
	for _, name := range append(slices.Sorted(maps.Keys(a.engines)), "") {
		a.run(func(ctx context.Context) error {
			group.Run(ctx, loop.Loop{Name: "observe " + name, Every: every, Wake: resource.ObserveTopic(name), Once: true,
				Do: func(ctx context.Context) error { return a.resources.ObserveEngine(ctx, name) }})
			return nil
		})
	}
	a.run(func(ctx context.Context) error {
		group.Run(ctx, loop.Loop{Name: "drift checks", Every: 5 * time.Second, Wake: drift.ChecksTopic, Once: true, Do: a.resources.ObserveRequested})
		return nil
	})
}

// driftPolicy fits what a template says to what drift asks of it.
func driftPolicy(d template.Drift) drift.Policy {
	p := drift.Policy{Ignored: patterns(d.Ignore), Ordered: patterns(d.Ordered)}
	if d.Answers != nil {
		p.Answers = map[engine.Cause]drift.Answer{}
	}
	for cause, answer := range d.Answers {
		p.Answers[cause] = drift.Answer(answer)
	}
	return p
}

func patterns(list []template.Fields) []drift.Pattern {
	var out []drift.Pattern
	for _, f := range list {
		out = append(out, drift.Pattern(f))
	}
	return out
}
