package compliance

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/ident"
	"fairlead/internal/loop"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Loop runs when other guardrails came into force, and every night.
func (s *Service) Loop() loop.Loop {
	return loop.Loop{Name: "compliance", Every: time.Minute, Wake: guardrail.Topic, Once: true, Do: s.Due}
}

// Due runs if it is time to: what is in force is not what was asked last, or
// the last run began before this night. Nothing in force and nothing known of
// is nothing to do.
func (s *Service) Due(ctx context.Context) error {
	ctx = principal.With(ctx, principal.System)
	if err := s.Rules.Reload(ctx); err != nil {
		return err
	}
	set, err := s.Rules.Active(ctx)
	if err != nil {
		return err
	}
	now, err := s.DB.Now(ctx)
	if err != nil {
		return err
	}
	last, ok, err := s.db.last(ctx)
	if err != nil {
		return err
	}
	tonight := now.UTC().Truncate(24 * time.Hour).Add(night * time.Hour)
	if tonight.After(now) {
		tonight = tonight.Add(-24 * time.Hour)
	}
	switch {
	case !ok && len(set.Bundles()) == 0:
		return nil
	case ok && last.Policy == set.Digest() && !last.StartedAt.Before(tonight):
		return nil
	}
	if _, err = s.run(ctx, nil); errors.Is(err, errBusy) {
		return nil // it will be due still when that one has ended
	}
	return err
}

var errBusy = fault.New(fault.Conflict, "compliance_running", "a compliance run is under way").
	WithHint("wait for it: fairlead policy compliance shows what it found")

// Run looks at everything now, for those who may put guardrails in force or
// read the audit log. progress, which may be nil, is called now and then with
// the number of resources looked at. There is one run at a time: another is a
// Conflict, "compliance_running".
func (s *Service) Run(ctx context.Context, progress func(resources int) error) (Run, error) {
	if _, err := s.Access.Check(ctx, access.GuardrailView, target); err != nil {
		return Run{}, err
	}
	if _, err := s.Access.Check(ctx, access.AuditView, access.Target{Kind: "audit"}); err != nil {
		return Run{}, err
	}
	return s.run(ctx, progress)
}

var target = access.Target{Kind: "guardrail"}

func (s *Service) run(ctx context.Context, progress func(int) error) (Run, error) {
	if err := s.Rules.Reload(ctx); err != nil {
		return Run{}, err
	}
	set, err := s.Rules.Active(ctx)
	if err != nil {
		return Run{}, err
	}
	p := principal.From(ctx)
	r := Run{ByID: p.ID, ByName: p.Name, Policy: set.Digest()}
	err = s.DB.Write(ctx, "compliance.start", func(tx *sqldb.Tx) error {
		r.ID, r.StartedAt = ident.New("cmp"), tx.Now()
		began, err := s.db.start(ctx, tx, r)
		if err != nil {
			return err
		}
		if !began {
			return errBusy
		}
		return nil
	})
	if err != nil {
		return Run{}, err
	}
	w := &walk{s: s, set: set, run: r, progress: progress}
	// Whoever asked may see less than all; the run is about everything.
	err = w.all(principal.With(ctx, principal.System))
	if ferr := s.finish(context.WithoutCancel(ctx), &w.run, err); err == nil {
		err = ferr
	}
	return w.run, err
}

// finish closes the run, tells of what is new and what is gone, once a team,
// and forgets what was mended long ago.
func (s *Service) finish(ctx context.Context, r *Run, failed error) error {
	r.Failure = ""
	if failed != nil {
		r.Failure = fault.From(failed).Code
	}
	return s.DB.Write(ctx, "compliance.finish", func(tx *sqldb.Tx) error {
		r.FinishedAt = tx.Now()
		if err := s.db.finish(ctx, tx, r); err != nil {
			return err
		}
		news, err := s.db.news(ctx, tx)
		if err != nil {
			return err
		}
		for _, n := range news {
			if err := s.tell(ctx, tx, *r, n); err != nil {
				return err
			}
		}
		if err := s.db.told(ctx, tx, tx.Now().Add(-kept)); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: "guardrail:compliance", Target: target, Details: map[string]any{
			"run": r.ID, "resources": r.Resources, "violations": r.Violations, "opened": r.Opened, "cleared": r.Cleared, "guardrails": r.Policy, "failure": r.Failure,
		}})
		return nil
	})
}

// tell emits what is new, or gone, for one team. Who can mend it gets mail
// about what is new: once a run, and only of what they were not told yet.
func (s *Service) tell(ctx context.Context, tx *sqldb.Tx, r Run, n news) error {
	e := event.Event{Type: event.ComplianceCleared, Subject: r.ID, TeamID: n.teamID, Data: map[string]any{
		"team": n.team, "violations": n.count, "resources": n.resources, "standing": n.standing, "run": r.ID, "guardrails": r.Policy,
	}}
	if !n.cleared {
		e.Type = event.ComplianceViolated
		list, err := s.db.fresh(ctx, tx, n.teamID)
		if err != nil {
			return err
		}
		e.Data["list"] = list
		if e.To, err = s.db.menders(ctx, tx, n.teamID); err != nil {
			return err
		}
	}
	return event.Emit(ctx, tx, e)
}

// walk is one run under way.
type walk struct {
	s        *Service
	set      *guardrail.Set
	run      Run
	progress func(int) error
	after    string // the last resource that was written about
}

// all looks at everything, a batch at a time.
func (w *walk) all(ctx context.Context) error {
	var some []gate.Facts
	err := w.s.Resources.Living(ctx, func(f gate.Facts) error {
		f.Now = w.run.StartedAt
		if some = append(some, f); len(some) < batch {
			return nil
		}
		err := w.look(ctx, some, some[len(some)-1].ResourceID)
		some = some[:0]
		return err
	})
	if err != nil {
		return err
	}
	return w.look(ctx, some, "") // and all behind the last, which is no more
}

// look asks about a batch, on every core, and writes what is different from
// what is known of the resources behind w.after up to "to"; "" is the end.
func (w *walk) look(ctx context.Context, some []gate.Facts, to string) error {
	found := make([][]Violation, len(some))
	errs := make([]error, len(some))
	var all sync.WaitGroup
	next := make(chan int)
	for range min(runtime.GOMAXPROCS(0), len(some)) {
		all.Go(func() {
			for i := range next {
				found[i], errs[i] = w.ask(ctx, some[i])
			}
		})
	}
	for i := range some {
		next <- i
	}
	close(next)
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err() // what was called off said nothing true
	}
	opened, cleared := int64(0), int64(0)
	err := w.s.DB.Write(ctx, "compliance.look", func(tx *sqldb.Tx) error {
		var err error
		opened, cleared, err = w.s.db.compare(ctx, tx, w.run, w.after, to, slices.Concat(found...))
		return err
	})
	if err != nil {
		return err
	}
	w.after = to
	w.run.Resources += int64(len(some))
	w.run.Opened += opened
	w.run.Cleared += cleared
	if w.progress != nil {
		return w.progress(int(w.run.Resources))
	}
	return nil
}

// ask gives what one resource offends, a rule at most once.
func (w *walk) ask(ctx context.Context, f gate.Facts) ([]Violation, error) {
	f, err := w.s.Gates.Complete(ctx, f)
	if err != nil {
		return nil, err
	}
	var out []Violation
	at := map[[2]string]int{}
	for _, v := range w.set.Standing(ctx, f) {
		name, _, _ := strings.Cut(v.Bundle, "@")
		i, twice := at[[2]string{name, v.Rule}]
		if !twice {
			at[[2]string{name, v.Rule}] = len(out)
			out = append(out, Violation{ResourceID: f.ResourceID, Bundle: v.Bundle, Rule: v.Rule, Strength: v.Strength,
				Message: v.Message, Remedy: v.Remedy, Docs: v.Docs, Field: v.Field})
			continue
		}
		o := &out[i]
		if v.Strength == gate.Deny {
			o.Strength = gate.Deny
		}
		if o.Message += "; " + v.Message; v.Remedy != "" && !strings.Contains(o.Remedy, v.Remedy) {
			o.Remedy = strings.TrimPrefix(o.Remedy+"; "+v.Remedy, "; ")
		}
	}
	slices.SortFunc(out, func(a, b Violation) int { return cmp.Or(cmp.Compare(a.Bundle, b.Bundle), cmp.Compare(a.Rule, b.Rule)) })
	return out, nil
}
