package rollout

import (
	"slices"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
)

// State is where a rollout is on its way.
type State string

// The states.
const (
	Planning  State = "planning"  // members are being planned
	Planned   State = "planned"   // planned, and not started
	Running   State = "running"   //
	Paused    State = "paused"    // by a person
	Halted    State = "halted"    // by itself; a person is needed
	Reverting State = "reverting" // what was upgraded is being taken back
	Succeeded State = "succeeded" // every wave is done
	Reverted  State = "reverted"  // what was to be taken back is
	Cancelled State = "canceled"  // left as it was
)

// Over tells whether nothing will happen any more.
func (s State) Over() bool { return s == Succeeded || s == Reverted || s == Cancelled }

// What a halt takes back.
const (
	RevertNone = "none"
	RevertWave = "wave" // the members of the wave that failed
	RevertAll  = "all"  // every member that was upgraded
)

// MemberState is where one member is on its way.
type MemberState string

// The states of a member.
const (
	Unplanned MemberState = "unplanned"
	Excluded  MemberState = "excluded" // it could not be planned, or must not be; the reason says why
	Pending   MemberState = "pending"  // planned; its turn is to come
	Applying  MemberState = "applying" // the revision is written
	Upgraded  MemberState = "upgraded" // ready; to be seen once more
	Done      MemberState = "done"     // ready, and seen to be well
	Failed    MemberState = "failed"
	Aside     MemberState = "aside"     // it is not what was planned any more; left alone
	Backing   MemberState = "reverting" // the old content is wanted again
	Back      MemberState = "reverted"
	Stuck     MemberState = "stuck" // it could not be taken back; needs a person
)

// settled tells whether a wave need not wait for it.
func (s MemberState) settled() bool {
	return s != Unplanned && s != Pending && s != Applying && s != Upgraded && s != Backing
}

// Severity is how much a group's diff weighs.
type Severity string

// The severities.
const (
	None        Severity = "none"
	Modifying   Severity = "change"
	Destructive Severity = "destructive"
)

// Selection says which resources are meant; empty fields do not narrow it.
type Selection struct {
	From        string `json:"from,omitempty"` // a constraint on the version in use
	Project     string `json:"project,omitempty"`
	Environment string `json:"environment,omitempty"`
	Class       string `json:"class,omitempty"`
	Team        string `json:"team,omitempty"`
}

func (s Selection) check() error {
	for field, ref := range map[string]string{"/project": s.Project, "/environment": s.Environment, "/team": s.Team} {
		if ref != "" && !ident.IsRef(ref) {
			return fault.New(fault.Invalid, "invalid_rollout", "this is no name and no id").WithField(field).WithHint("names are of a-z, 0-9 and hyphens")
		}
	}
	if s.Class != "" && !slices.Contains(classes, s.Class) {
		return fault.New(fault.Invalid, "invalid_rollout", "there is no such class of environment").WithField("/class").WithHint("development, staging or production")
	}
	return nil
}

// Settings are how a rollout goes.
type Settings struct {
	Waves       string        // "class", "team", or a list such as "10%,staging,team:web"
	Parallel    int64         // members that change at a time
	MaxFailures int64         // more than this many halt it
	Percent     bool          // MaxFailures is a share of the members
	Rollback    string        // RevertNone, RevertWave, RevertAll
	Bake        time.Duration // how long a wave must stay healthy
	Patience    time.Duration // how long one member may take
}

// Wanted is a rollout as somebody asks for it.
type Wanted struct {
	Template  string
	To        string // version, or constraint
	Selection Selection
	Settings  Settings
	Note      string
	Start     bool // go on once it is planned
}

// Rollout is one.
type Rollout struct {
	ID                       string
	Template                 string
	To                       string
	Digest                   string // of the version
	Selection                Selection
	Settings                 Settings
	Note                     string
	State                    State
	Starts                   bool
	Began                    bool
	Reason, Message, Hint    string
	RevertFrom               int64
	CreatedBy, CreatedByName string
	CreatedAt                time.Time
	StartedAt, FinishedAt    time.Time
	UpdatedAt                time.Time
	Version                  int64

	// For one rollout, not in lists; of what the caller may see.
	Waves  []Wave
	Groups []Group
	Counts map[MemberState]int64

	acting acting
}

// acting is with whose rights its changes are made: those of who started it.
type acting struct {
	id, token string
	scopes    []string
}

// Wave is one part of a rollout, that begins when the one before is healthy.
type Wave struct {
	Number                           int64
	Name                             string
	State                            string // waiting, running, baking, done
	StartedAt, HealthyAt, FinishedAt time.Time
	Counts                           map[MemberState]int64
}

// Group is members whose diffs are the same.
type Group struct {
	Number    int64
	Severity  Severity
	Title     string // what is done, in a line
	Diff      []ObjectDiff
	Digest    string // of versions, diff, and the members with their revisions
	Decision  string // "", approved, rejected
	DecidedBy string
	DecidedAt time.Time
	Comment   string
	Counts    map[MemberState]int64

	shape   string
	decided string
}

// Waits tells whether somebody must agree before its members are changed.
func (g Group) Waits() bool {
	return g.Severity == Destructive && !g.approved() && !g.rejected()
}

// approved holds only for what was decided on.
func (g Group) approved() bool { return g.Decision == "approved" && g.decided == g.Digest }
func (g Group) rejected() bool { return g.Decision == "rejected" && g.decided == g.Digest }

// Member is one resource of a rollout.
type Member struct {
	ID                                     string
	RolloutID                              string
	ResourceID, Resource                   string
	EnvironmentID, Environment, Class      string
	ProjectID, Project                     string
	TeamID, Team                           string
	State                                  MemberState
	Wave, Group                            int64
	From                                   string // version
	Severity                               Severity
	Title                                  string
	Reason, Message, Remedy                string
	PlannedAt, StartedAt, AppliedAt, Ended time.Time
	UpdatedAt                              time.Time

	Planned, FromRevision, ToRevision, BackRevision int64

	open     bool
	template string
	shape    string
	diff     string
	endsAs   MemberState
	tries    int64     // that met an internal error, one after another
	due      time.Time // it is not tried again before
}

// target is what an action on the member is on: the resource, which belongs to
// the rollout's author as far as approving it goes.
func (m Member) target(author string) access.Target {
	return access.Target{Kind: "resource", ID: m.ResourceID, Name: m.Resource, TeamID: m.TeamID, ProjectID: m.ProjectID, EnvironmentID: m.EnvironmentID,
		EnvironmentClass: m.Class, Template: m.template, OwnerID: author}
}

// target is the rollout in the audit log.
func (r Rollout) target() access.Target {
	return access.Target{Kind: "rollout", ID: r.ID, Name: r.Template + " to " + r.To, Template: r.Template, OwnerID: r.CreatedBy}
}

const (
	maxMembers      = 10_000
	defaultParallel = 5
	defaultPatience = 30 * time.Minute
	longest         = 30 * 24 * time.Hour
)

// check fills in what was left out, and says what cannot be.
func (s Settings) check() (Settings, error) {
	bad := func(field, format string, args ...any) error {
		return fault.New(fault.Invalid, "invalid_rollout", format, args...).WithField(field).WithHint("docs/rollouts.md says what goes together")
	}
	if s.Waves == "" {
		s.Waves = "class"
	}
	if _, err := parseWaves(s.Waves); err != nil {
		return s, err
	}
	if s.Parallel == 0 {
		s.Parallel = defaultParallel
	}
	if s.Rollback == "" {
		s.Rollback = RevertWave
	}
	if s.Patience == 0 {
		s.Patience = defaultPatience
	}
	switch {
	case s.Parallel < 1 || s.Parallel > 100:
		return s, bad("/parallel", "1 to 100 members change at a time")
	case s.MaxFailures < 0 || s.MaxFailures > maxMembers || s.Percent && s.MaxFailures > 100:
		return s, bad("/maxFailures", "that many failures are none")
	case !slices.Contains([]string{RevertNone, RevertWave, RevertAll}, s.Rollback):
		return s, bad("/rollback", "a halt takes back none, the wave, or all")
	case s.Bake < 0 || s.Bake > longest:
		return s, bad("/bake", "a wave bakes for at most 30 days")
	case s.Patience < time.Second || s.Patience > longest:
		return s, bad("/patience", "a member has from a second to 30 days")
	}
	return s, nil
}

// Allowed is how many failures do not halt it, of so many members.
func (s Settings) Allowed(members int64) int64 {
	if s.Percent {
		return members * s.MaxFailures / 100
	}
	return s.MaxFailures
}

// ParseLength reads a length of time as the API has it; "" is 0.
func ParseLength(s, field string) (time.Duration, error) {
	d, err := gate.ParseLength(s)
	if err != nil {
		return 0, fault.From(err).WithField(field)
	}
	return d, nil
}

func notFound() error {
	return fault.New(fault.NotFound, "not_found", "there is no such rollout, or none that you may know of").
		WithHint("list what there is: fairlead rollout ls")
}
