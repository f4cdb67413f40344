package mailer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	netmail "net/mail"
	"os"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	smtplog "github.com/wneessen/go-mail/log"

	"fairlead/internal/fault"
	"fairlead/internal/notify"
	"fairlead/internal/redact"
)

// PasswordVariable goes over what the configuration says of the password.
const PasswordVariable = "FAIRLEAD_SMTP_PASSWORD" //nolint:gosec // the name of a variable

// Config is the operator's section of the configuration.
type Config struct {
	Host         string `yaml:"host"`         // empty: no mail is sent
	Port         int    `yaml:"port"`         // 587, 465 with implicit, 25 with none
	From         string `yaml:"from"`         // address, or Name <address>
	Username     string `yaml:"username"`     // empty: no authentication
	PasswordFile string `yaml:"passwordFile"` // or in FAIRLEAD_SMTP_PASSWORD
	TLS          string `yaml:"tls"`          // required (STARTTLS, the default), implicit, none: only to a place in egress.allow
}

// Options is what a Mailer is made of.
type Options struct {
	Config
	Password redact.Secret // goes over PasswordFile
	RootCAs  *x509.CertPool
	// Dial connects as egress.Client.Dial does.
	Dial func(ctx context.Context, address string, plain bool) (net.Conn, error)
}

// Timeout bounds the sending of one mail.
const Timeout = 20 * time.Second

// Mailer is a notify.Mailer over SMTP. It is safe for concurrent use.
type Mailer struct {
	o    Options
	from *netmail.Address
}

func wrong(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "invalid_config", "smtp: "+format, args...)
}

// New makes a Mailer; nil when no host is configured.
func New(o Options) (*Mailer, error) {
	if o.Host == "" {
		return nil, nil
	}
	if strings.ContainsAny(o.Host, "/:@ \r\n") {
		return nil, wrong("host: %q is no host", o.Host).WithHint("the port is a field of its own")
	}
	from, err := netmail.ParseAddress(o.From)
	if err != nil {
		return nil, wrong("from: %q is no e-mail address", o.From).WithHint("as Fairlead <fairlead@example.org>")
	}
	ports := map[string]int{"required": 587, "implicit": 465, "none": 25}
	if o.TLS == "" {
		o.TLS = "required"
	}
	if ports[o.TLS] == 0 {
		return nil, wrong("tls: %q is neither required, implicit nor none", o.TLS)
	}
	if o.Port == 0 {
		o.Port = ports[o.TLS]
	}
	if o.Port < 1 || o.Port > 65535 {
		return nil, wrong("port: %d is none", o.Port)
	}
	if o.Password.Empty() && o.PasswordFile != "" {
		b, err := os.ReadFile(o.PasswordFile)
		if err != nil {
			return nil, wrong("passwordFile: %s cannot be read", o.PasswordFile).WithCause(err)
		}
		o.Password = redact.New(strings.TrimRight(string(b), "\r\n"))
	}
	if o.Username == "" && !o.Password.Empty() || o.Username != "" && o.Password.Empty() {
		return nil, wrong("username and password come together").WithHint("the password is in passwordFile, or in %s", PasswordVariable)
	}
	return &Mailer{o: o, from: from}, nil
}

// Send implements notify.Mailer.
func (m *Mailer) Send(ctx context.Context, in notify.Message) error {
	to, err := netmail.ParseAddress(in.Email)
	if err != nil || to.Address != in.Email || strings.ContainsAny(in.Email, "\r\n\x00") {
		return fault.New(fault.Invalid, "mail_refused", "the user's e-mail address cannot be written to")
	}
	to.Name = in.Name
	_, domain, _ := strings.Cut(m.from.Address, "@")
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	msg.FromMailAddress(m.from)
	msg.ToMailAddress(to)
	msg.Subject(in.Subject)
	msg.SetMessageIDWithValue(in.ID + "@" + domain)
	msg.SetDateWithValue(in.At)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no holiday notices back
	msg.SetGenHeader("X-Mailer", "Fairlead")
	msg.SetBodyString(mail.TypeTextPlain, in.Text)
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	return failure(m.veil(m.send(ctx, msg)))
}

// send has a connection of its own for a mail. The library leaves one open
// where it gives up early, so it is ended here.
func (m *Mailer) send(ctx context.Context, msg *mail.Msg) error {
	end := func() {}
	defer func() { end() }()
	client, err := m.client(func(dial context.Context, _, address string) (net.Conn, error) {
		conn, err := m.o.Dial(dial, address, m.o.TLS == "none")
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		end = func() { stop(); _ = conn.Close() }
		return m.secured(dial, conn)
	})
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	if err := client.SendWithSMTPClient(session, msg); err != nil {
		return err
	}
	_ = client.CloseWithSMTPClient(session) // the mail has been taken
	return nil
}

func (m *Mailer) tls() *tls.Config {
	return &tls.Config{ServerName: m.o.Host, MinVersion: tls.VersionTLS12, RootCAs: m.o.RootCAs}
}

// secured speaks TLS from the first byte where that is configured.
func (m *Mailer) secured(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if m.o.TLS != "implicit" {
		return conn, nil
	}
	c := tls.Client(conn, m.tls())
	return c, c.HandshakeContext(ctx)
}

func (m *Mailer) client(dial mail.DialContextFunc) (*mail.Client, error) {
	options := []mail.Option{
		mail.WithPort(m.o.Port), mail.WithTimeout(Timeout), mail.WithTLSConfig(m.tls()), mail.WithLogger(silent{}), mail.WithDialContextFunc(dial),
	}
	switch m.o.TLS {
	case "required":
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	case "implicit": // it has it already: nobody offers it twice
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	default:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if m.o.Username != "" {
		auth := mail.SMTPAuthAutoDiscover
		if m.o.TLS == "none" {
			auth = mail.SMTPAuthPlainNoEnc // to a place that the operator allowed by its address
		}
		options = append(options, mail.WithSMTPAuth(auth), mail.WithUsername(m.o.Username), mail.WithPassword(m.o.Password.Reveal()))
	}
	return mail.NewClient(m.o.Host, options...)
}

// veiled is an error without the password: a mail server may say in its refusal
// what it was given.
type veiled struct {
	error
	text string
}

func (v veiled) Error() string { return v.text }
func (v veiled) Unwrap() error { return v.error }

func (m *Mailer) veil(err error) error {
	if err == nil || m.o.Password.Empty() {
		return err
	}
	password, text := m.o.Password.Reveal(), err.Error()
	for _, form := range []string{password, "\x00" + m.o.Username + "\x00" + password} {
		for _, said := range []string{form, base64.StdEncoding.EncodeToString([]byte(form))} {
			text = strings.ReplaceAll(text, said, redact.Shown)
		}
	}
	return veiled{err, text}
}

// failure makes of the library's errors what the port says.
func failure(err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault.Error](err); ok { // refused by egress
		return fault.New(fault.Unavailable, "mail_failed", "the mail server may not be reached: %s", f.Message).WithHint("%s", f.Hint).WithCause(err)
	}
	if e, ok := errors.AsType[*mail.SendError](err); ok && !e.IsTemp() && e.ErrorCode() >= 500 && e.ErrorCode() < 600 {
		return fault.New(fault.Invalid, "mail_refused", "the mail server refused the mail (%d)", e.ErrorCode()).WithCause(err)
	}
	return fault.New(fault.Unavailable, "mail_failed", "the mail server could not be used").WithCause(err)
}

// silent keeps the library's log of the conversation, which has credentials
// in it, from being.
type silent struct{}

func (silent) Debugf(smtplog.Log) {}
func (silent) Infof(smtplog.Log)  {}
func (silent) Warnf(smtplog.Log)  {}
func (silent) Errorf(smtplog.Log) {}
