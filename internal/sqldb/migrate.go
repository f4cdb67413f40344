package sqldb

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"fairlead/internal/fault"
)

//go:embed migrations
var migrations embed.FS

func (db *DB) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations/"+string(db.dialect))
	if err != nil {
		return err
	}
	dialect, opts := goose.DialectSQLite3, []goose.ProviderOption{}
	if db.dialect == Postgres {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return err
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(dialect, db.write, dir, opts...)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		if f, ok := errors.AsType[*fault.Error](translate(err)); ok {
			return f // a full disk is no matter of the schema
		}
		return fault.New(fault.Unavailable, "migration_failed", "the store's schema could not be brought up to date").
			WithHint("restore the backup from before the upgrade, or start the version that wrote the store").WithCause(err)
	}
	has, knows, err := p.GetVersions(ctx)
	if err != nil {
		return openFailed(err)
	}
	if has > knows {
		// What a newer version means by its columns this one would write past.
		return fault.New(fault.Conflict, "store_newer", "the store was written by a newer Fairlead: its schema is number %d, and this program knows %d", has, knows).
			WithHint("start that version or a newer one, or restore the backup from before the upgrade into an empty store; nothing was changed")
	}
	return nil
}
