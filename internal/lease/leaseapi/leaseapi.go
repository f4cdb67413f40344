package leaseapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/httpx"
	"fairlead/internal/lease"
)

var tags = []string{"Leases"}

const path = "/api/v1/leases/{lease}"

// LeasePath names a lease.
type LeasePath struct {
	Lease string `path:"lease" maxLength:"64" doc:"Its id"`
}

// Register adds the operations.
func Register(api huma.API, svc *lease.Service) {
	registerReads(api, svc)
	registerChanges(api, svc)
	registerSetting(api, svc)
	registerRules(api, svc)
}

func registerReads(api huma.API, svc *lease.Service) {
	httpx.Register(api, huma.Operation{OperationID: "list-leases", Method: http.MethodGet, Path: "/api/v1/leases", Tags: tags, Summary: "Leases of what the caller may see",
		Description: "Those that are not over, unless asked otherwise."},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			Sort        string `query:"sort" enum:"ends,-ends,created,-created" default:"ends"`
			Owner       string `query:"owner" enum:"me,others" doc:"Whose they are"`
			Kind        string `query:"kind" enum:"resource,environment"`
			Project     string `query:"project" maxLength:"64" doc:"Name or id"`
			Environment string `query:"environment" maxLength:"64" doc:"Name or id"`
			Resource    string `query:"resource" maxLength:"64" doc:"Name or id"`
			State       string `query:"state" enum:"active,ending,ended"`
			Over        bool   `query:"over" doc:"Also those that are over"`
		}) (*httpx.Body[httpx.Page[Lease]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			list, next, err := svc.List(ctx, lease.Filter{Mine: in.Owner == "me", Others: in.Owner == "others", Kind: lease.Kind(in.Kind), Project: in.Project,
				Environment: in.Environment, Resource: in.Resource, State: lease.State(in.State), Over: in.Over, Sort: in.Sort}, page)
			if err != nil {
				return nil, err
			}
			items := make([]Lease, len(list))
			for i, l := range list {
				items[i] = view(l)
			}
			return &httpx.Body[httpx.Page[Lease]]{Body: httpx.NewPage(items, next)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "get-lease", Method: http.MethodGet, Path: path, Tags: tags, Summary: "A lease"},
		func(ctx context.Context, in *LeasePath) (*httpx.Tagged[Lease], error) {
			l, err := svc.Get(ctx, in.Lease)
			if err != nil {
				return nil, err
			}
			v := view(l)
			if l.State == lease.Active {
				if v.Can, err = svc.Can(ctx, l); err != nil {
					return nil, err
				}
			}
			return httpx.NewTagged(l.Version, v), nil
		})
	httpx.Register(api, huma.Operation{OperationID: "get-lease-proof", Method: http.MethodGet, Path: path + "/proof", Tags: tags, Summary: "The proof that what a lease was of is gone"},
		func(ctx context.Context, in *LeasePath) (*httpx.Body[LeaseProof], error) {
			l, p, err := svc.Proof(ctx, in.Lease)
			if err != nil {
				return nil, err
			}
			return &httpx.Body[LeaseProof]{Body: viewProof(l, p)}, nil
		})
}

func registerChanges(api huma.API, svc *lease.Service) {
	httpx.Register(api, httpx.Located(huma.Operation{OperationID: "extend-lease", Method: http.MethodPost, Path: path + "/extend", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Let something live longer", Description: "As far as the rules go; a refusal says how far that is, and who could do more."}, path),
		func(ctx context.Context, in *struct {
			LeasePath
			httpx.IfMatchInput
			Body struct {
				By string `json:"by,omitempty" maxLength:"20" doc:"Such as 8h; what the rules give when absent"`
			}
		}) (*httpx.Tagged[Lease], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			by, err := gate.ParseLength(in.Body.By)
			if err != nil {
				return nil, fault.From(err).WithField("/by")
			}
			return reply(svc.Extend(ctx, in.Lease, by, v))
		})
	httpx.Register(api, httpx.Located(huma.Operation{OperationID: "transfer-lease", Method: http.MethodPost, Path: path + "/transfer", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Give a lease another owner", Description: "Who must be able to see what it is of."}, path),
		func(ctx context.Context, in *struct {
			LeasePath
			httpx.IfMatchInput
			Body struct {
				To string `json:"to" maxLength:"64" doc:"Name or id"`
			}
		}) (*httpx.Tagged[Lease], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return reply(svc.Transfer(ctx, in.Lease, in.Body.To, v))
		})
}

func registerSetting(api huma.API, svc *lease.Service) {
	httpx.Register(api, httpx.Repeatable(huma.Operation{OperationID: "set-lease", Method: http.MethodPut, Path: "/api/v1/leases", Tags: tags,
		Summary: "Set when something ends, whatever its rules say", Description: "It takes the right to manage the calendar. What had no lease has one then."}),
		func(ctx context.Context, in *struct {
			httpx.IfMatchInput
			Body struct {
				Project     string    `json:"project" maxLength:"64"`
				Environment string    `json:"environment" maxLength:"64"`
				Resource    string    `json:"resource,omitempty" maxLength:"64" doc:"The environment as a whole when absent"`
				Ends        time.Time `json:"ends"`
			}
		}) (*httpx.Tagged[Lease], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			b := in.Body
			return reply(svc.Set(ctx, lease.Subject{Project: b.Project, Environment: b.Environment, Resource: b.Resource}, b.Ends, v))
		})
	httpx.Register(api, huma.Operation{OperationID: "delete-lease", Method: http.MethodDelete, Path: path, Tags: tags, Summary: "Take a lease away: what it is of lives on",
		Description: "It takes the right to manage the calendar.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			LeasePath
			httpx.IfMatchInput
		}) (*struct{}, error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return nil, svc.Remove(ctx, in.Lease, v)
		})
}

func registerRules(api huma.API, svc *lease.Service) {
	httpx.Register(api, huma.Operation{OperationID: "list-lease-rules", Method: http.MethodGet, Path: "/api/v1/lease-rules", Tags: tags, Summary: "How long things may live"},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			Sort     string `query:"sort" enum:"class,-class,created,-created" default:"class"`
			Class    string `query:"class" enum:"development,staging,production"`
			Kind     string `query:"kind" enum:"resource,environment" doc:"Rules for this kind alone"`
			Team     string `query:"team" maxLength:"64" doc:"Name or id: a team's own rules"`
			Template string `query:"template" maxLength:"64"`
		}) (*httpx.Body[httpx.Page[LeaseRule]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Rules(ctx, lease.RuleFilter{Class: in.Class, Kind: lease.Kind(in.Kind), Team: in.Team, Template: in.Template, Sort: in.Sort}, page)
			return httpx.PageOf(items, next, err, viewRule)
		})
	httpx.Register(api, httpx.Repeatable(huma.Operation{OperationID: "set-lease-rule", Method: http.MethodPut, Path: "/api/v1/lease-rules", Tags: tags, Summary: "Set a rule",
		Description: "Makes it, or changes the one for the same class, kind, team and template. Leases that began keep their end."}),
		func(ctx context.Context, in *struct {
			httpx.IfMatchInput
			Body LeaseRuleSetting
		}) (*httpx.Tagged[LeaseRule], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			r, err := in.Body.rule()
			if err != nil {
				return nil, err
			}
			if r, err = svc.SetRule(ctx, r, v); err != nil {
				return nil, err
			}
			return httpx.NewTagged(r.Version, viewRule(r)), nil
		})
	httpx.Register(api, huma.Operation{OperationID: "delete-lease-rule", Method: http.MethodDelete, Path: "/api/v1/lease-rules/{rule}", Tags: tags, Summary: "Take a rule away", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			Rule string `path:"rule" maxLength:"64" doc:"Its id"`
			httpx.IfMatchInput
		}) (*struct{}, error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return nil, svc.RemoveRule(ctx, in.Rule, v)
		})
}

func reply(l lease.Lease, err error) (*httpx.Tagged[Lease], error) {
	if err != nil {
		return nil, err
	}
	return httpx.NewTagged(l.Version, view(l)), nil
}
