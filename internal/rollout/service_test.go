package rollout_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"fairlead/internal/audit/audittest"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/rollout"
	"fairlead/internal/rollout/rollouttest"
)

func code(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Code
	}
	return ""
}

func second[A any](_ A, err error) error { return err }

// same tells whether each member is as wanted, and shows how they are.
func same(w *rollouttest.World, id string, want map[string]string) {
	w.T.Helper()
	if got := w.Picture(id); !maps.Equal(got, want) {
		w.T.Errorf("members are %v, wanted %v", got, want)
	}
}

func TestARolloutGoesWaveByWave(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		fleet := append(w.Fleet("prod", "c"), w.Fleet("dev", "a", "b")...)
		r := w.Until(w.Create(rollout.Settings{}, false).ID, rollout.Planned)
		if len(r.Groups) != 1 || r.Groups[0].Counts[rollout.Pending] != 3 || r.Groups[0].Severity != rollout.None || len(r.Waves) != 2 {
			w.T.Errorf("planned: %+v %+v", r.Groups, r.Waves)
		}
		for _, f := range fleet {
			if is := w.Is(f.ID); is.Revision != 1 {
				w.T.Errorf("%s was changed before it was started: %d", is.Name, is.Revision)
			}
		}
		_, err := w.Rollouts.Start(w.Ctx, r.ID, r.Version)
		w.Must(err)
		r = w.Until(r.ID, rollout.Succeeded)
		same(w, r.ID, map[string]string{"a": "done", "b": "done", "c": "done"})
		if r.Waves[0].Name != "development" || r.Waves[1].Name != "production" || r.Waves[1].StartedAt.Before(r.Waves[0].FinishedAt) {
			w.T.Errorf("waves: %+v", r.Waves)
		}
		for _, f := range fleet {
			if is := w.Is(f.ID); is.TemplateVersion != "1.1.0" || is.Revision != 2 || is.Phase != resource.Ready {
				w.T.Errorf("%s is %s at %d, %s", is.Name, is.TemplateVersion, is.Revision, is.Phase)
			}
		}
		for kind, n := range map[string]int{"rollout.planned": 1, "rollout.started": 1, "rollout.finished": 1, "rollout.halted": 0} {
			if got := w.Events(kind, r.ID); got != n {
				w.T.Errorf("%d events %s", got, kind)
			}
		}
		var actions []string
		for _, rec := range audittest.Records(w.T, w.Audit, "") {
			if rec.TargetID == r.ID {
				actions = append(actions, rec.Action)
			}
		}
		if !slices.Equal(actions, []string{"rollout:create", "rollout:start", "rollout:finish"}) {
			w.T.Errorf("records: %v", actions)
		}
		for what, c := range map[string]struct {
			err  error
			code string
		}{
			"nothing is left":   {second(w.Rollouts.Create(w.Ctx, rollout.Wanted{Template: "store", To: "1.1.0"})), "nothing_to_upgrade"},
			"started twice":     {second(w.Rollouts.Start(w.Ctx, r.ID, 0)), "rollout_state"},
			"paused when over":  {second(w.Rollouts.Pause(w.Ctx, r.ID, 0)), "rollout_state"},
			"nothing to retry":  {second(w.Rollouts.Retry(w.Ctx, r.ID, 0)), "nothing_to_retry"},
			"a stale version":   {second(w.Rollouts.Rollback(w.Ctx, r.ID, "all", 1)), "stale_version"},
			"a stranger":        {second(w.Rollouts.Get(principal.With(w.Ctx, resourcetest.Stranger), r.ID)), "not_found"},
			"a stranger steers": {second(w.Rollouts.Rollback(principal.With(w.Ctx, resourcetest.Stranger), r.ID, "all", 0)), "not_found"},
		} {
			if code(c.err) != c.code {
				w.T.Errorf("%s: %v", what, c.err)
			}
		}
		_, err = w.Rollouts.Rollback(w.Ctx, r.ID, rollout.RevertAll, 0) // also of one that had succeeded
		w.Must(err)
		w.Until(r.ID, rollout.Reverted)
		same(w, r.ID, map[string]string{"a": "reverted", "b": "reverted", "c": "reverted"})
		for _, f := range fleet {
			if is := w.Is(f.ID); is.TemplateVersion != "1.0.0" || is.Revision != 3 {
				w.T.Errorf("%s is %s at %d", is.Name, is.TemplateVersion, is.Revision)
			}
		}
	})
}

func TestWhatFailsHaltsAndIsTakenBack(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings rollout.Settings
		state    rollout.State
		members  map[string]string
	}{
		{"none", rollout.Settings{Rollback: "none"}, rollout.Halted, map[string]string{"a": "done", "b": "done", "c": "failed broke", "d": "pending"}},
		{"wave", rollout.Settings{Rollback: "wave"}, rollout.Reverted, map[string]string{"a": "done", "b": "reverted", "c": "reverted broke", "d": "pending"}},
		{"all", rollout.Settings{Rollback: "all"}, rollout.Reverted, map[string]string{"a": "reverted", "b": "reverted", "c": "reverted broke", "d": "pending"}},
		{"one may", rollout.Settings{MaxFailures: 1}, rollout.Succeeded, map[string]string{"a": "done", "b": "done", "c": "failed broke", "d": "done"}},
		{"a share may", rollout.Settings{MaxFailures: 25, Percent: true}, rollout.Succeeded, map[string]string{"a": "done", "b": "done", "c": "failed broke", "d": "done"}},
		{"a smaller share may", rollout.Settings{MaxFailures: 24, Percent: true, Rollback: "none"}, rollout.Halted, map[string]string{"a": "done", "b": "done", "c": "failed broke", "d": "pending"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.settings.Parallel, c.settings.Waves = 1, "25%,75%,100%"
			rollouttest.Each(t, func(w *rollouttest.World) {
				w.Go()
				w.Fleet("dev", "a", "b", "c", "d")
				w.Engine.Next("apply", nil, nil, resourcetest.Fails(fault.Invalid, "broke"))
				r := w.Until(w.Create(c.settings, true).ID, c.state)
				w.UntilMember(r.ID, rollout.Upgraded, 0) // what is on its way goes on when it halts
				same(w, r.ID, c.members)
				if halted := w.Events("rollout.halted", r.ID); (halted == 1) != (c.settings.MaxFailures == 0 || c.settings.MaxFailures == 24) {
					w.T.Errorf("%d events of a halt", halted)
				}
				for name, m := range w.Members(r.ID) {
					is := w.Is(m.ResourceID)
					want := map[rollout.MemberState]string{rollout.Done: "1.1.0", rollout.Failed: "1.1.0"}[m.State]
					if want == "" {
						want = "1.0.0"
					}
					if is.TemplateVersion != want {
						w.T.Errorf("%s is %s, and its resource %s", name, m.State, is.TemplateVersion)
					}
				}
			})
		})
	}
}

// What has failed is tried again as it is, and what is resumed leaves it.
func TestRetryAndResumeAfterAHalt(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		w.Fleet("dev", "a", "b", "c")
		w.Engine.Next("apply", nil, resourcetest.Fails(fault.Invalid, "broke"))
		r := w.Until(w.Create(rollout.Settings{Rollback: "none", Parallel: 1, Waves: "100%"}, true).ID, rollout.Halted)
		_, err := w.Rollouts.Resume(w.Ctx, r.ID, 0)
		w.Must(err)
		w.Until(r.ID, rollout.Succeeded)
		same(w, r.ID, map[string]string{"a": "done", "b": "aside broke", "c": "done"})
		_, err = w.Rollouts.Retry(w.Ctx, r.ID, 0)
		w.Must(err)
		w.When(r.ID, "done with all", func(r rollout.Rollout) bool { return r.State == rollout.Succeeded && r.Counts[rollout.Done] == 3 })
		if b := w.Is(w.Members(r.ID)["b"].ResourceID); b.Revision != 2 || b.TemplateVersion != "1.1.0" {
			w.T.Errorf("b is %s at %d", b.TemplateVersion, b.Revision)
		}
		_, err = w.Rollouts.Rollback(w.Ctx, r.ID, rollout.RevertAll, 0)
		w.Must(err)
		w.Until(r.ID, rollout.Reverted)
		same(w, r.ID, map[string]string{"a": "reverted", "b": "reverted", "c": "reverted"})
	})
}

// What is on its way goes on when a rollout is paused or canceled, and nothing
// else does.
func TestPauseResumeAndCancel(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		fleet := w.Fleet("dev", "a", "b", "c")
		first, next := resourcetest.NewGate(), resourcetest.NewGate()
		w.T.Cleanup(first.Open)
		w.T.Cleanup(next.Open)
		w.Engine.Next("apply", first.Step, next.Step)
		r := w.Create(rollout.Settings{Parallel: 1}, true)
		w.Entered(first)
		_, err := w.Rollouts.Pause(w.Ctx, r.ID, 0)
		w.Must(err)
		first.Open()
		w.UntilMember(r.ID, rollout.Done, 1)
		same(w, r.ID, map[string]string{"a": "done", "b": "pending", "c": "pending"})
		_, err = w.Rollouts.Resume(w.Ctx, r.ID, 0)
		w.Must(err)
		w.Entered(next)
		_, err = w.Rollouts.Cancel(w.Ctx, r.ID, 0)
		w.Must(err)
		next.Open()
		w.UntilMember(r.ID, rollout.Done, 2)
		same(w, r.ID, map[string]string{"a": "done", "b": "done", "c": "pending"})
		if is := w.Is(fleet[2].ID); is.Revision != 1 {
			w.T.Errorf("c is at %d", is.Revision)
		}
		again := w.Until(w.Create(rollout.Settings{}, true).ID, rollout.Succeeded) // nobody has a claim any more
		same(w, again.ID, map[string]string{"c": "done"})
	})
}

func TestPinsAndExemptionsRunOut(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		w.Go()
		fleet := w.Fleet("dev", "a", "b", "c")
		now, err := w.DB.Now(w.T.Context())
		w.Must(err)
		pin, err := w.Rollouts.Pin(w.Ctx, resourcetest.Where("a"), "the release", now.Add(time.Hour))
		w.Must(err)
		r := w.Until(w.Create(rollout.Settings{}, false).ID, rollout.Planned)
		_, err = w.Rollouts.Exempt(w.Ctx, resourcetest.Where("b"), r.ID, "a migration", now.Add(2*time.Hour))
		w.Must(err)
		_, err = w.Rollouts.Start(w.Ctx, r.ID, 0)
		w.Must(err)
		w.Until(r.ID, rollout.Succeeded)
		same(w, r.ID, map[string]string{"a": "excluded pinned", "b": "aside exempted", "c": "done"})
		if _, err := w.Rollouts.Upgrade(w.Ctx, resourcetest.Where("a"), "1.1.0", nil, "", 0); code(err) != "pinned" {
			w.T.Errorf("upgraded what is pinned: %v", err)
		}
		w.Must(w.Rollouts.ExpirePins(w.T.Context()))
		if n := w.Events("pin.expired", fleet[0].ID); n != 0 {
			w.T.Errorf("%d expired before their time", n)
		}
		for i, at := range []time.Duration{90 * time.Minute, 90 * time.Minute} {
			w.Later(at)
			for range 2 { // again finds nothing
				w.Must(w.Rollouts.ExpirePins(w.T.Context()))
			}
			for k := range 2 {
				want := 1
				if k > i {
					want = 0
				}
				if n := w.Events("pin.expired", fleet[k].ID); n != want {
					w.T.Errorf("%d: %d events of %s", i, n, fleet[k].Name)
				}
			}
		}
		if h, err := w.Rollouts.Standing(w.Ctx, resourcetest.Where("a")); err != nil || h.Pin != nil || h.Expired == nil || h.Expired.ID != pin.ID {
			w.T.Errorf("standing: %+v %v", h, err)
		}
		_, err = w.Rollouts.Retry(w.Ctx, r.ID, 0)
		w.Must(err)
		w.When(r.ID, "done with all", func(r rollout.Rollout) bool { return r.State == rollout.Succeeded && r.Counts[rollout.Done] == 3 })
	})
}

// A wave bakes before the next begins, and what turns sick meanwhile counts.
func TestAWaveBakes(t *testing.T) {
	for _, sick := range []bool{false, true} {
		t.Run(map[bool]string{false: "well", true: "sick"}[sick], func(t *testing.T) {
			rollouttest.Each(t, func(w *rollouttest.World) {
				w.Go()
				fleet := w.Fleet("dev", "a", "b")
				r := w.Create(rollout.Settings{Waves: "50%,100%", Bake: time.Hour}, true)
				baking := func(n int) func(rollout.Rollout) bool {
					return func(r rollout.Rollout) bool { return len(r.Waves) > n && r.Waves[n].State == "baking" }
				}
				w.When(r.ID, "one that bakes", baking(0))
				if is := w.Is(fleet[1].ID); is.Revision != 1 {
					w.T.Errorf("b is at %d already", is.Revision)
				}
				if sick {
					w.Engine.Next("apply", resourcetest.Fails(fault.Invalid, "broke"))
					_, err := w.Svc.Retry(w.Ctx, resourcetest.Where("a"))
					w.Must(err)
					w.Until(r.ID, rollout.Reverted)
					same(w, r.ID, map[string]string{"a": "reverted unhealthy", "b": "pending"})
					return
				}
				w.Later(61 * time.Minute)
				w.When(r.ID, "one whose second wave bakes", baking(1))
				w.Later(61 * time.Minute)
				w.Until(r.ID, rollout.Succeeded)
			})
		})
	}
}
