package app

import (
	"context"
	"fmt"
	"os"
	"time"

	"fairlead/internal/egress"
	"fairlead/internal/fault"
	"fairlead/internal/identity"
	"fairlead/internal/loop"
	"fairlead/internal/notify"
	"fairlead/internal/notify/mailer"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// buildNotify makes the one way out and those who tell others.
func (a *App) buildNotify(ctx context.Context) error {
	var out egress.Config
	if err := a.conf.Egress.Decode(&out); err != nil {
		return badSection("egress", err)
	}
	var err error
	if a.egress, err = egress.New(egress.Options{Config: out}); err != nil {
		return err
	}
	var mail mailer.Config
	if err := a.conf.SMTP.Decode(&mail); err != nil {
		return badSection("smtp", err)
	}
	if out.Timeout == "" {
		out.Timeout = a.egress.Timeout().String()
	}
	a.sections = append(a.sections, a.conf.Section("egress", out, nil)...)
	a.sections = append(a.sections, a.conf.Section("smtp", mail, variables(map[string]string{"passwordFile": mailer.PasswordVariable}))...)
	o := notify.Options{DB: a.db, Access: a.access, Secrets: a.secrets, Egress: a.egress, People: &people{db: a.db, directory: identity.NewDirectory(a.db)},
		Source: a.conf.PublicURL, Keep: time.Duration(a.conf.KeepEvents), Lease: deliveryLease(a.egress.Timeout()), Log: a.log}
	sender, err := mailer.New(mailer.Options{Config: mail, Password: redact.New(os.Getenv(mailer.PasswordVariable)), Dial: a.egress.Dial})
	if err != nil {
		return err
	}
	if sender != nil {
		o.Mailer = sender
	}
	a.notify = notify.New(o)
	if !a.conf.Replicated() { // no other sender can be alive
		if err := notify.Release(ctx, a.db); err != nil {
			return err
		}
	}
	group := loop.NewGroup(a.db, a.log)
	for _, l := range a.notify.Loops() {
		a.run(func(ctx context.Context) error { group.Run(ctx, l); return nil })
	}
	a.run(a.notify.Run)
	return nil
}

// deliveryLease is how long a delivery belongs to who claimed it: what an
// attempt can take, of which notify leaves a quarter to write down how it went,
// and no longer, because after a kill nobody else sends it before.
func deliveryLease(request time.Duration) time.Duration {
	return max(request, mailer.Timeout) * 3 / 2
}

func badSection(name string, err error) error {
	return fault.New(fault.Invalid, "invalid_config", "%s: %s", name, err).WithHint("the fields are described in docs/configuration.md")
}

// people fits identity to what notify asks of it.
type people struct {
	db        *sqldb.DB
	directory *identity.Directory
}

func (p *people) Address(ctx context.Context, id string) (name, email string, err error) {
	name, email, err = p.directory.Address(ctx, p.db.Read(), id)
	if fault.Is(err, fault.NotFound) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("address: %w", err)
	}
	return name, email, nil
}
