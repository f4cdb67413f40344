package template

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/yamlx"
)

// Deprecation is what became of a version after it was pushed. Resources made
// from it live on.
type Deprecation struct {
	At        time.Time // zero: it is not deprecated
	By        string    // the id of who said so
	Reason    string
	EndOfLife time.Time // no new requests from then on; zero: none is set
	Successor string    // what to use instead: a version, NAME or NAME@VERSION; "" is not said
}

// Deprecated tells whether there is one.
func (d Deprecation) Deprecated() bool { return !d.At.IsZero() }

// Ended tells whether no new requests are taken at a time.
func (d Deprecation) Ended(now time.Time) bool {
	return !d.EndOfLife.IsZero() && !now.Before(d.EndOfLife)
}

// Sentence says it to whoever uses the version; "" when there is nothing.
func (d Deprecation) Sentence(name, version string) string {
	if !d.Deprecated() {
		return ""
	}
	s := fmt.Sprintf("%s %s is deprecated: %s", name, version, d.Reason)
	if !d.EndOfLife.IsZero() {
		s += "; no new requests from " + d.EndOfLife.UTC().Format("2006-01-02")
	}
	return s
}

// Remedy says what to use instead.
func (d Deprecation) Remedy(name string) string {
	switch {
	case d.Successor == "":
		return "use another version: fairlead template show " + name
	case strings.Contains(d.Successor, ".") && !strings.Contains(d.Successor, "@"):
		return "use version " + d.Successor
	}
	return "use " + d.Successor
}

const maxReason = 500 // characters

// Deprecate says that a version should not be used any more, why, until when it
// can be asked for, and what to use instead. Said again, it replaces what was
// said before. It needs template:push.
func (s *Service) Deprecate(ctx context.Context, name, version string, d Deprecation) (Summary, error) {
	row, decision, err := s.pushable(ctx, name, version)
	if err != nil {
		return Summary{}, err
	}
	d.Reason = strings.TrimSpace(d.Reason)
	if d.Reason == "" {
		return Summary{}, fault.New(fault.Invalid, "reason_required", "say why, for those who use it").WithField("/reason").WithHint("as --reason 'loses data under load'")
	}
	if err := ident.CheckText("/reason", d.Reason, maxReason); err != nil {
		return Summary{}, err
	}
	if y := d.EndOfLife.Year(); !d.EndOfLife.IsZero() && (y < 2000 || y > 9999) {
		return Summary{}, fault.New(fault.Invalid, "invalid_time", "the end of life is out of range").WithField("/endOfLife").WithHint("as 2027-01-31")
	}
	d.EndOfLife = d.EndOfLife.UTC().Truncate(time.Microsecond)
	if err := s.successor(ctx, row, d.Successor); err != nil {
		return Summary{}, err
	}
	return s.mark(ctx, row, decision, "template:deprecate", "template.deprecated", d)
}

// Undeprecate takes a deprecation back.
func (s *Service) Undeprecate(ctx context.Context, name, version string) (Summary, error) {
	row, decision, err := s.pushable(ctx, name, version)
	if err != nil {
		return Summary{}, err
	}
	return s.mark(ctx, row, decision, "template:undeprecate", "template.undeprecated", Deprecation{})
}

// pushable finds an exact version that the caller may push.
func (s *Service) pushable(ctx context.Context, name, version string) (Summary, access.Decision, error) {
	v, err := s.Get(ctx, name, version)
	if err != nil {
		return Summary{}, access.Decision{}, err
	}
	d, err := s.access.Check(ctx, access.TemplatePush, v.Target())
	if err != nil {
		return Summary{}, d, err
	}
	if v.Version != version { // a range names one version today and another tomorrow
		return Summary{}, d, fault.New(fault.Invalid, "invalid_version", "name one version, not a range").WithField("/version").WithHint("as %s", v.Version)
	}
	row, err := queries{s.db.Read()}.find(ctx, v.Name, v.Version)
	return row, d, err
}

// MayPush tells whether the caller may push versions of v's template, and
// deprecate them.
func (s *Service) MayPush(ctx context.Context, v *Version) bool {
	_, err := s.access.Check(access.Wondering(ctx), access.TemplatePush, v.Target())
	return err == nil
}

// successor holds for what is to be used instead: something that there is, and
// something else.
func (s *Service) successor(ctx context.Context, row Summary, ref string) error {
	if ref == "" {
		return nil
	}
	name, version, _ := strings.Cut(ref, "@")
	if _, err := parseVersion(ref); err == nil {
		name, version = row.Name, ref
	}
	v, err := s.Get(ctx, name, version)
	if err != nil {
		f := *fault.From(err)
		if f.Kind == fault.Internal {
			return err
		}
		return fault.New(fault.Invalid, "invalid_successor", "there is no successor %s", yamlx.Quote(ref)).WithField("/successor").
			WithHint("name a version of this template, as 2.0.0, or another template, as NAME or NAME@VERSION").WithCause(err)
	}
	if v.Name == row.Name && v.Version == row.Version {
		return fault.New(fault.Invalid, "invalid_successor", "a version cannot follow itself").WithField("/successor").WithHint("name a newer version")
	}
	return nil
}

func (s *Service) mark(ctx context.Context, row Summary, decision access.Decision, action, kind string, d Deprecation) (Summary, error) {
	out := row
	err := s.db.Write(ctx, action, func(tx *sqldb.Tx) error {
		now, err := queries{tx}.find(ctx, row.Name, row.Version)
		if err != nil {
			return errors.Join(err, unknownVersion(err, row))
		}
		out = now
		was := now.Deprecation
		d.At, d.By = time.Time{}, ""
		same := d.Reason == was.Reason && d.EndOfLife.Equal(was.EndOfLife) && d.Successor == was.Successor
		if same {
			return nil
		}
		if d.Reason != "" {
			d.At, d.By = tx.Now(), principal.From(ctx).ID
		}
		out.Deprecation = d
		_, err = tx.ExecContext(ctx, `UPDATE template_versions SET deprecated_at = $3, deprecated_by = $4, deprecated_reason = $5, end_of_life_at = $6, successor = $7 WHERE name = $1 AND version = $2`,
			row.Name, row.Version, micros(d.At), d.By, d.Reason, micros(d.EndOfLife), d.Successor)
		if err != nil {
			return fmt.Errorf("deprecate: %w", err)
		}
		details := map[string]any{"template": row.Name, "version": row.Version}
		for k, v := range map[string]string{"reason": d.Reason, "successor": d.Successor} {
			if v != "" {
				details[k] = v
			}
		}
		if !d.EndOfLife.IsZero() {
			details["endOfLife"] = d.EndOfLife
		}
		audit.Append(ctx, tx, audit.Entry{Action: action, Target: target(row.Name, nil), Decision: decision, Details: details})
		return event.Emit(ctx, tx, event.Event{Type: kind, Subject: row.Name, Data: details})
	})
	return out, err
}

func unknownVersion(err error, row Summary) error {
	if !none(err) {
		return nil
	}
	return fault.New(fault.NotFound, "unknown_template_version", "the template %s has no version %s", row.Name, row.Version)
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
