package resource_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func TestReplicasNeverWorkOnOneResourceAtOnce(t *testing.T) {
	t.Parallel()
	url := sqldbtest.PostgresURL(t)
	b := resourcetest.New(t, sqldbtest.Open(t, sqldb.Options{URL: url}))
	second := sqldbtest.Open(t, sqldb.Options{URL: url})
	b.Work()
	b.WorkOn(second, b.Service(second, accesstest.AllowAll{}).Reconcile, 0)
	var all []string
	for i := range 12 {
		all = append(all, b.Create(fmt.Sprintf("orders-%d", i), nil).ID)
	}
	var people sync.WaitGroup
	for person := range 3 {
		people.Go(func() {
			for i := range 20 {
				name := fmt.Sprintf("orders-%d", (i*7+person)%12)
				if _, err := b.Svc.Change(b.Ctx, where(name), resource.Change{Set: inputs{"size": i + 100*person}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	people.Wait()
	for _, id := range all {
		b.Until(id, "settled", func(r resource.Resource) bool { return r.Phase == resource.Ready && r.AppliedRevision == r.Revision })
	}
	if list := b.Engine.Overlaps(); len(list) > 0 {
		t.Errorf("overlaps: %v", list)
	}
	if n := len(b.Engine.World().Names()); n != 24 {
		t.Errorf("%d objects of 12 resources", n)
	}
}

// TestAWorkerThatSleptPastItsLeaseWritesNothing holds a worker in its engine
// while somebody else takes over, and lets it wake up then.
func TestAWorkerThatSleptPastItsLeaseWritesNothing(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		asleep := resourcetest.NewGate()
		b.Engine.Next("apply", asleep.Deaf)
		var slept atomic.Int64
		ended := make(chan error, 1)
		stop := b.WorkOn(b.DB, func(ctx context.Context, c *queue.Claim) error {
			first := slept.CompareAndSwap(0, c.Fence) // what it is given back it may claim anew
			err := b.Svc.Reconcile(ctx, c)
			if first {
				ended <- err
			}
			return err
		}, time.Hour)
		r := b.Create("orders", nil)
		b.Entered(asleep)
		if err := queue.Release(t.Context(), b.DB); err != nil { // the lease ran out
			t.Fatal(err)
		}
		b.Work()
		ready := b.UntilPhase(r.ID, resource.Ready)
		asleep.Open()
		if err := <-ended; !errors.Is(err, queue.ErrFenced) {
			t.Errorf("the sleeper's end: %v", err)
		}
		stop()
		after, err := b.Svc.ByID(b.Ctx, r.ID)
		if err != nil || after.Version != ready.Version || after.Phase != resource.Ready {
			t.Errorf("the sleeper wrote: %+v after %+v, %v", after, ready, err)
		}
		var fence int64
		if err := b.DB.Read().QueryRowContext(t.Context(), `SELECT fence FROM runs WHERE id = $1`, r.RunID).Scan(&fence); err != nil || fence <= slept.Load() {
			t.Errorf("the run carries fence %d, the sleeper had %d, %v", fence, slept.Load(), err)
		}
	})
}

func TestAStoppedWorkerIsFollowedAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		gate := resourcetest.NewGate()
		b.Engine.Next("apply", gate.Step)
		stop := b.Work()
		r := b.Create("orders", nil)
		b.Entered(gate)
		stop()
		b.Work()
		r = b.UntilPhase(r.ID, resource.Ready)
		if run := b.RunOf(r.RunID); run.Status != resource.RunSucceeded || run.Attempts != 2 {
			t.Errorf("%+v", run)
		}
	})
}

func TestWaitingEndsWithAChangeOrInTime(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		r := b.Create("orders", nil)
		same, err := b.Svc.Wait(b.Ctx, where("orders"), resource.Until{Known: r.Version}, 20*time.Millisecond)
		if err != nil || same.Version != r.Version {
			t.Errorf("%+v, %v", same, err)
		}
		got := make(chan resource.Resource, 1)
		go func() {
			v, err := b.Svc.Wait(b.Ctx, where("orders"), resource.Until{Known: r.Version}, time.Minute)
			if err != nil {
				v.Message = err.Error()
			}
			got <- v
		}()
		if _, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 2}}); err != nil {
			t.Fatal(err)
		}
		if v := <-got; v.Version == r.Version {
			t.Errorf("%+v", v)
		}
	})
}

func TestAJobWithoutARecordIsDropped(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		err := b.DB.Write(t.Context(), "test.orphan", func(tx *sqldb.Tx) error {
			return queue.Enqueue(t.Context(), tx, queue.Work{Key: "res_none", Lane: "fake", Team: "team_alpha"})
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Work()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			var n int
			if err := b.DB.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM queue`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the job is still there")
			}
		}
	})
}
