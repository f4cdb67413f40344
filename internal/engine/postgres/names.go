package postgres

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"fairlead/internal/engine"
)

// names are a resource's objects on its server.
type names struct{ Database, Owner, A, B string }

func (n names) login(which string) string {
	if which == "b" {
		return n.B
	}
	return n.A
}

func other(which string) string {
	if which == "b" {
		return "a"
	}
	return "b"
}

func (n names) roles() []string { return []string{n.Owner, n.A, n.B} }

// namesOf derives the names from a Ref, and from nothing else, so that a call
// after a crash finds what the one before made.
func namesOf(ref engine.Ref) names {
	base := slug(ref.Name) + "_" + shortHash(ref.Installation, ref.ID)
	return names{Database: base, Owner: base, A: base + "_a", B: base + "_b"}
}

// DatabaseName tells the name of a resource's database; its roles' begin with it.
func DatabaseName(ref engine.Ref) string { return namesOf(ref).Database }

// slug makes the readable part: at most 40 of [a-z0-9_], starting with a
// letter, and not "pg_", which PostgreSQL reserves.
func slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
		if b.Len() == 40 {
			break
		}
	}
	s := b.String()
	if s == "" || s[0] < 'a' || s[0] > 'z' || strings.HasPrefix(s, "pg_") || strings.HasPrefix(s, poolPrefix) {
		s = "db_" + s[:min(len(s), 37)]
	}
	return s
}

func digest(purpose, installation, id string) [32]byte {
	return sha256.Sum256([]byte(purpose + "\x00" + installation + "\x00" + id))
}

// shortHash is 50 bits: enough that two resources never meet, short to read.
func shortHash(installation, id string) string {
	d := digest("name", installation, id)
	return strings.ToLower(base32.StdEncoding.EncodeToString(d[:]))[:10]
}

// fingerprint is the CONNECTION LIMIT that marks an unfinished database: see
// the package's comment.
func fingerprint(installation, id string) int32 {
	d := digest("unfinished", installation, id)
	return int32(binary.BigEndian.Uint32(d[:])&(1<<30-1) | 1<<30)
}

// lockKey is the advisory lock of a resource.
func lockKey(installation, id string) int64 {
	d := digest("lock", installation, id)
	return int64(binary.BigEndian.Uint64(d[:]))
}

// secondKey is held by a second connection that works for the same resource.
func secondKey(key int64) int64 { return key ^ 1 }

// marker is the comment that says whose an object is. What follows Pool is for
// the people who read it.
type marker struct {
	Installation string `json:"fairlead"`
	Resource     string `json:"resource,omitempty"`
	Pool         string `json:"pool,omitempty"`
	Name         string `json:"name,omitempty"`
	Project      string `json:"project,omitempty"`
	Environment  string `json:"environment,omitempty"`
	Adopted      bool   `json:"adopted,omitempty"` // the database was there before, under this name
	Former       string `json:"former,omitempty"`  // who owned it then
}

func markerOf(ref engine.Ref) marker {
	return marker{Installation: ref.Installation, Resource: ref.ID, Name: ref.Name, Project: ref.Project, Environment: ref.Environment}
}

func (m marker) String() string {
	raw, _ := json.Marshal(m) // strings always marshal
	return string(raw)
}

// maxComment is how much of a comment is read: a tenant may write a gigabyte
// of it on its own database.
const maxComment = 4096

// readMarker parses a comment; false for everything that is not a marker,
// whatever a tenant wrote there.
func readMarker(comment []byte) (marker, bool) {
	var m marker
	if len(comment) == 0 || len(comment) >= maxComment || !utf8.Valid(comment) {
		return m, false
	}
	if err := json.Unmarshal(comment, &m); err != nil || m.Installation == "" || (m.Resource == "") == (m.Pool == "") {
		return marker{}, false
	}
	return m, true
}

// ident quotes an identifier.
func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal quotes a string for DDL, which takes no parameters.
func literal(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\x00", ""), "'", "''")
	if strings.Contains(s, `\`) {
		return ` E'` + strings.ReplaceAll(s, `\`, `\\`) + `'`
	}
	return "'" + s + "'"
}
