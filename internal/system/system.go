package system

import (
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/backup"
	"fairlead/internal/drift"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

// Level says how bad something is.
type Level string

// The levels, from what says nothing to what a person is woken for.
const (
	Idle Level = "idle" // nothing there to judge
	OK   Level = "ok"
	Warn Level = "warn" // somebody should look by day
	Bad  Level = "bad"  // somebody should look now
)

var rank = map[Level]int{Idle: 0, OK: 1, Warn: 2, Bad: 3}

// worse gives the worse of two.
func worse(a, b Level) Level {
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// Check is one thing that was looked at.
type Check struct {
	Name  string // stable: store, servers, queue, …
	Title string // for people
	Level Level
	Says  string // how it is, a sentence without a full stop
	Do    string // what to do about it; "" when all is well
	Limit string // from where on it warns or is bad, as configured; "" where nothing is
	About string // a page of the portal about it
}

// Status is how the installation is.
type Status struct {
	Level    Level   // the worst of the checks
	Checks   []Check // in a fixed order
	At       time.Time
	Version  string // of the server that answers
	Server   string // and its id
	Store    Store
	Servers  []Server // the newest first
	Queue    []queue.Depth
	Behind   []resource.Backlog // of observing
	Engines  []Engine
	Suspects int
	Held     []drift.HeldScope // by the mass-drift brake
	Audit    audit.Status
	Newest   backup.Record // the newest backup; without an id there is none
	Whole    backup.Record // the newest whole one
}

// Store is where the records are.
type Store struct {
	Kind   sqldb.Dialect
	Bytes  int64         // as it was last measured
	Read   time.Duration // that a read took just now
	Commit time.Duration // that a durable commit took last, on the slowest server
}

// Server is one server on the store.
type Server struct {
	ID, Host, Address, Data, Version string
	Holder                           string // what the queue knows its workers as
	StartedAt, SeenAt                time.Time
	Lost                             bool // it has not been heard of for too long, and did not say goodbye
	Report
}

// Report is what a server measured.
type Report struct {
	Workers   map[string]int `json:"workers"` // by engine
	Skew      time.Duration  `json:"skew"`    // of the machine's clock from the store's
	Commit    time.Duration  `json:"commit"`  // of the heartbeat before
	Store     int64          `json:"store"`   // bytes
	DiskFree  int64          `json:"diskFree"`
	DiskTotal int64          `json:"diskTotal"`
	Engines   []EngineReport `json:"engines"`
	EnginesAt time.Time      `json:"enginesAt"` // when they were asked
}

// EngineReport is how an engine is on one server.
type EngineReport struct {
	Name      string `json:"name"`
	Program   string `json:"program,omitempty"`
	Version   string `json:"version,omitempty"`
	Isolation string `json:"isolation,omitempty"`
	Code      string `json:"code,omitempty"` // of why it cannot work; "" when it can
	Message   string `json:"message,omitempty"`
	Hint      string `json:"hint,omitempty"`
}

// Engine is how an engine is, over all servers that are alive.
type Engine struct {
	Name      string
	Programs  []string // "tofu 1.9.0"; more than one when servers differ
	Isolation string
	Workers   int  // over all servers
	Used      bool // a living resource is of it
	Ready     int  // servers that can work with it
	Of        int
	Problem   *EngineReport // the first that cannot
	On        string        // and where
}
