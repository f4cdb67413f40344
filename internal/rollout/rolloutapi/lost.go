package rolloutapi

import (
	"context"
	"encoding/json"

	"fairlead/internal/httpx"
	"fairlead/internal/rollout"
	"fairlead/internal/sqldb"
)

// createdRollout finds the rollout that a request made whose reply was lost.
// Transactions may share a moment, so that it must also be what was asked for.
func createdRollout(svc *rollout.Service) httpx.FindLost {
	return func(ctx context.Context, l httpx.Lost) (httpx.Found, error) {
		var sent RolloutRequest
		if err := json.Unmarshal(l.Body, &sent); err != nil {
			return httpx.Found{}, err
		}
		want, err := sent.wanted()
		if err != nil {
			return httpx.Found{}, err
		}
		for page := (sqldb.Page{Limit: 200}); ; {
			list, next, err := svc.List(ctx, rollout.Filter{Template: want.Template, Mine: true, Sort: "-created"}, page)
			if err != nil {
				return httpx.Found{}, err
			}
			for _, r := range list {
				if r.CreatedAt.Equal(l.At) && r.Note == want.Note && r.Selection == want.Selection {
					return httpx.Found{Path: collection + "/" + r.ID}, nil
				}
			}
			if next == "" {
				return httpx.Found{}, nil
			}
			page.After = next
		}
	}
}
