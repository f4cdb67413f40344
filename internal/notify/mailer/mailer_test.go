package mailer_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"net"
	"net/http/httptest"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"fairlead/internal/egress"
	"fairlead/internal/fault"
	"fairlead/internal/notify"
	"fairlead/internal/notify/mailer"
	"fairlead/internal/redact"
)

const password = "canary-smtp-password"

// server is a real SMTP server that keeps what it is sent.
type server struct {
	host  string
	port  int
	roots *x509.CertPool

	mu     sync.Mutex
	from   string
	to     []string
	mails  []string
	users  []string
	refuse error // of a recipient
}

type session struct{ s *server }

func (b *server) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{b}, nil }

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		if pass != password {
			return smtp.ErrAuthFailed
		}
		s.s.mu.Lock()
		defer s.s.mu.Unlock()
		s.s.users = append(s.s.users, user)
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error { s.s.from = from; return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	s.s.to = append(s.s.to, to)
	return s.s.refuse
}

func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	s.s.mails = append(s.s.mails, string(b))
	return err
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// start runs a server: with STARTTLS, with TLS from the start, or with none.
func start(t *testing.T, mode string) *server {
	t.Helper()
	certs := httptest.NewTLSServer(nil) // for its certificate alone
	pool := x509.NewCertPool()
	pool.AddCert(certs.Certificate())
	secure := &tls.Config{Certificates: certs.TLS.Certificates}
	certs.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &server{host: "127.0.0.1", port: l.Addr().(*net.TCPAddr).Port, roots: pool}
	s := smtp.NewServer(b)
	s.AllowInsecureAuth = mode == "none"
	if mode == "required" {
		s.TLSConfig = secure
	}
	if mode == "implicit" {
		l = tls.NewListener(l, secure)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); l.Close(); <-done })
	return b
}

func open(t *testing.T, s *server, mode string, set func(*mailer.Options)) *mailer.Mailer {
	t.Helper()
	out, err := egress.New(egress.Options{Config: egress.Config{Allow: []string{"127.0.0.1"}}})
	if err != nil {
		t.Fatal(err)
	}
	o := mailer.Options{Config: mailer.Config{Host: s.host, Port: s.port, From: "Fairlead <fairlead@example.org>", TLS: mode}, RootCAs: s.roots, Dial: out.Dial}
	if set != nil {
		set(&o)
	}
	m, err := mailer.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func hello() notify.Message {
	return notify.Message{ID: "evt_1.usr_1", Name: "Ada", Email: "ada@example.org", Subject: "[fairlead] hello", Text: "Hello.\n", At: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func TestAMailArrives(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"required", "implicit", "none"} {
		for _, user := range []string{"", "fairlead"} {
			s := start(t, mode)
			m := open(t, s, mode, func(o *mailer.Options) {
				if o.Username = user; user != "" {
					o.Password = redact.New(password)
				}
			})
			if err := m.Send(t.Context(), hello()); err != nil {
				t.Fatalf("%s, user %q: %v: %v", mode, user, err, errors.Unwrap(err))
			}
			if len(s.mails) != 1 || s.from != "fairlead@example.org" || s.to[0] != "ada@example.org" || strings.Join(s.users, "") != user {
				t.Fatalf("%s: %+v", mode, s)
			}
			got, err := netmail.ReadMessage(strings.NewReader(s.mails[0]))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(got.Body)
			for k, want := range map[string]string{
				"Message-Id": "<evt_1.usr_1@example.org>", "Subject": "[fairlead] hello", "Auto-Submitted": "auto-generated",
				"To": `"Ada" <ada@example.org>`, "Date": "Wed, 02 Jan 2030 03:04:05 +0000",
			} {
				if got.Header.Get(k) != want {
					t.Errorf("%s is %q", k, got.Header.Get(k))
				}
			}
			if !strings.HasPrefix(got.Header.Get("Content-Type"), "text/plain") || strings.TrimSpace(string(body)) != "Hello." {
				t.Errorf("%s: %q", mode, s.mails[0])
			}
		}
	}
}

// What comes from users cannot become a header, an address or another mail.
func TestNothingIsInjected(t *testing.T) {
	t.Parallel()
	s := start(t, "none")
	m := open(t, s, "none", nil)
	in := hello()
	in.Subject = "x\r\nBcc: eve@example.org\r\n\r\nbody"
	in.Name = "Ada\r\nBcc: eve@example.org, <eve@example.org>"
	in.Text = "first\r\n.\r\nMAIL FROM:<eve@example.org>\r\nRCPT TO:<eve@example.org>\r\nDATA\r\nforged\r\n.\r\n"
	if err := m.Send(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if len(s.mails) != 1 || len(s.to) != 1 || s.to[0] != "ada@example.org" {
		t.Fatalf("%d mails to %q", len(s.mails), s.to)
	}
	got, err := netmail.ReadMessage(strings.NewReader(s.mails[0]))
	if err != nil {
		t.Fatal(err)
	}
	if got.Header.Get("Bcc") != "" {
		t.Errorf("a header got in: %q", s.mails[0])
	}
	to, err := got.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != "ada@example.org" {
		t.Errorf("To: %v %v", to, err)
	}
	if subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject")); err != nil || !strings.HasPrefix(subject, "x") {
		t.Errorf("subject %q: %v", subject, err)
	}
	for _, address := range []string{"", "ada", "ada@example.org\r\nRCPT TO:<eve@example.org>", "Ada <ada@example.org>", "a@b,c@d", "ada@example.org>"} {
		in := hello()
		in.Email = address
		if err := m.Send(t.Context(), in); fault.From(err).Code != "mail_refused" {
			t.Errorf("to %q: %v", address, err)
		}
	}
}

func TestWhatFailsSaysWhetherToTryAgain(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, row := range []struct {
		why, code string
		serve     string // how the server is, and how the client thinks it is
		client    string
		refuse    error
		set       func(*mailer.Options)
	}{
		{"a mailbox that is not there", "mail_refused", "none", "none", &smtp.SMTPError{Code: 550, Message: "no such user"}, nil},
		{"a mailbox that is full", "mail_failed", "none", "none", &smtp.SMTPError{Code: 452, Message: "later"}, nil},
		{"no TLS where it is required", "mail_failed", "none", "required", nil, nil},
		{"a wrong password", "mail_failed", "required", "required", nil, func(o *mailer.Options) { o.Username, o.Password = "x", redact.New("wrong-canary") }},
		{"a certificate of somebody else's", "mail_failed", "required", "required", nil, func(o *mailer.Options) { o.RootCAs = x509.NewCertPool() }},
		{"nobody there", "mail_failed", "none", "none", nil, func(o *mailer.Options) { o.Port = closed.Addr().(*net.TCPAddr).Port }},
		{"a place that is not allowed", "mail_failed", "none", "none", nil, func(o *mailer.Options) {
			out, err := egress.New(egress.Options{})
			if err != nil {
				panic(err)
			}
			o.Dial = out.Dial
		}},
	} {
		s := start(t, row.serve)
		s.refuse = row.refuse
		err := open(t, s, row.client, row.set).Send(t.Context(), hello())
		if fault.From(err).Code != row.code {
			t.Errorf("%s: %v (%v)", row.why, err, errors.Unwrap(err))
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error tells a password: %v", row.why, err)
		}
		if len(s.mails) != 0 {
			t.Errorf("%s: a mail went out", row.why)
		}
	}
}

func TestAServerThatHangsIsLeft(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &server{host: "127.0.0.1", port: l.Addr().(*net.TCPAddr).Port}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := open(t, s, "none", nil).Send(ctx, hello()); fault.From(err).Code != "mail_failed" || time.Since(began) > 15*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := mailer.New(mailer.Options{}); m != nil || err != nil {
		t.Errorf("no host: %v %v", m, err)
	}
	ok := mailer.Config{Host: "mail.example.org", From: "fairlead@example.org", Username: "x", PasswordFile: file}
	if _, err := mailer.New(mailer.Options{Config: ok}); err != nil {
		t.Error(err)
	}
	for why, change := range map[string]func(*mailer.Config){
		"a port in the host": func(c *mailer.Config) { c.Host = "mail:25" }, "no sender": func(c *mailer.Config) { c.From = "" },
		"a user without a password": func(c *mailer.Config) { c.PasswordFile = "" }, "no such file": func(c *mailer.Config) { c.PasswordFile = dir + "/none" },
		"another tls": func(c *mailer.Config) { c.TLS = "maybe" }, "no port": func(c *mailer.Config) { c.Port = 70000 },
	} {
		c := ok
		change(&c)
		if _, err := mailer.New(mailer.Options{Config: c}); fault.From(err).Code != "invalid_config" || bytes.Contains([]byte(err.Error()), []byte(password)) {
			t.Errorf("%s: %v", why, err)
		}
	}
}
