package audit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"fairlead/internal/audit"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// tamper changes the store behind the log's back.
func tamper(t *testing.T, db *sqldb.DB, statements ...string) {
	t.Helper()
	err := db.Write(t.Context(), "test.tamper", func(tx *sqldb.Tx) error {
		for _, s := range statements {
			if _, err := tx.ExecContext(t.Context(), s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTamperingWithTheStoreIsNamed(t *testing.T) {
	t.Parallel()
	cases := []struct {
		why        string
		statements []string
		seq        int64
		reason     audit.Reason
	}{
		{"a record is removed", []string{`DELETE FROM audit_log WHERE seq = 5`}, 5, audit.BadGap},
		{"the first is removed", []string{`DELETE FROM audit_log WHERE seq = 1`}, 1, audit.BadGap},
		{"two change places", []string{`UPDATE audit_log SET seq = -1 WHERE seq = 5`, `UPDATE audit_log SET seq = 5 WHERE seq = 6`,
			`UPDATE audit_log SET seq = 6 WHERE seq = -1`}, 5, audit.BadHash},
		{"details are no JSON any more", []string{"UPDATE audit_log SET details = '{\"a\":1}\n{' WHERE seq = 5"}, 5, audit.BadHash},
		{"the tail is cut and the head set back", []string{`DELETE FROM audit_log WHERE seq > 8`,
			`UPDATE audit_head SET seq = 8, hash = (SELECT hash FROM audit_log WHERE seq = 8) WHERE id = 1`}, 0, ""},
		{"a checkpoint's hash is changed", []string{`UPDATE audit_checkpoints SET hash = '` + strings.Repeat("a", 64) + `'`}, 1, audit.BadSigned},
		{"a checkpoint's signature is changed", []string{`UPDATE audit_checkpoints SET signature = 'AAAA'`}, 12, audit.BadSignature},
		{"a checkpoint's time is changed", []string{`UPDATE audit_checkpoints SET at = at + 1`}, 12, audit.BadSignature},
		{"a key is replaced", []string{`UPDATE audit_keys SET public_key = '` + strings.Repeat("A", 43) + `='`}, 0, audit.BadKey},
	}
	for _, column := range []string{"actor_id", "actor_kind", "actor_name", "credential", "action", "target_kind", "target_id",
		"target_name", "team_id", "project_id", "environment_id", "address", "request_id", "decision", "policies", "details"} {
		cases = append(cases, struct {
			why        string
			statements []string
			seq        int64
			reason     audit.Reason
		}{column + " is changed", []string{`UPDATE audit_log SET ` + column + ` = '"x"' WHERE seq = 5`}, 5, audit.BadHash})
	}
	for _, column := range []string{"at", "policy_version"} {
		cases = append(cases, struct {
			why        string
			statements []string
			seq        int64
			reason     audit.Reason
		}{column + " is changed", []string{`UPDATE audit_log SET ` + column + ` = ` + column + ` + 1 WHERE seq = 5`}, 5, audit.BadHash})
	}
	for _, column := range []string{"prev_hash", "hash"} {
		cases = append(cases, struct {
			why        string
			statements []string
			seq        int64
			reason     audit.Reason
		}{column + " is changed", []string{`UPDATE audit_log SET ` + column + ` = '` + strings.Repeat("b", 64) + `' WHERE seq = 5`}, 5, audit.BadHash})
	}
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		dir := t.TempDir()
		l := openLog(t, db, dir)
		appendN(t, db, 10)
		whole := mustExport(t, l) // signs record 12
		if _, err := verify(whole); err != nil {
			t.Fatal(err)
		}
		tables := []string{"audit_log", "audit_head", "audit_checkpoints", "audit_keys"}
		for _, table := range tables {
			tamper(t, db, `CREATE TABLE keep_`+table+` AS SELECT * FROM `+table)
		}
		for _, c := range cases {
			tamper(t, db, c.statements...)
			b, _ := export(t, l)
			report, err := verify(b)
			switch {
			case fault.From(err).Code != "audit_not_verified":
				t.Errorf("%s: not noticed: %v", c.why, err)
			case c.reason != "" && (report.Problem.Seq != c.seq || report.Problem.Reason != c.reason):
				t.Errorf("%s: %+v, want %s of %d", c.why, *report.Problem, c.reason, c.seq)
			}
			for _, table := range tables {
				tamper(t, db, `DELETE FROM `+table, `INSERT INTO `+table+` SELECT * FROM keep_`+table)
			}
			l = openLog(t, db, dir)
		}
	})
}

// rechain rewrites the store's chain from a record on, as somebody would who
// knows this code and has the database, but no key.
func rechain(b []byte, from int, change func(string) string) []byte {
	lines := strings.SplitAfter(string(b), "\n")
	prev := ""
	for i, line := range lines {
		if !strings.HasPrefix(line, `{"prev":`) {
			continue
		}
		end := strings.LastIndex(line, `,"hash":"`)
		body, hash := line[:end], line[end+len(`,"hash":"`):][:64]
		if strings.Contains(line, fmt.Sprintf(`"record":{"seq":%d,`, from)) {
			body = change(body)
			prev = "start"
		} else if prev != "" {
			body = `{"prev":"` + prev + body[len(`{"prev":"`)+64:]
		}
		if prev != "" {
			sum := sha256.Sum256([]byte(body))
			hash = hex.EncodeToString(sum[:])
			prev = hash
		}
		lines[i] = body + `,"hash":"` + hash + "\"}\n"
	}
	return []byte(strings.Join(lines, ""))
}

func TestARewrittenTailIsNeitherSignedNorVerified(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		dir := t.TempDir()
		l := openLog(t, db, dir)
		appendN(t, db, 10)
		b := mustExport(t, l)
		forged := rechain(b, 5, func(s string) string { return strings.Replace(s, "usr_ada", "usr_eve", 1) })
		report, err := verify(forged)
		if err == nil || report.Problem.Reason != audit.BadSigned || report.Problem.Seq != 1 {
			t.Fatalf("%+v %v", report.Problem, err)
		}
		// The same in the store, with the checkpoints gone: this server
		// remembers what it signed, also after a restart.
		tamper(t, db, `DELETE FROM audit_checkpoints`)
		for _, line := range strings.Split(string(forged), "\n") {
			var seq int64
			if i := strings.Index(line, `"record":{"seq":`); i > 0 {
				if _, err := fmt.Sscanf(line[i:], `"record":{"seq":%d,`, &seq); err != nil {
					t.Fatal(err)
				}
				hash := line[len(line)-66 : len(line)-2]
				prev := line[9:73]
				tamper(t, db, fmt.Sprintf(`UPDATE audit_log SET hash = '%s', prev_hash = '%s' WHERE seq = %d`, hash, prev, seq),
					fmt.Sprintf(`UPDATE audit_head SET hash = '%s' WHERE id = 1`, hash))
			}
		}
		tamper(t, db, `UPDATE audit_log SET actor_id = 'usr_eve' WHERE seq = 5`)
		l = openLog(t, db, dir)
		b, err = export(t, l)
		if fault.From(err).Code != "audit_broken" {
			t.Error("the server signed it:", err)
		}
		if report, err := verify(b); err == nil || report.Problem.Reason != audit.BadEnd {
			t.Errorf("%+v %v", report.Problem, err)
		}
		s, err := l.Status(principal.With(t.Context(), principal.System))
		if err != nil || s.Problem == nil {
			t.Error("the status is silent", err)
		}
	})
}

func TestForgingAnExportIsNamed(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	l := audittest.New(t, db)
	appendN(t, db, 10)
	first := mustExport(t, l)
	appendN(t, db, 10)
	b := mustExport(t, l)
	report, err := verify(b)
	if err != nil {
		t.Fatal(err)
	}
	own := report.Keys

	otherDB := sqldbtest.SQLite(t)
	other := audittest.New(t, otherDB)
	appendN(t, otherDB, 10)
	foreign := mustExport(t, other)

	lines := func() []string { return strings.SplitAfter(strings.TrimSuffix(string(b), "\n"), "\n") }
	at := func(prefix string, n int) (int, []string) {
		ls := lines()
		for i, line := range ls {
			if strings.HasPrefix(line, prefix) {
				if n--; n < 0 {
					return i, ls
				}
			}
		}
		t.Fatal("no such line: ", prefix)
		return 0, nil
	}
	join := func(ls ...string) []byte { return []byte(strings.Join(ls, "")) }
	edit := func(prefix string, n int, f func(ls []string, i int) []string) []byte {
		i, ls := at(prefix, n)
		return append(join(f(ls, i)...), '\n')
	}
	rec, cp, fin := `{"prev":`, `{"checkpoint":`, `{"final":`
	firstFinal := string(first[bytes.Index(first, []byte(fin)):])
	for _, c := range []struct {
		why    string
		export []byte
		seq    int64
		reason audit.Reason
	}{
		{"the final line is missing", edit(fin, 0, func(ls []string, i int) []string { return ls[:i] }), 0, audit.BadFormat},
		{"cut in the middle of a line", b[:len(b)/2], -1, audit.BadEnd},
		{"cut at a checkpoint", b[:bytes.LastIndex(b, []byte(cp))], 23, audit.BadEnd},
		{"nothing at all", nil, 0, audit.BadEnd},
		{"a checkpoint passed off as the end", bytes.Replace(b[:bytes.LastIndex(b, []byte(fin))], []byte(cp), []byte(fin), 1), 12, audit.BadSignature},
		{"an earlier end on a later record", edit(fin, 0, func(ls []string, i int) []string { return append(ls[:i], strings.TrimSpace(firstFinal)) }), 12, audit.BadOrder},
		{"a record left out", edit(rec, 6, func(ls []string, i int) []string { return append(ls[:i], ls[i+1:]...) }), 7, audit.BadGap},
		{"a record twice", edit(rec, 6, func(ls []string, i int) []string {
			return append(append(append([]string{}, ls[:i+1]...), ls[i]), ls[i+1:]...)
		}), 7, audit.BadOrder},
		{"two records swapped", edit(rec, 6, func(ls []string, i int) []string { ls[i], ls[i+1] = ls[i+1], ls[i]; return ls }), 7, audit.BadGap},
		{"a byte of a record", edit(rec, 6, func(ls []string, i int) []string { ls[i] = strings.Replace(ls[i], "orders", "Orders", 1); return ls }), 7, audit.BadHash},
		{"a record of another log", edit(rec, 6, func(ls []string, i int) []string {
			f := strings.SplitAfter(string(foreign), "\n")
			for _, line := range f {
				if strings.Contains(line, `"record":{"seq":7,`) {
					ls[i] = line
				}
			}
			return ls
		}), 7, audit.BadLink},
		{"a signature flipped", edit(cp, 0, func(ls []string, i int) []string {
			ls[i] = strings.Replace(ls[i], `"signature":"`, `"signature":"A`, 1)
			return ls
		}), 12, audit.BadSignature},
		{"spaces in a checkpoint", edit(cp, 0, func(ls []string, i int) []string { ls[i] = strings.Replace(ls[i], `"hash":`, `"hash": `, 1); return ls }), 12, audit.BadFormat},
		{"something after the end", append(bytes.Clone(b), "{}\n"...), 0, audit.BadFormat},
		{"an empty line", append([]byte("\n"), b...), 0, audit.BadFormat},
		{"a foreign log, wholly consistent", foreign, 12, audit.BadKey},
	} {
		report, err := verify(c.export, own...)
		if fault.From(err).Code != "audit_not_verified" {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		if c.why == "the final line is missing" { // and a stray line break in its place
			continue
		}
		if p := report.Problem; p.Reason != c.reason || c.seq >= 0 && p.Seq != c.seq || p.Line == 0 {
			t.Errorf("%s: %+v, want %s of %d", c.why, *p, c.reason, c.seq)
		}
	}
	if _, err := verify(foreign); err != nil {
		t.Error("a foreign log by its own key:", err)
	}
}

func TestNoSingleChangeGoesUnnoticed(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	l := audittest.New(t, db)
	appendN(t, db, 20)
	b := mustExport(t, l)
	report, err := verify(b)
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.IndexByte(b, '\n') + 1 // the first line says only when; the signature says it, too
	rapid.Check(t, func(rt *rapid.T) {
		i := rapid.IntRange(body, len(b)-1).Draw(rt, "at")
		changed := bytes.Clone(b)
		switch rapid.IntRange(0, 2).Draw(rt, "how") {
		case 0:
			changed[i] ^= byte(rapid.IntRange(1, 255).Draw(rt, "bits"))
		case 1:
			n := rapid.IntRange(1, 2000).Draw(rt, "n")
			changed = append(changed[:i], changed[min(len(changed), i+n):]...)
		case 2:
			j := rapid.IntRange(body, len(b)-1).Draw(rt, "copy of")
			changed = append(append(append([]byte{}, b[:i]...), b[j:min(len(b), j+50)]...), b[i:]...)
		}
		if _, err := verify(changed, report.Keys...); err == nil && !bytes.Equal(changed, b) {
			rt.Fatalf("a change at %d goes unnoticed", i)
		}
	})
}

func FuzzVerify(f *testing.F) {
	db := sqldbtest.SQLite(f)
	l := audittest.New(f, db)
	appendN(f, db, 3)
	b := mustExport(f, l)
	report, err := verify(b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)-10])
	f.Add([]byte("{\"export\":{\"format\":\"fairlead-audit/v1\",\"at\":\"\"}}\n{\"final\":null}\n{\"prev\":\""))
	body := b[bytes.IndexByte(b, '\n'):]
	f.Fuzz(func(t *testing.T, in []byte) {
		_, err := audit.Verify(bytes.NewReader(in), report.Keys)
		if err == nil && !bytes.HasSuffix(in, body) {
			t.Fatalf("verified: %q", in)
		}
	})
}

// BenchmarkVerify is held against BenchmarkSHA256 of the same bytes.
func BenchmarkVerify(b *testing.B) {
	data := benchExport(b)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := verify(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSHA256(b *testing.B) {
	data := benchExport(b)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		h := sha256.New()
		if _, err := io.Copy(h, bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}

func benchExport(b *testing.B) []byte {
	db := sqldbtest.SQLite(b)
	l := audittest.New(b, db)
	for range 10 {
		appendN(b, db, 1000)
		mustExport(b, l)
	}
	return mustExport(b, l)
}
