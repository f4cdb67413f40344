package gitrepo

import (
	"fmt"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/regex"
)

var fingerprint = regex.Late(`SHA256:[A-Za-z0-9+/]{43}`)

// shows is the fingerprint of the key that a host showed, when ssh tells it.
func shows(said string) string {
	if f := fingerprint().FindString(said); f != "" {
		return ": " + f
	}
	return ""
}

// failure says what git's failure means, without repeating addresses.
func failure(err error, said string) error {
	what, hint := "the repository cannot be read", "check the URL, and that the credentials are for it"
	low := strings.ToLower(said)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(low, w) {
				return true
			}
		}
		return false
	}
	kind := fault.Unavailable
	switch {
	case has("redirect", "http 301", "http 302", "error: 30"):
		what, hint, kind = "the repository redirects elsewhere, which is not followed", "use the URL that it redirects to", fault.Invalid
	case has("permission denied (publickey"):
		what, hint, kind = "the host refuses the deploy key", "add the key's public half to the repository, to read alone; then fairlead template source sync NAME", fault.Invalid
	case has("authentication failed", "could not read username", "terminal prompts disabled", "error: 401", "error: 403", "permission denied (", "invalid credentials"):
		what, hint, kind = "the repository refuses the credentials, or wants some", "give a token or a deploy key that may read it", fault.Invalid
	case has("remote host identification has changed"):
		what = "the host shows another key than its known hosts have" + shows(said)
		hint, kind = "ask its operator: unless they changed it, somebody is between. For their new key: fairlead template source update NAME --known-hosts FILE", fault.Invalid
	case has("host key verification failed", "no matching host key"):
		what, hint, kind = "the host shows a key that is not among its known hosts", "give the host's own line: ssh-keyscan HOST, compared with what its operator publishes", fault.Invalid
	case has("repository not found", "does not appear to be a git repository", "error: 404", "not found"):
		what, hint, kind = "there is no such repository, or the credentials do not reach it", "check the URL", fault.Invalid
	case has("dubious ownership"):
		what, hint, kind = "the folder is no repository that this server's account may read", "check its owner", fault.Invalid
	case has("certificate", "ssl"):
		what, hint = "the host's certificate is not one to trust", "have the platform team add its authority to egress.caFile"
	case has("fsck error", "fatal: fsck", "error in object", "bad object", "hasdot", "gitmodules"):
		what, hint, kind = "the repository holds objects that git refuses", "run git fsck on it, and mend what it says", fault.Invalid
	case has("connection refused", "could not resolve", "failed to connect", "timed out", "timeout", "connection reset", "early eof", "hung up"):
		what, hint = "the repository cannot be reached", "it is tried again by itself"
	}
	f := fault.New(fault.Unavailable, "source_unreachable", "%s", what)
	if kind == fault.Invalid {
		f = fault.New(fault.Invalid, "source_refused", "%s", what)
	}
	return f.WithHint("%s", hint).WithCause(fmt.Errorf("git: %w: %s", err, strings.TrimSpace(said)))
}
