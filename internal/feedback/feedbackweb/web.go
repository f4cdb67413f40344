package feedbackweb

import (
	"net/http"

	"fairlead/internal/fault"
	"fairlead/internal/feedback"
	"fairlead/internal/httpx"
	"fairlead/internal/webui"
)

type web struct{ svc *feedback.Service }

// Path is where answers go, and where they are read.
const Path = "/feedback"

// Mount adds the pages.
func Mount(p *webui.Portal, svc *feedback.Service) {
	w := &web{svc}
	p.Page("GET "+Path, w.list)
	p.Action("POST "+Path, w.give)
}

// answer is what somebody said, on its way.
type answer struct {
	page, back string
	helpful    bool
	words      string
	err        error
	done       bool // with words: there is nothing more to ask
}

// give takes a yes or a no, and then the words that go with it. With scripts
// the foot of the page goes on; without them it is a page of its own.
func (w *web) give(r *webui.Request) (webui.Answer, error) {
	a := answer{page: r.Field("page"), back: webui.Local(r.Field("back")), helpful: r.Field("helpful") == "yes", words: r.Field("words")}
	if h := r.Field("helpful"); h != "yes" && h != "no" {
		a.err = fault.New(fault.Invalid, "invalid_form", "the form says neither yes nor no").WithHint("use one of its buttons")
	} else {
		_, a.err = w.svc.Give(r.Context(), feedback.Opinion{Page: a.page, Helpful: a.helpful, Words: a.words})
	}
	switch fault.KindOf(a.err) {
	case fault.Internal, fault.Unauthenticated, fault.Unavailable:
		if a.err != nil {
			return webui.Answer{}, a.err
		}
	}
	a.done = a.err == nil && a.words != ""
	switch {
	case r.Partial():
		return webui.Answer{Part: foot(a)}, nil
	case a.done:
		return webui.Answer{To: a.back, Flash: "Thank you. The platform team reads it."}, nil
	}
	v := webui.View{Title: "Thank you", Body: thanksPage(a), Status: http.StatusOK}
	if a.err != nil {
		v.Title, v.Status = "Feedback", httpx.Status(fault.KindOf(a.err))
	}
	return webui.Answer{View: &v}, nil
}

type view struct {
	shelf string
	sums  []feedback.Sum
	said  []feedback.Said
	next  string
	page  string
}

func (v view) tabs() []webui.Tab {
	return []webui.Tab{{Title: "By page", Href: Path, Current: v.shelf == ""}, {Title: "What was said", Href: Path + "?show=said", Current: v.shelf == "said"}}
}

func (w *web) list(r *webui.Request) (webui.View, error) {
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	v := view{shelf: r.Query("show"), page: r.Query("page")}
	out := webui.View{Title: "Feedback", API: "GET /api/v1/feedback/pages", CLI: "fairlead feedback pages", Docs: "/docs/portal"}
	if v.shelf == "said" {
		f := feedback.Filter{Page: v.page, Words: r.Query("words") == "only"}
		if h := r.Query("helpful"); h != "" {
			yes := h == "yes"
			f.Helpful = &yes
		}
		v.said, v.next, err = w.svc.List(r.Context(), f, page)
		out.API, out.CLI = "GET /api/v1/feedback", "fairlead feedback ls"
	} else {
		v.shelf = ""
		v.sums, v.next, err = w.svc.Sums(r.Context(), feedback.Filter{Sort: r.Query("sort")}, page)
	}
	out.Body = listPage(r, v)
	return out, err
}

// share is how many of those who said something were helped.
func share(s feedback.Sum) float64 {
	if n := s.Helpful + s.Not; n > 0 {
		return float64(s.Helpful) / float64(n)
	}
	return 0
}

func tone(s feedback.Sum) webui.Tone {
	switch sh := share(s); {
	case sh < 0.5:
		return webui.Bad
	case sh < 0.8:
		return webui.Warn
	}
	return webui.OK
}
