package backup_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"fairlead/internal/backup"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

type file struct{ name, content string }

// unpack opens a backup as its owner could.
func unpack(t testing.TB, kp keyPair, sealed []byte) (files []file) {
	t.Helper()
	ids, err := age.ParseIdentities(strings.NewReader(kp.from.Identities.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := age.Decrypt(bytes.NewReader(sealed), ids...)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(plain)
	if err != nil {
		t.Fatal(err)
	}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{h.Name, string(b)})
	}
}

// pack makes an archive of any files; with resum its manifest is made to fit,
// as somebody would who has a recipient's public key.
func pack(t testing.TB, files []file, resum bool) []byte {
	t.Helper()
	files = slices.Clone(files)
	if resum {
		var entries []map[string]string
		for _, f := range files {
			if f.name == "manifest.json" {
				continue
			}
			sum := sha256.Sum256([]byte(f.content))
			entries = append(entries, map[string]string{"name": f.name, "sha256": hex.EncodeToString(sum[:])})
		}
		for i, f := range files {
			if f.name != "manifest.json" {
				continue
			}
			var m map[string]any
			if err := json.Unmarshal([]byte(f.content), &m); err != nil {
				t.Fatal(err)
			}
			m["entries"] = entries
			b, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			files[i].content = string(b)
		}
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	tw := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.content)), Mode: 0o600}
		if strings.HasSuffix(f.name, "/link") {
			h = &tar.Header{Typeflag: tar.TypeSymlink, Name: f.name, Linkname: "/etc/passwd"}
			f.content = ""
		}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestOnlyExactlyABackupIsRead(t *testing.T) {
	t.Parallel()
	p, kp := newPlane(t, sqldb.SQLite), newKeyPair(t)
	p.fill(t, 2500)
	good := unpack(t, kp, p.backup(t, kp.to))
	if n, err := backup.Read(bytes.NewReader(pack(t, good, true))); err != nil || n < 2500 {
		t.Fatal(n, err)
	}
	for _, f := range good {
		if strings.Contains(f.content, canary) {
			t.Error("a secret is in the clear in ", f.name)
		}
	}
	at := func(name string) int {
		return slices.IndexFunc(good, func(f file) bool { return strings.HasPrefix(f.name, name) })
	}
	edit := func(name string, from, to string) []file {
		out := slices.Clone(good)
		i := at(name)
		out[i].content = strings.Replace(out[i].content, from, to, 1)
		if out[i].content == good[i].content {
			t.Fatalf("nothing to edit: %s", name)
		}
		return out
	}
	insert := func(before, name, content string) []file {
		return slices.Insert(slices.Clone(good), at(before), file{name, content})
	}
	without := func(name string) []file { i := at(name); return slices.Delete(slices.Clone(good), i, i+1) }
	for _, c := range []struct {
		why   string
		files []file
		resum bool
	}{
		{"a changed row", edit("tables/teams/", "team_a", "team_b"), false},
		{"an entry left out", without("tables/teams/"), false},
		{"an entry left out, and the digests made to fit", without("tables/teams/"), true},
		{"a row left out, and the digests made to fit", edit("tables/principals/", "[\"rob_a\"", "[\"rob_a\",1]\n[\"x\""), true},
		{"no header", without("header.json"), true},
		{"no manifest", without("manifest.json"), true},
		{"another format", edit("header.json", "backup/v1", "backup/v2"), true},
		{"a key file that climbs out", insert("keys/", "keys/../../evil.key", "x"), true},
		{"a key file of another name", insert("keys/", "keys/authorized_keys", "x"), true},
		{"a link", insert("keys/", "keys/link", ""), true},
		{"an unknown entry", insert("keys/", "etc/passwd", "x"), true},
		{"a table with an odd name", edit("tables/teams/", `"table":"teams"`, `"table":"teams\"; DROP TABLE x"`), true},
		{"a column with an odd name", edit("tables/teams/", `"title"`, `"title\") --"`), true},
		{"a value that is no value", edit("tables/teams/", `"team_a"`, `true`), true},
		{"a number that is too large", edit("tables/teams/", `9007199254740993`, `99007199254740993000`), true},
		{"a nested value", edit("tables/teams/", `"team_a"`, `{"bytes":"AA==","text":"AA=="}`), true},
		{"no base64", edit("tables/secrets/", `{"bytes":"`, `{"bytes":"!`), true},
		{"a table in two places", slices.Insert(slices.Clone(good), at("keys/"), good[at("tables/teams/")]), true},
		{"something after the manifest", append(slices.Clone(good), file{"tables/teams/000009.jsonl", "{}"}), true},
	} {
		if _, err := backup.Read(bytes.NewReader(pack(t, c.files, c.resum))); fault.From(err).Code != "backup_damaged" {
			t.Errorf("%s: %v", c.why, err)
		}
	}
	tail := append(pack(t, good, true), "more"...)
	if _, err := backup.Read(bytes.NewReader(tail)); fault.From(err).Code != "backup_damaged" {
		t.Error("something after the end: ", err)
	}
}

func FuzzRead(f *testing.F) {
	p, kp := newPlane(f, sqldb.SQLite), newKeyPair(f)
	good := unpack(f, kp, p.backup(f, kp.to))
	f.Add(pack(f, good, true))
	f.Add(pack(f, good[:3], false))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, err := backup.Read(bytes.NewReader(in)); err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	})
}

// FuzzTable feeds a table's piece past the layers that a fuzzer cannot cross.
func FuzzTable(f *testing.F) {
	f.Add(`{"table":"teams","columns":["id","n"]}` + "\n" + `["a",{"bytes":"AA=="}]` + "\n")
	f.Add("{}\n[]")
	f.Fuzz(func(t *testing.T, piece string) {
		head := `{"format":"fairlead-backup/v1","createdAt":"2026-01-01T00:00:00Z","store":"sqlite","schemaVersion":1}`
		files := []file{{"header.json", head}, {"tables/teams/000001.jsonl", piece},
			{"manifest.json", `{"header":` + head + `,"tables":{"teams":1}}`}}
		if _, err := backup.Read(bytes.NewReader(pack(t, files, true))); err != nil && fault.From(err).Code != "backup_damaged" {
			t.Fatal(err)
		}
	})
}
