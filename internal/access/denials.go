package access

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

const (
	denialsEvery  = time.Minute // a sum of denials is recorded no more often
	mostOfOne     = 10          // things that one principal was denied, kept apart in between
	mostPrincipal = 1000        // principals kept apart in between
)

// denials sums what was denied, for the audit log: auditors look for who tries
// what they may not. Records are written apart from the request, which has no
// side effect so, and their number is bounded by time and principals, not by
// how often somebody asks: the log is kept for ever.
type denials struct {
	mu    sync.Mutex
	of    map[string][]*denial // by principal
	other *denial              // of principals beyond the bound
}

// denial is one thing that one principal was denied.
type denial struct {
	ctx      context.Context //nolint:containedctx // who, and from where; of the first time
	action   Action
	target   Target
	decision Decision
	code     string
	count    int64
	first    time.Time
	others   []string // the actions, when it stands for what is beyond the bound
}

// same tells whether a later denial is one more of this. The name of what is
// still to be made is anybody's choice, so it does not tell things apart.
func (d *denial) same(a Action, t Target) bool {
	return d.others == nil && d.action == a && d.target.Kind == t.Kind && d.target.ID == t.ID && d.target.TeamID == t.TeamID &&
		d.target.ProjectID == t.ProjectID && d.target.EnvironmentID == t.EnvironmentID
}

// note adds a denial. Looking is none, nor is what nobody in particular tried.
func (s *Service) noteDenial(ctx context.Context, p principal.Principal, a Action, t Target, d Decision, code string) {
	if strings.HasSuffix(string(a), ":view") || s.keep == nil {
		return
	}
	n := &s.denials
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string][]*denial{}
	}
	list, known := n.of[p.ID]
	one := &denial{action: a, target: t, decision: d, code: code, first: time.Now()}
	switch i := slices.IndexFunc(list, func(d *denial) bool { return d.same(a, t) }); {
	case i >= 0:
		list[i].count++
		return
	case !known && len(n.of) >= mostPrincipal:
		if n.other == nil {
			n.other = one.rest(principal.With(context.Background(), principal.Nobody))
		}
		n.other.more(a)
		return
	case len(list) == mostOfOne:
		n.of[p.ID] = append(list, one.rest(s.keep(ctx)))
		fallthrough
	case len(list) > mostOfOne:
		n.of[p.ID][mostOfOne].more(a)
		return
	}
	one.ctx, one.count = s.keep(ctx), 1
	n.of[p.ID] = append(list, one)
}

// rest makes d stand for all that is beyond a bound.
func (d *denial) rest(ctx context.Context) *denial {
	d.ctx, d.target, d.others = ctx, Organisation, []string{}
	return d
}

func (d *denial) more(a Action) {
	d.count++
	if !slices.Contains(d.others, string(a)) && len(d.others) < len(actions) {
		d.others = append(d.others, string(a))
	}
}

func (d *denial) details() map[string]any {
	out := map[string]any{"code": d.code, "times": d.count, "since": d.first.UTC().Format(time.RFC3339)}
	if d.others != nil {
		slices.Sort(d.others)
		out["actions"] = d.others
		delete(out, "code")
	}
	return out
}

// RunDenials records denials until ctx ends, and then the last of them.
func (s *Service) RunDenials(ctx context.Context) error {
	tick := time.NewTicker(denialsEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.RecordDenials(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.RecordDenials(last)
			return ctx.Err()
		}
	}
}

// RecordDenials writes the sums since the last time: a record for each
// principal, action and thing. What cannot be written is dropped; each denial
// was logged.
func (s *Service) RecordDenials(ctx context.Context) {
	s.denials.mu.Lock()
	of, other := s.denials.of, s.denials.other
	s.denials.of, s.denials.other = nil, nil
	s.denials.mu.Unlock()
	if len(of) == 0 {
		return
	}
	err := s.store.db.Write(ctx, "access.denials", func(tx *sqldb.Tx) error {
		for _, list := range of {
			for _, d := range list {
				s.audit(d.ctx, tx, d.action, d.target, d.decision, d.details())
			}
		}
		if other != nil {
			s.audit(other.ctx, tx, other.action, other.target, other.decision, other.details())
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "what was denied could not be recorded", "error", err)
	}
}
