package resourceweb

import (
	"bufio"
	"net/http"
	"strconv"

	"github.com/a-h/templ"

	"fairlead/internal/resource"
	"fairlead/internal/webui"
)

// shownLines is how much of a log a page has when it is opened; the script
// asks for what follows, the file has all of it.
const shownLines = 300

type runView struct {
	resource.Run
	of    resource.Resource
	lines []webui.Line
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
	lines, _, err := w.Resources.Lines(ctx, run.ID, 0, shownLines)
	if err != nil {
		return webui.View{}, err
	}
	title := "Run " + strconv.FormatInt(run.Number, 10)
	return webui.View{Title: title + " of " + res.Name, Project: res.Project, Env: res.Environment, Stamp: runStamp(run, res),
		Crumbs: crumbs(res, webui.Crumb{Title: "Runs", Href: href(res, "runs")}, webui.Crumb{Title: title}),
		Body:   runPage(runView{run, res, linesOf(lines)}), API: "GET /api/v1/runs/" + run.ID, CLI: "fairlead logs " + run.ID}, nil
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

// runLog is the lines of a log after one that the page has.
func (w *web) runLog(r *webui.Request) (templ.Component, error) {
	after, err := strconv.ParseInt(r.Query("after"), 10, 64)
	if err != nil || after < 0 {
		after = 0
	}
	lines, _, err := w.Resources.Lines(r.Context(), r.Path("run"), after, shownLines)
	return webui.LogLines(linesOf(lines)), err
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
		lines, _, err := f.Resources.Lines(r.Context(), id, after, 1000)
		if err != nil || len(lines) == 0 {
			return
		}
		for _, l := range lines {
			_, _ = out.WriteString(l.At.UTC().Format("2006-01-02T15:04:05.000Z") + " " + l.Level + " " + l.Phase + " " + l.Message + "\n")
			after = l.Seq
		}
	}
}

func (w *web) cancel(r *webui.Request) (webui.Answer, error) {
	run, err := w.Resources.Cancel(r.Context(), r.Path("run"))
	return webui.Answer{To: "/runs/" + run.ID, Flash: "It stops at the next safe point."}, err
}
