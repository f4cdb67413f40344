package ident

import (
	"crypto/rand"
	"strings"
	"sync"

	"github.com/oklog/ulid/v2"

	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
)

// last is the state of New: ids made by one process sort in the order in which
// they were made, within a millisecond and when the clock is set back, too.
var last = struct {
	sync.Mutex
	ms      uint64
	entropy *ulid.MonotonicEntropy
}{entropy: ulid.Monotonic(rand.Reader, 0)}

// New makes an id such as "res_01jd2…". Prefixes are two to five lower-case
// letters. It is safe for concurrent use. Ids are unique, not secret.
func New(prefix string) string {
	last.Lock()
	defer last.Unlock()
	last.ms = max(last.ms, ulid.Timestamp(failpoint.Now()))
	id, err := ulid.New(last.ms, last.entropy)
	if err != nil { // the millisecond's numbers are used up
		last.ms++
		id = ulid.MustNew(last.ms, last.entropy)
	}
	return prefix + "_" + strings.ToLower(id.String())
}

// MaxName is the longest name allowed, in bytes. With it, every external name
// derived from a name and a suffix fits into PostgreSQL's 63 bytes.
const MaxName = 40

// reserved are names that would read as something else in a path, a command
// line or a host name.
var reserved = map[string]bool{
	"all": true, "api": true, "compare": true, "default": true, "fairlead": true, "me": true, "new": true, "none": true,
	"null": true, "public": true, "root": true, "self": true, "system": true, "true": true, "false": true,
	"postgres": true, "template0": true, "template1": true, "admin": true,
}

// CheckName tells whether name may name a team, project, environment,
// resource, template, user or robot: 1 to MaxName of a-z, 0-9 and "-", starting with a
// letter, not ending with "-", not reserved. The fault is Invalid with the
// code "invalid_name"; the caller adds the field.
func CheckName(name string) error {
	bad := func(why string) error {
		return fault.New(fault.Invalid, "invalid_name", "%q is not a valid name: %s", clip(name), why).
			WithHint("use 1 to %d lower-case letters, digits and hyphens, starting with a letter", MaxName)
	}
	switch {
	case name == "":
		return bad("it is empty")
	case len(name) > MaxName:
		return bad("it is too long")
	case name[0] < 'a' || name[0] > 'z':
		return bad("it does not start with a lower-case letter")
	case name[len(name)-1] == '-':
		return bad("it ends with a hyphen")
	case reserved[name]:
		return bad("the word is reserved")
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return bad("only a-z, 0-9 and - are allowed")
		}
	}
	return nil
}

// clip keeps an error message short when the name is not.
func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}
