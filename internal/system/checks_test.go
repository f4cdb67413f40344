package system

import (
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/backup"
	"fairlead/internal/conf"
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
	list := (&Service{Options: Options{Observe: time.Minute, Limits: conf.DefaultHealth()}}).judge(st)
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
		for _, other := range (&Service{Options: Options{Observe: time.Minute, Limits: conf.DefaultHealth()}}).judge(st) {
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
		for _, c := range (&Service{Options: Options{Observe: time.Minute, Limits: conf.DefaultHealth()}}).judge(st) {
			if c.Level == Warn || c.Level == Bad || c.Do != "" || c.Says == "" || strings.HasSuffix(c.Says, ".") {
				t.Errorf("%s: %+v", why, c)
			}
		}
	}
}

// TestLimitsAreAsConfigured: the other side of each is found by what was set,
// and the page says what that is.
func TestLimitsAreAsConfigured(t *testing.T) {
	span := func(warn, bad time.Duration) conf.Range {
		return conf.Range{Warn: conf.Duration(warn), Bad: conf.Duration(bad)}
	}
	limits := conf.Health{
		Read: span(2*time.Second, 3*time.Second), Commit: span(1500*time.Millisecond, 3*time.Second), Queue: span(2*time.Hour, 3*time.Hour), Clock: span(2*time.Minute, 3*time.Minute),
		Observing: conf.Duration(2 * time.Hour), Backup: conf.Duration(30 * 24 * time.Hour), Unsigned: conf.Duration(2 * time.Hour), Disk: conf.Disk{Warn: 0.025, Bad: 0.01, EnoughGB: 7, LeastMB: 100},
	}
	st := sound()
	st.Store.Read, st.Store.Commit, st.Queue[0].Oldest, st.Servers[0].Skew = 1900*time.Millisecond, 1400*time.Millisecond, time.Hour, time.Minute
	st.Behind = []resource.Backlog{{Engine: "null", Due: 3, Behind: time.Hour}}
	st.Whole.StartedAt, st.Audit.UnsignedSince, st.Servers[0].DiskFree = noon.Add(-20*24*time.Hour), noon.Add(-time.Hour), 400<<20
	st.Newest = st.Whole
	st.Servers[0].DiskTotal = 10 << 30
	says := map[string]string{
		"store": "a read over 2s or a commit over 1.5s warns, over 3s or 3s is bad", "queue": "work that waits over 2h warns, over 3h is bad", "observing": "resources that wait over 2h warn",
		"backups": "one that is older than 720h warns", "audit": "records that wait over 2h to be signed warn", "clock": "one that is off by 2m warns, by over 3m is bad",
		"disk": "under 2.5 % and 7 GiB free warns; under 1 % and a tenth of that, or under 100 MiB, is bad",
	}
	for _, c := range (&Service{Options: Options{Observe: time.Minute, Limits: limits}}).judge(st) {
		if c.Limit != says[c.Name] {
			t.Errorf("%s says %q, want %q", c.Name, c.Limit, says[c.Name])
		}
		if c.Level == Warn || c.Level == Bad {
			t.Errorf("%s is %s within its limits: %s", c.Name, c.Level, c.Says)
		}
	}
	for _, c := range (&Service{Options: Options{Observe: time.Minute, Limits: conf.DefaultHealth()}}).judge(st) {
		if says[c.Name] != "" && c.Level != Warn && c.Level != Bad {
			t.Errorf("%s is %s, beyond what holds by default: %s", c.Name, c.Level, c.Says)
		}
	}
}
