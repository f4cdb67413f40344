package engines

import (
	"context"
	"maps"
	"slices"

	"fairlead/internal/access"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
)

// Info is one engine of the server that answers.
type Info struct {
	Name      string
	Program   string       // "tofu"; "" when it works with none
	Version   string       // of the program
	Isolation string       // of what it runs; only for those who may see the system
	Problem   *fault.Error // why it cannot work here; nil when it can
}

// Options is what a Service stands on.
type Options struct {
	Access  access.Authorizer
	Engines map[string]engine.Engine
}

// Service tells of engines.
type Service struct{ o Options }

// New makes a Service.
func New(o Options) *Service { return &Service{o} }

// List gives every engine, by name. Whoever may view templates may know what
// they run on.
func (s *Service) List(ctx context.Context) ([]Info, error) {
	if _, err := s.o.Access.Check(ctx, access.TemplateView, access.Organisation); err != nil {
		return nil, err
	}
	_, err := s.o.Access.Check(access.Wondering(ctx), access.SystemView, access.Organisation)
	operator := err == nil
	out := make([]Info, 0, len(s.o.Engines))
	for _, name := range slices.Sorted(maps.Keys(s.o.Engines)) {
		i := Info{Name: name}
		if d, ok := s.o.Engines[name].(engine.Runner); ok {
			about, err := d.Program(ctx)
			if err != nil {
				i.Problem = fault.From(err)
			}
			i.Program, i.Version = about.Name, about.Version
			if operator {
				i.Isolation = about.Isolation
			}
		}
		out = append(out, i)
	}
	return out, nil
}
