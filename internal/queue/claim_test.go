package queue_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"fairlead/internal/queue"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// waiting is a row of the queue as a claim may find it.
type waiting struct {
	key, lane, team string
	due             time.Duration // from now; 0: nothing to do
	held            time.Duration // the lease's end, from now
}

// claimed is the model: what a claim of n must take.
func claimed(rows []waiting, lane string, n int) []string {
	type ranked struct {
		waiting
		rank int
	}
	ahead := map[string]int{}
	var due []waiting
	for _, w := range rows {
		switch {
		case w.lane != lane:
		case w.held > 0:
			ahead[w.team]++
		case w.due < 0:
			due = append(due, w)
		}
	}
	slices.SortFunc(due, func(a, b waiting) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.key, b.key)) })
	var all []ranked
	for _, w := range due {
		ahead[w.team]++
		all = append(all, ranked{w, ahead[w.team]})
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	var keys []string
	for _, w := range all[:min(n, len(all))] {
		keys = append(keys, w.key)
	}
	slices.Sort(keys)
	return keys
}

func TestAClaimTakesWhatIsDueByRankOfItsTeam(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		for round := range 12 {
			seed := uint64(time.Now().UnixNano())
			dice := rand.New(rand.NewPCG(seed, 0))
			pick := func(of ...time.Duration) time.Duration { return of[dice.IntN(len(of))] }
			lane, n := fmt.Sprint("lane", round), 1+dice.IntN(6)
			var rows []waiting
			for i := range dice.IntN(40) {
				rows = append(rows, waiting{
					key: fmt.Sprintf("k%d-%d", round, i), lane: []string{lane, lane, lane, "other"}[dice.IntN(4)], team: []string{"", "a", "b", "c"}[dice.IntN(4)],
					due:  pick(0, -time.Hour, -2*time.Hour, -time.Hour-time.Duration(i)*time.Second, -time.Hour-time.Duration(i)*time.Second, time.Hour),
					held: pick(0, 0, -time.Minute, time.Hour),
				})
			}
			fill(t, db, rows)
			got := make(chan string, len(rows)+1)
			stop := run(t, queue.Options{DB: db, Lanes: map[string]int{lane: n}, Poll: time.Hour, Handle: func(ctx context.Context, c *queue.Claim) error {
				got <- c.Key
				<-ctx.Done()
				return context.Cause(ctx)
			}})
			want := claimed(rows, lane, n)
			var keys []string
			for range want {
				keys = append(keys, receive(t, got, "a claim"))
			}
			stop()
			slices.Sort(keys)
			if !slices.Equal(keys, want) {
				t.Errorf("seed %d: of %+v a claim of %d took %v, want %v", seed, rows, n, keys, want)
			}
		}
	})
}

func fill(t *testing.T, db *sqldb.DB, rows []waiting) {
	t.Helper()
	err := db.Write(t.Context(), "test.fill", func(tx *sqldb.Tx) error {
		at := func(d time.Duration) any {
			if d == 0 {
				return nil
			}
			return tx.Now().Add(d).UnixMicro()
		}
		for _, w := range rows {
			lease := at(w.held)
			if lease == nil {
				lease = 0
			}
			_, err := tx.ExecContext(t.Context(), `INSERT INTO queue (key, lane, team, generation, due_at, lease_until) VALUES ($1, $2, $3, 1, $4, $5)`,
				w.key, w.lane, w.team, at(w.due), lease)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
