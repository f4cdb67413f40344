package source

import (
	"encoding/base64"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"fairlead/internal/egress"
)

// What git is told never begins with a dash, leaves no folder and names no
// other helper, however the URL is written.
func FuzzPlace(f *testing.F) {
	for _, s := range []string{
		"https://host.example.org/a/b.git", "ssh://git@host.example.org:22/a/b.git", "file:///srv/git/a.git", "ssh://git@-oProxyCommand=x/a", "ssh://-l@h/a", "file:///a/../b", "file:///-a",
		"https://h/a?x", "https://u:p@h/a", "https://h/%2e%2e/a", "ext::sh -c x", "git@h:a", "ssh://git@h/a/-b", "ssh://git@h:0/a", "https://h:99999/a", "https://h/a/./b",
	} {
		f.Add(s)
	}
	out, err := egress.New(egress.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := parsePlace(raw, out)
		if err != nil {
			return
		}
		if !strings.HasPrefix(p.url, string(p.kind)+"://") || strings.ContainsAny(p.url, " \t\r\n\x00'\"`$;|&<>\\") || len(p.url) > 3000 {
			t.Errorf("%q leads to %q", raw, p.url)
		}
		if strings.HasPrefix(p.host, "-") || p.kind != File && (p.host == "" || p.port == 0) {
			t.Errorf("%q has the host %q, port %d", raw, p.host, p.port)
		}
		u, err := url.Parse(p.url)
		if err != nil || strings.Contains(u.Path, "/../") || strings.HasSuffix(u.Path, "/..") || p.kind != HTTPS && strings.Contains(u.Path, "/-") || p.origin == "" {
			t.Errorf("%q leads to %q of %q, %v", raw, p.url, p.origin, err)
		}
		if again, err := parsePlace(p.url, out); err != nil || again.url != p.url || again.origin != p.origin {
			t.Errorf("%q is read as %q, and that as %q: %v", raw, p.url, again.url, err)
		}
	})
}

func FuzzInside(f *testing.F) {
	f.Add("modules/bucket", "v*", "v1.2.3")
	f.Add("", "bucket/v*", "bucket/v1.0.0")
	f.Add("a/../b", "[", "x")
	f.Fuzz(func(t *testing.T, folder, refs, tag string) {
		if checkInside(folder, refs) != nil {
			return
		}
		if folder != "" && (path.IsAbs(folder) || strings.Contains("/"+folder+"/", "/../") || strings.HasPrefix(folder, "-") || strings.Contains(folder, "/-")) {
			t.Errorf("%q is taken for a folder", folder)
		}
		if strings.HasPrefix(refs, "-") {
			t.Errorf("%q is taken for a pattern", refs)
		}
		_ = Source{Name: "bucket", Path: folder, Refs: refs}.release(tag)
	})
}

// Nothing that is not signed with the secret is taken, and what is, is one by
// its id, not by its time.
func FuzzPush(f *testing.F) {
	secret := hookPrefix + base64.StdEncoding.EncodeToString([]byte("twenty-four bytes of key"))
	f.Add("msg_1", "1700000000", "v1,AAAA", "", "", []byte("{}"))
	f.Add("", "-9223372036854775808", "v1,", "sha256=", "", []byte{})
	f.Add("m", "+1700000000", strings.Repeat("v1,A ", 20), "", "", []byte("x"))
	f.Add("", "", "", "", hookPrefix, []byte("x"))
	f.Fuzz(func(t *testing.T, id, at, signature, hub, token string, body []byte) {
		p := Push{ID: id, Timestamp: at, Signature: signature, Hub: hub, Token: token, Body: body}
		if once, ok := p.verify(secret, time.Unix(1700000000, 0)); ok && token != secret {
			t.Errorf("%+v is taken, as %s", p, once)
		}
	})
}
