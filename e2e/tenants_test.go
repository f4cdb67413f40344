package e2e

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// waits wants a resource to say why it waits, in the API and to a person, and
// gives the reply.
func (j *job) waits(s *server, id, name, code string) {
	t := j.t
	t.Helper()
	got := j.c.settle(t, id, time.Minute, func(r reply) string {
		if r.str("phase") == "ready" || r.str("reason") != code || r.str("hint") == "" {
			return "does not say that it waits for " + code + ": " + r.str("phase") + " " + r.str("reason")
		}
		return ""
	})
	j.leaks("the reason", got.body)
	env := []string{"FAIRLEAD_URL=" + s.url(), "FAIRLEAD_TOKEN=" + j.c.token, "FAIRLEAD_PROJECT=web", "FAIRLEAD_ENV=dev"}
	if out, err := cli(t, env, "", "describe", name, "-o", "json"); err != nil || !strings.Contains(out, code) || !strings.Contains(out, got.str("hint")) {
		t.Errorf("fairlead describe: %v\n%s", err, out)
	}
	lines := j.c.must(t, "GET", "/api/v1/runs/"+got.str("runId")+"/lines", nil, "", 200)
	if !strings.Contains(strings.ReplaceAll(string(lines.body), `\"`, `"`), got.str("message")) {
		t.Errorf("the run's log does not say %q: %v", got.str("message"), lines)
	}
}

// converges wants what waited to be made once the fault is gone, once.
func (j *job) converges(s *server, id, name string) {
	t := j.t
	t.Helper()
	j.c.settle(t, id, 90*time.Second, applied(1))
	j.oneDatabase(t, s, id)
	j.sql(name, `SELECT 1`)
	db := s.db(t)
	eventually(t, 20*time.Second, func() string { return compare(s.engine, db) })
	j.verified()
}

// TestATenantsServerWithoutConnections holds every connection that the
// tenants' server allows.
func TestATenantsServerWithoutConnections(t *testing.T) {
	t.Parallel()
	b := newBox(t, "max_connections=10")
	s := newServer(t, withBox(b))
	s.start()
	j := environment(t, s)
	var hogs []*pgx.Conn
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	eventually(t, 30*time.Second, func() string {
		conn, err := pgx.Connect(ctx, b.url("postgres"))
		if err == nil {
			hogs = append(hogs, conn)
			return "there are connections left"
		}
		var pe *pgconn.PgError
		if !errors.As(err, &pe) || pe.Code != "53300" {
			t.Fatal(err)
		}
		var ended int
		if err := hogs[0].QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'fairlead'`).Scan(&ended); err != nil {
			t.Fatal(err)
		}
		if ended > 0 {
			return "Fairlead has a connection"
		}
		return ""
	})
	id := j.create("crowded", "pg-tiny", nil)
	j.waits(s, id, "crowded", "postgres_too_many_connections")
	for _, conn := range hogs {
		_ = conn.Close(ctx)
	}
	j.converges(s, id, "crowded")
}

// TestATenantsServerWithAFullDisk leaves no room for another database.
func TestATenantsServerWithAFullDisk(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		untried(t, "a small file system needs root")
		return
	}
	dir := filepath.Join(root, "tables")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=96m,mode=0711"); err != nil {
		untried(t, "no small file system can be mounted here: "+err.Error())
		return
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	b := newBoxIn(t, dir)
	s := newServer(t, withBox(b))
	s.start()
	j := environment(t, s)
	before := j.create("before", "pg-tiny", nil)
	j.c.settle(t, before, patience, applied(1))
	b.exec(t, `CHECKPOINT`)
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(block)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(info.Size()-256<<10), f.Close()); err != nil { // room for rows, not for the files of a database
		t.Fatal(err)
	}
	id := j.create("late", "pg-tiny", nil)
	j.waits(s, id, "late", "postgres_full")
	there, err := world(b)
	if err != nil {
		t.Fatal(err)
	}
	for o, comment := range there {
		if strings.Contains(o, " late_") {
			t.Errorf("half-made: %s (%s)", o, comment)
		}
	}
	j.sql("before", `SELECT 1`) // its neighbours live on
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	j.converges(s, id, "late")
}

// front is an address behind which there is first an old server and then, once
// it was upgraded, another one.
type front struct {
	net.Listener
	version  string // "" passes everything on
	upgraded atomic.Pointer[string]
}

func newFront(t *testing.T, version string) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{Listener: l, version: version}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	return f
}

func (f *front) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	if to := f.upgraded.Load(); to != nil {
		d, err := net.Dial("tcp", *to)
		if err != nil {
			return
		}
		defer func() { _ = d.Close() }()
		go func() { _, _ = io.Copy(d, c); _ = d.Close() }()
		_, _ = io.Copy(c, d)
		return
	}
	f.old(pgproto3.NewBackend(c, c))
}

// old speaks just enough: log in anyone, tell the version, and close when the
// server behind is another one.
func (f *front) old(b *pgproto3.Backend) {
	first, err := b.ReceiveStartupMessage()
	if err != nil {
		return
	}
	hello, ok := first.(*pgproto3.StartupMessage)
	if !ok {
		return
	}
	_, since96 := hello.Parameters["idle_in_transaction_session_timeout"]
	if since96 && f.version < "9.6" {
		b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "42704", Message: `unrecognized configuration parameter "idle_in_transaction_session_timeout"`})
		_ = b.Flush()
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: f.version})
	b.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	b.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	b.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	for b.Flush() == nil && f.upgraded.Load() == nil {
		m, err := b.Receive()
		if err != nil {
			return
		}
		q, ok := m.(*pgproto3.Query)
		switch {
		case !ok:
			return
		case strings.Contains(q.String, "server_version_num"):
			fields := []pgproto3.FieldDescription{}
			for i, oid := range []uint32{23, 25, 16, 16, 16, 16} { // int4, text and four bool
				fields = append(fields, pgproto3.FieldDescription{Name: []byte{byte('a' + i)}, DataTypeOID: oid, DataTypeSize: -1, TypeModifier: -1})
			}
			b.Send(&pgproto3.RowDescription{Fields: fields})
			b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("90624"), []byte("postgres"), []byte("t"), []byte("t"), []byte("f"), []byte("f")}})
			b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
		default:
			b.Send(&pgproto3.EmptyQueryResponse{})
		}
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	}
}

// TestATenantsServerThatIsTooOld: versions that answer, and those that do not
// even know a setting of the log-in.
func TestATenantsServerThatIsTooOld(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"9.6.24", "9.3.25"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			f := newFront(t, version)
			url := strings.Replace(b.url("postgres"), b.address(), f.Addr().String(), 1) + "&default_query_exec_mode=simple_protocol"
			s := newServer(t, withBox(b), withEnv("FAIRLEAD_POSTGRES_URL="+url))
			s.start()
			j := environment(t, s)
			id := j.create("late", "pg-tiny", nil)
			j.waits(s, id, "late", "postgres_too_old")
			there := b.address()
			f.upgraded.Store(&there)
			j.converges(s, id, "late")
		})
	}
}
