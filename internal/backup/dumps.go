package backup

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"strings"

	"filippo.io/age"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/secret"
	"fairlead/internal/sqldb"
)

const (
	dumpsOwner     = "system:dumps"
	dumpsIdentity  = "age-identity"
	dumpsRecipient = "dumps_recipient" // in settings; no secret
)

// Dumps seals what is kept of tenants' data when their resources end: as age
// files for one key pair of this installation. To seal takes the public half
// alone; the private one is among the secrets, under the master key, and so in
// every backup.
type Dumps struct {
	recipient age.Recipient
	secrets   secret.Store
}

// NewDumps makes the key pair at the first start of an installation.
func NewDumps(ctx context.Context, db *sqldb.DB, secrets secret.Store) (*Dumps, error) {
	recipient, err := recorded(ctx, db.Read())
	if errors.Is(err, sql.ErrNoRows) {
		recipient, err = makePair(ctx, db, secrets)
	}
	if err != nil {
		return nil, err
	}
	r, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return nil, fault.New(fault.Conflict, "dump_key_damaged", "the key for last dumps in the settings is damaged").
			WithHint("put back the row %q of the table settings from a backup", dumpsRecipient)
	}
	return &Dumps{recipient: r, secrets: secrets}, nil
}

func recorded(ctx context.Context, q sqldb.Querier) (recipient string, err error) {
	err = q.QueryRowContext(ctx, `SELECT value FROM settings WHERE key = $1`, dumpsRecipient).Scan(&recipient)
	return recipient, err
}

// makePair makes the pair, unless another replica was faster.
func makePair(ctx context.Context, db *sqldb.DB, secrets secret.Store) (recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", err
	}
	err = db.Write(ctx, "backup.dump-key", func(tx *sqldb.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`,
			dumpsRecipient, id.Recipient().String())
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n == 1 {
			if err := secrets.Put(ctx, tx, dumpsOwner, dumpsIdentity, redact.New(id.String())); err != nil {
				return err
			}
		}
		recipient, err = recorded(ctx, tx)
		return err
	})
	return recipient, err
}

// Seal wraps the writer of a dump. What was written is whole when Close has
// returned nil.
func (d *Dumps) Seal(dst io.Writer) (io.WriteCloser, error) { return age.Encrypt(dst, d.recipient) }

// Open reads a sealed dump. A dump that was changed or cut short gives an
// error by the end of it: what was read before is of no use then.
func (d *Dumps) Open(ctx context.Context, sealed io.Reader) (io.Reader, error) {
	key, err := d.secrets.Get(ctx, dumpsOwner, dumpsIdentity)
	if err != nil {
		return nil, err
	}
	ids, err := age.ParseIdentities(strings.NewReader(key.Reveal()))
	if err != nil {
		return nil, fault.New(fault.Conflict, "dump_key_damaged", "the key that opens last dumps is damaged") // age's text may hold the key
	}
	plain, err := age.Decrypt(sealed, ids...)
	if _, foreign := errors.AsType[*age.NoIdentityMatchError](err); foreign {
		return nil, fault.New(fault.Denied, "dump_wrong_key", "the dump was sealed by another installation").
			WithHint("open it there, or in a restore of a backup of it")
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "dump_damaged", "this is no sealed dump, or its beginning is damaged").WithCause(err)
	}
	return plain, nil
}
