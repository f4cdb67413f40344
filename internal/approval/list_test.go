package approval_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/approval"
	"fairlead/internal/approval/approvaltest"
	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

func TestLists(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		var ids []string
		for i := range 5 {
			need := gate.Need{}
			if i == 4 {
				need = gate.Need{People: []string{"nils", "sam"}}
			}
			by := "dora"
			if i == 3 {
				by = "anna"
			}
			ids = append(ids, w.Settle(approvaltest.Ask(w.Facts(w.Resource(fmt.Sprint("r", i), by), fmt.Sprint("run_", i), by), "p", need)).Approval)
		}
		_, err := w.Approve("ben", ids[0])
		w.Must(err)
		for _, row := range []struct {
			who  string
			f    approval.Filter
			want []string
		}{
			{"root-ada", approval.Filter{}, ids},
			{"vera", approval.Filter{}, ids},
			{"sam", approval.Filter{}, ids[4:]},
			{"nils", approval.Filter{}, ids[4:]},
			{"nils", approval.Filter{Mine: true}, ids[4:]},
			{"vera", approval.Filter{Mine: true}, nil},
			{"anna", approval.Filter{Mine: true}, ids[1:3]},
			{"anna", approval.Filter{Requested: true}, ids[3:4]},
			{"ben", approval.Filter{Mine: true}, ids[1:4]},
			{"ben", approval.Filter{Status: approval.Approved}, ids[:1]},
			{"ben", approval.Filter{Environment: w.Env.ID, Status: approval.Pending}, ids[1:]},
			{"ben", approval.Filter{Environment: "env_other"}, nil},
			{"ben", approval.Filter{Project: w.Env.ProjectID, Kind: approval.KindResource, Status: approval.Void}, nil},
		} {
			row.f.Sort = "created"
			var got []string
			page := sqldb.Page{Limit: 2}
			for {
				list, next, err := w.Approvals.List(w.As(row.who), row.f, page)
				w.Must(err)
				for _, a := range list {
					got = append(got, a.ID)
				}
				if next == "" {
					break
				}
				page.After = next
			}
			if d := cmp.Diff(row.want, got); d != "" && len(row.want)+len(got) > 0 {
				t.Errorf("%s %+v: %s", row.who, row.f, d)
			}
		}
		_, _, err = w.Approvals.List(t.Context(), approval.Filter{}, sqldb.Page{})
		code(t, err, "unauthenticated")
		for who, want := range map[string]string{"sam": "not_found", "nils": "not_found"} {
			_, err := w.Approvals.Get(w.As(who), ids[1])
			code(t, err, want)
		}
		got, err := w.Approvals.Get(w.As("nils"), ids[4])
		w.Must(err)
		if got.Document["inputs"] == nil || len(got.Verdicts) != 1 || got.Who != "needs 1 named person (nils, sam)" {
			t.Errorf("%+v", got)
		}
	})
}

func TestWhoCould(t *testing.T) {
	each(t, func(t *testing.T, w *approvaltest.World) {
		a := w.Settle(approvaltest.Ask(w.Facts(w.Resource("orders", "anna"), "run_1", "anna"), "p", gate.Need{Count: 2}))
		delegate(w, "cleo", "nils")
		_, err := w.Approve("ben", a.Approval)
		w.Must(err)
		list, err := w.Approvals.WhoCould(w.As("vera"), a.Approval)
		w.Must(err)
		got := map[string]string{}
		for _, p := range list {
			got[p.Name] = fmt.Sprintf("%t %s%s", p.Can, p.Why, p.Voted)
		}
		want := map[string]string{
			"anna": "false asked for it", "ben": "true approver of team shopapprove", "cleo": "true approver of team shop", "olga": "true approver of team shop",
			"nils": "true stands in for cleo", "vera": "false is none of: approver of team shop",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		_, err = w.Approvals.WhoCould(w.As("sam"), a.Approval)
		code(t, err, "not_found")
	})
}
