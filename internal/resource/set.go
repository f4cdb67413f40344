package resource

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

// Outcome is what became of one resource of an Apply.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"
	Changed   Outcome = "changed"
	Unchanged Outcome = "unchanged"
)

// Applied is one resource of an Apply, and what became of it.
type Applied struct {
	Resource Resource
	Outcome  Outcome
}

const maxSet = 100 // resources in one Apply

// item is one resource of an Apply on its way.
type item struct {
	checked
	index int
	old   *located // nil for a new one
	same  bool
}

// Apply makes a set of resources wanted as they are described, all of them or
// none, in one transaction: what is not there is created, what differs is
// changed, the rest is left alone. They may refer to each other; they are
// created in that order, and the result is in the order asked for. A fault's
// field starts with "/resources/N".
func (s *Service) Apply(ctx context.Context, project, environment string, wanted []Wanted) ([]Applied, error) {
	if _, err := s.Environments.Resolve(ctx, project, environment); err != nil {
		return nil, err
	}
	if len(wanted) == 0 || len(wanted) > maxSet {
		return nil, fault.New(fault.Invalid, "set_size", "%d resources are not 1 to %d", len(wanted), maxSet).
			WithField("/resources").WithHint("send them in parts")
	}
	return settleMoved(func() ([]Applied, error) {
		env, err := s.Environments.Resolve(ctx, project, environment)
		if err != nil {
			return nil, err
		}
		items, err := s.checkSet(ctx, env, wanted)
		if err != nil {
			return nil, err
		}
		ordered, err := inOrder(items)
		if err != nil {
			return nil, err
		}
		if err := s.gateSet(ctx, env, ordered); err != nil {
			return nil, err
		}
		return s.writeSet(ctx, env, ordered)
	})
}

// Put makes one resource wanted as described: Apply of a set of one, whose
// fault's fields are of the resource itself.
func (s *Service) Put(ctx context.Context, project, environment string, w Wanted) (Applied, error) {
	return settleMoved(func() (Applied, error) {
		env, err := s.Environments.Resolve(ctx, project, environment)
		if err != nil {
			return Applied{}, err
		}
		it, err := s.checkItem(ctx, env, w)
		if err != nil {
			return Applied{}, err
		}
		if err := s.checkReferences(ctx, env, it.checked, nil); err != nil {
			return Applied{}, err
		}
		if err := it.judge(ctx, s, env); err != nil {
			return Applied{}, err
		}
		if it.judgement.Denied() {
			return Applied{}, s.Gates.Refuse(ctx, it.judgement)
		}
		out, err := s.writeSet(ctx, env, []*item{it})
		if err != nil {
			return Applied{}, err
		}
		return out[0], nil
	})
}

func (s *Service) checkSet(ctx context.Context, env Environment, wanted []Wanted) ([]*item, error) {
	items := make([]*item, len(wanted))
	siblings := map[string]*item{}
	for i, w := range wanted {
		it, err := s.checkItem(ctx, env, w)
		if err == nil && siblings[w.Name] != nil {
			err = fault.New(fault.Invalid, "duplicate_name", "%s is described twice", w.Name).WithField("/name").WithHint("keep one of the two")
		}
		if err != nil {
			return nil, within(err, place(i))
		}
		it.index, items[i], siblings[w.Name] = i, it, it
	}
	for i, it := range items {
		if err := s.checkReferences(ctx, env, it.checked, siblings); err != nil {
			return nil, within(err, place(i))
		}
	}
	return items, nil
}

func place(i int) string { return "/resources/" + strconv.Itoa(i) }

// checkItem finds out what one Wanted is: new, a change, or nothing.
func (s *Service) checkItem(ctx context.Context, env Environment, w Wanted) (*item, error) {
	r, err := s.db.find(ctx, s.DB.Read(), env.ID, w.Name)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && r.Name != w.Name) {
		c, err := s.check(ctx, env, w, access.ResourceCreate, "")
		if err == nil && w.IfMatch != 0 {
			err = fault.New(fault.Stale, "stale_version", "there is no %s any more", w.Name).WithHint("look again, then repeat what you wanted")
		}
		return &item{checked: c}, err
	}
	if err != nil {
		return nil, err
	}
	l, err := s.authorise(ctx, r, env, access.ResourceUpdate)
	if err != nil {
		return nil, err
	}
	if err := checkMatch(r, w.IfMatch); err != nil {
		return nil, err
	}
	if w.Template != r.Template {
		return nil, fault.New(fault.Conflict, "template_differs", "%s is made from the template %s", r.Name, r.Template).
			WithField("/template").WithHint("choose another name, or destroy it first")
	}
	inputs := w.Inputs
	if inputs == nil {
		inputs = map[string]any{}
	}
	c, same, err := s.checkDesired(ctx, l, Change{Version: w.Version, Inputs: inputs, Note: w.Note})
	c.IfMatch = w.IfMatch
	return &item{checked: c, old: &l, same: same}, err
}

// judge asks the gates about what an item wants anew.
func (it *item) judge(ctx context.Context, s *Service, env Environment) error {
	switch {
	case it.old == nil:
		return s.judgeRequest(ctx, env, &it.checked, nil)
	case !it.same:
		return s.judgeRequest(ctx, env, &it.checked, &it.old.Resource)
	}
	return nil
}

// gateSet asks the gates about each item and about all together, and gives all
// denials at once, each recorded.
func (s *Service) gateSet(ctx context.Context, env Environment, items []*item) error {
	all := make([]*gate.Judgement, len(items))
	for i, it := range items {
		if err := it.judge(ctx, s, env); err != nil {
			return within(err, place(it.index))
		}
		all[i] = &it.judgement
	}
	gate.Together(all)
	var said *fault.Error
	for _, it := range items {
		if !it.judgement.Denied() {
			continue
		}
		f := *fault.From(within(s.Gates.Refuse(ctx, it.judgement), place(it.index)))
		if f.Kind != fault.Denied {
			return &f
		}
		if said != nil {
			f.Violations = append(said.Violations, f.Violations...)
		}
		said = &f
	}
	if said == nil {
		return nil
	}
	return said
}

// inOrder sorts items so that each comes after those that it refers to.
func inOrder(items []*item) ([]*item, error) {
	byName := map[string]*item{}
	for _, it := range items {
		byName[it.Name] = it
	}
	const (
		open = 1
		done = 2
	)
	state := map[*item]int{}
	var out []*item
	var way []string
	var visit func(it *item) error
	visit = func(it *item) error {
		if state[it] == done {
			return nil
		}
		state[it] = open
		way = append(way, it.Name)
		for _, ref := range it.refs {
			next := byName[ref.Resource]
			if next == nil {
				continue
			}
			if state[next] == open {
				from := slices.Index(way, next.Name)
				return within(cycle(ref, append(slices.Clone(way[from:]), next.Name)), place(it.index))
			}
			if err := visit(next); err != nil {
				return err
			}
		}
		way = way[:len(way)-1]
		state[it] = done
		out = append(out, it)
		return nil
	}
	for _, it := range items {
		if err := visit(it); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// writeSet writes all items, which are in order, and gives what became of them
// in the order they were asked for.
func (s *Service) writeSet(ctx context.Context, env Environment, ordered []*item) ([]Applied, error) {
	out := make([]Applied, len(ordered))
	todo := slices.ContainsFunc(ordered, func(it *item) bool { return it.old == nil || !it.same || it.old.Phase.stuck() })
	if !todo {
		for _, it := range ordered {
			out[it.index] = Applied{it.old.Resource, Unchanged}
		}
		return out, nil
	}
	err := s.DB.Write(ctx, "resource.apply", func(tx *sqldb.Tx) error {
		if len(ordered) > 1 {
			if err := s.db.lockEnvironment(ctx, tx, env.ID); err != nil {
				return err
			}
		}
		// Edges that go away must not close a cycle with those that come.
		for _, it := range ordered {
			if it.old != nil && !it.same {
				if err := s.db.replaceReferences(ctx, tx, it.old.ID, nil); err != nil {
					return err
				}
			}
		}
		for _, it := range ordered {
			var err error
			if out[it.index], err = s.writeItem(ctx, tx, env, it); err != nil {
				if len(ordered) > 1 && !errors.Is(err, errMoved) {
					err = within(err, place(it.index))
				}
				return err
			}
		}
		return nil
	})
	if fault.From(err).Code == "name_taken" && err != nil {
		return out, errMoved // somebody else was quicker: now it is a change
	}
	return out, taken(err)
}

func (s *Service) writeItem(ctx context.Context, tx *sqldb.Tx, env Environment, it *item) (Applied, error) {
	switch {
	case it.old == nil:
		r, err := s.insert(ctx, tx, env, it.checked)
		return Applied{r, Created}, err
	case !it.same:
		r, err := s.revise(ctx, tx, *it.old, it.checked, it.IfMatch, 0)
		return Applied{r, Changed}, err
	case it.old.Phase.stuck():
		r, err := s.again(ctx, tx, *it.old)
		return Applied{r, Unchanged}, err
	}
	return Applied{it.old.Resource, Unchanged}, nil
}
