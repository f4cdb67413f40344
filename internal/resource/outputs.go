package resource

import (
	"context"
	"maps"
	"slices"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// Offer is an output that an input of something else in the same environment
// may refer to.
type Offer struct {
	ResourceID string
	Resource   string
	Template   string
	Phase      Phase
	Output     string
	Type       string // string, integer, number, boolean, array, object, any
	Sensitive  bool
	Value      any // nil where it is not there yet, or secret
}

// OfferFilter says which outputs are of use.
type OfferFilter struct {
	Search string // part of the resource's name, or of the output's
	Type   string // of the input, by JSON Schema; "" for any
	Secret bool   // the input is secret: others may not take secrets
	Except string // name of what refers
}

// Bounds of one look for outputs.
const (
	offeredPage = 50   // resources read at a time
	offeredMost = 40   // outputs are enough
	offeredLook = 1000 // resources are looked at; the rest is another page
)

// Offers gives outputs of what there is in an environment and the caller may
// see, by the resource's name, and the key of the next page. A resource's are not
// torn apart.
func (s *Service) Offers(ctx context.Context, project, environment string, f OfferFilter, after string) ([]Offer, string, error) {
	if err := signedIn(ctx); err != nil {
		return nil, "", err
	}
	if project == "" || environment == "" {
		return nil, "", fault.New(fault.Invalid, "invalid_request", "say in which environment").WithField("query:in")
	}
	search := strings.ToLower(strings.TrimSpace(f.Search))
	var out []Offer
	named := false // what is called so is found at once, and passed over below
	if search != "" && after == "" {
		list, _, err := s.List(ctx, Filter{Project: project, Environment: environment, Search: search, Sort: "name"}, sqldb.Page{Limit: offeredPage})
		if err != nil {
			return nil, "", err
		}
		named = true
		if out, err = s.offered(ctx, out, list, f, func(r Resource, _ string) bool { return isNamed(r, search) }); err != nil {
			return nil, "", err
		}
	}
	for looked := 0; looked < offeredLook && len(out) < offeredMost; looked += offeredPage {
		list, next, err := s.List(ctx, Filter{Project: project, Environment: environment, Sort: "name"}, sqldb.Page{Limit: offeredPage, After: after})
		if err != nil {
			return nil, "", err
		}
		out, err = s.offered(ctx, out, list, f, func(r Resource, output string) bool {
			if isNamed(r, search) {
				return !named || search == ""
			}
			return strings.Contains(strings.ToLower(output), search)
		})
		if err != nil {
			return nil, "", err
		}
		if after = next; next == "" {
			break
		}
	}
	return out, after, nil
}

func isNamed(r Resource, search string) bool {
	return strings.Contains(strings.ToLower(r.Name), search)
}

// offered adds the outputs of a list that are of use and wanted.
func (s *Service) offered(ctx context.Context, out []Offer, list []Resource, f OfferFilter, wanted func(r Resource, output string) bool) ([]Offer, error) {
	for _, r := range list {
		if r.Name == f.Except || !r.DestroyWantedAt.IsZero() {
			continue
		}
		v, err := s.Templates.Load(ctx, r.Template, r.TemplateVersion)
		if err != nil {
			return nil, err
		}
		t := v.Info()
		for _, name := range slices.Sorted(maps.Keys(t.Outputs)) {
			o := Offer{ResourceID: r.ID, Resource: r.Name, Template: r.Template, Phase: r.Phase, Output: name, Type: t.OutputTypes[name], Sensitive: t.Outputs[name]}
			if o.Sensitive && !f.Secret || !fits(o.Type, f.Type) || !wanted(r, name) {
				continue
			}
			if v, there := r.Outputs[name]; there && !o.Sensitive && !v.Sensitive {
				o.Value = v.Value
			}
			out = append(out, o)
		}
	}
	return out, nil
}

// fits tells whether an output of one type may go into an input of another.
func fits(output, input string) bool {
	switch {
	case output == "" || output == "any" || input == "" || output == input:
		return true
	case input == "number":
		return output == "integer"
	case input == "integer":
		return output == "number" // it may be whole
	}
	return false
}

// Written is how an input refers to the output.
func (o Offer) Written() string {
	return "${{ resources." + o.Resource + ".outputs." + o.Output + " }}"
}
