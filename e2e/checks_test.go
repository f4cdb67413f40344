package e2e

import (
	"strings"
	"testing"
)

// TestTheChecksSee takes markers away, and adds what has no record: the
// comparison on which the kill suite rests must turn red each time, and the
// product must notice what happened to its own.
func TestTheChecksSee(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	s := newServer(t, withBox(b))
	s.start()
	j := environment(t, s)
	id := j.create("orders", "pg-tiny", nil)
	ready := j.c.settle(t, id, patience, applied(1))
	list, _ := ready.json["objects"].([]any)
	name, _ := list[0].(map[string]any)["name"].(string)
	db := s.db(t)
	if wrong := compare(b, db); wrong != "" {
		t.Fatalf("before anything was done to it: %s", wrong)
	}
	b.exec(t, `CREATE DATABASE orphan`)
	if wrong := compare(b, db); !strings.Contains(wrong, "orphan has no record") {
		t.Errorf("an orphan is not seen: %q", wrong)
	}
	b.exec(t, `DROP DATABASE orphan`)
	b.exec(t, `COMMENT ON DATABASE "`+name+`" IS NULL`)
	if wrong := compare(b, db); !strings.Contains(wrong, "no marker") {
		t.Errorf("a missing marker is not seen: %q", wrong)
	}
	// The product sees it too, and sets it right by itself.
	eventually(t, patience, func() string { return compare(b, db) })
	if _, err := db.Exec(`UPDATE audit_log SET actor_name = 'nobody' WHERE seq = 5`); err != nil {
		t.Fatal(err)
	}
	r := j.c.must(t, "GET", "/api/v1/audit/export", nil, "", 200)
	if out, err := cli(t, nil, string(r.body), "audit", "verify", "-"); err == nil {
		t.Errorf("a changed record is not seen: %s", out)
	}
}

// TestALeaseGivenAwayUnderALivingWorkerIsSeen takes the fence's ground away: a
// worker whose lease somebody else got must have its writes refused.
func TestALeaseGivenAwayUnderALivingWorkerIsSeen(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	j := environment(t, s)
	id := j.create("slow", "app", map[string]any{"delay": "1s"})
	j.c.settle(t, id, patience, inPhase("applying"))
	db := s.db(t)
	// As queue.Release does at the start of the only server.
	if _, err := db.Exec(`UPDATE queue SET holder = '', lease_until = 0, fence = fence + 1 WHERE lease_until > 0`); err != nil {
		t.Fatal(err)
	}
	j.c.settle(t, id, patience, applied(1))
	if !strings.Contains(tail(s.log, 1<<20), "claim lost") {
		t.Error("the worker did not notice")
	}
	equal(t, "one success", []string{"1"}, column(t, db, `SELECT count(*) FROM audit_log WHERE action = 'run:succeed'`))
}
