package system

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

// What is worth a look, and what is worth waking somebody.
const (
	slowRead, badRead     = 100 * time.Millisecond, time.Second
	slowCommit, badCommit = 250 * time.Millisecond, 2 * time.Second
	longWait, badWait     = time.Minute, 10 * time.Minute
	backupAge             = 7 * 24 * time.Hour
	unsigned              = 5 * time.Minute
	someSkew, badSkew     = 2 * time.Second, 30 * time.Second
	littleDisk, noDisk    = 0.1, 0.05
	enoughDisk            = 20 << 30 // free bytes that are enough, whatever the share
	leastDisk             = 512 << 20
)

// judge says how each thing is, in the order that they are shown in.
func (s *Service) judge(st Status) []Check {
	return []Check{
		checkStore(st.Store), checkServers(st), checkQueue(st.Queue), checkStuck(st.Queue), s.checkObserving(st.Behind), checkEngines(st.Engines),
		checkSuspects(st.Suspects), checkBrake(st), checkBackups(st), checkAudit(st), checkDisk(st.Servers), checkClock(st),
	}
}

func checkStore(v Store) Check {
	kind := "SQLite"
	if v.Kind == sqldb.Postgres {
		kind = "PostgreSQL"
	}
	c := Check{Name: "store", Title: "Store", Level: OK, Says: fmt.Sprintf("%s, %s; a read takes %s, a commit %s", kind, bytes(v.Bytes), length(v.Read), length(v.Commit))}
	switch {
	case v.Read > badRead || v.Commit > badCommit:
		c.Level = Bad
	case v.Read > slowRead || v.Commit > slowCommit:
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

func checkQueue(lanes []queue.Depth) Check {
	c := Check{Name: "queue", Title: "Queue", Level: OK, About: "/system/queue"}
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
	case oldest.Oldest > badWait:
		c.Level = Bad
	case oldest.Oldest > longWait:
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
func (s *Service) checkObserving(late []resource.Backlog) Check {
	c := Check{Name: "observing", Title: "Observing", Level: OK, Says: "every resource is looked at in time", About: "/drift"}
	var worst resource.Backlog
	for _, b := range late {
		if b.Behind > worst.Behind {
			worst = b
		}
	}
	if worst.Behind > max(5*s.Observe, badWait) {
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

func checkBackups(st Status) Check {
	c := Check{Name: "backups", Title: "Backups", Level: OK, About: "/system/backups"}
	age := st.At.Sub(st.Whole.StartedAt)
	switch {
	case st.Whole.ID == "":
		c.Level, c.Says = Warn, "there is none"
		c.Do = "make one now, and let a scheduled job make them: fairlead backup --recipient AGE-KEY FILE"
	case age > backupAge:
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

func checkAudit(st Status) Check {
	c := Check{Name: "audit", Title: "Audit chain", Level: OK, About: "/audit"}
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
	if since := st.Audit.UnsignedSince; !since.IsZero() && st.At.Sub(since) > unsigned {
		c.Level, c.Do = Warn, "no server signs: see their logs for audit checkpoints"
		c.Says += fmt.Sprintf("; what came after waits for %s", length(st.At.Sub(since)))
	}
	return c
}

func checkDisk(servers []Server) Check {
	c := Check{Name: "disk", Title: "Disk", Level: Idle, Says: "not measured", About: "/system#servers"}
	least := 2.0
	for _, r := range servers {
		if r.Lost || r.DiskTotal == 0 {
			continue
		}
		share := float64(r.DiskFree) / float64(r.DiskTotal)
		level := OK
		switch {
		case share < noDisk && r.DiskFree < enoughDisk/10 || r.DiskFree < leastDisk:
			level = Bad
		case share < littleDisk && r.DiskFree < enoughDisk:
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

func checkClock(st Status) Check {
	c := Check{Name: "clock", Title: "Clocks", Level: OK, Says: "no machine's clock is off"}
	var worst Server
	for _, r := range st.Servers {
		if !r.Lost && r.Skew.Abs() > worst.Skew.Abs() {
			worst = r
		}
	}
	if worst.Skew.Abs() < someSkew {
		return c
	}
	c.Level = Warn
	if worst.Skew.Abs() > badSkew {
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
