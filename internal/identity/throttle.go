package identity

import (
	"context"
	"net/netip"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// Throttle limits how often a sign-in may fail. It is kept in the store, so
// that trying another replica gains nothing. The zero value is the default.
type Throttle struct {
	Window         time.Duration // in which failures count together; 15 min
	PerAccount     int64         // failures before an account has to wait; 5
	PerAddress     int64         // failures before an address has to wait; 30
	Block, Longest time.Duration // first wait, doubled at each further failure up to the longest; 30 s, 15 min
}

func (t Throttle) orDefault() Throttle {
	if t.Window == 0 {
		t = Throttle{Window: 15 * time.Minute, PerAccount: 5, PerAddress: 30, Block: 30 * time.Second, Longest: 15 * time.Minute}
	}
	return t
}

// attempt is one try to sign in: the counters that it is charged to. A name
// that nobody has is counted like one that somebody has.
type attempt struct{ account, address string }

func newAttempt(name, address string) attempt {
	a := attempt{address: digestOf("address:" + network(address))}
	if name != "" {
		a.account = digestOf("account:" + name)
	}
	return a
}

// network is what one person can easily have of addresses: one of IPv4, a /64
// of IPv6.
func network(address string) string {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		address = ap.Addr().String()
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}

// charge counts an attempt as failed before it is tried, so that a hundred at
// once count as a hundred. It fails with Limited while the account or the
// address has to wait; such attempts are not tried.
func (s *Service) charge(ctx context.Context, a attempt) error {
	var wait time.Duration
	err := s.db.Write(ctx, "sign-in.charge", func(tx *sqldb.Tx) error {
		wait = 0
		for _, c := range a.counters(s.throttle) {
			blocked, err := s.count(ctx, tx, c.key, c.limit)
			if err != nil {
				return err
			}
			if wait = blocked; wait > 0 {
				return nil
			}
		}
		return nil
	})
	if err != nil || wait == 0 {
		return err
	}
	s.log.WarnContext(ctx, "sign-in refused: too many failures", "account", a.account[:min(8, len(a.account))], "wait", wait)
	seconds := int(wait/time.Second) + 1
	return fault.New(fault.Limited, "too_many_sign_ins", "too many failed attempts to sign in").
		WithHint("wait %d seconds; an administrator can issue a sign-in link meanwhile", seconds).WithRetryAfter(seconds)
}

type counter struct {
	key   string
	limit int64
}

func (a attempt) counters(t Throttle) []counter {
	// The address first: one that has to wait must not go on locking others' accounts.
	all := []counter{{a.address, t.PerAddress}}
	if a.account != "" {
		all = append(all, counter{a.account, t.PerAccount})
	}
	return all
}

func (s *Service) count(ctx context.Context, tx *sqldb.Tx, key string, limit int64) (blocked time.Duration, err error) {
	now := tx.Now()
	var failures int64
	err = tx.QueryRowContext(ctx, `INSERT INTO sign_in_attempts (key, failures, window_start) VALUES ($1, 1, $2)
		ON CONFLICT (key) DO UPDATE SET
			failures = CASE WHEN sign_in_attempts.window_start < $3 THEN 1 ELSE sign_in_attempts.failures + 1 END,
			window_start = CASE WHEN sign_in_attempts.window_start < $3 THEN $2 ELSE sign_in_attempts.window_start END
		WHERE sign_in_attempts.blocked_until <= $2 RETURNING failures`,
		key, now.UnixMicro(), now.Add(-s.throttle.Window).UnixMicro()).Scan(&failures)
	if missing(err) {
		var until int64
		if err := tx.QueryRowContext(ctx, `SELECT blocked_until FROM sign_in_attempts WHERE key = $1`, key).Scan(&until); err != nil {
			return 0, err
		}
		return max(sqldb.Time(until).Sub(now), time.Millisecond), nil
	}
	if err != nil || failures < limit {
		return 0, err
	}
	// This attempt is still tried; the next one waits, unless this succeeds.
	wait := s.throttle.Longest
	if n := failures - limit; n < 20 {
		wait = min(wait, s.throttle.Block<<n)
	}
	_, err = tx.ExecContext(ctx, `UPDATE sign_in_attempts SET blocked_until = $2 WHERE key = $1`, key, now.Add(wait).UnixMicro())
	return 0, err
}

// refund takes back the charge of an attempt that succeeded. The account
// starts afresh; the address gets only this one back, or an attacker with an
// account of their own could try others for ever.
func (s *Service) refund(ctx context.Context, tx *sqldb.Tx, a attempt) error {
	if a.account != "" {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sign_in_attempts WHERE key = $1`, a.account); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE sign_in_attempts SET failures = failures - 1,
		blocked_until = CASE WHEN failures - 1 < $2 THEN 0 ELSE blocked_until END WHERE key = $1 AND failures > 0`, a.address, s.throttle.PerAddress)
	return err
}
