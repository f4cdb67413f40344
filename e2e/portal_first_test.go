package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// TestPortalFormsSentTwiceMakeOneThing: a double click, "back" and "send
// again", at the same moment.
func TestPortalFormsSentTwiceMakeOneThing(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	v := e.visit(t, "administrator")
	count := func(path string) int { return len(items(e.c.must(t, "GET", path, nil, "", 200))) }
	twice := func(path string, form url.Values) {
		t.Helper()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if status, _, body := v.ask(t, "POST", path, form); status != http.StatusSeeOther && status != http.StatusOK {
					t.Errorf("%s: %d %.300s", path, status, body)
				}
			})
		}
		all.Wait()
	}
	twice("/start/place", url.Values{"team": {"twice"}, "project": {"twice"}, "environment": {"dev"}, "class": {"development"}})
	e.c.must(t, "GET", "/api/v1/teams/twice", nil, "", 200)
	if n := count("/api/v1/projects/twice/environments"); n != 1 {
		t.Errorf("%d environments", n)
	}
	twice("/start/request", url.Values{"template": {"null"}, "where": {"twice/dev"}, "name": {"hello"}})
	if n := count("/api/v1/projects/twice/environments/dev/resources"); n != 1 {
		t.Errorf("%d resources", n)
	}
	twice("/feedback", url.Values{"page": {"/projects"}, "helpful": {"no"}, "words": {"twice"}, "back": {"//evil.example/x"}})
	if n := count("/api/v1/feedback?page=/projects"); n != 1 {
		t.Errorf("%d answers", n)
	}
}

// TestPortalFirstStepsWithoutScripts: each form of the first run, the question
// at the foot and the bell are plain forms and links; what is wrong is said
// beside what was sent.
func TestPortalFirstStepsWithoutScripts(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	v := e.visit(t, "administrator")
	status, _, body := v.ask(t, "POST", "/start/place", url.Values{"team": {"Not A Name"}, "project": {"kept-as-sent"}, "environment": {"dev"}, "class": {"development"}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "kept-as-sent") || !strings.Contains(body, "Not A Name") {
		t.Errorf("a wrong name: %d", status)
	}
	status, _, body = v.ask(t, "POST", "/feedback", url.Values{"page": {"/projects"}, "helpful": {"yes"}, "back": {"/projects?q=x"}})
	if status != http.StatusOK || !strings.Contains(body, `name="words"`) || !strings.Contains(body, `href="/projects?q=x"`) {
		t.Errorf("a yes: %d", status)
	}
	status, h, _ := v.ask(t, "POST", "/feedback", url.Values{"page": {"/projects"}, "helpful": {"yes"}, "words": {"good"}, "back": {"//evil.example/x"}})
	if status != http.StatusSeeOther || h.Get("Location") != "/" {
		t.Errorf("it leads to %s", h.Get("Location"))
	}
	for name, form := range map[string]url.Values{"a page that is none": {"page": {"/nothing"}, "helpful": {"yes"}}, "neither yes nor no": {"page": {"/projects"}}} {
		if status, _, body := v.ask(t, "POST", "/feedback", form); status < 400 || status >= 500 || strings.Contains(body, `name="words"`) {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status, _, body := v.ask(t, "GET", "/notifications", nil); status != http.StatusOK || !strings.Contains(body, `id="bell"`) {
		t.Errorf("the bell's page: %d", status)
	}
	if status, h, _ := v.ask(t, "POST", "/notifications/read", nil); status != http.StatusSeeOther || h.Get("Location") != "/notifications" {
		t.Errorf("all read: %d", status)
	}
}
