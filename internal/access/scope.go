package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// directoryTTL bounds how long a lost wake-up can leave a list behind.
const directoryTTL = 15 * time.Second

// maxCachedIDs bounds the answers kept, all callers together.
const maxCachedIDs = 1 << 20

// places is what the Directory says, as of one moment.
type places struct {
	generation                    int64
	read                          time.Time
	teams, projects, environments []Target
}

// listCache keeps the directory and the answers made from it.
type listCache struct {
	mu         sync.Mutex
	changed    <-chan string
	generation int64
	places     *places
	answers    map[string]Scope
	cached     int
}

func (c *listCache) init(db *sqldb.DB) {
	c.answers = map[string]Scope{}
	// For the life of the DB. The channel is looked at when somebody asks, so
	// that whoever has just made a thing sees it in the next list.
	c.changed, _ = db.Subscribe(topicDirectory)
}

// get gives the places; it reads them anew when something changed.
func (c *listCache) get(ctx context.Context, d Directory) (*places, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.changed:
		c.places = nil
	default:
	}
	if c.places != nil && time.Since(c.places.read) < directoryTTL {
		return c.places, nil
	}
	p := &places{read: time.Now()}
	if d != nil {
		for _, part := range []struct {
			into *[]Target
			load func(context.Context) ([]Target, error)
		}{{&p.teams, d.Teams}, {&p.projects, d.Projects}, {&p.environments, d.Environments}} {
			list, err := part.load(ctx)
			if err != nil {
				return nil, fmt.Errorf("access: directory: %w", err)
			}
			*part.into = list
		}
	}
	c.generation++
	p.generation = c.generation
	c.places = p
	c.answers, c.cached = map[string]Scope{}, 0
	return p, nil
}

func (c *listCache) lookup(key string) (Scope, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.answers[key]
	return s, ok
}

func (c *listCache) keep(key string, s Scope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 1 + len(s.TeamIDs) + len(s.ProjectIDs) + len(s.EnvironmentIDs)
	if c.cached += n; c.cached > maxCachedIDs {
		c.answers, c.cached = map[string]Scope{}, n
	}
	c.answers[key] = s
}

// Scope implements Authorizer. The ids are shared: do not change them.
//
// It is sound, not complete: where a policy looks at the single thing (a
// resource's template, an id), the list leaves out the whole place rather than
// show what Check would hide. TeamIDs hold the teams all of whose things of
// the kind may be seen; ProjectIDs and EnvironmentIDs likewise.
func (s *Service) Scope(ctx context.Context, a Action) (Scope, error) {
	p := principal.From(ctx)
	if p.Kind == principal.Internal {
		return Scope{All: true}, nil
	}
	info, ok := actionTable[a]
	if !ok || info.verb != "view" {
		return Scope{}, fmt.Errorf("access: a list needs a view action, not %q", a)
	}
	if (p.Kind != principal.User && p.Kind != principal.Robot) || p.ID == "" || !ScopeAllows(p.Scopes, a) {
		return Scope{}, nil
	}
	set := s.current.Load()
	if set.viewsAll(p, info) {
		return Scope{All: true}, nil
	}
	pl, err := s.lists.get(ctx, s.directory)
	if err != nil {
		return Scope{}, err
	}
	key := fmt.Sprintf("%d/%d/%s/%s", set.version, pl.generation, a, signature(p))
	if sc, ok := s.lists.lookup(key); ok {
		return sc, nil
	}
	sc := set.scope(p, info, pl)
	s.lists.keep(key, sc)
	return sc, nil
}

// signature is all of a principal that a decision may depend on.
func signature(p principal.Principal) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %q %t", p.Kind, p.ID, p.Name, p.TokenID != "")
	for _, r := range p.OrgRoles {
		fmt.Fprintf(&b, " o%q", r)
	}
	for _, m := range p.Memberships {
		fmt.Fprintf(&b, " m%q%q", m.TeamID, m.Role)
	}
	keys := make([]string, 0, len(p.Attributes))
	for k := range p.Attributes {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, " a%q%q", k, p.Attributes[k])
	}
	return b.String()
}

// viewsAll tells whether nothing of the kind could be hidden from p.
func (s *Set) viewsAll(p principal.Principal, info actionInfo) bool {
	kind := kinds[info.kind]
	return s.settle(s.lists[levelNone](), p, info, kind, Target{Kind: info.kind}).Allowed
}

// scope goes through the places once. Places that no policy can tell apart
// share a decision.
func (s *Set) scope(p principal.Principal, info actionInfo, pl *places) Scope {
	var out Scope
	v := &viewer{set: s, p: p, info: info, roles: map[string]string{}}
	v.start(levelTeam)
	for _, t := range pl.teams {
		if v.sees(Target{TeamID: firstNonEmpty(t.TeamID, t.ID)}, t) {
			out.TeamIDs = append(out.TeamIDs, t.ID)
		}
	}
	if info.kind != "project" && info.kind != "environment" && info.kind != "resource" {
		return out
	}
	v.start(levelProject)
	for _, t := range pl.projects {
		if v.sees(Target{TeamID: t.TeamID, ProjectID: firstNonEmpty(t.ProjectID, t.ID)}, t) {
			out.ProjectIDs = append(out.ProjectIDs, t.ID)
		}
	}
	if info.kind == "project" {
		return out
	}
	v.start(levelEnvironment)
	for _, t := range pl.environments {
		at := Target{TeamID: t.TeamID, ProjectID: t.ProjectID, EnvironmentID: firstNonEmpty(t.EnvironmentID, t.ID), EnvironmentClass: t.EnvironmentClass}
		if v.sees(at, t) {
			out.EnvironmentIDs = append(out.EnvironmentIDs, t.ID)
		}
	}
	return out
}

// viewer asks about many places for one principal and action.
type viewer struct {
	set   *Set
	p     principal.Principal
	info  actionInfo
	roles map[string]string // by team: the principal's roles in it

	index *index
	exact bool // the places are the things themselves
	alone bool // each decided by itself
	seen  map[placeKey]bool
}

// placeKey is what can make a difference to a decision about a place.
type placeKey struct{ roles, class, team, project, environment string }

func (v *viewer) start(l level) {
	own := map[string]level{"team": levelTeam, "project": levelProject, "environment": levelEnvironment}
	v.exact = own[v.info.kind] == l
	v.alone, v.seen = false, map[placeKey]bool{}
	if !v.exact {
		v.index = v.set.lists[l]()
		v.alone = v.set.comparesIDs
		return
	}
	v.index = &v.set.index
	for _, r := range v.set.rules {
		if r.actions&(1<<v.info.bit) != 0 && r.rentity == noEntity && !r.knownAt(l) {
			v.alone = true
		}
	}
	v.alone = v.alone || v.set.comparesIDs
}

func (v *viewer) sees(at, thing Target) bool {
	ask := at
	ask.Kind = v.info.kind
	if v.exact {
		ask = thing
		ask.Kind = v.info.kind
	}
	if v.alone {
		return v.decide(ask)
	}
	key := placeKey{roles: v.rolesIn(at.TeamID), class: at.EnvironmentClass}
	m := v.set.mentions
	if m[uidOf(typeTeam, at.TeamID)] {
		key.team = at.TeamID
	}
	if at.ProjectID != "" && m[uidOf(typeProject, at.ProjectID)] {
		key.project = at.ProjectID
	}
	if at.EnvironmentID != "" && m[uidOf(typeEnvironment, at.EnvironmentID)] {
		key.environment = at.EnvironmentID
	}
	yes, known := v.seen[key]
	if !known {
		yes = v.decide(ask)
		v.seen[key] = yes
	}
	return yes
}

func (v *viewer) decide(t Target) bool {
	return v.set.settle(v.index, v.p, v.info, kinds[t.Kind], t).Allowed
}

func (v *viewer) rolesIn(team string) string {
	if r, ok := v.roles[team]; ok {
		return r
	}
	var roles []string
	for _, m := range v.p.Memberships {
		if m.TeamID == team && team != "" {
			roles = append(roles, string(m.Role))
		}
	}
	v.roles[team] = strings.Join(roles, " ")
	return v.roles[team]
}
