package calendar_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/calendar"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// switches notes what is stopped and started, and does it in the records.
type switches struct {
	db   *sqldb.DB
	said []string
	fail error
}

func (s *switches) Pause(ctx context.Context, _, _, id string, paused bool) error {
	if s.fail != nil {
		return s.fail
	}
	word, value := "start ", 0
	if paused {
		word, value = "stop ", 1
	}
	s.said = append(s.said, word+id)
	return s.db.Write(ctx, "test.pause", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE resources SET paused = $2 WHERE id = $1`, id, value)
		return err
	})
}

// Berlin: working days from 07:00 to 19:00, over a weekend on which clocks go
// forward (2026-03-29).
func TestASchedulesTurns(t *testing.T) {
	t.Parallel()
	clock := &atomic.Int64{}
	clock.Store(time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC).UnixNano()) // Friday noon
	db := sqldbtest.Open(t, sqldb.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "store.db"), Clock: func() time.Time { return time.Unix(0, clock.Load()) }})
	audittest.New(t, db)
	b := resourcetest.New(t, db)
	b.Work()
	r := b.Ready("db", nil)
	sw := &switches{db: db}
	svc := calendar.New(calendar.Options{DB: db, Access: accesstest.AllowAll{}, Environments: places{}, Wake: &woken{}, Resources: sw, Log: slog.New(slog.DiscardHandler)})
	system := principal.With(t.Context(), principal.System)
	_, err := svc.AddSchedule(system, calendar.Window{Name: "office", Place: calendar.Place{Project: "shop", Environment: "dev"}, Weekdays: []time.Weekday{1, 2, 3, 4, 5}, Opens: 7 * 60, Closes: 19 * 60, Zone: "Europe/Berlin"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.AddSchedule(system, calendar.Window{Name: "elsewhere", Place: calendar.Place{Project: "other"}, Weekdays: []time.Weekday{5}, Opens: 1, Closes: 18 * 60, Zone: "UTC"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why string
		at  time.Time
		do  func()
		say []string
	}{
		{"nothing has turned yet", time.Date(2026, 3, 27, 17, 59, 0, 0, time.UTC), nil, nil},
		{"Friday evening, while nothing can be done", time.Date(2026, 3, 27, 18, 0, 0, 0, time.UTC), func() { sw.fail = fault.New(fault.Unavailable, "down", "down") }, nil},
		{"and then", time.Date(2026, 3, 27, 18, 1, 0, 0, time.UTC), func() { sw.fail = nil }, []string{"stop " + r.ID}},
		{"once", time.Date(2026, 3, 27, 18, 2, 0, 0, time.UTC), nil, nil},
		{"what somebody starts on Saturday runs on", time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC), func() { _ = sw.Pause(system, "", "", r.ID, false); sw.said = nil }, nil},
		{"over the night of the jump", time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC), func() { _ = sw.Pause(system, "", "", r.ID, true); sw.said = nil }, nil},
		{"a minute too soon on Monday", time.Date(2026, 3, 30, 4, 59, 0, 0, time.UTC), nil, nil},
		{"Monday, an hour sooner than the week before", time.Date(2026, 3, 30, 5, 0, 0, 0, time.UTC), nil, []string{"start " + r.ID}},
		{"a server that was down for days makes the last turn alone", time.Date(2026, 4, 1, 20, 0, 0, 0, time.UTC), nil, []string{"stop " + r.ID}},
		{"the night when clocks go back, half a year later: Monday at 07:00", time.Date(2026, 10, 26, 6, 0, 0, 0, time.UTC), nil, []string{"start " + r.ID}},
	} {
		clock.Store(c.at.UnixNano())
		sw.said = nil
		if c.do != nil {
			c.do()
		}
		if err := svc.Turn(t.Context()); (err != nil) != (sw.fail != nil) || err != nil && !errors.Is(err, sw.fail) {
			t.Fatalf("%s: %v", c.why, err)
		}
		if !slices.Equal(sw.said, c.say) {
			t.Errorf("%s: %v", c.why, sw.said)
		}
	}
	if list, _, err := svc.Schedules(system, calendar.Filter{}, sqldb.Page{}); err != nil || len(list) != 2 {
		t.Errorf("got %v %v", list, err)
	}
	if err := svc.RemoveSchedule(system, "office"); err != nil {
		t.Fatal(err)
	}
	if _, err := svc.FindSchedule(system, "office"); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := svc.AddSchedule(t.Context(), calendar.Window{}); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("nobody: %v", err)
	}
}
