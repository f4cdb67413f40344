package source_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/source"
	"fairlead/internal/source/sourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func given(s string) *string { return &s }

func hidden(s string) *redact.Secret { v := redact.New(s); return &v }

// TestASourceThatMovesKeepsItsVersions: the repository moves, with one version
// as it was, one of other content under a number that is taken, and a new one.
func TestASourceThatMovesKeepsItsVersions(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, accesstest.AllowAll{}, "")
		old, now := sourcetest.New(t), sourcetest.New(t)
		old.Commit(map[string]string{"main.tf": "# one"}, "v1.0.0")
		old.Commit(map[string]string{"main.tf": "# two"}, "v1.1.0")
		old.Commit(map[string]string{"main.tf": "# gone"}, "v1.2.0")
		now.Commit(map[string]string{"main.tf": "# one"}, "v1.0.0")
		now.Commit(map[string]string{"main.tf": "# not two"}, "v1.1.0")
		now.Commit(map[string]string{"main.tf": "# three"}, "v2.0.0", "bucket/v1.2.0")
		v, _, err := w.Add(as("ada"), source.NewSource{Name: "bucket", URL: old.URL()})
		if err != nil {
			t.Fatal(err)
		}
		w.look(t, "bucket")
		had := w.shelf.got["1.1.0"]
		v, _, err = w.Update(as("ada"), "bucket", source.Change{URL: given(now.URL())}, v.Version)
		if err != nil || v.URL != now.URL() || v.Wanted != 2 || v.Version != 2 {
			t.Fatalf("%+v %v", v, err)
		}
		if v := w.look(t, "bucket"); v.Problem.Code != "" || v.Looked != 2 {
			t.Fatalf("%+v", v)
		}
		tags := w.tags(t, "bucket")
		for tag, want := range map[string]source.Status{"v1.0.0": source.Imported, "v1.1.0": source.Broken, "v2.0.0": source.Imported, "bucket/v1.2.0": source.Broken} {
			if got := tags[tag]; got.Status != want || want == source.Broken && got.Problem.Code != "version_exists" {
				t.Errorf("%s: %+v", tag, got)
			}
		}
		if _, there := tags["v1.2.0"]; there || len(tags) != 4 {
			t.Errorf("%v", tags)
		}
		if w.shelf.got["1.1.0"] != had || w.shelf.count() != 4 {
			t.Errorf("a version changed: %v", w.shelf.got)
		}
		for kind, want := range map[string]int{"template.version_added": 4, "template.version_refused": 2, "template.source_added": 1, "template.source_changed": 1, "template.tag_moved": 0} {
			if got := w.events(t, kind); got != want {
				t.Errorf("%s: %d, not %d", kind, got, want)
			}
		}
		// Nothing is told twice, and nothing is done when nothing is to be.
		if _, err := w.Sync(as("ada"), "bucket"); err != nil {
			t.Fatal(err)
		}
		w.look(t, "bucket")
		if again, _, err := w.Update(as("ada"), "bucket", source.Change{URL: given(now.URL()), Path: given("")}, 0); err != nil || again.Version != 2 {
			t.Errorf("%+v %v", again, err)
		}
		if _, _, err := w.Update(as("ada"), "bucket", source.Change{Path: given("a")}, 1); !fault.Is(err, fault.Stale) {
			t.Error(err)
		}
		if got := w.events(t, "template.source_changed"); got != 1 {
			t.Errorf("%d changes", got)
		}
	})
}

// TestAnotherFolderOfTheSameCommitIsOtherContent: that the commit is the same
// one says nothing then.
func TestAnotherFolderOfTheSameCommitIsOtherContent(t *testing.T) {
	t.Parallel()
	r := sourcetest.New(t)
	r.Commit(map[string]string{"a/main.tf": "# a", "b/main.tf": "# b"}, "v1.0.0")
	w := newWorld(t, sqldbtest.SQLite(t), accesstest.AllowAll{}, "")
	if _, _, err := w.Add(as("ada"), source.NewSource{Name: "bucket", URL: r.URL(), Path: "a"}); err != nil {
		t.Fatal(err)
	}
	w.look(t, "bucket")
	if _, _, err := w.Update(as("ada"), "bucket", source.Change{Path: given("b")}, 0); err != nil {
		t.Fatal(err)
	}
	w.look(t, "bucket")
	if got := w.tags(t, "bucket")["v1.0.0"]; got.Status != source.Broken || got.Problem.Code != "version_exists" || w.events(t, "template.version_refused") != 1 {
		t.Errorf("%+v", got)
	}
	if _, _, err := w.Update(as("ada"), "bucket", source.Change{Path: given("a")}, 0); err != nil {
		t.Fatal(err)
	}
	w.look(t, "bucket")
	if got := w.tags(t, "bucket")["v1.0.0"]; got.Status != source.Imported || w.shelf.count() != 1 {
		t.Errorf("%+v", got)
	}
}

func TestAChangeTakesNoCredentialElsewhere(t *testing.T) {
	t.Parallel()
	r := sourcetest.New(t)
	r.Commit(map[string]string{"main.tf": "# one"}, "v1.0.0")
	s := sourcetest.Serve(t, r, "robot", "hunter2", "")
	w := newWorld(t, sqldbtest.SQLite(t), accesstest.AllowAll{}, s.CAFile)
	if _, _, err := w.Add(as("ada"), source.NewSource{Name: "bucket", URL: s.URL + "/repo.git", Username: "robot", Password: redact.New("hunter2")}); err != nil {
		t.Fatal(err)
	}
	pair := sourcetest.NewSSHKey(t)
	elsewhere, ssh, known := given("https://127.0.0.1:1/repo.git"), given("ssh://git@127.0.0.1/repo.git"), given("127.0.0.1 "+pair.Public)
	for name, c := range map[string]struct {
		source.Change
		code string
	}{
		"the password goes elsewhere":    {source.Change{URL: elsewhere}, "source_origin"},
		"or to another program":          {source.Change{URL: ssh, KnownHosts: known}, "source_origin"},
		"a key without its host's":       {source.Change{URL: ssh, PrivateKey: hidden(pair.Private)}, "invalid_source"},
		"a name without a password":      {source.Change{Username: "eve"}, "invalid_source"},
		"a key for https":                {source.Change{PrivateKey: hidden(pair.Private)}, "invalid_source"},
		"a host's key for https":         {source.Change{KnownHosts: known}, "invalid_source"},
		"two places":                     {source.Change{URL: elsewhere, Folder: given("/srv/x")}, "invalid_source"},
		"no place":                       {source.Change{URL: given("")}, "invalid_source"},
		"not where the server may reach": {source.Change{URL: given("https://169.254.169.254/x.git"), Password: hidden("")}, "egress_refused"},
		"an option":                      {source.Change{Path: given("--x")}, "invalid_source"},
		"too often":                      {source.Change{Every: func() *time.Duration { d := time.Second; return &d }()}, "invalid_source"},
		"a version of a repository":      {source.Change{Release: given("1.0.0")}, "invalid_source"},
	} {
		if _, _, err := w.Update(as("ada"), "bucket", c.Change, 0); fault.From(err).Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if v := w.look(t, "bucket"); v.Version != 1 || v.Problem.Code != "" || w.shelf.count() != 1 {
		t.Fatalf("%+v", v)
	}
	// Within its origin it stays, and another takes its place.
	for _, c := range []struct {
		source.Change
		code, credential string
	}{
		{source.Change{URL: given(s.URL + "/other.git")}, "source_refused", "password"},
		{source.Change{URL: given(s.URL + "/repo.git")}, "", "password"},
		{source.Change{Username: "robot", Password: hidden("wrong")}, "source_refused", "password"},
		{source.Change{Username: "robot", Password: hidden("hunter2")}, "", "password"},
		{source.Change{Password: hidden("")}, "source_refused", ""},
		{source.Change{URL: given(r.URL())}, "", ""},
	} {
		if _, _, err := w.Update(as("ada"), "bucket", c.Change, 0); err != nil {
			t.Fatal(err)
		}
		if v := w.look(t, "bucket"); v.Problem.Code != c.code || v.Credential != c.credential {
			t.Errorf("%+v: %+v", c, v)
		}
	}
	if sent, _ := s.Auth.Load().(string); sent != "" {
		t.Errorf("a credential that was taken away is sent: %s", sent)
	}
}

// TestWhatIsLookedAtWhileItMoves: a look at the place that was brings nothing
// more, however far it is.
func TestWhatIsLookedAtWhileItMoves(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, accesstest.AllowAll{}, "")
		old, now := sourcetest.New(t), sourcetest.New(t)
		old.Commit(map[string]string{"main.tf": "# bad"}, "v1.0.0")
		now.Commit(map[string]string{"main.tf": "# good"}, "v1.0.0")
		if _, _, err := w.Add(as("ada"), source.NewSource{Name: "bucket", URL: old.URL()}); err != nil {
			t.Fatal(err)
		}
		w.shelf.before = func(ctx context.Context, in source.Import) error {
			w.shelf.before = nil
			if _, _, err := w.Update(as("ada"), "bucket", source.Change{URL: given(now.URL())}, 0); err != nil {
				return err
			}
			err := db.Write(ctx, "test.held", func(tx *sqldb.Tx) error { return in.Held(ctx, tx) })
			if err == nil {
				t.Error("the place that was still holds")
			}
			return err
		}
		if v := w.look(t, "bucket"); v.Problem.Code != "" || v.Looked != 2 {
			t.Errorf("%+v", v)
		}
		if got := w.tags(t, "bucket")["v1.0.0"]; got.Status != source.Imported || got.Digest != w.shelf.got["1.0.0"] || w.events(t, "template.version_added") != 1 || w.shelf.count() != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAWebhooksSecretEndsWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqldbtest.SQLite(t), accesstest.AllowAll{}, "")
	on, off := true, false
	v, none, err := w.Add(as("ada"), source.NewSource{Name: "bucket", URL: "https://git.example.org/x.git"})
	if err != nil || !none.Empty() {
		t.Fatal(err)
	}
	n := 0
	push := func(secret redact.Secret) error {
		n++ // each is another one
		return w.Pushed(t.Context(), v.ID, source.Push{Token: secret.Reveal(), Body: []byte(strings.Repeat("x", n))})
	}
	_, first, err := w.Update(as("ada"), "bucket", source.Change{Hooked: &on}, 0)
	if err != nil || first.Empty() || push(first) != nil {
		t.Fatal(err)
	}
	if _, again, err := w.Update(as("ada"), "bucket", source.Change{Hooked: &on}, 0); err != nil || !again.Empty() {
		t.Errorf("a secret is shown twice: %v", err)
	}
	if _, _, err := w.Update(as("ada"), "bucket", source.Change{Hooked: &off}, 0); err != nil || !errors.Is(push(first), fault.New(fault.Unauthenticated, "push_refused", "")) {
		t.Error("it still takes pushes", err)
	}
	_, second, err := w.Update(as("ada"), "bucket", source.Change{Hooked: &on}, 0)
	if err != nil || second.Reveal() == first.Reveal() || !errors.Is(push(first), fault.New(fault.Unauthenticated, "push_refused", "")) {
		t.Error("the secret that was works again", err)
	}
}

// TestAFolderIsToldOnce however often somebody asks for a look.
func TestAFolderIsToldOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte("# one"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, sqldbtest.SQLite(t), accesstest.AllowAll{}, "")
	if _, _, err := w.Add(as("ada"), source.NewSource{Name: "bucket", Folder: dir, Release: "1.0.0"}); err != nil {
		t.Fatal(err)
	}
	w.look(t, "bucket")
	for range 2 {
		if _, err := w.Sync(as("ada"), "bucket"); err != nil {
			t.Fatal(err)
		}
		w.look(t, "bucket")
	}
	if got := w.events(t, "template.version_added"); got != 1 || w.tags(t, "bucket")["folder"].Status != source.Imported {
		t.Errorf("told %d times", got)
	}
	release := "1.1.0"
	if _, _, err := w.Update(as("ada"), "bucket", source.Change{Release: &release}, 0); err != nil {
		t.Fatal(err)
	}
	w.look(t, "bucket")
	if got := w.events(t, "template.version_added"); got != 2 || w.shelf.count() != 2 {
		t.Errorf("told %d times of %d versions", got, w.shelf.count())
	}
}
