package source

import (
	"context"
	"net/netip"
	"net/url"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
	"fairlead/internal/template/bundle"
)

// Kind is what a source is.
type Kind string

// The kinds of source. Folder and File are on the server itself.
const (
	Folder Kind = "folder" // a folder, of which the manifest has the version
	File   Kind = "file"   // a Git repository in a folder
	HTTPS  Kind = "https"  // a Git repository
	SSH    Kind = "ssh"    // a Git repository
)

// local tells whether a source is on the server: whoever names one reads what
// the server can read.
func (k Kind) local() bool { return k == Folder || k == File }

// Source is where one template's versions come from.
type Source struct {
	ID         string
	Name       string // the template's
	Kind       Kind
	URL        string // or the folder
	Path       string // the folder in it; "" is its top
	Refs       string // which tags, as a pattern such as bucket/v*; "" are the usual ones
	Release    string // of a Folder: the version, when its manifest has none
	Credential string // "", password or key
	KnownHosts string
	Hooked     bool          // it takes signed pushes
	Every      time.Duration // between looks; 0: only when asked
	DueAt      time.Time     // of the next look
	SyncedAt   time.Time     // the last look that succeeded; zero: none did
	Failures   int64         // in a row
	Problem    Problem       // of the last look; zero when it succeeded
	Wanted     int64         // counts the looks that were asked for
	Looked     int64         // the Wanted that the last finished look began with
	CreatedAt  time.Time
	CreatedBy  string
	UpdatedAt  time.Time
	Version    int64

	place int64 // counts the places that it has led to
	fence int64
}

// Target is the source as access sees it: the template that it fills.
func (s Source) Target() access.Target {
	return access.Target{Kind: "template", ID: s.Name, Name: s.Name, Template: s.Name}
}

// Problem is why something did not go well.
type Problem struct{ Code, Message, Hint string }

// Status is what became of a tag.
type Status string

// What becomes of a tag.
const (
	Imported Status = "imported" // a version of the template
	Broken   Status = "broken"   // refused: Problem says why
	Moved    Status = "moved"    // imported once; the tag leads elsewhere now, which is refused
)

// Tag is a tag of a source and what became of it.
type Tag struct {
	Name    string
	Release string // the version that it names
	Commit  string // that was taken in, or tried
	MovedTo string // where it leads now, when that is refused
	Status  Status
	Digest  string // of the version
	Problem Problem
	SeenAt  time.Time

	sortKey string
	again   bool  // trying again may help
	place   int64 // the one of the source that it was seen at
}

// Import is a version as a source has it.
type Import struct {
	Name    string // the template's
	Version string // "" when the manifest is to say it
	Files   *bundle.Bundle
	Details map[string]any // for the audit record: where it comes from
	// Held holds in the transaction that makes the version: a source that leads
	// elsewhere by then, or is no more, gives none.
	Held func(context.Context, *sqldb.Tx) error
}

// Templates takes versions in.
type Templates interface {
	// Import makes a version, after its tests passed. The same content again
	// is no error. It gives version and digest.
	Import(ctx context.Context, in Import) (version, digest string, err error)
	// CheckName says whether a template may be called so.
	CheckName(name string) error
	// Release reads a semantic version and gives what orders it.
	Release(version string) (sortKey string, err error)
}

// Secrets keeps credentials; secret.Store does.
type Secrets interface {
	Put(ctx context.Context, tx *sqldb.Tx, owner, name string, value redact.Secret) error
	Get(ctx context.Context, owner, name string) (redact.Secret, error)
	Delete(ctx context.Context, tx *sqldb.Tx, owner string) error
}

// Egress judges where a source may lead; egress.Client does.
type Egress interface {
	CheckURL(raw string) (*url.URL, error)
	Resolve(ctx context.Context, host string, port uint16) ([]netip.AddrPort, error)
	CAFile() string
}
