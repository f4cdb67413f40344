package resourcecli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
	"fairlead/internal/fault"
)

// follow waits until a resource is settled, and shows its runs' logs live
// meanwhile. It gives the resource as it is then; the error says why it is not
// what was wanted. limit 0 is no limit.
func (k kit) follow(ctx context.Context, s *clikit.Session, r apiclient.Resource, limit time.Duration) (apiclient.Resource, error) {
	wait := ctx
	if limit > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	p := k.Progress(r.Name)
	p.Phase(string(r.Phase))
	f := follower{s: s, p: p, seen: map[string]int64{}}
	last, err := f.settle(wait, r)
	if err != nil && wait.Err() != nil {
		p.End(false, "")
		if ctx.Err() != nil {
			return last, clikit.Interrupted("stopped waiting for %s; it goes on by itself", clikit.Clean(r.Name)).WithHint("follow it: %s", logsOf(r))
		}
		return k.outOfTime(ctx, s, last, limit)
	}
	if err != nil {
		p.End(false, "")
		return last, err
	}
	err = verdict(last)
	p.End(err == nil, "%s is %s", last.Name, last.Phase)
	return last, err
}

// outOfTime tells how a resource is that was waited for too long.
func (k kit) outOfTime(ctx context.Context, s *clikit.Session, last apiclient.Resource, limit time.Duration) (apiclient.Resource, error) {
	// What is known is from before the run whose log was watched.
	look, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if now, err := clikit.Read[apiclient.Resource](s.GetResourceByID(look, last.ID, &apiclient.GetResourceByIDParams{})); err == nil {
		last = now
	}
	state, wanted := string(last.Phase), "ready"
	switch state {
	case "destroying":
		wanted = "gone"
	case "releasing":
		wanted = "let go of"
	}
	if why := clikit.Or(last.Message); why != "" {
		state += ": " + clikit.Clean(why)
	}
	return last, fault.New(fault.Unavailable, "wait_timeout", "%s is not %s after %s: it is %s", clikit.Clean(last.Name), wanted, clikit.Short(limit), state).
		WithHint("it goes on by itself: %s", logsOf(last))
}

// logsOf is the command that follows what is done about a resource, wherever
// it is typed.
func logsOf(r apiclient.Resource) string {
	return "fairlead logs -f " + clikit.Clean(r.Name) + " -e " + clikit.Clean(r.Project) + "/" + clikit.Clean(r.Environment)
}

// verdict is nil when a settled resource is as it was wanted.
func verdict(r apiclient.Resource) error {
	switch r.Phase {
	case "ready", "destroyed", "released":
		return nil
	}
	why := clikit.Or(r.Message)
	if why == "" {
		why = "no reason is known"
	}
	hint := clikit.Or(r.Hint)
	if hint == "" {
		hint = "see: fairlead describe " + clikit.Clean(r.Name) + " -e " + clikit.Clean(r.Project) + "/" + clikit.Clean(r.Environment)
	}
	return clikit.Failure(clikit.Or(r.Reason), "%s is %s: %s", clikit.Clean(r.Name), r.Phase, clikit.Clean(why)).WithHint("%s", hint)
}

type follower struct {
	s    *clikit.Session
	p    *clikit.Progress
	seen map[string]int64 // last line shown, by run
}

// longPoll is how long the server may hold an answer back, in seconds.
const longPoll = 25

func (f *follower) settle(ctx context.Context, r apiclient.Resource) (apiclient.Resource, error) {
	for {
		if r.Settled {
			return r, nil
		}
		if run := clikit.Or(r.RunID); run != "" && f.p.Shown() {
			if err := f.lines(ctx, run); err != nil && !passing(err) {
				return r, err
			}
		}
		wait, until := int64(longPoll), apiclient.GetResourceByIDParamsUntilChanged
		if !f.p.Shown() { // what changes on the way is of no use
			until = apiclient.GetResourceByIDParamsUntilSettled
		}
		next, err := clikit.Read[apiclient.Resource](f.s.GetResourceByID(ctx, r.ID, &apiclient.GetResourceByIDParams{Wait: &wait, Known: &r.Version, Until: &until}))
		switch {
		case ctx.Err() != nil:
			return r, ctx.Err()
		case err != nil && passing(err): // the server restarts, or a replica went away: the wait outlives that
			f.p.Log("warn", clikit.Fault(err).Message+"; trying again")
			if err := pause(ctx, time.Second); err != nil {
				return r, err
			}
			continue
		case err != nil:
			return r, err
		}
		r = next
		if !r.Settled {
			f.p.Phase(string(r.Phase))
		}
	}
}

// lines shows a run's log until the run is over.
func (f *follower) lines(ctx context.Context, run string) error {
	last := ""
	if n := f.seen[run]; n > 0 {
		last = fmt.Sprint(n)
	}
	return f.s.Events(ctx, "/api/v1/runs/"+run+"/log", last, func(e apiclient.Event) error {
		if e.Name != "line" {
			return nil
		}
		var line apiclient.RunLine
		if err := json.Unmarshal(e.Data, &line); err != nil {
			return nil //nolint:nilerr // a line that cannot be read is not worth the wait
		}
		f.seen[run] = line.Seq
		f.p.Phase(line.Phase)
		f.p.Log(string(line.Level), line.Message)
		return nil
	})
}

// passing tells a trouble that goes away from one that does not.
func passing(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	k := clikit.Fault(err).Kind
	return k == fault.Unavailable || k == fault.Limited
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isRun tells a run's id from a resource's name: no name has an underscore.
func isRun(s string) bool { return strings.HasPrefix(s, "run_") }
