package resourcecli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func (k kit) logs() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "logs NAME|RUN", Short: "Print the log of a resource's newest run, or of a run",
		Example: "  fairlead logs -f orders\n  fairlead logs run_01jd2v8n5k3q7x9w4m6p8r0t2y",
		Args:    clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, run, err := k.runOf(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if follow {
				return k.followLog(cmd.Context(), s, run)
			}
			lines, err := readLog(cmd.Context(), s, run)
			if err != nil {
				return err
			}
			if k.Machine() || k.NamesOnly() {
				return clikit.PrintList(k.CLI, lines, func(l apiclient.RunLine) string { return l.Message }, "")
			}
			for _, l := range lines {
				if err := k.line(l); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run is over")
	return cmd
}

// runOf gives the run that an argument means: itself, or a resource's newest.
func (k kit) runOf(ctx context.Context, arg string) (*clikit.Session, string, error) {
	if isRun(arg) {
		s, err := k.Session()
		return s, arg, err
	}
	a, err := k.at()
	if err != nil {
		return nil, "", err
	}
	r, _, err := a.resource(ctx, arg)
	if err != nil {
		return nil, "", err
	}
	if clikit.Or(r.RunID) == "" {
		return nil, "", clikit.Usage("%s has had no run yet", clikit.Clean(arg))
	}
	return a.Session, *r.RunID, nil
}

func readLog(ctx context.Context, s *clikit.Session, run string) ([]apiclient.RunLine, error) {
	var all []apiclient.RunLine
	after, limit := int64(0), int64(1000)
	for {
		page, err := clikit.Read[apiclient.RunLines](s.ListRunLines(ctx, run, &apiclient.ListRunLinesParams{After: &after, Limit: &limit}))
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Over || int64(len(page.Items)) < limit {
			return all, nil
		}
		after = page.Items[len(page.Items)-1].Seq
	}
}

func (k kit) followLog(ctx context.Context, s *clikit.Session, run string) error {
	var ended apiclient.Run
	err := s.Events(ctx, "/api/v1/runs/"+run+"/log", "", func(e apiclient.Event) error {
		switch e.Name {
		case "line":
			var l apiclient.RunLine
			if err := json.Unmarshal(e.Data, &l); err != nil {
				return nil //nolint:nilerr // one line that cannot be read does not end the log
			}
			return k.line(l)
		case "run":
			return json.Unmarshal(e.Data, &ended)
		}
		return nil
	})
	if err != nil {
		if ctx.Err() != nil {
			return clikit.Interrupted("stopped following; the run goes on by itself")
		}
		return err
	}
	if ended.Status == "failed" {
		return clikit.Failure(clikit.Or(ended.ErrorCode), "the run failed: %s", clikit.Clean(clikit.Or(ended.ErrorMessage))).WithHint("%s", clikit.Or(ended.ErrorHint))
	}
	return nil
}

// line prints a line of a log; as one JSON object with -o json.
func (k kit) line(l apiclient.RunLine) error {
	if k.Machine() {
		b, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("output: %w", err)
		}
		_, err = fmt.Fprintf(k.Out(), "%s\n", b)
		return err
	}
	st := k.Style()
	message := clikit.Clean(l.Message)
	switch l.Level {
	case "warn":
		message = st.Yellow("warning: ") + message
	case "error":
		message = st.Red("error: ") + message
	}
	_, err := fmt.Fprintf(k.Out(), "%s  %-10s  %s\n", st.Dim(l.At.Local().Format(time.TimeOnly)), clikit.Clean(l.Phase), message)
	return err
}
