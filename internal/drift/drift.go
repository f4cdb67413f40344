package drift

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/engine"
	"fairlead/internal/sqldb"
)

// Resolution is how drift was over.
type Resolution string

// The resolutions.
const (
	Healed    Resolution = "healed"    // a repair put it right
	Accepted  Resolution = "accepted"  // somebody said that it is fine
	Gone      Resolution = "gone"      // it was as wanted again, and nobody here had done that
	Changed   Resolution = "changed"   // another run made the resource anew
	Destroyed Resolution = "destroyed" // the resource is
)

// Episode is drift of one cause of one resource, from when it was seen until it
// was over.
type Episode struct {
	ID                     string
	ResourceID, Resource   string
	Engine, Template       string
	EnvironmentID          string
	Environment            string
	ProjectID, Project     string
	TeamID, Team           string
	Cause                  engine.Cause
	Presence               engine.Presence
	Differences            []engine.Drift
	Answer                 Answer
	RunID                  string
	DetectedAt, ChangedAt  time.Time
	ResolvedAt             time.Time
	Resolution             Resolution
	ResolvedByID, Resolved string // who accepted it
	Reason                 string
}

// Brake says when repairs are held.
type Brake struct {
	Share  float64       // of what was looked at last, or lives, that may be amiss
	Least  int           // so many are never held
	Window time.Duration // in which repairs are counted, and for which a release holds
}

// DefaultBrake is the brake of a server that says nothing of it.
var DefaultBrake = Brake{Share: 0.2, Least: 5, Window: time.Hour}

// Options is what the service stands on. All but Brake and Repeats are needed.
type Options struct {
	DB      *sqldb.DB
	Access  access.Authorizer
	Brake   Brake
	Repeats Repeats
	Log     *slog.Logger
}

// Service judges drift and keeps its history. It is safe for concurrent use.
type Service struct {
	Options
	store store
	sizes sizes
}

// New makes the service.
func New(o Options) *Service {
	if o.Brake == (Brake{}) {
		o.Brake = DefaultBrake
	}
	if o.Repeats == (Repeats{}) {
		o.Repeats = DefaultRepeats
	}
	return &Service{Options: o, store: store{o.DB}}
}

// printOf tells what a difference's value is, also where it is not shown.
func printOf(d engine.Drift) string {
	if d.Print != "" {
		return d.Print
	}
	sum := sha256.Sum256([]byte(toJSON(d.Got)))
	return hex.EncodeToString(sum[:12])
}

func sameDifferences(a, b []engine.Drift) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Address != b[i].Address || a[i].Field != b[i].Field || printOf(a[i]) != printOf(b[i]) || a[i].Severity != b[i].Severity {
			return false
		}
	}
	return true
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "null" // only of what came from JSON
	}
	return string(b)
}
