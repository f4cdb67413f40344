package systemapi

import (
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/system"
)

// System is how the installation is, on the wire.
type System struct {
	Level    string        `json:"level" enum:"ok,warn,bad" doc:"The worst of the checks: bad is worth waking somebody"`
	At       time.Time     `json:"at" doc:"By the store's clock"`
	Version  string        `json:"version" doc:"Of the server that answers"`
	Server   string        `json:"server" doc:"Its id"`
	Checks   []SystemCheck `json:"checks" nullable:"false"`
	Store    SystemStore   `json:"store"`
	Servers  []Server      `json:"servers" nullable:"false" doc:"The newest first"`
	Queue    []Lane        `json:"queue" nullable:"false"`
	Engines  []EngineState `json:"engines" nullable:"false" doc:"Over all servers that are alive"`
	Suspects int           `json:"suspects" doc:"External objects that wait for a person"`
	Held     []string      `json:"held" nullable:"false" doc:"Scopes whose repairs the mass-drift brake holds"`
	Audit    AuditState    `json:"audit"`
	Backup   *time.Time    `json:"backup,omitempty" doc:"When the newest whole backup was begun"`
}

// SystemCheck is one thing that was looked at.
type SystemCheck struct {
	Name  string `json:"name" example:"backups"`
	Title string `json:"title"`
	Level string `json:"level" enum:"idle,ok,warn,bad"`
	Says  string `json:"says"`
	Do    string `json:"do,omitempty" doc:"What to do about it"`
	Limit string `json:"limit,omitempty" doc:"From where on it warns or is bad, as configured"`
}

// SystemStore is where the records are.
type SystemStore struct {
	Kind     string  `json:"kind" enum:"sqlite,postgres"`
	Bytes    int64   `json:"bytes"`
	ReadMS   float64 `json:"readMs" doc:"What a read took just now"`
	CommitMS float64 `json:"commitMs" doc:"What a durable commit took last, on the slowest server"`
}

// Server is one server on the store.
type Server struct {
	ID        string         `json:"id"`
	Host      string         `json:"host"`
	Address   string         `json:"address"`
	Data      string         `json:"data" doc:"Its data directory"`
	Version   string         `json:"version"`
	StartedAt time.Time      `json:"startedAt"`
	SeenAt    time.Time      `json:"seenAt" doc:"Of its last heartbeat"`
	Lost      bool           `json:"lost" doc:"It was not heard of for too long"`
	Workers   map[string]int `json:"workers" doc:"By engine"`
	SkewMS    float64        `json:"skewMs" doc:"How far the store's clock is ahead of the machine's"`
	DiskFree  int64          `json:"diskFree" doc:"Bytes, in the data directory"`
	DiskTotal int64          `json:"diskTotal"`
	EnginesAt *time.Time     `json:"enginesAt,omitempty" doc:"When its engines were asked how they are"`
}

// Lane is the work of one engine.
type Lane struct {
	Engine        string  `json:"engine" doc:"Or rollout"`
	Waiting       int64   `json:"waiting"`
	Running       int64   `json:"running"`
	Later         int64   `json:"later" doc:"Due at a later time"`
	Stuck         int64   `json:"stuck" doc:"Tried in vain for long"`
	OldestSeconds float64 `json:"oldestSeconds" doc:"How long the oldest has waited"`
}

// EngineState is how an engine is.
type EngineState struct {
	Name     string         `json:"name"`
	Programs []string       `json:"programs" nullable:"false" doc:"More than one when servers differ"`
	Workers  int            `json:"workers" doc:"Over all servers"`
	Used     bool           `json:"used" doc:"A living resource is of it"`
	Ready    int            `json:"ready" doc:"Servers that can work with it"`
	Of       int            `json:"of"`
	Problem  *EngineTrouble `json:"problem,omitempty"`
}

// EngineTrouble is why a server cannot work with an engine.
type EngineTrouble struct {
	Server  string `json:"server"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// AuditState is how the audit chain is.
type AuditState struct {
	Records  int64      `json:"records"`
	Signed   int64      `json:"signed" doc:"Verified and signed up to this one"`
	SignedAt *time.Time `json:"signedAt,omitempty"`
	Problem  string     `json:"problem,omitempty"`
}

// WorkItem is one item of the queue.
type WorkItem struct {
	Key         string    `json:"key" doc:"The resource's id, or the rollout's or its member's"`
	Engine      string    `json:"engine"`
	State       string    `json:"state" enum:"running,waiting,later"`
	Stuck       bool      `json:"stuck" doc:"Tried in vain for long"`
	DueAt       time.Time `json:"dueAt"`
	Attempts    int64     `json:"attempts" doc:"Since the last success"`
	LastError   string    `json:"lastError,omitempty" doc:"Code of the last failure"`
	Canceling   bool      `json:"canceling"`
	Server      string    `json:"server,omitempty" doc:"Where it is worked on"`
	Resource    string    `json:"resource,omitempty"`
	Project     string    `json:"project,omitempty"`
	Environment string    `json:"environment,omitempty"`
	Team        string    `json:"team,omitempty"`
	Template    string    `json:"template,omitempty"`
	Phase       string    `json:"phase,omitempty"`
	Message     string    `json:"message,omitempty"`
	Hint        string    `json:"hint,omitempty"`
	Run         string    `json:"run,omitempty" doc:"The newest"`
}

// SettingList is the configuration in force.
type SettingList struct {
	Items []Setting `json:"items" nullable:"false"`
}

// Setting is one value of the configuration.
type Setting struct {
	Name   string `json:"name" example:"drift.brake.share"`
	Value  string `json:"value"`
	Hidden bool   `json:"hidden" doc:"It is a secret that is set"`
	From   string `json:"from" enum:"default,file,environment,flag"`
	Source string `json:"source,omitempty" doc:"The file, the variable or the flag"`
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func viewSystem(st system.Status) System {
	out := System{
		Level: string(st.Level), At: st.At, Version: st.Version, Server: st.Server, Suspects: st.Suspects, Backup: httpx.Optional(st.Whole.StartedAt),
		Store:  SystemStore{Kind: string(st.Store.Kind), Bytes: st.Store.Bytes, ReadMS: ms(st.Store.Read), CommitMS: ms(st.Store.Commit)},
		Audit:  AuditState{Records: st.Audit.Records},
		Checks: []SystemCheck{}, Servers: []Server{}, Queue: []Lane{}, Engines: []EngineState{}, Held: []string{},
	}
	if c := st.Audit.LastCheckpoint; c != nil {
		out.Audit.Signed, out.Audit.SignedAt = c.Seq, &c.At
	}
	if st.Audit.Problem != nil {
		out.Audit.Problem = fault.From(st.Audit.Problem).Message
	}
	for _, c := range st.Checks {
		out.Checks = append(out.Checks, SystemCheck{Name: c.Name, Title: c.Title, Level: string(c.Level), Says: c.Says, Do: c.Do, Limit: c.Limit})
	}
	for _, r := range st.Servers {
		workers := r.Workers
		if workers == nil {
			workers = map[string]int{}
		}
		out.Servers = append(out.Servers, Server{ID: r.ID, Host: r.Host, Address: r.Address, Data: r.Data, Version: r.Version, StartedAt: r.StartedAt, SeenAt: r.SeenAt, Lost: r.Lost,
			Workers: workers, SkewMS: ms(r.Skew), DiskFree: r.DiskFree, DiskTotal: r.DiskTotal, EnginesAt: httpx.Optional(r.EnginesAt)})
	}
	for _, d := range st.Queue {
		out.Queue = append(out.Queue, Lane{Engine: d.Lane, Waiting: d.Due, Running: d.Held, Later: d.Later, Stuck: d.Stuck, OldestSeconds: d.Oldest.Seconds()})
	}
	for _, e := range st.Engines {
		v := EngineState{Name: e.Name, Programs: append([]string{}, e.Programs...), Workers: e.Workers, Used: e.Used, Ready: e.Ready, Of: e.Of}
		if p := e.Problem; p != nil {
			v.Problem = &EngineTrouble{Server: e.On, Code: p.Code, Message: p.Message, Hint: p.Hint}
		}
		out.Engines = append(out.Engines, v)
	}
	for _, h := range st.Held {
		out.Held = append(out.Held, h.Scope)
	}
	return out
}

func viewWork(w system.Work) WorkItem {
	return WorkItem{Key: w.Key, Engine: w.Engine, State: string(w.State), Stuck: w.Stuck, DueAt: w.DueAt, Attempts: w.Attempts, LastError: w.LastError, Canceling: w.Canceling,
		Server: w.Server, Resource: w.Resource, Project: w.Project, Environment: w.Environment, Team: w.Team, Template: w.Template, Phase: w.Phase, Message: w.Message, Hint: w.Hint, Run: w.Run}
}
