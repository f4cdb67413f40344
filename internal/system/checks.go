package system

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/conf"
	"fairlead/internal/fault"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

// judge says how each thing is, in the order that they are shown in.
func (s *Service) judge(st Status) []Check {
	return []Check{
		s.checkStore(st.Store), checkServers(st), s.checkQueue(st.Queue), checkStuck(st.Queue), s.checkObserving(st.Behind), checkEngines(st.Engines),
		checkSuspects(st.Suspects), checkBrake(st), s.checkBackups(st), s.checkAudit(st), s.checkDisk(st.Servers), s.checkClock(st),
	}
}

func (s *Service) checkStore(v Store) Check {
	kind := "SQLite"
	if v.Kind == sqldb.Postgres {
		kind = "PostgreSQL"
	}
	c := Check{Name: "store", Title: "Store", Level: OK, Says: fmt.Sprintf("%s, %s; a read takes %s, a commit %s", kind, bytes(v.Bytes), length(v.Read), length(v.Commit))}
	read, commit := s.Limits.Read, s.Limits.Commit
	c.Limit = fmt.Sprintf("a read over %s or a commit over %s warns, over %s or %s is bad", read.Warn, commit.Warn, read.Bad, commit.Bad)
	switch {
	case v.Read > time.Duration(read.Bad) || v.Commit > time.Duration(commit.Bad):
		c.Level = Bad
	case v.Read > time.Duration(read.Warn) || v.Commit > time.Duration(commit.Warn):
		c.Level = Warn
	}
	if c.Level != OK {
		c.Do = "the disk under the store is slow or busy: see what else uses it; every change waits for it"
	}
	return c
}

func checkServers(st Status) Check {
	c := Check{Name: "servers", Title: "Servers", Level: OK, About: "/system#servers"}
	alive := 0
	var lost, versions []string
	for _, r := range st.Servers {
		switch {
		case !r.Lost:
			alive++
			if !slices.Contains(versions, r.Version) {
				versions = append(versions, r.Version)
			}
		case st.At.Sub(r.SeenAt) < mournFor:
			lost = append(lost, r.Host+" "+r.Address)
		}
	}
	c.Says = count(alive, "server") + " alive"
	switch {
	case alive == 0:
		c.Level, c.Says, c.Do = Bad, "no server writes that it is alive", "the store takes no writes, or the servers just start: see their logs"
	case len(lost) > 0:
		c.Level = Warn
		c.Says += "; not heard of any more: " + strings.Join(lost, ", ")
		c.Do = "see whether its process was killed, and why; its work is taken over by the others, and this goes by itself within an hour"
	case len(versions) > 1:
		slices.Sort(versions)
		c.Level, c.Do = Warn, "finish the upgrade: bring all servers to one version"
		c.Says += ", of different versions: " + strings.Join(versions, ", ")
	}
	return c
}

func (s *Service) checkQueue(lanes []queue.Depth) Check {
	c := Check{Name: "queue", Title: "Queue", Level: OK, About: "/system/queue", Limit: fmt.Sprintf("work that waits over %s warns, over %s is bad", s.Limits.Queue.Warn, s.Limits.Queue.Bad)}
	var due, held int64
	var oldest queue.Depth
	for _, d := range lanes {
		due, held = due+d.Due, held+d.Held
		if d.Oldest > oldest.Oldest {
			oldest = d
		}
	}
	c.Says = fmt.Sprintf("%s, %d being worked on", waits(due), held)
	if oldest.Oldest > time.Second {
		c.Says += fmt.Sprintf("; the oldest for %s, of %s", length(oldest.Oldest), oldest.Lane)
	}
	switch {
	case oldest.Oldest > time.Duration(s.Limits.Queue.Bad):
		c.Level = Bad
	case oldest.Oldest > time.Duration(s.Limits.Queue.Warn):
		c.Level = Warn
	}
	if c.Level != OK {
		c.Do = "workers of " + oldest.Lane + " do not keep up: see what they work on, whether its engine is slow, and raise workers." + oldest.Lane
		if strings.HasPrefix(oldest.Lane, "rollout") {
			c.Do = "rollouts do not go on: see the servers' logs, and whether the store is slow"
		}
	}
	return c
}

func waits(n int64) string {
	switch n {
	case 0:
		return "nothing waits"
	case 1:
		return "1 item waits"
	}
	return fmt.Sprintf("%d items wait", n)
}

func checkStuck(lanes []queue.Depth) Check {
	c := Check{Name: "stuck", Title: "Stuck work", Level: OK, Says: "nothing is tried in vain", About: "/system/queue?state=stuck"}
	var n int64
	for _, d := range lanes {
		n += d.Stuck
	}
	if n > 0 {
		c.Level, c.Says = Warn, fmt.Sprintf("%s tried %d times or more without success", count(int(n), "item"), queue.StuckAfter)
		c.Do = "see what each fails with; put that right, then try it again at once, or cancel it"
	}
	return c
}

// checkObserving judges how far looking at resources is behind.
func (s *Service) checkObserving(list []resource.Backlog) Check {
	late := max(5*s.Observe, time.Duration(s.Limits.Observing))
	c := Check{Name: "observing", Title: "Observing", Level: OK, Says: "every resource is looked at in time", About: "/drift", Limit: fmt.Sprintf("resources that wait over %s warn", conf.Duration(late))}
	var worst resource.Backlog
	for _, b := range list {
		if b.Behind > worst.Behind {
			worst = b
		}
	}
	if worst.Behind > late {
		c.Level, c.Says = Warn, fmt.Sprintf("%s of %s wait to be looked at, the first for %s", count(worst.Due, "resource"), worst.Engine, length(worst.Behind))
		c.Do = "see whether the engine answers; drift is found late until it does"
	}
	return c
}

func checkEngines(list []Engine) Check {
	c := Check{Name: "engines", Title: "Engines", Level: OK, About: "/system/engines"}
	ready := 0
	for _, e := range list {
		if e.Problem == nil {
			ready++
			continue
		}
		level := Idle
		if e.Used {
			level = Bad
			if e.Ready > 0 {
				level = Warn
			}
		}
		if rank[level] > rank[c.Level] || c.Do == "" && level != Idle {
			c.Level, c.Do = level, either(e.Problem.Hint, "see the engine's page and the server's log")
			c.Says = fmt.Sprintf("%s cannot work on %s: %s", e.Name, e.On, e.Problem.Message)
		}
	}
	switch {
	case len(list) == 0:
		c.Level, c.Says = Idle, "they were not asked yet"
	case c.Says == "" && ready < len(list):
		c.Says = fmt.Sprintf("%d of %d ready; no resource uses the others", ready, len(list))
	case c.Says == "":
		c.Says = fmt.Sprintf("all %d ready", len(list))
	}
	return c
}

func checkSuspects(n int) Check {
	c := Check{Name: "suspects", Title: "Suspects", Level: OK, Says: "every external object has its record", About: "/system/suspects"}
	if n > 0 {
		c.Level, c.Says = Warn, "no record explains "+count(n, "external object")
		c.Do = "look at each: save what is needed, remove what is not with the engine's own tools, release what may stay"
	}
	return c
}

func checkBrake(st Status) Check {
	c := Check{Name: "brake", Title: "Drift brake", Level: OK, Says: "no repairs are held", About: "/drift"}
	if len(st.Held) > 0 {
		c.Level, c.Says = Bad, fmt.Sprintf("repairs of %s are held: %s", st.Held[0].Scope, st.Held[0].Why)
		if len(st.Held) > 1 {
			c.Says += fmt.Sprintf("; and of %d more", len(st.Held)-1)
		}
		c.Do = "see whether the provider shows what is there; if the drift is real, release them"
	}
	return c
}

func (s *Service) checkBackups(st Status) Check {
	c := Check{Name: "backups", Title: "Backups", Level: OK, About: "/system/backups", Limit: fmt.Sprintf("one that is older than %s warns", s.Limits.Backup)}
	age := st.At.Sub(st.Whole.StartedAt)
	switch {
	case st.Whole.ID == "":
		c.Level, c.Says = Warn, "there is none"
		c.Do = "make one now, and let a scheduled job make them: fairlead backup --recipient AGE-KEY FILE"
	case age > time.Duration(s.Limits.Backup):
		c.Level, c.Says = Warn, "the last whole one is "+length(age)+" old"
		c.Do = "see why the job that makes them does not, and make one now"
	default:
		c.Says = "the last one is " + length(age) + " old, " + bytes(st.Whole.Bytes) + ", by " + st.Whole.MadeBy
	}
	if st.Newest.ID != st.Whole.ID && st.Newest.State(st.At) == "broken" {
		c.Level, c.Do = Warn, "make another one; the newest is of no use"
		c.Says += "; the newest broke off"
	}
	return c
}

func (s *Service) checkAudit(st Status) Check {
	c := Check{Name: "audit", Title: "Audit chain", Level: OK, About: "/audit", Limit: fmt.Sprintf("records that wait over %s to be signed warn", s.Limits.Unsigned)}
	last := st.Audit.LastCheckpoint
	switch {
	case st.Audit.Problem != nil:
		f := fault.From(st.Audit.Problem)
		c.Level, c.Says, c.Do = Bad, f.Message, f.Hint
		return c
	case last == nil:
		c.Says = fmt.Sprintf("%d records, not signed yet", st.Audit.Records)
	default:
		c.Says = fmt.Sprintf("%d records; verified and signed up to no. %d, %s ago", st.Audit.Records, last.Seq, length(st.At.Sub(last.At)))
	}
	if since := st.Audit.UnsignedSince; !since.IsZero() && st.At.Sub(since) > time.Duration(s.Limits.Unsigned) {
		c.Level, c.Do = Warn, "no server signs: see their logs for audit checkpoints"
		c.Says += fmt.Sprintf("; what came after waits for %s", length(st.At.Sub(since)))
	}
	return c
}

func (s *Service) checkDisk(servers []Server) Check {
	c := Check{Name: "disk", Title: "Disk", Level: Idle, Says: "not measured", About: "/system#servers"}
	limit := s.Limits.Disk
	enough, low := int64(limit.EnoughGB)<<30, int64(limit.LeastMB)<<20
	c.Limit = fmt.Sprintf("under %s and %d GiB free warns; under %s and a tenth of that, or under %d MiB, is bad", percent(limit.Warn), limit.EnoughGB, percent(limit.Bad), limit.LeastMB)
	least := 2.0
	for _, r := range servers {
		if r.Lost || r.DiskTotal == 0 {
			continue
		}
		share := float64(r.DiskFree) / float64(r.DiskTotal)
		level := OK
		switch {
		case share < limit.Bad && r.DiskFree < enough/10 || r.DiskFree < low:
			level = Bad
		case share < limit.Warn && r.DiskFree < enough:
			level = Warn
		}
		if rank[level] < rank[c.Level] || level == c.Level && share >= least {
			continue
		}
		least, c.Level, c.Do = share, level, ""
		c.Says = fmt.Sprintf("%s free of %s on %s", bytes(r.DiskFree), bytes(r.DiskTotal), r.Host)
		if level != OK {
			c.Do = "make room in " + r.Data + ": old dumps, logs; a full disk stops every change"
		}
	}
	return c
}

func (s *Service) checkClock(st Status) Check {
	c := Check{Name: "clock", Title: "Clocks", Level: OK, Says: "no machine's clock is off"}
	limit := s.Limits.Clock
	c.Limit = fmt.Sprintf("one that is off by %s warns, by over %s is bad", limit.Warn, limit.Bad)
	var worst Server
	for _, r := range st.Servers {
		if !r.Lost && r.Skew.Abs() > worst.Skew.Abs() {
			worst = r
		}
	}
	if worst.Skew.Abs() < time.Duration(limit.Warn) {
		return c
	}
	c.Level = Warn
	if worst.Skew.Abs() > time.Duration(limit.Bad) {
		c.Level = Bad
	}
	way := "behind"
	if worst.Skew < 0 {
		way = "ahead of"
	}
	c.Says = fmt.Sprintf("the clock of %s is %s %s the store's", worst.Host, length(worst.Skew.Abs()), way)
	c.Do = "set the machine's clock, and let NTP keep it: leases and expiries go by it"
	return c
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', -1, 32) + " %" }

// length says a duration with its largest unit.
func length(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "under 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// bytes says a size with its largest unit.
func bytes(n int64) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB"}
	f, i := float64(n), 0
	for f >= 1000 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if f >= 10 || i == 0 {
		return fmt.Sprintf("%.0f %s", f, units[i])
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
