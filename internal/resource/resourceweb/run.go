package resourceweb

import (
	"bufio"
	"net/http"
	"strconv"

	"github.com/a-h/templ"

	"fairlead/internal/resource"
	"fairlead/internal/webui"
)

// shownLines is how much of a log a page has at a time; the script asks for
// what is before and behind it, the file has all of it.
const shownLines = 300

type runView struct {
	resource.Run
	of  resource.Resource
	log webui.LogView
}

func (w *web) run(r *webui.Request) (webui.View, error) {
	ctx := r.Context()
	run, err := w.Resources.Run(ctx, r.Path("run"))
	if err != nil {
		return webui.View{}, err
	}
	res, err := w.Resources.ByID(ctx, run.ResourceID)
	if err != nil {
		return webui.View{}, err
	}
	ask := askOf(r)
	slice, err := w.Resources.RunLines(ctx, run.ID, ask)
	if err != nil {
		return webui.View{}, err
	}
	title := "Run " + strconv.FormatInt(run.Number, 10)
	return webui.View{Title: title + " of " + res.Name, Project: res.Project, Env: res.Environment, Stamp: runStamp(run, res),
		Crumbs: crumbs(res, webui.Crumb{Title: "Runs", Href: href(res, "runs")}, webui.Crumb{Title: title}),
		Body:   runPage(runView{run, res, logView(r, run.ID, ask, slice)}), API: "GET /api/v1/runs/" + run.ID, CLI: "fairlead logs " + run.ID}, nil
}

func linesOf(lines []resource.LogLine) []webui.Line {
	out := make([]webui.Line, len(lines))
	for i, l := range lines {
		out[i] = webui.Line{Seq: l.Seq, At: l.At, Phase: l.Phase, Level: l.Level, Text: l.Message}
	}
	return out
}

func runStamp(run resource.Run, res resource.Resource) string {
	return run.ID + run.Phase + string(run.Status) + strconv.FormatInt(run.Attempts, 10) + stamp(res)
}

func (w *web) runLive(r *webui.Request) (string, []string, error) {
	ctx := r.Context()
	run, err := w.Resources.Run(ctx, r.Path("run"))
	if err != nil {
		return "", nil, err
	}
	res, err := w.Resources.ByID(ctx, run.ResourceID)
	if err != nil {
		return "", nil, err
	}
	last, err := w.Resources.LastLine(ctx, run.ID)
	return runStamp(run, res) + strconv.FormatInt(last, 10), []string{resource.Topic(res.ID)}, err
}

// askOf reads which piece of a log is asked for: the end, if nothing is said.
func askOf(r *webui.Request) resource.LogAsk {
	number := func(name string) int64 {
		n, err := strconv.ParseInt(r.Query(name), 10, 64)
		if err != nil || n < 0 {
			return 0
		}
		return n
	}
	ask := resource.LogAsk{After: number("after"), Before: number("before"), Search: r.Query("q"), Limit: shownLines}
	ask.Tail = ask.Search == "" && ask.Before == 0 && r.Query("after") == ""
	return ask
}

func logView(r *webui.Request, run string, ask resource.LogAsk, s resource.LogSlice) webui.LogView {
	v := webui.LogView{Src: "/runs/" + run + "/log", Page: "/runs/" + run, Download: "/runs/" + run + "/log.txt", Search: ask.Search, Lines: linesOf(s.Lines), Last: s.Last,
		Note: "Lines longer than " + webui.Number(resource.LogLineMost) + " bytes are cut. Where lines came faster than they could be kept, the log says how many."}
	if ask.Search != "" && s.Reached < s.Last {
		v.More = s.Reached
	}
	return v
}

// runLog is a piece of a log.
func (w *web) runLog(r *webui.Request) (templ.Component, error) {
	ask := askOf(r)
	slice, err := w.Resources.RunLines(r.Context(), r.Path("run"), ask)
	return webui.LogLines(logView(r, r.Path("run"), ask, slice)), err
}

// logFile gives a whole log as text, a piece at a time.
type logFile struct{ *web }

func (f logFile) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	id := r.PathValue("run")
	run, err := f.Resources.Run(r.Context(), id)
	if err != nil {
		f.p.Fail(rw, r, err)
		return
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	rw.Header().Set("Content-Disposition", `attachment; filename="`+run.ID+`.log"`)
	out := bufio.NewWriter(rw)
	defer func() { _ = out.Flush() }()
	for after := int64(0); ; {
		s, err := f.Resources.RunLines(r.Context(), id, resource.LogAsk{After: after})
		if err != nil {
			_, _ = out.WriteString("--- the rest of the log could not be read: get it again\n")
			return
		}
		if len(s.Lines) == 0 {
			return
		}
		for _, l := range s.Lines {
			if _, err := out.WriteString(l.At.UTC().Format("2006-01-02T15:04:05.000Z") + " " + l.Level + " " + l.Phase + " " + l.Message + "\n"); err != nil {
				return // nobody reads it any more
			}
			after = l.Seq
		}
	}
}

func (w *web) cancel(r *webui.Request) (webui.Answer, error) {
	run, err := w.Resources.Cancel(r.Context(), r.Path("run"))
	return webui.Answer{To: "/runs/" + run.ID, Flash: "It stops at the next safe point."}, err
}
