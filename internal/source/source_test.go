package source_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/access/accesstest"
	"fairlead/internal/egress"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/secret/secrettest"
	"fairlead/internal/source"
	"fairlead/internal/source/sourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/template"
)

func code(c string) error { return fault.New(fault.Invalid, c, "") }

func as(id string) context.Context {
	return principal.With(context.Background(), principal.Principal{Kind: principal.User, ID: id, Name: id})
}

// shelf is where versions go, and what it was told to say of them.
type shelf struct {
	mu   sync.Mutex
	got  map[string]string // version -> digest
	says map[string]error
	then func() // done after a version was taken in

	before func(context.Context, source.Import) error // done before one is
}

func (s *shelf) Import(ctx context.Context, in source.Import) (string, string, error) {
	if s.before != nil {
		if err := s.before(ctx, in); err != nil {
			return "", "", err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.says[in.Version]; err != nil {
		return "", "", err
	}
	if s.got == nil {
		s.got = map[string]string{}
	}
	if had, ok := s.got[in.Version]; ok && had != in.Files.Digest() { // as templates do
		return "", "", fault.New(fault.Conflict, "version_exists", "version %s exists with other content", in.Version)
	}
	s.got[in.Version] = in.Files.Digest()
	if s.then != nil {
		s.then()
	}
	return in.Version, in.Files.Digest(), nil
}
func (s *shelf) CheckName(name string) error            { return template.CheckTemplateName(name) }
func (s *shelf) Release(version string) (string, error) { return template.SortKey(version) }
func (s *shelf) count() int                             { s.mu.Lock(); defer s.mu.Unlock(); return len(s.got) }

type world struct {
	*source.Service
	db    *sqldb.DB
	shelf *shelf
}

func newWorld(t *testing.T, db *sqldb.DB, may access.Authorizer, caFile string) *world {
	t.Helper()
	out, err := egress.New(egress.Options{Config: egress.Config{Allow: []string{"127.0.0.1"}, CAFile: caFile}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{db: db, shelf: &shelf{}}
	w.Service = source.New(source.Options{DB: db, Access: may, Secrets: &secrettest.Memory{}, Egress: out, Templates: w.shelf, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	return w
}

// look adds nothing: it looks at what is due and gives the source.
func (w *world) look(t *testing.T, ref string) source.Source {
	t.Helper()
	if err := w.Turn(t.Context()); err != nil {
		t.Fatal(err)
	}
	v, err := w.Get(as("ada"), ref)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (w *world) tags(t *testing.T, ref string) map[string]source.Tag {
	t.Helper()
	list, _, err := w.Tags(as("ada"), ref, sqldb.Page{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]source.Tag{}
	for _, x := range list {
		out[x.Name] = x
	}
	return out
}

func (w *world) events(t *testing.T, kind string) (n int) {
	t.Helper()
	if err := w.db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM events WHERE type = $1`, kind).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTagsBecomeVersionsOnce(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, accesstest.AllowAll{}, "")
		r := sourcetest.New(t)
		first := r.Commit(map[string]string{"main.tf": "# one"}, "v1.0.0", "junk", "v1", "v1.0.0+build")
		if _, _, err := w.Add(as("ada"), source.NewSource{Name: "bucket", URL: r.URL()}); err != nil {
			t.Fatal(err)
		}
		v := w.look(t, "bucket")
		if v.Looked < 1 || v.SyncedAt.IsZero() || v.Problem.Code != "" || w.shelf.count() != 1 || !v.DueAt.After(v.SyncedAt.Add(4*time.Minute)) {
			t.Fatalf("%+v %v", v, w.shelf.got)
		}
		if tag := w.tags(t, "bucket")["v1.0.0"]; tag.Status != source.Imported || tag.Commit != first || tag.Digest == "" {
			t.Errorf("%+v", tag)
		}
		// Not due: nothing happens.
		r.Commit(map[string]string{"main.tf": "# two"}, "v1.1.0", "v1.0.0")
		if w.look(t, "bucket"); w.shelf.count() != 1 {
			t.Error("it was looked at before its time")
		}
		w.shelf.says = map[string]error{"1.1.0": fault.New(fault.Invalid, "module_invalid", "main.tf line 1: no")}
		for range 2 { // told once, however often it is seen
			if _, err := w.Sync(as("ada"), "bucket"); err != nil {
				t.Fatal(err)
			}
			w.look(t, "bucket")
		}
		tags := w.tags(t, "bucket")
		if x := tags["v1.0.0"]; x.Status != source.Moved || x.Commit != first || x.MovedTo == "" || x.Problem.Code != "tag_moved" {
			t.Errorf("moved: %+v", x)
		}
		if x := tags["v1.1.0"]; x.Status != source.Broken || x.Problem.Code != "module_invalid" {
			t.Errorf("broken: %+v", x)
		}
		if n := w.events(t, "template.tag_moved"); n != 1 || w.shelf.count() != 1 {
			t.Errorf("%d events of the move, %d versions", n, w.shelf.count())
		}
		// Moved back it is as it was; what was broken may be mended.
		r.Git("tag", "--force", "v1.0.0", first)
		w.shelf.says = nil
		if _, err := w.Sync(as("ada"), "bucket"); err != nil {
			t.Fatal(err)
		}
		w.look(t, "bucket")
		if tags = w.tags(t, "bucket"); tags["v1.0.0"].Status != source.Imported || tags["v1.1.0"].Status != source.Imported {
			t.Errorf("%+v", tags)
		}
	})
}

func TestMonorepositories(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqldbtest.SQLite(t), accesstest.AllowAll{}, "")
	r := sourcetest.New(t)
	r.Commit(map[string]string{"a/main.tf": "# a", "b/main.tf": "# b"}, "a/v1.0.0", "b/v2.0.0", "v3.0.0", "mine-v4.0.0", "x/a/v5.0.0")
	for name, c := range map[string]struct {
		in   source.NewSource
		want string
	}{
		"whole":   {source.NewSource{}, "3.0.0"},
		"a":       {source.NewSource{Path: "a"}, "1.0.0 3.0.0"},
		"b":       {source.NewSource{}, "2.0.0 3.0.0"},
		"pattern": {source.NewSource{Path: "a", Refs: "mine-v*"}, "4.0.0"},
		"deeper":  {source.NewSource{Path: "a", Refs: "x/a/*"}, "5.0.0"},
	} {
		c.in.Name, c.in.URL = name, r.URL()
		if _, _, err := w.Add(as("ada"), c.in); err != nil {
			t.Fatal(name, err)
		}
		w.look(t, name)
		list, _, err := w.Tags(as("ada"), name, sqldb.Page{})
		var got []string
		for i := len(list) - 1; i >= 0; i-- {
			got = append(got, list[i].Release)
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

func TestACredentialStaysWithItsOrigin(t *testing.T) {
	t.Parallel()
	r := sourcetest.New(t)
	r.Commit(map[string]string{"main.tf": "# one"}, "v1.0.0")
	s := sourcetest.Serve(t, r, "robot", "hunter2", "")
	spy := sourcetest.Serve(t, r, "", "", "")
	w := newWorld(t, sqldbtest.SQLite(t), accesstest.AllowAll{}, s.CAFile)
	if _, _, err := w.Add(as("ada"), source.NewSource{Name: "bucket", URL: s.URL + "/repo.git", Username: "robot", Password: redact.New("hunter2")}); err != nil {
		t.Fatal(err)
	}
	if v := w.look(t, "bucket"); v.Problem.Code != "" || w.shelf.count() != 1 {
		t.Fatalf("%+v", v)
	}
	err := w.db.Write(t.Context(), "test.repoint", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE template_sources SET url = $1, due_at = 1`, spy.URL+"/repo.git")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if v := w.look(t, "bucket"); v.Problem.Code != "source_origin" || v.Failures != 1 || spy.Asked.Load() != 0 {
		t.Errorf("%+v; the other place was asked %d times", v.Problem, spy.Asked.Load())
	}
}

func TestWhereASourceMayLead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqldbtest.SQLite(t), accesstest.AllowAll{}, "")
	pair := sourcetest.NewSSHKey(t)
	key, known := redact.New(pair.Private), "git.example.org "+pair.Public
	for raw, want := range map[string]string{
		"http://127.0.0.1/x.git": "invalid_source", "https://169.254.169.254/x.git": "egress_refused", "https://0x7f.1/x.git": "egress_url", "https://[::ffff:10.0.0.1]/x.git": "egress_refused",
		"https://u:p@git.example.org/x.git": "egress_url", "https://git.example.org/x.git?a=b": "invalid_source", "https://git.example.org/a/../b.git": "invalid_source", "https://git.example.org": "invalid_source",
		"ext::sh -c id": "invalid_source", "git://git.example.org/x": "invalid_source", "git@git.example.org:x.git": "invalid_source", "/srv/x": "invalid_source", "--upload-pack=x": "invalid_source",
		"ssh://git.example.org/x.git": "invalid_source", "ssh://-oProxyCommand=x@git.example.org/x.git": "invalid_source", "ssh://git@-oProxyCommand=x/x.git": "egress_url", "ssh://git@10.0.0.1/x.git": "egress_refused",
		"ssh://git@git.example.org/-x": "invalid_source", "ssh://git@git.example.org/a/-x": "invalid_source", "ssh://git@git.example.org/a//x": "invalid_source", "ssh://git@git.example.org/../x": "invalid_source", "ssh://git@git.example.org/x' y": "invalid_source", "file://relative": "invalid_source", "file:///srv/../etc": "invalid_source", "file:///srv/-x": "invalid_source", "file:///a\nb": "invalid_source",
	} {
		in := source.NewSource{Name: "x", URL: raw} // nothing else is wrong with it
		if strings.HasPrefix(raw, "ssh:") {
			in.PrivateKey, in.KnownHosts = key, known
		}
		if _, _, err := w.Add(as("ada"), in); !fault.Is(err, fault.Invalid) || fault.From(err).Code != want {
			t.Errorf("%q: %v", raw, err)
		}
	}
	for _, in := range []source.NewSource{
		{URL: "file:///srv/x", Path: "../x"}, {URL: "file:///srv/x", Path: "-x"}, {URL: "file:///srv/x", Path: "a:b"}, {URL: "file:///srv/x", Path: ".git"}, {URL: "file:///srv/x", Refs: "-x"}, {URL: "file:///srv/x", Refs: "a..b"},
		{URL: "file:///srv/x", Refs: "["}, {URL: "file:///srv/x", Password: redact.New("x")}, {URL: "https://git.example.org/x", Password: redact.New("a\nb")}, {URL: "https://git.example.org/x", Username: "x"},
		{URL: "ssh://git@git.example.org/x"}, {URL: "ssh://git@git.example.org/x", KnownHosts: known}, {URL: "ssh://git@git.example.org/x", PrivateKey: redact.New("-----BEGIN X"), KnownHosts: known},
		{URL: "ssh://git@git.example.org/x", PrivateKey: key}, {URL: "ssh://git@git.example.org/x", PrivateKey: key, KnownHosts: "x"}, {URL: "ssh://git@git.example.org/x", PrivateKey: key, KnownHosts: "# no key"},
		{URL: "ssh://git@git.example.org/x", PrivateKey: key, KnownHosts: known, Username: "x"}, {URL: "https://git.example.org/x", PrivateKey: key}, {URL: "ssh://git@git.example.org/x", PrivateKey: locked(t), KnownHosts: known},
		{}, {URL: "file:///srv/x", Folder: "/srv/x"}, {Folder: "srv"}, {Folder: "/"}, {URL: "file:///srv/x", Release: "1.0.0"},
	} {
		in.Name = "x"
		if _, _, err := w.Add(as("ada"), in); !errors.Is(err, code("invalid_source")) {
			t.Errorf("%+v: %v", in, err)
		}
	}
	if list, _, err := w.List(as("ada"), sqldb.Page{}); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
}

// onlyPush is somebody who may push templates and is no platform admin.
type onlyPush struct{ accesstest.AllowAll }

func (o onlyPush) Check(ctx context.Context, a access.Action, t access.Target) (access.Decision, error) {
	switch {
	case principal.From(ctx).Kind == principal.Anonymous:
		return access.Decision{}, fault.New(fault.Unauthenticated, "unauthenticated", "no")
	case a == access.SystemManage, principal.From(ctx).ID == "eve":
		return access.Decision{}, fault.New(fault.Denied, "denied", "no")
	}
	return o.AllowAll.Check(ctx, a, t)
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqldbtest.SQLite(t), onlyPush{}, "")
	for _, in := range []source.NewSource{{Name: "x", URL: "file:///srv/x"}, {Name: "x", Folder: "/srv/x"}} {
		if _, _, err := w.Add(as("ada"), in); !fault.Is(err, fault.Denied) {
			t.Errorf("a place on the server: %v", err)
		}
	}
	v, _, err := w.Add(as("ada"), source.NewSource{Name: "x", URL: "https://git.example.org/x.git"})
	if err != nil {
		t.Fatal(err)
	}
	local := "file:///srv/x"
	if _, _, err := w.Update(as("ada"), "x", source.Change{URL: &local}, 0); !fault.Is(err, fault.Denied) {
		t.Errorf("to a place on the server: %v", err)
	}
	for who, want := range map[string]fault.Kind{"eve": fault.NotFound, "": fault.Unauthenticated} {
		ctx := as(who)
		if who == "" {
			ctx = principal.With(t.Context(), principal.Nobody)
		}
		for name, err := range map[string]error{
			"Get":    func() error { _, err := w.Get(ctx, v.ID); return err }(),
			"Tags":   func() error { _, _, err := w.Tags(ctx, v.ID, sqldb.Page{}); return err }(),
			"Sync":   func() error { _, err := w.Sync(ctx, v.ID); return err }(),
			"Remove": w.Remove(ctx, v.ID, 0),
			"Update": func() error { _, _, err := w.Update(ctx, v.ID, source.Change{Path: &local}, 0); return err }(),
		} {
			if !fault.Is(err, want) {
				t.Errorf("%s by %q: %v", name, who, err)
			}
		}
		if list, _, err := w.List(ctx, sqldb.Page{}); len(list) != 0 || who == "" && !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("List by %q: %v %v", who, list, err)
		}
		if _, _, err := w.Add(ctx, source.NewSource{Name: "y", URL: "https://git.example.org/x.git"}); !fault.Is(err, fault.Denied) && !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("Add by %q: %v", who, err)
		}
	}
	if err := w.Remove(as("ada"), "x", 7); !fault.Is(err, fault.Stale) {
		t.Error(err)
	}
	if err := w.Remove(as("ada"), "x", v.Version); err != nil {
		t.Error(err)
	}
	if _, err := w.Get(as("ada"), "x"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestSignedPushesAreTakenOnce(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, accesstest.AllowAll{}, "")
		never := time.Duration(0)
		v, secret, err := w.Add(as("ada"), source.NewSource{Name: "bucket", URL: "https://git.example.org/x.git", Every: &never, Hooked: true})
		if err != nil || secret.Empty() {
			t.Fatal(err)
		}
		plain, _, err := w.Add(as("ada"), source.NewSource{Name: "other", URL: "https://git.example.org/x.git"})
		if err != nil {
			t.Fatal(err)
		}
		now, err := db.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		standard := func(id string, at time.Time, body string) source.Push {
			key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), "whsec_"))
			h := hmac.New(sha256.New, key)
			fmt.Fprintf(h, "%s.%d.%s", id, at.Unix(), body)
			return source.Push{ID: id, Timestamp: strconv.FormatInt(at.Unix(), 10), Signature: "v1,AAAA v1," + base64.StdEncoding.EncodeToString(h.Sum(nil)), Body: []byte(body)}
		}
		hub := func(body string) source.Push {
			h := hmac.New(sha256.New, []byte(secret.Reveal()))
			h.Write([]byte(body))
			return source.Push{Hub: "sha256=" + hex.EncodeToString(h.Sum(nil)), Body: []byte(body)}
		}
		forged := standard("d", now, "x")
		forged.Body = []byte("y")
		other := standard("e", now, "x")
		other.ID = "f"
		for name, c := range map[string]struct {
			id   string
			push source.Push
		}{
			"nothing": {v.ID, source.Push{}}, "of another source": {plain.ID, hub("x")}, "of no source": {"src_00000000000000000000000000", hub("x")}, "by name": {"bucket", hub("x")},
			"another body": {v.ID, forged}, "another id": {v.ID, other}, "too old": {v.ID, standard("g", now.Add(-6*time.Minute), "x")}, "too early": {v.ID, standard("h", now.Add(6*time.Minute), "x")},
			"no hex": {v.ID, source.Push{Hub: "sha256=zz", Body: []byte("x")}}, "another token": {v.ID, source.Push{Token: "x", Body: []byte("x")}}, "no time": {v.ID, source.Push{ID: "i", Signature: "v1,x"}},
		} {
			if err := w.Pushed(t.Context(), c.id, c.push); !errors.Is(err, code("push_refused")) || !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if at, err := w.Get(as("ada"), v.ID); err != nil || at.Wanted != 1 {
			t.Fatalf("%+v %v", at, err)
		}
		for i, p := range []source.Push{standard("a", now, "x"), standard("b", now, "x"), hub("{}"), {Token: secret.Reveal(), Body: []byte("gitlab")}} {
			if err := w.Pushed(t.Context(), v.ID, p); err != nil {
				t.Errorf("push %d: %v", i, err)
			}
			if err := w.Pushed(t.Context(), v.ID, p); !errors.Is(err, code("push_replayed")) {
				t.Errorf("push %d again: %v", i, err)
			}
		}
		if at, err := w.Get(as("ada"), v.ID); err != nil || at.Wanted != 5 {
			t.Errorf("%+v %v", at, err)
		}
	})
}

func TestWhatFailsIsTriedLaterAndLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqldbtest.SQLite(t), accesstest.AllowAll{}, "")
	u := url.URL{Scheme: "file", Path: t.TempDir()}
	if _, _, err := w.Add(as("ada"), source.NewSource{Name: "gone", URL: u.String()}); err != nil {
		t.Fatal(err)
	}
	last := time.Duration(0)
	for i := range 4 {
		v := w.look(t, "gone")
		now, err := w.db.Now(t.Context())
		if err != nil || v.Problem.Code != "source_refused" || v.Failures != int64(i+1) {
			t.Fatalf("%+v %v", v, err)
		}
		wait := v.DueAt.Sub(now)
		if wait <= last {
			t.Errorf("failure %d waits %s after %s", i, wait, last)
		}
		last = wait
		err = w.db.Write(t.Context(), "test.due", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE template_sources SET due_at = 1`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestALookThatIsCutOffIsDoneAgain: the server goes down between a version and
// the note of it.
func TestALookThatIsCutOffIsDoneAgain(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, accesstest.AllowAll{}, "")
		r := sourcetest.New(t)
		r.Commit(map[string]string{"main.tf": "# one"}, "v1.0.0")
		if _, _, err := w.Add(as("ada"), source.NewSource{Name: "bucket", URL: r.URL()}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		w.shelf.then = cancel
		_ = w.Turn(ctx)
		if v, err := w.Get(as("ada"), "bucket"); err != nil || v.Looked != 0 || len(w.tags(t, "bucket")) != 0 {
			t.Fatalf("%+v %v", v, err)
		}
		w.shelf.then = nil
		if v := w.look(t, "bucket"); v.Looked != 0 { // another might still be at it
			t.Fatalf("%+v", v)
		}
		if err := source.Release(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		if v := w.look(t, "bucket"); v.Looked != 1 || w.tags(t, "bucket")["v1.0.0"].Status != source.Imported || w.events(t, "template.version_added") != 1 {
			t.Errorf("%+v", v)
		}
	})
}

// TestALookThatWasOvertakenWritesNothing: it slept past its claim.
func TestALookThatWasOvertakenWritesNothing(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, accesstest.AllowAll{}, "")
		r := sourcetest.New(t)
		r.Commit(map[string]string{"main.tf": "# one"}, "v1.0.0")
		if _, _, err := w.Add(as("ada"), source.NewSource{Name: "bucket", URL: r.URL()}); err != nil {
			t.Fatal(err)
		}
		w.shelf.then = func() {
			if err := source.Release(t.Context(), db); err != nil {
				t.Error(err)
			}
			w.shelf.then = nil
		}
		// The first look loses its claim, the one after it takes its place.
		if v := w.look(t, "bucket"); v.Looked != 1 || w.events(t, "template.version_added") != 1 || len(w.tags(t, "bucket")) != 1 {
			t.Errorf("%+v, %d events", v, w.events(t, "template.version_added"))
		}
	})
}

// TestWhatAKilledServerLeftIsRemoved: a credential among it.
func TestWhatAKilledServerLeftIsRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "git")
	left := filepath.Join(dir, "fairlead-git-1", "config")
	if err := errors.Join(os.MkdirAll(filepath.Dir(left), 0o700), os.WriteFile(left, []byte("hunter2"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := source.New(source.Options{Dir: dir})
	if err := s.Tidy(); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(dir)
	if st, serr := os.Stat(dir); err != nil || serr != nil || len(list) != 0 || st.Mode().Perm() != 0o700 {
		t.Error(list, err, serr)
	}
}
