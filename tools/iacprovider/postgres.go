package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// server is a PostgreSQL server, reached anew by each operation: a provider's
// process is short, and a connection that waits holds a place of the server.
type server struct{ url string }

// with runs work on a connection that ends with it, and when ctx is canceled.
func (s *server) with(ctx context.Context, work func(*pgx.Conn) error) error {
	if s == nil || s.url == "" {
		return errors.New("the provider has no url: set it in its provider block, or TESTING_POSTGRES_URL")
	}
	dial, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	c, err := pgx.Connect(dial, s.url)
	if err != nil {
		return redacted(err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	return redacted(work(c))
}

// redacted gives errors without what a connection string might show.
func redacted(err error) error {
	if cause, ok := errors.AsType[*pgconn.PgError](err); ok {
		return errors.New(cause.Message + " (SQLSTATE " + cause.Code + ")")
	}
	if cause, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return errors.New("the PostgreSQL server cannot be reached, or lets nobody in with this url: " + cause.Config.Host)
	}
	return err
}

// marker is the comment that says whose an object is.
type marker struct {
	Owner string `json:"testing_owner"`
}

func (m marker) literal() string {
	b, _ := json.Marshal(m) // a text always marshals
	return literal(string(b))
}

func readMarker(comment *string) (owner string, ok bool) {
	var m marker
	if comment == nil || json.Unmarshal([]byte(*comment), &m) != nil {
		return "", false
	}
	return m.Owner, m.Owner != ""
}

// errForeign is what an object of somebody else is left alone with.
func errForeign(kind, name string) error {
	return errors.New("the " + kind + " " + name + " already exists and belongs to somebody else: it carries no marker of this owner")
}

func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal quotes a text for DDL, which takes no parameters.
func literal(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\x00", ""), "'", "''")
	if strings.Contains(s, `\`) {
		return ` E'` + strings.ReplaceAll(s, `\`, `\\`) + `'`
	}
	return "'" + s + "'"
}

// hash is a short name for what parts say.
func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// configured takes the provider's server.
func configured(s **server, req resource.ConfigureRequest, d *diag.Diagnostics) {
	if req.ProviderData == nil {
		return // validation alone
	}
	got, ok := req.ProviderData.(*server)
	if !ok {
		d.AddError("Unexpected provider data", "This is a fault of the provider.")
		return
	}
	*s = got
}
