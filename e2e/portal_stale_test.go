package e2e

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestPortalFormsOfTwoPeople: what somebody else changed meanwhile is said and
// shown, and neither's change is lost without a word.
func TestPortalFormsOfTwoPeople(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	v := e.visit(t, "administrator")
	version := func(o map[string]any) string {
		n, _ := o["version"].(float64)
		return strconv.FormatFloat(n, 'f', -1, 64)
	}

	id := e.params["quota"]
	seen := version(e.c.must(t, "GET", "/api/v1/quotas/"+id, nil, "", 200).json)
	e.c.must(t, "PUT", "/api/v1/quotas", map[string]any{"team": e.params["team"], "metric": "count", "max": 70}, "", 200, 201)
	mine := url.Values{"version": {seen}, "max": {"61"}, "warn": {"80"}, "effect": {"enforce"}}
	status, _, body := v.ask(t, "POST", "/quotas/"+id, mine)
	if status == http.StatusSeeOther || !strings.Contains(body, "It is now at most 70") || !strings.Contains(body, `value="61"`) {
		t.Errorf("a quota that somebody else changed: %d %.3000s", status, body)
	}
	now := e.c.must(t, "GET", "/api/v1/quotas/"+id, nil, "", 200).json
	if now["max"].(float64) != 70 || !strings.Contains(body, `name="version" value="`+version(now)+`"`) {
		t.Errorf("%v, or the form cannot be sent again", now)
	}
	mine.Set("version", version(now))
	if status, _, body := v.ask(t, "POST", "/quotas/"+id, mine); status != http.StatusSeeOther {
		t.Errorf("sent again: %d %.300s", status, body)
	}

	budget := e.c.must(t, "PUT", "/api/v1/quotas", map[string]any{"team": e.params["team"], "metric": "monthly_cost", "max": 100}, "", 200, 201).json
	place, _ := budget["id"].(string)
	e.c.must(t, "PUT", "/api/v1/quotas", map[string]any{"team": e.params["team"], "metric": "monthly_cost", "max": 200}, "", 200, 201)
	status, h, body := v.ask(t, "POST", "/costs/budgets", url.Values{"id": {place}, "version": {version(budget)}, "team": {e.params["team"]}, "max": {"150"}, "effect": {"enforce"}})
	if status != http.StatusSeeOther || h.Get("Location") != "/quotas/"+place {
		t.Errorf("a budget that somebody else changed: %d %v %.300s", status, h, body)
	}
	if now := e.c.must(t, "GET", "/api/v1/quotas/"+place, nil, "", 200).json; now["max"].(float64) != 200 {
		t.Errorf("the budget of the other is lost: %v", now)
	}

	lease := "/leases/" + e.params["lease"]
	was := version(e.c.must(t, "GET", "/api/v1"+lease, nil, "", 200).json)
	var all sync.WaitGroup
	var statuses [2]int
	for i := range statuses {
		all.Go(func() {
			statuses[i], _, _ = v.ask(t, "POST", lease+"/extend", url.Values{"version": {was}})
		})
	}
	all.Wait()
	after := e.c.must(t, "GET", "/api/v1"+lease, nil, "", 200).json
	if (statuses[0] == http.StatusSeeOther) == (statuses[1] == http.StatusSeeOther) || after["extensions"].(float64) != 1 {
		t.Errorf("two who extend a lease: %v, %v", statuses, after)
	}
	if _, _, body := v.ask(t, "POST", lease+"/extend", url.Values{"version": {was}}); !strings.Contains(body, "changed by somebody else meanwhile") {
		t.Errorf("it does not say so: %.300s", body)
	}
}

// TestPortalRefusedWebhookSaysWhyOnce: at the field, and nowhere else.
func TestPortalRefusedWebhookSaysWhyOnce(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	v := e.visit(t, "administrator")
	status, _, body := v.ask(t, "POST", "/webhooks", url.Values{"url": {"https://example.org/hook"}, "types": {"nothing.at.all"}, "team": {e.params["team"]}})
	if n := strings.Count(strings.ToLower(body), "there is no event of the type"); status != http.StatusUnprocessableEntity || n != 1 {
		t.Errorf("%d, said %d times: %.2000s", status, n, body)
	}
}
