package resourceapi

import (
	"context"
	"encoding/json"
	"net/http"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

// changedOne finds the resource that a request whose reply was lost created,
// changed, or set on its way out.
func changedOne(svc *resource.Service) httpx.FindLost {
	return func(ctx context.Context, l httpx.Lost) (httpx.Found, error) {
		r, err := asOf(ctx, svc, l, l.PathValue("resource"))
		if err != nil {
			return httpx.Found{}, err
		}
		found := httpx.Found{Path: "/api/v1/resources/" + r.ID}
		if l.Method == http.MethodPut && r.CreatedAt.Equal(l.At) {
			found.Status = http.StatusCreated
		}
		return found, nil
	}
}

// resourceOfRun finds the resource of the run in the path.
func resourceOfRun(svc *resource.Service) httpx.FindLost {
	return func(ctx context.Context, l httpx.Lost) (httpx.Found, error) {
		run, err := svc.Run(ctx, l.PathValue("run"))
		return httpx.Found{Path: "/api/v1/resources/" + run.ResourceID}, err
	}
}

// appliedSet finds what became of each resource of a set.
func appliedSet(svc *resource.Service) httpx.FindLost {
	return func(ctx context.Context, l httpx.Lost) (httpx.Found, error) {
		var sent struct {
			Resources []struct {
				Name string `json:"name"`
			} `json:"resources"`
		}
		if err := json.Unmarshal(l.Body, &sent); err != nil {
			return httpx.Found{}, err
		}
		out := AppliedSet{Resources: []AppliedResource{}}
		for _, s := range sent.Resources {
			r, err := asOf(ctx, svc, l, s.Name)
			if err != nil {
				return httpx.Found{}, err
			}
			outcome, err := outcomeAt(ctx, svc, l, r)
			if err != nil {
				return httpx.Found{}, err
			}
			out.Resources = append(out.Resources, appliedView(resource.Applied{Resource: r, Outcome: outcome}))
		}
		return httpx.Found{Body: out}, nil
	}
}

// outcomeAt says what the request did with r; NotFound when r has gone since,
// and its revisions with it.
func outcomeAt(ctx context.Context, svc *resource.Service, l httpx.Lost, r resource.Resource) (resource.Outcome, error) {
	if r.CreatedAt.Equal(l.At) {
		return resource.Created, nil
	}
	where := resource.Where{Project: l.PathValue("project"), Environment: l.PathValue("environment"), Name: r.ID}
	revisions, _, err := svc.Revisions(ctx, where, sqldb.Page{Limit: 200})
	if err != nil {
		return "", err
	}
	for _, v := range revisions {
		if v.CreatedAt.Equal(l.At) {
			return resource.Changed, nil
		}
	}
	return resource.Unchanged, nil
}

// asOf gives the resource that had a name, or has an id, when the request was
// done. It may be destroyed by now, and its name another's.
func asOf(ctx context.Context, svc *resource.Service, l httpx.Lost, name string) (resource.Resource, error) {
	r, err := svc.ByID(ctx, name)
	if !fault.Is(err, fault.NotFound) {
		return r, err
	}
	f := resource.Filter{
		Project: l.PathValue("project"), Environment: l.PathValue("environment"), Search: name, Destroyed: true, Sort: "-created",
	}
	for page := (sqldb.Page{Limit: 200}); ; {
		items, next, err := svc.List(ctx, f, page)
		if err != nil {
			return resource.Resource{}, err
		}
		for _, r := range items {
			if r.Name == name && !r.CreatedAt.After(l.At) && (r.DestroyedAt.IsZero() || r.DestroyedAt.After(l.At)) {
				return r, nil
			}
		}
		if next == "" {
			return resource.Resource{}, fault.New(fault.NotFound, "resource_not_found", "no resource %q from then", name)
		}
		page.After = next
	}
}
