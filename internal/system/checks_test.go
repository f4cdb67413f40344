package system

import (
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/backup"
	"fairlead/internal/drift"
	"fairlead/internal/fault"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// sound is an installation with which all is well.
func sound() Status {
	whole := backup.Record{ID: "bak_1", StartedAt: noon.Add(-time.Hour), EndedAt: noon.Add(-time.Hour), Bytes: 1 << 20, MadeBy: "ada"}
	return Status{
		At: noon, Store: Store{Kind: sqldb.SQLite, Bytes: 5 << 20, Read: time.Millisecond, Commit: 3 * time.Millisecond},
		Servers: []Server{{ID: "srv_1", Host: "one", Version: "1", SeenAt: noon, Report: Report{DiskFree: 50 << 30, DiskTotal: 100 << 30}}},
		Queue:   []queue.Depth{{Lane: "null", Due: 1, Held: 2, Oldest: time.Second}}, Engines: []Engine{{Name: "null", Ready: 1, Of: 1, Used: true}},
		Audit: audit.Status{Records: 9, LastCheckpoint: &audit.Checkpoint{Seq: 8, At: noon.Add(-time.Minute)}, UnsignedSince: noon.Add(-time.Second)}, Newest: whole, Whole: whole,
	}
}

func judged(st Status, name string) Check {
	list := (&Service{Options: Options{Observe: time.Minute}}).judge(st)
	return list[slices.IndexFunc(list, func(c Check) bool { return c.Name == name })]
}

// TestWhatIsBadIsSaidWithWhatToDo: each thing that can be bad is found, as bad
// as it is, by its own check alone, and says what to do.
func TestWhatIsBadIsSaidWithWhatToDo(t *testing.T) {
	problem := &EngineReport{Name: "iac", Code: "no_program", Message: "there is no tofu", Hint: "install it"}
	for _, c := range []struct {
		why, check string
		change     func(*Status)
		want       Level
	}{
		{"a slow disk", "store", func(s *Status) { s.Store.Commit = time.Second }, Warn},
		{"a store that hardly answers", "store", func(s *Status) { s.Store.Read = 3 * time.Second }, Bad},
		{"nobody writes", "servers", func(s *Status) { s.Servers[0].Lost = true }, Bad},
		{"a server that was killed", "servers", func(s *Status) {
			s.Servers = append(s.Servers, Server{ID: "srv_2", Host: "two", Version: "1", Lost: true, SeenAt: noon.Add(-time.Minute)})
		}, Warn},
		{"two versions", "servers", func(s *Status) { s.Servers = append(s.Servers, Server{ID: "srv_2", Version: "2", SeenAt: noon}) }, Warn},
		{"work that waits", "queue", func(s *Status) { s.Queue[0].Oldest = 2 * time.Minute }, Warn},
		{"work that nobody does", "queue", func(s *Status) { s.Queue[0].Oldest = time.Hour }, Bad},
		{"work tried in vain", "stuck", func(s *Status) { s.Queue[0].Stuck = 2 }, Warn},
		{"nobody looks", "observing", func(s *Status) { s.Behind = []resource.Backlog{{Engine: "null", Due: 3, Behind: time.Hour}} }, Warn},
		{"an engine that is used and cannot", "engines", func(s *Status) {
			s.Engines = append(s.Engines, Engine{Name: "iac", Of: 1, Used: true, Problem: problem, On: "one"})
		}, Bad},
		{"one that cannot on one of two", "engines", func(s *Status) {
			s.Engines = append(s.Engines, Engine{Name: "iac", Of: 2, Ready: 1, Used: true, Problem: problem, On: "one"})
		}, Warn},
		{"an object without a record", "suspects", func(s *Status) { s.Suspects = 1 }, Warn},
		{"a brake", "brake", func(s *Status) { s.Held = []drift.HeldScope{{Scope: "engine/null", Why: "so many"}} }, Bad},
		{"no backup", "backups", func(s *Status) { s.Whole, s.Newest = backup.Record{}, backup.Record{} }, Warn},
		{"an old backup", "backups", func(s *Status) { s.Whole.StartedAt = noon.Add(-8 * 24 * time.Hour) }, Warn},
		{"one that broke off since", "backups", func(s *Status) { s.Newest = backup.Record{ID: "bak_2", StartedAt: noon, Broken: "x"} }, Warn},
		{"one whose server was killed", "backups", func(s *Status) { s.Newest = backup.Record{ID: "bak_2", StartedAt: noon.Add(-7 * time.Hour)} }, Warn},
		{"a chain that was changed", "audit", func(s *Status) {
			s.Audit.Problem = fault.New(fault.Conflict, "audit_broken", "record 3 was changed").WithHint("export it")
		}, Bad},
		{"nobody signs", "audit", func(s *Status) { s.Audit.UnsignedSince = noon.Add(-time.Hour) }, Warn},
		{"nobody ever signed", "audit", func(s *Status) { s.Audit.LastCheckpoint, s.Audit.UnsignedSince = nil, noon.Add(-time.Hour) }, Warn},
		{"little room", "disk", func(s *Status) { s.Servers[0].DiskFree = 9 << 30 }, Warn},
		{"no room", "disk", func(s *Status) { s.Servers[0].DiskFree = 400 << 20 }, Bad},
		{"a clock that is off", "clock", func(s *Status) { s.Servers[0].Skew = -5 * time.Second }, Warn},
		{"one that is far off", "clock", func(s *Status) { s.Servers[0].Skew = time.Minute }, Bad},
	} {
		st := sound()
		c.change(&st)
		got := judged(st, c.check)
		if got.Level != c.want || got.Do == "" || got.Says == "" {
			t.Errorf("%s: %+v, want %s with what to do", c.why, got, c.want)
		}
		for _, other := range (&Service{Options: Options{Observe: time.Minute}}).judge(st) {
			if other.Name != c.check && (other.Level == Warn || other.Level == Bad) && c.check != "servers" {
				t.Errorf("%s: also %+v", c.why, other)
			}
		}
	}
}

// TestWhatIsWellSaysNothingToDo, and what nobody uses worries nobody.
func TestWhatIsWellSaysNothingToDo(t *testing.T) {
	unused, brought, roomy, resting := sound(), sound(), sound(), sound()
	unused.Engines = append(unused.Engines, Engine{Name: "iac", Of: 1, Problem: &EngineReport{Code: "no_program", Message: "there is no tofu"}})
	brought.Servers = append(brought.Servers, Server{ID: "srv_0", Host: "gone", Lost: true, SeenAt: noon.Add(-2 * time.Hour)})
	roomy.Servers[0].DiskFree, roomy.Servers[0].DiskTotal = 30<<30, 9000<<30
	resting.Audit.LastCheckpoint.At, resting.Audit.UnsignedSince = noon.Add(-72*time.Hour), time.Time{}
	for why, st := range map[string]Status{"all is well": sound(), "an engine that nobody uses": unused, "a server that went long ago": brought, "a large disk": roomy, "nothing was done for days": resting} {
		for _, c := range (&Service{Options: Options{Observe: time.Minute}}).judge(st) {
			if c.Level == Warn || c.Level == Bad || c.Do != "" || c.Says == "" || strings.HasSuffix(c.Says, ".") {
				t.Errorf("%s: %+v", why, c)
			}
		}
	}
}
