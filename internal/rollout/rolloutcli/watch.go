package rolloutcli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
	"fairlead/internal/fault"
)

func (k kit) watch() *cobra.Command {
	return &cobra.Command{
		Use: "watch ROLLOUT", Short: "Follow a rollout until it is over or needs somebody", Args: clikit.Args(1, 1),
		Long: "Follow a rollout, a line for each step. It ends when the rollout is over, or has halted or been paused; the exit code says whether it succeeded.",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			r, _, err := k.get(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			return k.toItsEnd(cmd.Context(), s, r)
		},
	}
}

// toItsEnd follows a rollout until nothing happens by itself any more, and
// prints it.
func (k kit) toItsEnd(ctx context.Context, s *clikit.Session, r row) error {
	r, err := k.follow(ctx, s, r, func(r row) bool { return r.Over || r.State == "halted" || r.State == "paused" || r.State == "planned" })
	if err != nil {
		return err
	}
	if err := k.write(ctx, s, r); err != nil {
		return err
	}
	if r.State == "succeeded" {
		return nil
	}
	hint := clikit.Or(r.Hint)
	if hint == "" {
		hint = "see: fairlead rollout report " + r.ID
	}
	return clikit.Failure("rollout_"+string(r.State), "the rollout is %s: %s", string(r.State), clikit.Clean(clikit.Or(r.Message))).WithHint("%s", hint)
}

// longPoll is how long the server may hold an answer back, in seconds.
const longPoll = 20

// follow waits until a rollout is as ok wants it, and shows each step.
func (k kit) follow(ctx context.Context, s *clikit.Session, r row, ok func(row) bool) (row, error) {
	p := k.Progress(r.Template + " to " + r.To)
	said := ""
	for {
		p.Phase(string(r.State))
		if line := progress(r); line != "" && line != said {
			p.Log("info", line)
			said = line
		}
		if ok(r) {
			p.End(true, "%s is %s", r.ID, r.State)
			return r, nil
		}
		wait, known := int64(longPoll), r.Version
		next, err := clikit.Read[row](s.GetRollout(ctx, r.ID, &apiclient.GetRolloutParams{Wait: &wait, Known: &known}))
		switch {
		case ctx.Err() != nil:
			p.End(false, "")
			return r, clikit.Interrupted("stopped waiting; the rollout goes on by itself").WithHint("follow it: fairlead rollout watch %s", r.ID)
		case err != nil && passing(err): // the server restarts, or a replica went away
			p.Log("warn", clikit.Fault(err).Message+"; trying again")
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		case err != nil:
			p.End(false, "")
			return r, err
		}
		r = next
	}
}

// passing tells whether waiting on makes sense.
func passing(err error) bool {
	f := clikit.Fault(err)
	return f.Kind == fault.Unavailable || f.Kind == fault.Limited
}

// progress is how far a rollout is, in a line.
func progress(r row) string {
	for _, w := range r.Waves {
		if w.State == "running" || w.State == "baking" {
			line := fmt.Sprintf("wave %d of %d, %s: %s", w.Number, len(r.Waves), w.Name, counted(w.Members))
			if why := clikit.Or(r.Message); why != "" {
				line += "; " + why
			}
			return line
		}
	}
	return counted(r.Members)
}
