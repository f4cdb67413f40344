package approval

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// maxNamed bounds how many people are looked at for a need, and are told.
const maxNamed = 50

// covers says which roles of a team hold what a role is: its owner holds all
// that any role of the team does, but audits nothing.
func covers(r principal.Role) []principal.Role {
	switch r {
	case principal.PlatformAdmin, principal.Auditor, principal.TeamOwner:
		return []principal.Role{r}
	}
	return []principal.Role{r, principal.TeamOwner}
}

// organisationWide tells whether a role without a team's name is one of the organisation.
func organisationWide(role string) bool {
	return role == string(principal.PlatformAdmin) || role == string(principal.Auditor)
}

func roleKey(teamID string, r principal.Role) string { return "role:" + teamID + ":" + string(r) }
func personKey(id string) string                     { return "person:" + id }

// keys says what counts for n.
func (n Need) keys() []string {
	var out []string
	if n.Role != "" && (n.TeamID != "" || n.Team == "") {
		for _, r := range covers(principal.Role(n.Role)) {
			out = append(out, roleKey(n.TeamID, r))
		}
	}
	for _, p := range n.People {
		if p.ID != "" {
			out = append(out, personKey(p.ID))
		}
	}
	return out
}

// keysOf says what p counts as.
func keysOf(p principal.Principal) []string {
	out := []string{personKey(p.ID)}
	for _, r := range p.OrgRoles {
		out = append(out, roleKey("", r))
	}
	for _, m := range p.Memberships {
		out = append(out, roleKey(m.TeamID, m.Role))
	}
	return out
}

// resolve makes one need of each group of people that verdicts name; equal
// groups are one, of which the larger number must agree.
func (s *Service) resolve(ctx context.Context, q sqldb.Querier, asked []gate.Need, teamID, team string) ([]Need, error) {
	var out []Need
	for _, a := range asked {
		n, err := s.resolveOne(ctx, q, a, teamID, team)
		if err != nil {
			return nil, err
		}
		same := slices.IndexFunc(out, func(o Need) bool {
			return o.Role == n.Role && o.TeamID == n.TeamID && o.Team == n.Team && slices.Equal(o.People, n.People)
		})
		if same >= 0 {
			out[same].Count = max(out[same].Count, n.Count)
			continue
		}
		out = append(out, n)
	}
	slices.SortStableFunc(out, func(a, b Need) int {
		return strings.Compare(a.Team+"/"+a.Role+"/"+fmt.Sprint(a.People), b.Team+"/"+b.Role+"/"+fmt.Sprint(b.People))
	})
	return out, nil
}

func (s *Service) resolveOne(ctx context.Context, q sqldb.Querier, a gate.Need, teamID, team string) (Need, error) {
	n := Need{Role: a.Role, Count: max(a.Count, 1)}
	if n.Role == "" && len(a.People) == 0 {
		n.Role = string(principal.Approver)
		if teamID == "" && a.Team == "" {
			n.Role = string(principal.PlatformAdmin)
		}
	}
	switch {
	case n.Role == "", a.Team == "" && organisationWide(n.Role), n.Role == string(principal.PlatformAdmin):
	case a.Team == "":
		n.TeamID, n.Team = teamID, team
	default:
		id, name, err := s.people.TeamByName(ctx, q, a.Team)
		switch {
		case fault.Is(err, fault.NotFound): // nobody then, rather than somebody else
			n.Team = a.Team
		case err != nil:
			return n, err
		default:
			n.TeamID, n.Team = id, name
		}
	}
	for _, name := range a.People {
		p, _, err := s.people.Person(ctx, q, name)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return n, err
		}
		if err != nil || p.Kind != principal.User {
			p = principal.Principal{Name: name}
		}
		if !slices.ContainsFunc(n.People, func(o Person) bool { return o.ID == p.ID && o.Name == p.Name }) {
			n.People = append(n.People, Person{p.ID, p.Name})
		}
	}
	slices.SortFunc(n.People, func(a, b Person) int { return strings.Compare(a.Name, b.Name) })
	return n, nil
}

// sameNeeds compares without what was met.
func sameNeeds(a, b []Need) bool {
	return slices.EqualFunc(a, b, func(x, y Need) bool {
		return x.Role == y.Role && x.TeamID == y.TeamID && x.Team == y.Team && x.Count == y.Count && slices.Equal(x.People, y.People)
	})
}

// counts tells whether p, in person, is one of those of whom n asks: by the
// need and by access. To be named, or to have a role in another team that is
// asked, takes no permission on the thing itself; a policy that forbids counts
// always.
func (s *Service) counts(ctx context.Context, a Approval, n Need, p principal.Principal) (bool, error) {
	if p.Kind != principal.User || a.barred(p.ID) != "" {
		return false, nil
	}
	mine := keysOf(p)
	matching := slices.DeleteFunc(n.keys(), func(k string) bool { return !slices.Contains(mine, k) })
	if len(matching) == 0 {
		return false, nil
	}
	allowed, forbidden, err := s.may(ctx, p, a.Target())
	if allowed || forbidden || err != nil {
		return allowed, err
	}
	if slices.Contains(matching, personKey(p.ID)) {
		return true, nil
	}
	if n.TeamID == "" || n.TeamID == a.TeamID {
		return false, nil
	}
	there := a.Target()
	there.TeamID, there.ProjectID, there.EnvironmentID = n.TeamID, "", ""
	allowed, _, err = s.may(ctx, p, there)
	return allowed, err
}

// may asks access, and tells what no policy permits from what one forbids.
func (s *Service) may(ctx context.Context, p principal.Principal, t access.Target) (allowed, forbidden bool, err error) {
	d, err := s.access.Check(access.Wondering(principal.With(ctx, p)), access.ApprovalDecide, t)
	if err == nil {
		return true, false, nil
	}
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unauthenticated) {
		return false, len(d.Policies) > 0, nil
	}
	return false, false, err
}

// barred says why somebody has no say in a; "" when they may have.
func (a Approval) barred(id string) string {
	for _, b := range a.Barred {
		if b.ID == id {
			return b.Why
		}
	}
	return ""
}

// tally fills in how many people agreed for each need, and tells whether that
// is enough. One person is one voice for a need, and one right is: who votes
// in their own name and in another's is not two.
func (s *Service) tally(ctx context.Context, q sqldb.Querier, a *Approval) (bool, error) {
	holders := map[string]principal.Principal{}
	enabled := map[string]bool{}
	for _, v := range a.Votes {
		for _, id := range []string{v.VoterID, v.holderID} {
			if _, seen := holders[id]; seen {
				continue
			}
			p, on, err := s.people.Person(ctx, q, id)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return false, err
			}
			holders[id], enabled[id] = p, on && err == nil
		}
	}
	now, err := s.now(ctx, q)
	if err != nil {
		return false, err
	}
	withdrawn, err := s.store.withdrawn(ctx, q, a.Votes, now)
	if err != nil {
		return false, err
	}
	all := len(a.Needs) > 0
	for i := range a.Needs {
		rights := map[string][]string{} // voter -> holders
		for _, v := range a.Votes {
			if withdrawn[v.holderID+">"+v.VoterID] {
				continue
			}
			if v.Decision != Approve || !enabled[v.VoterID] || !enabled[v.holderID] || a.barred(v.VoterID) != "" {
				continue
			}
			ok, err := s.counts(ctx, *a, a.Needs[i], holders[v.holderID])
			if err != nil {
				return false, err
			}
			if ok {
				rights[v.VoterID] = append(rights[v.VoterID], v.holderID)
			}
		}
		a.Needs[i].Have = pair(rights)
		all = all && a.Needs[i].Have >= a.Needs[i].Count
	}
	return all, nil
}

// pair gives how many voters can be paired with a right of their own each: the
// size of a maximum matching.
func pair(rights map[string][]string) int {
	by := map[string]string{} // holder -> voter
	var try func(voter string, seen map[string]bool) bool
	try = func(voter string, seen map[string]bool) bool {
		for _, h := range rights[voter] {
			if seen[h] {
				continue
			}
			seen[h] = true
			if was, taken := by[h]; !taken || try(was, seen) {
				by[h] = voter
				return true
			}
		}
		return false
	}
	n := 0
	for voter := range rights {
		if try(voter, map[string]bool{}) {
			n++
		}
	}
	return n
}

// candidates gives who counts for a need at present, by name.
func (s *Service) candidates(ctx context.Context, q sqldb.Querier, a Approval, n Need) ([]principal.Principal, error) {
	var list []principal.Principal
	if n.Role != "" && (n.TeamID != "" || n.Team == "") {
		var err error
		if list, err = s.people.Holders(ctx, q, n.TeamID, covers(principal.Role(n.Role)), maxNamed); err != nil {
			return nil, err
		}
	}
	for _, who := range n.People {
		if who.ID == "" || slices.ContainsFunc(list, func(p principal.Principal) bool { return p.ID == who.ID }) {
			continue
		}
		p, on, err := s.people.Person(ctx, q, who.ID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		if err == nil && on {
			list = append(list, p)
		}
	}
	out := list[:0:0]
	for _, p := range list {
		ok, err := s.counts(ctx, a, n, p)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, p)
		}
	}
	return out, nil
}

// wanted says who is needed still, for people, and whom to tell: those who
// could decide and those who stand in for them.
func (s *Service) wanted(ctx context.Context, q sqldb.Querier, a Approval) (sentence string, to []string, err error) {
	now, err := s.now(ctx, q)
	if err != nil {
		return "", nil, err
	}
	var parts []string
	for _, n := range a.Needs {
		left := n.Count - n.Have
		if left <= 0 {
			continue
		}
		list, err := s.candidates(ctx, q, a, n)
		if err != nil {
			return "", nil, err
		}
		list = slices.DeleteFunc(list, func(p principal.Principal) bool {
			return slices.ContainsFunc(a.Votes, func(v Vote) bool { return v.holderID == p.ID || v.VoterID == p.ID })
		})
		parts = append(parts, n.sentence(left, list))
		for _, p := range list {
			to = append(to, p.ID)
		}
	}
	standIns, err := s.store.standIns(ctx, q, to, now)
	if err != nil {
		return "", nil, err
	}
	for _, d := range standIns {
		if a.barred(d.ToID) == "" {
			to = append(to, d.ToID)
		}
	}
	slices.Sort(to)
	to = slices.Compact(to)
	if len(to) > maxNamed {
		to = to[:maxNamed]
	}
	if len(parts) == 0 {
		return "", to, nil
	}
	return "needs " + strings.Join(parts, " and "), to, nil
}

// sentence says n, such as "1 approver of team shop (anna, ben)".
func (n Need) sentence(left int, list []principal.Principal) string {
	var names []string
	for _, p := range list {
		if names = append(names, p.Name); len(names) == 5 && len(list) > 5 {
			names = append(names, fmt.Sprintf("and %d more", len(list)-5))
			break
		}
	}
	who := "nobody can at present"
	if len(names) > 0 {
		who = strings.Join(names, ", ")
	}
	what := strings.ReplaceAll(n.Role, "-", " ")
	if n.Role == "" {
		what = "named person"
	}
	if left != 1 {
		what = strings.Replace(what+"s", "persons", "people", 1)
	}
	if n.Team != "" {
		what += " of team " + n.Team
	}
	return fmt.Sprintf("%d %s (%s)", left, what, who)
}
