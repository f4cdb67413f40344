package guardrailcli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// tried is what a backtest found, as programs read it.
type tried struct {
	Summary apiclient.BacktestSummary  `json:"summary"`
	Changes []apiclient.BacktestChange `json:"changes"`
}

func backtestCommand(c *clikit.CLI) *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use: "backtest NAME[@VERSION]|DIR", Short: "Show what a bundle would have decided differently, before it is in force",
		Long: "Replay the decisions of the last days, and look at all that stands there, with a bundle in place of its version in force:\n" +
			"a stored one by name, or a folder that is not pushed. Nothing is changed. A word that names a folder with a / in it, or one that is there, is a folder.",
		Example: "  fairlead policy backtest baseline\n  fairlead policy backtest sizes@1.1.0 --since 90d\n  fairlead policy backtest ./policies/sizes -o json", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			p := &apiclient.BacktestGuardrailsParams{Since: clikit.Some(since)}
			var archive []byte
			if isFolder(args[0]) {
				if archive, err = pack(args[0]); err != nil {
					return err
				}
				p.Name = clikit.Some(named(args[0], ""))
			} else {
				name, version, _ := strings.Cut(args[0], "@")
				p.Name, p.Version = clikit.Some(name), clikit.Some(version)
			}
			show := c.Progress("backtest")
			r, err := follow(show, func() (*http.Response, error) {
				return s.BacktestGuardrailsWithBody(cmd.Context(), p, tarType, bytes.NewReader(archive))
			})
			if err != nil {
				show.End(false, "")
				return err
			}
			show.End(true, "")
			return clikit.PrintOne(c, r, r.Summary.Bundle, func(t *clikit.Text) { differs(t, r) })
		},
	}
	cmd.Flags().StringVar(&since, "since", "30d", "how far back, at most 90d")
	return cmd
}

func isFolder(s string) bool {
	st, err := os.Stat(s)
	return strings.ContainsRune(s, '/') || s == "." || err == nil && st.IsDir()
}

// follow reads the lines of a backtest to its end.
func follow(show *clikit.Progress, start func() (*http.Response, error)) (tried, error) {
	r := tried{Changes: []apiclient.BacktestChange{}}
	resp, err := start()
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	cut := &apiclient.Error{Code: "unreachable", Detail: "the backtest was cut off before its end", Hint: "try again"}
	for dec := json.NewDecoder(resp.Body); ; {
		var line apiclient.BacktestLine
		err := dec.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return r, cut
		case err != nil:
			return r, errors.Join(cut, err)
		case line.Progress != nil:
			show.Phase("replaying")
			show.Log("info", count(line.Progress.Decisions)+" of "+count(line.Progress.OfDecisions)+" decisions, "+count(line.Progress.Resources)+" resources, "+count(line.Progress.Changes)+" would change")
		case line.Change != nil:
			r.Changes = append(r.Changes, *line.Change)
		case line.Problem != nil:
			return r, &apiclient.Error{Status: int(line.Problem.Status), Code: line.Problem.Code, Detail: line.Problem.Detail, Hint: clikit.Or(line.Problem.Hint)}
		case line.Summary != nil:
			r.Summary = *line.Summary
			return r, nil
		}
	}
}

// differs shows what would be different.
func differs(t *clikit.Text, r tried) {
	s := r.Summary
	instead := "added to what is in force"
	if old := clikit.Or(s.Replaces); old != "" {
		instead = "instead of " + clikit.Clean(old)
	}
	t.Line("%s %s: %d decisions since %s and %d resources", t.Style.Bold(clikit.Clean(s.Bundle)), instead, s.Decisions, clikit.Moment(s.Since), s.Resources)
	if s.Changed == 0 {
		t.Line("nothing would be decided differently")
	}
	for _, kind := range slices.Sorted(maps.Keys(s.Kinds)) {
		t.Line("  %6d  %s", s.Kinds[kind], clikit.Clean(kind))
	}
	if s.Advised > 0 {
		t.Line("  %6d  with other advice alone", s.Advised)
	}
	if s.Broken > 0 {
		t.Line("  %s", t.Style.Red(strconv.FormatInt(s.Broken, 10)+" where a rule could not be evaluated, which denies"))
	}
	for _, c := range r.Changes {
		t.Line("")
		t.Line("%s %s → %s  %s", t.Style.Bold(clikit.Clean(c.Project+"/"+c.Environment+"/"+c.Resource)), c.Was, c.Now, t.Style.Dim(about(c)))
		for _, v := range c.Verdicts {
			t.Line("  + %s  %s: %s", v.Strength, clikit.Clean(v.Rule), clikit.Clean(v.Message))
		}
		for _, v := range c.Gone {
			t.Line("  - %s  %s: %s", v.Strength, clikit.Clean(v.Rule), clikit.Clean(v.Message))
		}
	}
	if s.Shown < s.Changed {
		t.Line("\nshown are the first %d of %d", s.Shown, s.Changed)
	}
}

func about(c apiclient.BacktestChange) string {
	if c.Kind == "resource" {
		return "it stands there, made by " + clikit.Clean(c.By)
	}
	out := string(c.Action) + " by " + clikit.Clean(c.By) + ", " + clikit.Age(c.At) + " ago"
	if id := clikit.Or(c.Decision); id != "" {
		out += ", " + clikit.Clean(id)
	}
	return out
}
