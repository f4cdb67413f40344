package resource

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/sqldb"
)

// Bounds of one Graph: what more there is is counted, not given.
const (
	maxNodes = 200
	maxEdges = 1000
	maxDepth = 10
)

// Node is a resource in a graph.
type Node struct {
	ID, Name, Template, TemplateVersion string
	Phase                               Phase
	Drifted, Paused                     bool
	UpdatedAt                           time.Time
}

// Edge says that one resource takes outputs of another. Edges make no cycle.
type Edge struct {
	From, To string // ids: From takes, To gives
	Output   string // the first of them
	Outputs  int64  // how many there are
}

// Graph is how the resources of an environment refer to each other.
type Graph struct {
	Environment Environment
	Around      string // id of the resource that it is the neighbourhood of; "" for none
	Nodes       []Node
	Edges       []Edge // between the nodes
	Total       int64  // resources in the environment
	Beyond      int64  // edges that lead from the nodes to others, or to them from others
}

// GraphFilter says which part of an environment's graph; the zero value is all
// of it, a page at a time.
type GraphFilter struct {
	Around string // name or id of a resource: what it depends on, and what depends on it
	Depth  int    // how many steps each way; 0 is 3
}

var nodes = sqldb.List[Node]{
	Select: `SELECT r.id, r.name, r.template, v.template_version, r.phase, CASE WHEN r.drift IN ('[]', 'null') THEN 0 ELSE 1 END, r.paused, r.updated_at
		FROM resources r JOIN revisions v ON v.resource_id = r.id AND v.number = r.revision`,
	Scan: func(row sqldb.Row) (n Node, err error) {
		var drifted, paused, updated int64
		err = row.Scan(&n.ID, &n.Name, &n.Template, &n.TemplateVersion, &n.Phase, &drifted, &paused, &updated)
		n.Drifted, n.Paused, n.UpdatedAt = drifted == 1, paused == 1, sqldb.Time(updated)
		return n, err
	},
	Default: "name",
	Orders:  map[string]sqldb.Order[Node]{"name": {Columns: []string{"r.name", "r.id"}, Key: func(n Node) []any { return []any{n.Name, n.ID} }}},
}

// Graph gives the resources of an environment that are not destroyed and the
// references between them: a page by name, and with Around the neighbourhood
// of one, nearest first, as far as a page holds.
func (s *Service) Graph(ctx context.Context, project, environment string, f GraphFilter, p sqldb.Page) (g Graph, next string, err error) {
	if err := signedIn(ctx); err != nil {
		return g, "", err
	}
	if g.Environment, err = s.Environments.Resolve(ctx, project, environment); err != nil {
		return g, "", err
	}
	if _, err := s.Access.Check(ctx, access.ResourceView, g.Environment.target("resource", "", "", "")); err != nil {
		return g, "", err
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return g, "", err
	}
	p.Limit = min(p.Size(), maxNodes)
	var w sqldb.Where
	w.And(`r.environment_id = ? AND r.destroyed_at IS NULL`, g.Environment.ID)
	scope.Narrow(&w, s.DB, access.Columns{Team: "r.team_id", Project: "r.project_id", Environment: "r.environment_id"})
	all := w // what And adds to w from here on is not in it
	if f.Around != "" {
		near, err := s.near(ctx, g.Environment, f, p.Limit)
		if err != nil {
			return g, "", err
		}
		g.Around = near[0]
		w.And(s.DB.InArray("r.id", "?"), toJSON(near))
		p.After = ""
	}
	if g.Nodes, next, err = nodes.Page(ctx, s.DB.Read(), w, "", p); err != nil {
		return g, "", err
	}
	partial := next != "" || p.After != "" || f.Around != ""
	g.Total = int64(len(g.Nodes))
	if partial {
		where, args := all.SQL()
		if err := s.DB.Read().QueryRowContext(ctx, `SELECT count(*) FROM resources r`+where, args...).Scan(&g.Total); err != nil {
			return g, "", err
		}
	}
	ids := make([]string, len(g.Nodes))
	for i, n := range g.Nodes {
		ids[i] = n.ID
	}
	if g.Edges, err = s.db.edges(ctx, ids); err != nil {
		return g, "", err
	}
	if partial || len(g.Edges) > maxEdges {
		g.Edges = g.Edges[:min(len(g.Edges), maxEdges)]
		g.Beyond, err = s.db.beyond(ctx, ids, len(g.Edges))
	}
	return g, next, err
}

// near gives the ids of a resource and of what it depends on and what depends
// on it, nearest first, at most so many.
func (s *Service) near(ctx context.Context, env Environment, f GraphFilter, most int) ([]string, error) {
	r, err := s.db.find(ctx, s.DB.Read(), env.ID, f.Around)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !r.DestroyedAt.IsZero() {
		return nil, noResource(f.Around, env)
	}
	if err != nil {
		return nil, err
	}
	if f.Depth <= 0 {
		f.Depth = 3
	}
	out, seen := []string{r.ID}, map[string]bool{r.ID: true}
	down, up := out, out
	step := func(ask func(context.Context, []string, int) ([]string, error), from []string) ([]string, error) {
		if len(from) == 0 || len(out) >= most {
			return nil, nil
		}
		found, err := ask(ctx, from, most)
		var fresh []string
		for _, id := range found {
			if !seen[id] && len(out) < most {
				seen[id] = true
				out, fresh = append(out, id), append(fresh, id)
			}
		}
		return fresh, err
	}
	for range min(f.Depth, maxDepth) {
		if down, err = step(s.db.taken, down); err != nil {
			return nil, err
		}
		if up, err = step(s.db.takers, up); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// taken gives what resources refer to, at most so many.
func (s store) taken(ctx context.Context, ids []string, most int) ([]string, error) {
	return sqldb.Collect(ctx, s.db.Read(), sqldb.Text, `SELECT DISTINCT f.target_id FROM resource_references f
		WHERE `+s.db.InArray("f.resource_id", "$1")+` ORDER BY f.target_id LIMIT $2`, toJSON(ids), most)
}

// takers gives what refers to resources and is not gone, at most so many.
func (s store) takers(ctx context.Context, ids []string, most int) ([]string, error) {
	return sqldb.Collect(ctx, s.db.Read(), sqldb.Text, `SELECT DISTINCT f.resource_id FROM resource_references f
		WHERE `+s.db.InArray("f.target_id", "$1")+` AND `+referrerLives+` ORDER BY f.resource_id LIMIT $2`, toJSON(ids), most)
}

// referrerLives is not a join: PostgreSQL, with no statistics yet, would read
// all resources.
const referrerLives = `(SELECT r.destroyed_at FROM resources r WHERE r.id = f.resource_id) IS NULL`

// edges gives those between resources, and one more than a graph has at most.
func (s store) edges(ctx context.Context, ids []string) ([]Edge, error) {
	return sqldb.Collect(ctx, s.db.Read(), func(r sqldb.Row) (e Edge, err error) {
		return e, r.Scan(&e.From, &e.To, &e.Output, &e.Outputs)
	}, `SELECT f.resource_id, f.target_id, min(f.output), count(*) FROM resource_references f
		WHERE `+s.db.InArray("f.resource_id", "$1")+` AND `+s.db.InArray("f.target_id", "$1")+`
		GROUP BY f.resource_id, f.target_id ORDER BY f.resource_id, f.target_id LIMIT $2`, toJSON(ids), maxEdges+1)
}

// beyond counts the edges that have an end among resources, but for those given.
func (s store) beyond(ctx context.Context, ids []string, given int) (int64, error) {
	var n int64
	err := s.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM (SELECT f.resource_id, f.target_id FROM resource_references f
		WHERE `+s.db.InArray("f.resource_id", "$1")+` UNION SELECT f.resource_id, f.target_id FROM resource_references f
		WHERE `+s.db.InArray("f.target_id", "$1")+` AND `+referrerLives+`) x`, toJSON(ids)).Scan(&n)
	return n - int64(given), err
}
