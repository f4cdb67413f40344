package source

import (
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"fairlead/internal/egress"
	"fairlead/internal/fault"
	"fairlead/internal/regex"
)

// place is a source's URL, taken apart.
type place struct {
	kind   Kind
	url    string // as git gets it
	host   string
	port   uint16
	origin string // what a credential is bound to
}

// named is the origin in words.
func (p place) named() string {
	if p.origin == "" {
		return "another place"
	}
	return p.origin
}

var (
	sshUser = regex.Late(`^[A-Za-z_][A-Za-z0-9_.-]{0,31}$`)
	repoURL = regex.Late(`^/[A-Za-z0-9._~/+@-]{1,500}$`)
	inRepo  = regex.Late(`^[A-Za-z0-9_][A-Za-z0-9._+@-]*(/[A-Za-z0-9_][A-Za-z0-9._+@-]*)*$`)
	pattern = regex.Late(`^[A-Za-z0-9_*?][A-Za-z0-9._+@*?/-]*$`)
)

func invalid(field, format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "invalid_source", format, args...).WithField(field)
}

// parsePlace reads where a source is. It asks nobody.
func parsePlace(raw string, out Egress) (place, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	switch {
	case !ok && strings.Contains(raw, ":"):
		return place{}, invalid("/url", "the short form of an SSH URL is not taken").WithHint("write it as ssh://git@host.example.org/path/repo.git")
	case !ok:
		return place{}, invalid("/url", "that is no URL").WithHint("as https://host/path.git, ssh://git@host/path.git or file:///path")
	case len(raw) > 2000:
		return place{}, invalid("/url", "the URL is too long")
	}
	switch scheme {
	case "file":
		if !cleanFolder(rest) {
			return place{}, invalid("/url", "the path is not absolute and clean").WithHint("as file:///srv/git/templates.git")
		}
		return place{kind: File, url: raw, origin: raw}, nil
	case "https":
		return httpsPlace(raw, out)
	case "ssh":
		return sshPlace(rest, out)
	}
	return place{}, invalid("/url", "repositories are read by https, ssh and file alone").WithHint("use https://, ssh:// or file://")
}

func cleanFolder(p string) bool {
	return repoURL().MatchString(p) && filepath.Clean(p) == p && p != "/" && !strings.Contains(p, "/-")
}

func httpsPlace(raw string, out Egress) (place, error) {
	u, err := out.CheckURL(raw)
	if err != nil {
		return place{}, err
	}
	if u.Scheme != "https" || u.RawQuery != "" || u.ForceQuery || !repoURL().MatchString(u.Path) || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
		return place{}, invalid("/url", "that is no URL of a repository").WithHint("as https://host.example.org/path/repo.git")
	}
	port, err := portOr(u, 443)
	return place{kind: HTTPS, url: u.String(), host: u.Hostname(), port: port, origin: egress.Origin(u)}, err
}

// sshPlace reads USER@HOST[:PORT]/PATH. The host is held to the same spelling
// as one of https.
func sshPlace(rest string, out Egress) (place, error) {
	authority, name, _ := strings.Cut(rest, "/")
	user, host, ok := strings.Cut(authority, "@")
	if !ok || !sshUser().MatchString(user) || !repoURL().MatchString("/"+name) || strings.Contains(name, "//") || strings.HasPrefix(name, "-") || strings.Contains(name, "/-") || path.Clean("/"+name) != "/"+name {
		return place{}, invalid("/url", "that is no SSH URL of a repository").WithHint("as ssh://git@host.example.org/path/repo.git")
	}
	u, err := out.CheckURL("https://" + host + "/")
	if err != nil {
		return place{}, err
	}
	port, err := portOr(u, 22)
	return place{kind: SSH, url: "ssh://" + user + "@" + u.Host + "/" + name, host: u.Hostname(), port: port, origin: "ssh://" + user + "@" + u.Hostname() + ":" + strconv.Itoa(int(port))}, err
}

func portOr(u *url.URL, standard uint16) (uint16, error) {
	if u.Port() == "" {
		return standard, nil
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || n == 0 {
		return 0, invalid("/url", "the port is out of range")
	}
	return uint16(n), nil
}

// checkInside holds for a folder in a source and for a pattern of tags.
func checkInside(folder, refs string) error {
	if folder != "" && (len(folder) > 200 || !inRepo().MatchString(folder)) {
		return invalid("/path", "the folder is not a clean relative path").WithHint("as modules/bucket")
	}
	if refs == "" {
		return nil
	}
	if _, err := path.Match(refs, ""); err != nil || len(refs) > 200 || !pattern().MatchString(refs) || strings.Contains(refs, "..") {
		return invalid("/refs", "that is no pattern of tags").WithHint("as v*, or bucket/v* in a repository with several templates")
	}
	return nil
}

// release gives the version that a tag names for a source; "" when none. What
// is left may still be no semantic version.
func (s Source) release(tag string) string {
	last := tag[strings.LastIndexByte(tag, '/')+1:]
	if s.Refs == "" {
		before := strings.TrimSuffix(strings.TrimSuffix(tag, last), "/")
		if before != "" && before != s.Name && (s.Path == "" || before != s.Path && before != path.Base(s.Path)) {
			return ""
		}
		return strings.TrimPrefix(last, "v")
	}
	if ok, err := path.Match(s.Refs, tag); err != nil || !ok {
		return ""
	}
	// What the pattern spells out before the version, as in bucket-v*.
	spelt := s.Refs[strings.LastIndexByte(s.Refs, '/')+1:]
	if i := strings.IndexAny(spelt, "*?"); i >= 0 {
		spelt = spelt[:i]
	}
	return strings.TrimPrefix(strings.TrimPrefix(last, strings.TrimRight(spelt, "0123456789.")), "v")
}
