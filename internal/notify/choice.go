package notify

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// Choice is what somebody wants to be told, and how: patterns of types of
// events. The zero value is the default.
type Choice struct {
	Muted  []string // no mail about these
	Quiet  []string // the bell does not ring for these; what always rings does
	Mailed []string // mail about these, which nobody gets by default
}

// ChoiceChange says what of a choice to replace; nil leaves it.
type ChoiceChange struct{ Muted, Quiet, Mailed *[]string }

// Kind is a type of event that can concern somebody, and how they are told.
type Kind struct {
	Type   string
	Title  string
	Rings  bool // there is a bell for it
	Always bool // and nobody can silence it
	Opt    bool // mail only for who asked for it
	Bell   bool // as chosen
	Mail   bool // as chosen
}

// always are the types that the bell rings for whatever somebody chooses: what
// stands still until they do something, what of theirs has failed, and what is
// about to be destroyed. Mail about them can be muted.
var always = []string{event.ApprovalRequested, event.LeaseStuck, event.LeaseWarned, "rollout.halted", "rollout.waiting", event.RunFailed}

// mailOnly are the types that go to somebody and that the bell has nothing
// for: mostly what they did themselves.
var mailOnly = map[string]string{
	"approval.reviewed":           "What went ahead without approval was looked at",
	"approval.undelegated":        "Somebody no longer stands in for another",
	"approval.voted":              "One of several agreed",
	"lease.begun":                 "It has an end",
	"lease.extended":              "It may live longer",
	"lease.proved":                "It is proved to be gone",
	"lease.set":                   "Its end was set, or taken away",
	"pin.ended":                   "Its pin was taken away",
	"pin.set":                     "It is pinned",
	"resource.adopted":            "It was taken over",
	"resource.adoption_requested": "It is to be taken over",
	"resource.ejected":            "Somebody took its files along",
	"resource.release_requested":  "It is to be let go of",
	"resource.released":           "It was let go of",
	"rollout.planned":             "A rollout is planned",
	"rollout.started":             "A rollout begins",
	"template.source_added":       "A template has a source",
	"template.source_changed":     "A source was changed",
	"template.source_removed":     "A source was removed",
	"template.tag_moved":          "A tag at a source leads elsewhere",
	"template.tag_restored":       "A tag at a source leads where it did again",
	"template.version_added":      "A source has a new version",
}

// rings tells whether the bell rings for a type.
func (c Choice) rings(kind string) bool {
	return slices.Contains(always, kind) || !matchesAny(c.Quiet, kind)
}

// mails tells whether mail goes out about a type. What was asked for is muted
// only by its own name.
func (c Choice) mails(kind string) bool {
	if slices.Contains(bellOnly, kind) {
		return slices.Contains(c.Mailed, kind) && !slices.Contains(c.Muted, kind)
	}
	return !matchesAny(c.Muted, kind)
}

// spelled says what a title is about where nothing else does.
var spelled = strings.NewReplacer("Its lease ", "A lease ", "Its pin ", "A pin ", "Its end ", "An end ", "It is ", "A resource is ", "It was ", "A resource was ", "It could ", "A resource could ",
	"It has ", "A resource has ", "It may ", "A resource may ", "its files", "a resource's files")

// Kinds gives every type that can concern somebody, sorted, as c has it.
func (c Choice) Kinds() []Kind {
	var out []Kind
	for _, t := range event.Catalogue() {
		k := Kind{Type: t.Name, Title: headlines[t.Name], Rings: headlines[t.Name] != "", Always: slices.Contains(always, t.Name), Opt: slices.Contains(bellOnly, t.Name), Mail: c.mails(t.Name)}
		k.Bell = k.Rings && c.rings(t.Name)
		if !k.Rings {
			if k.Title = mailOnly[t.Name]; k.Title == "" {
				continue
			}
		}
		k.Title = spelled.Replace(k.Title)
		out = append(out, k)
	}
	return out
}

// Ticked is the choice of who ticked these types, and no others, in a list of
// Kinds. Patterns of c that say the same are kept.
func (c Choice) Ticked(bell, mail []string) ChoiceChange {
	var quiet, muted []string
	mailed := []string{}
	for _, k := range c.Kinds() {
		if k.Rings && !k.Always && !slices.Contains(bell, k.Type) {
			quiet = append(quiet, k.Type)
		}
		switch ticked := slices.Contains(mail, k.Type); {
		case k.Opt && ticked:
			mailed = append(mailed, k.Type)
		case !k.Opt && !ticked:
			muted = append(muted, k.Type)
		}
	}
	return ChoiceChange{Quiet: folded(c.Quiet, quiet, func(k Kind) bool { return k.Rings && !k.Always }), Muted: folded(c.Muted, muted, func(k Kind) bool { return !k.Opt }), Mailed: &mailed}
}

// folded writes types by the patterns before, where those say nothing else of
// the kinds that count.
func folded(patterns, types []string, counts func(Kind) bool) *[]string {
	out, left := []string{}, slices.Clone(types)
	for _, p := range patterns {
		of := 0
		fits := true
		for _, k := range (Choice{}).Kinds() {
			if counts(k) && matches(p, k.Type) {
				fits = fits && slices.Contains(types, k.Type)
				of++
			}
		}
		rest := slices.DeleteFunc(slices.Clone(left), func(t string) bool { return matches(p, t) })
		if fits && of > 1 && len(rest) < len(left) {
			out, left = append(out, p), rest
		}
	}
	out = append(out, left...)
	slices.Sort(out)
	return &out
}

// Choice gives what the caller wants to be told.
func (s *Service) Choice(ctx context.Context) (Choice, error) {
	p, err := s.self(ctx)
	if err != nil {
		return Choice{}, err
	}
	return s.store.choice(ctx, s.DB.Read(), p.ID)
}

// SendsMail tells whether this installation sends any mail.
func (s *Service) SendsMail() bool { return s.Mailer != nil }

// Choose changes what the caller wants to be told, from now on.
func (s *Service) Choose(ctx context.Context, in ChoiceChange) (Choice, error) {
	p, err := s.self(ctx)
	if err != nil {
		return Choice{}, err
	}
	me := access.Target{Kind: "user", ID: p.ID, Name: p.Name, OwnerID: p.ID}
	d, err := s.Access.Check(ctx, access.UserUpdate, me)
	if err != nil {
		return Choice{}, err
	}
	if err := in.check(); err != nil {
		return Choice{}, err
	}
	var out Choice
	err = s.DB.Write(ctx, "notify.choose", func(tx *sqldb.Tx) error {
		was, err := s.store.choiceLocked(ctx, tx, p.ID)
		if err != nil {
			return err
		}
		out = was
		changed := map[string]any{}
		for name, part := range map[string]struct {
			to  *[]string
			out *[]string
		}{"muted": {in.Muted, &out.Muted}, "quiet": {in.Quiet, &out.Quiet}, "mailed": {in.Mailed, &out.Mailed}} {
			if part.to != nil && !slices.Equal(*part.to, *part.out) {
				*part.out, changed[name] = *part.to, *part.to
			}
		}
		if len(changed) == 0 {
			return nil
		}
		if err := s.store.putChoice(ctx, tx, p.ID, out); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: "user:mute", Target: me, Decision: d, Details: changed})
		return nil
	})
	return out, err
}

// check sorts what is chosen, and refuses what says nothing.
func (in *ChoiceChange) check() error {
	var err error
	if in.Muted, err = checkChosen("/muted", in.Muted); err != nil {
		return err
	}
	if in.Quiet, err = checkChosen("/quiet", in.Quiet); err != nil {
		return err
	}
	if in.Mailed, err = checkChosen("/mailed", in.Mailed); err != nil {
		return err
	}
	if in.Quiet != nil {
		for _, t := range *in.Quiet {
			if slices.Contains(always, t) {
				return fault.New(fault.Invalid, "always_rings", "the bell always rings for %s", t).WithField("/quiet").
					WithHint("it waits for you, or something of yours has failed; mail about it can be muted")
			}
		}
	}
	if in.Mailed != nil {
		for _, t := range *in.Mailed {
			if !slices.Contains(bellOnly, t) {
				return fault.New(fault.Invalid, "invalid_event_type", "%s is not among what only who asks for it gets mail about", clean(t, maxPattern)).WithField("/mailed").
					WithHint("those are drift.detected and run.failed; about all else that concerns you there is mail unless it is muted")
			}
		}
	}
	return nil
}

func checkChosen(field string, types *[]string) (*[]string, error) {
	if types == nil {
		return nil, nil
	}
	out := []string{}
	if len(*types) > 0 {
		var err error
		if out, err = checkTypes(*types); err != nil {
			return nil, fault.From(err).WithField(field)
		}
	}
	return &out, nil
}

func (s store) choice(ctx context.Context, q sqldb.Querier, userID string) (Choice, error) {
	return s.readChoice(ctx, q, userID, "")
}

// choiceLocked keeps others from changing it until tx is over. Who has no row
// gets one, so that there is something to lock.
func (s store) choiceLocked(ctx context.Context, tx *sqldb.Tx, userID string) (Choice, error) {
	if s.db.Dialect() == sqldb.SQLite {
		return s.choice(ctx, tx, userID)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO notify_mutes (user_id, types) VALUES ($1, '[]') ON CONFLICT (user_id) DO NOTHING`, userID); err != nil {
		return Choice{}, err
	}
	return s.readChoice(ctx, tx, userID, " FOR UPDATE")
}

func (s store) readChoice(ctx context.Context, q sqldb.Querier, userID, suffix string) (Choice, error) {
	c := Choice{Muted: []string{}, Quiet: []string{}, Mailed: []string{}}
	var muted, quiet, mailed string
	err := q.QueryRowContext(ctx, `SELECT types, quiet, mailed FROM notify_mutes WHERE user_id = $1`+suffix, userID).Scan(&muted, &quiet, &mailed)
	if missing(err) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal([]byte(muted), &c.Muted); err != nil {
		return c, err
	}
	if err := json.Unmarshal([]byte(quiet), &c.Quiet); err != nil {
		return c, err
	}
	return c, json.Unmarshal([]byte(mailed), &c.Mailed)
}

func (s store) putChoice(ctx context.Context, tx *sqldb.Tx, userID string, c Choice) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO notify_mutes (user_id, types, quiet, mailed) VALUES ($1, $2, $3, $4)
		ON CONFLICT (user_id) DO UPDATE SET types = excluded.types, quiet = excluded.quiet, mailed = excluded.mailed`,
		userID, sqldb.Strings(c.Muted), sqldb.Strings(c.Quiet), sqldb.Strings(c.Mailed))
	return err
}
