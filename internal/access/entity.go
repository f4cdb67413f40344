package access

import (
	"slices"
	"sync"

	"github.com/cedar-policy/cedar-go"

	"fairlead/internal/principal"
)

// request is one question as Cedar sees it. It is the entity store of that
// question: entities are built from values when they are asked for, never from
// text, so no name can smuggle in syntax.
type request struct {
	p principal.Principal
	t Target

	kind       kindInfo
	action     actionInfo
	puid, ruid cedar.EntityUID
	// above are what the principal is in (roles, teams); over are the things
	// that the target is in, nearest first. Both without the thing itself.
	above, over []cedar.EntityUID

	aboveBuf, overBuf [8]cedar.EntityUID
	principal         cedar.Entity
	resource          cedar.Entity
	built             uint8
	// What is looked at of the resource and of the principal; the rest is not built.
	wants, pwants attributes

	candidates, conditional slice // room for them, kept with the request
}

// requests are kept: one is a kilobyte, and is needed for every decision.
var requests = sync.Pool{New: func() any { return new(request) }}

// settle makes a question, decides it by an index of the set and forgets it.
func (s *Set) settle(x *index, p principal.Principal, a actionInfo, k kindInfo, t Target) verdict {
	r, _ := requests.Get().(*request)
	r.prepare(p, a, k, t, s.scopedRoles)
	v := s.decide(x, r)
	cand, cond := r.candidates, r.conditional
	clear(cand)
	clear(cond)
	*r = request{candidates: cand[:0], conditional: cond[:0]}
	requests.Put(r)
	return v
}

// attributes is a set of attribute names, and whether tags are among them.
type attributes uint16

const (
	wantID attributes = 1 << iota
	wantName
	wantClass
	wantTemplate
	wantOwner
	wantTeam
	wantProject
	wantEnvironment
	wantTags
	wantParents

	allAttributes attributes = 1<<iota - 1
)

var attributeNames = map[cedar.String]attributes{
	"id": wantID, "name": wantName, "class": wantClass, "template": wantTemplate, "owner": wantOwner,
	"team": wantTeam, "project": wantProject, "environment": wantEnvironment,
}

const (
	builtPrincipal uint8 = 1 << iota
	builtResource
)

var (
	contextToken   = cedar.NewRecord(cedar.RecordMap{"token": cedar.True})
	contextSession = cedar.NewRecord(cedar.RecordMap{"token": cedar.False})
)

func newRequest(p principal.Principal, a actionInfo, k kindInfo, t Target, scopedRoles bool) *request {
	r := &request{}
	r.prepare(p, a, k, t, scopedRoles)
	return r
}

// prepare makes r a question. scopedRoles adds the Role::"x@team" parents,
// which cost an allocation each and are wanted only by sets that use them.
func (r *request) prepare(p principal.Principal, a actionInfo, k kindInfo, t Target, scopedRoles bool) {
	r.p, r.t, r.kind, r.action, r.wants, r.pwants = p, t.normal(), k, a, allAttributes, allAttributes
	typ := typeUser
	if p.Kind == principal.Robot {
		typ = typeRobot
	}
	r.puid = cedar.NewEntityUID(typ, cedar.String(p.ID))
	if t.Kind == "organisation" {
		r.ruid = organisationUID
	} else {
		r.ruid = cedar.NewEntityUID(k.typ, cedar.String(t.ID))
	}
	r.addAbove(scopedRoles)
	r.addOver()
}

// normal fills in what the kind implies: a team's team is itself, whatever the
// target says: were it in another one, Cedar would take its members to be in
// that one too.
func (t Target) normal() Target {
	switch t.Kind {
	case "team":
		t.TeamID = firstNonEmpty(t.ID, t.TeamID)
	case "project":
		t.ProjectID = firstNonEmpty(t.ID, t.ProjectID)
	case "environment":
		t.EnvironmentID = firstNonEmpty(t.ID, t.EnvironmentID)
	case "template":
		t.Template = firstNonEmpty(t.Template, t.Name)
	case "user", "robot":
		t.OwnerID = firstNonEmpty(t.OwnerID, t.ID)
	}
	return t
}

func firstNonEmpty(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (r *request) addAbove(scopedRoles bool) {
	r.above = r.aboveBuf[:0]
	for _, role := range r.p.OrgRoles {
		if slices.Contains(orgRoles, role) {
			r.above = appendNew(r.above, roleUIDs[role])
		}
	}
	for _, m := range r.p.Memberships {
		if m.TeamID == "" || !slices.Contains(teamRoles, m.Role) {
			continue
		}
		if m.TeamID == r.t.TeamID {
			r.above = appendNew(r.above, roleUIDs[m.Role])
		}
		r.above = appendNew(r.above, cedar.NewEntityUID(typeTeam, cedar.String(m.TeamID)))
		if scopedRoles {
			r.above = appendNew(r.above, cedar.NewEntityUID(typeRole, cedar.String(string(m.Role)+"@"+m.TeamID)))
		}
	}
}

func appendNew(s []cedar.EntityUID, u cedar.EntityUID) []cedar.EntityUID {
	if slices.Contains(s, u) {
		return s
	}
	return append(s, u)
}

func (r *request) addOver() {
	r.over = r.overBuf[:0]
	for _, up := range [...]struct {
		typ cedar.EntityType
		id  string
	}{{typeEnvironment, r.t.EnvironmentID}, {typeProject, r.t.ProjectID}, {typeTeam, r.t.TeamID}} {
		if up.id == "" {
			continue
		}
		if u := cedar.NewEntityUID(up.typ, cedar.String(up.id)); u != r.ruid {
			r.over = append(r.over, u)
		}
	}
	if r.ruid != organisationUID {
		r.over = append(r.over, organisationUID)
	}
}

// query is the question in Cedar's own words.
func (r *request) query() cedar.Request {
	q := cedar.Request{Principal: r.puid, Action: r.action.uid, Resource: r.ruid, Context: contextSession}
	if r.p.TokenID != "" {
		q.Context = contextToken
	}
	return q
}

// Get implements cedar.EntityGetter.
func (r *request) Get(uid cedar.EntityUID) (cedar.Entity, bool) {
	switch uid {
	case r.puid:
		if r.built&builtPrincipal == 0 {
			r.principal, r.built = r.buildPrincipal(), r.built|builtPrincipal
		}
		return r.principal, true
	case r.ruid:
		if r.built&builtResource == 0 {
			r.resource, r.built = r.buildResource(), r.built|builtResource
		}
		return r.resource, true
	}
	for i, u := range r.over {
		if u == uid {
			return cedar.Entity{UID: u, Parents: cedar.NewEntityUIDSet(r.over[i+1:]...), Attributes: idRecord(u)}, true
		}
	}
	return cedar.Entity{}, false
}

func idRecord(u cedar.EntityUID) cedar.Record {
	return cedar.NewRecord(cedar.RecordMap{"id": u.ID})
}

// buildPrincipal gives the principal's entity. When principal and target are
// the same user it is both; its parents are the principal's alone, so that
// what a target claims to be in never becomes a membership.
func (r *request) buildPrincipal() cedar.Entity {
	e := cedar.Entity{UID: r.puid}
	wants := r.pwants
	if r.puid == r.ruid {
		wants |= r.wants
	}
	if wants&wantParents != 0 {
		e.Parents = cedar.NewEntityUIDSet(r.above...)
	}
	if wants&(wantID|wantName|wantOwner) != 0 {
		m := cedar.RecordMap{"id": cedar.String(r.p.ID)}
		if r.p.Name != "" && wants&wantName != 0 {
			m["name"] = cedar.String(r.p.Name)
		}
		if r.puid == r.ruid {
			m["owner"] = cedar.String(r.p.ID)
		}
		e.Attributes = cedar.NewRecord(m)
	}
	if wants&wantTags != 0 {
		e.Tags = tags(r.p.Attributes)
	}
	return e
}

func (r *request) buildResource() cedar.Entity {
	e := cedar.Entity{UID: r.ruid}
	if r.wants&wantParents != 0 {
		e.Parents = cedar.NewEntityUIDSet(r.over...)
	}
	if r.wants&wantTags != 0 {
		e.Tags = tags(r.t.Attributes)
	}
	wants := r.wants &^ (wantParents | wantTags)
	if wants == 0 {
		return e
	}
	if known, ok := classRecords[r.t.EnvironmentClass]; ok && wants == wantClass {
		e.Attributes = known
		return e
	}
	m := cedar.RecordMap{}
	if wants&wantID != 0 {
		m["id"] = r.ruid.ID
	}
	for _, a := range [...]struct {
		want attributes
		key  cedar.String
		val  string
	}{
		{wantName, "name", r.t.Name},
		{wantClass, "class", r.t.EnvironmentClass},
		{wantTemplate, "template", r.t.Template},
		{wantOwner, "owner", r.t.OwnerID},
	} {
		if a.val != "" && r.wants&a.want != 0 {
			m[a.key] = cedar.String(a.val)
		}
	}
	for _, a := range [...]struct {
		want attributes
		key  cedar.String
		typ  cedar.EntityType
		id   string
	}{
		{wantTeam, "team", typeTeam, r.t.TeamID},
		{wantProject, "project", typeProject, r.t.ProjectID},
		{wantEnvironment, "environment", typeEnvironment, r.t.EnvironmentID},
	} {
		if a.id != "" && r.wants&a.want != 0 {
			m[a.key] = cedar.NewEntityUID(a.typ, cedar.String(a.id))
		}
	}
	e.Attributes = cedar.NewRecord(m)
	return e
}

// classRecords are what most conditions look at, made once.
var classRecords = func() map[string]cedar.Record {
	m := map[string]cedar.Record{}
	for _, c := range classes {
		m[c] = cedar.NewRecord(cedar.RecordMap{"class": cedar.String(c)})
	}
	return m
}()

func tags(attributes map[string]string) cedar.Record {
	if len(attributes) == 0 {
		return cedar.Record{}
	}
	m := make(cedar.RecordMap, len(attributes))
	for k, v := range attributes {
		m[cedar.String(k)] = cedar.String(v)
	}
	return cedar.NewRecord(m)
}
