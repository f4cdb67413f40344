package replay_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/guardrail/guardrailtest"
	"fairlead/internal/principal"
	"fairlead/internal/replay"
	"fairlead/internal/sqldb"
)

// ended waits for a backtest's end, told by its topic.
func (w *world) ended(id string) replay.Backtest {
	w.t.Helper()
	wake, stop := w.db.Subscribe(replay.Topic(id))
	defer stop()
	for deadline := time.After(20 * time.Second); ; {
		j, err := w.svc.Get(as(ada), id)
		if err != nil {
			w.t.Fatal(err)
		}
		if j.Status != replay.Running {
			return j
		}
		poll := time.NewTimer(200 * time.Millisecond)
		select {
		case <-wake:
		case <-poll.C:
		case <-deadline:
			w.t.Fatal("it does not end")
		}
		poll.Stop()
	}
}

// A backtest goes on without who started it, and is theirs alone.
func TestABacktestIsStartedAndLookedAtLater(t *testing.T) {
	each(t, func(w *world) {
		serving, stop := context.WithCancel(context.Background())
		stopped := make(chan struct{})
		go func() { w.svc.Serve(serving); close(stopped) }()
		defer func() { stop(); <-stopped }()
		for _, v := range []string{"1.0.0", "2.0.0"} {
			if _, err := w.rails.Push(as(ada), guardrailtest.Sizes(v).Tar(t), "", ""); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 70 {
			w.ask(facts(fmt.Sprintf("big%02d", i), 20), false)
		}
		w.stand.list = []gate.Facts{facts("stands", 50)}
		w.stand.list[0].ResourceID = "res_stands"
		var j replay.Backtest
		for { // until it serves
			var err error
			if j, err = w.svc.Start(as(ada), "sizes", "1.0.0", 30); err == nil {
				break
			} else if !fault.Is(err, fault.Unavailable) {
				t.Fatal(err)
			}
		}
		if j = w.ended(j.ID); j.Status != replay.Done || j.Summary.Changed != 71 || j.Progress.Changes != 71 || j.FinishedAt.IsZero() {
			t.Fatalf("%+v", j)
		}
		n := 0
		for after := ""; ; {
			list, next, err := w.svc.Changes(as(ada), j.ID, replay.Filter{Kind: replay.Request, Now: "denied"}, sqldb.Page{Limit: 30, After: after})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range list {
				if n++; c.Was != "allowed" || len(c.Verdicts) != 1 || c.Verdicts[0].Remedy == "" {
					t.Errorf("%+v", c)
				}
			}
			if after = next; next == "" {
				break
			}
		}
		if n != 70 {
			t.Errorf("%d requests are shown", n)
		}
		if list, _, err := w.svc.Changes(as(ada), j.ID, replay.Filter{Now: "approval"}, sqldb.Page{}); err != nil || len(list) != 0 {
			t.Errorf("%v %v", list, err)
		}
		bert := as(principal.Principal{Kind: principal.User, ID: "usr_bert", Name: "bert"})
		if _, err := w.svc.Get(bert, j.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("somebody else's: %v", err)
		}
		if _, err := w.svc.Cancel(bert, j.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("somebody else's: %v", err)
		}
		if again, err := w.svc.Cancel(as(ada), j.ID); err != nil || again.Status != replay.Done {
			t.Errorf("one that has ended: %+v %v", again, err)
		}
		for range 25 { // of one person so many are kept
			j, err := w.svc.Start(as(ada), "sizes", "1.0.0", 1)
			if err != nil {
				t.Fatal(err)
			}
			w.ended(j.ID)
		}
		if list, _, err := w.svc.List(as(ada), "sizes", sqldb.Page{Limit: 100}); err != nil || len(list) != 20 {
			t.Errorf("%d are kept, %v", len(list), err)
		}
		for _, days := range []int64{0, -1, 91} {
			if _, err := w.svc.Start(as(ada), "sizes", "", days); !fault.Is(err, fault.Invalid) {
				t.Errorf("%d days: %v", days, err)
			}
		}
	})
}

// One that is asked to end does, and so does one whose server stops.
func TestABacktestEnds(t *testing.T) {
	each(t, func(w *world) {
		serving, stop := context.WithCancel(context.Background())
		stopped := make(chan struct{})
		go func() { w.svc.Serve(serving); close(stopped) }()
		if _, err := w.rails.Push(as(ada), guardrailtest.Sizes("1.0.0").Tar(t), "", ""); err != nil {
			t.Fatal(err)
		}
		begin := func() replay.Backtest {
			t.Helper()
			for {
				j, err := w.svc.Start(as(ada), "sizes", "", 30)
				if err == nil {
					return j
				} else if !fault.Is(err, fault.Unavailable) {
					t.Fatal(err)
				}
			}
		}
		w.stand.endless = make(chan struct{})
		j := begin()
		if got, err := w.svc.Cancel(as(ada), j.ID); err != nil || !got.Stopping {
			t.Errorf("%+v %v", got, err)
		}
		if j = w.ended(j.ID); j.Status != replay.Canceled {
			t.Errorf("%+v", j)
		}
		j = begin()
		stop()
		<-stopped
		if j = w.ended(j.ID); j.Status != replay.Failed || j.Failure == "" {
			t.Errorf("%+v", j)
		}
		if _, err := w.svc.Start(as(ada), "sizes", "", 30); !fault.Is(err, fault.Unavailable) {
			t.Errorf("on a server that stops: %v", err)
		}
	})
}
