package notify

import (
	"context"
	"log/slog"
	"net/url"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/egress"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// Options is what the service stands on.
type Options struct {
	DB      *sqldb.DB
	Access  access.Authorizer
	Secrets Secrets
	Egress  Asker
	People  People
	Mailer  Mailer // nil: no mail is sent
	// Approvals may be set before the first request; without it who is asked to
	// approve something in a place that they see nothing of is told all the same.
	Approvals Approvals
	Source    string // this installation's URL: the source of CloudEvents, and what mails link to
	Log       *slog.Logger

	Keep  time.Duration // of events and deliveries; 30 days when 0
	Lease time.Duration // of one attempt; 30 s when 0. Three quarters of it are longer than Egress and Mailer take
	Poll  time.Duration // between looks when nothing wakes; 1 s when 0
}

// Service keeps webhooks and delivers. It is safe for concurrent use, and by
// several replicas on one database.
type Service struct {
	Options
	store store
	slots chan struct{}
}

const (
	maxDescription = 200
	maxPerTeam     = 100
	maxOverlap     = 7 * 24 * time.Hour
	// DefaultOverlap is how long the secret before signs too after a rotation.
	DefaultOverlap = 24 * time.Hour
)

// New makes the service.
func New(o Options) *Service {
	if o.Keep == 0 {
		o.Keep = 30 * 24 * time.Hour
	}
	if o.Lease == 0 {
		o.Lease = 30 * time.Second
	}
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{Options: o, store: store{o.DB}, slots: make(chan struct{}, maxSending)}
}

// NewWebhook is what a webhook is made of.
type NewWebhook struct {
	Team        string // name or id; "" is the organisation's
	URL         string
	Types       []string // none is every type
	Description string
}

// Create makes a webhook and gives the secret that it is signed with, this
// once. It needs webhook:manage in the team, or in the organisation.
func (s *Service) Create(ctx context.Context, in NewWebhook) (Webhook, redact.Secret, error) {
	none := redact.Secret{}
	w := Webhook{URL: in.URL, Description: in.Description, Enabled: true, generation: 1, Version: 1, CreatedBy: principal.From(ctx).ID}
	d, err := s.allowed(ctx, in.Team, &w)
	if err != nil {
		return Webhook{}, none, err
	}
	u, err := s.Egress.CheckURL(in.URL)
	if err != nil {
		return Webhook{}, none, err
	}
	if w.Types, err = checkTypes(in.Types); err != nil {
		return Webhook{}, none, err
	}
	if err := ident.CheckText("/description", in.Description, maxDescription); err != nil {
		return Webhook{}, none, err
	}
	secret := newSecret()
	err = s.DB.Write(ctx, "webhook.create", func(tx *sqldb.Tx) error {
		w.ID, w.CreatedAt, w.UpdatedAt = ident.New("whk"), tx.Now(), tx.Now()
		var n int64
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM webhooks WHERE team_id = $1`, w.TeamID).Scan(&n); err != nil {
			return err
		}
		if n >= maxPerTeam {
			return fault.New(fault.Conflict, "too_many_webhooks", "there are %d webhooks already", n).WithHint("remove one that is not used any more")
		}
		if err := s.store.insert(ctx, tx, w); err != nil {
			return err
		}
		if err := s.seal(ctx, tx, w.ID, w.generation, u, secret); err != nil {
			return err
		}
		s.record(ctx, tx, "webhook:create", w, d, map[string]any{"url": shown(u), "types": w.Types})
		return nil
	})
	return w, secret, err
}

// allowed asks for the team that a webhook is to be of, and fills it in.
func (s *Service) allowed(ctx context.Context, team string, w *Webhook) (access.Decision, error) {
	if team != "" {
		if !ident.IsRef(team) || principal.From(ctx).Kind == principal.Anonymous {
			return s.Access.Check(ctx, access.WebhookManage, access.Target{Kind: "webhook", TeamID: "none"})
		}
		var err error
		w.TeamID, w.Team, err = s.store.team(ctx, team)
		if missing(err) {
			return access.Decision{}, fault.New(fault.NotFound, "not_found", "no such team").WithHint("check the name, and that you are in the team")
		}
		if err != nil {
			return access.Decision{}, err
		}
	}
	return s.Access.Check(ctx, access.WebhookManage, access.Target{Kind: "webhook", TeamID: w.TeamID})
}

// shown is a URL as the audit log shows it: without what may be a secret.
func shown(u *url.URL) string { return egress.Origin(u) + u.EscapedPath() }

func (s *Service) record(ctx context.Context, tx *sqldb.Tx, action string, w Webhook, d access.Decision, details map[string]any) {
	audit.Append(ctx, tx, audit.Entry{Action: action, Target: w.Target(), Decision: d, Details: details})
}

func noWebhook() error {
	return fault.New(fault.NotFound, "webhook_not_found", "no such webhook").WithHint("list them with fairlead webhook ls")
}

// find gives a webhook that the caller may manage; one of others is not there.
func (s *Service) find(ctx context.Context, id string) (Webhook, access.Decision, error) {
	if principal.From(ctx).Kind == principal.Anonymous {
		d, err := s.Access.Check(ctx, access.WebhookManage, access.Target{Kind: "webhook"})
		return Webhook{}, d, err
	}
	if !ident.IsRef(id) {
		return Webhook{}, access.Decision{}, noWebhook()
	}
	w, err := s.store.webhook(ctx, s.DB.Read(), id, false)
	if missing(err) {
		return Webhook{}, access.Decision{}, noWebhook()
	}
	if err != nil {
		return Webhook{}, access.Decision{}, err
	}
	d, err := s.Access.Check(ctx, access.WebhookManage, w.Target())
	if fault.Is(err, fault.NotFound) {
		return Webhook{}, d, noWebhook()
	}
	return w, d, err
}

// Get gives a webhook. It needs webhook:manage there, as everything here does.
func (s *Service) Get(ctx context.Context, id string) (Webhook, error) {
	w, _, err := s.find(ctx, id)
	return w, err
}

// Filter narrows a list of webhooks.
type Filter struct {
	Team string // name or id
	Sort string // created or url, - before it the other way round
}

// List lists the webhooks that the caller may manage.
func (s *Service) List(ctx context.Context, f Filter, page sqldb.Page) ([]Webhook, string, error) {
	var w sqldb.Where
	_, err := s.Access.Check(ctx, access.WebhookManage, access.Target{Kind: "webhook"})
	switch {
	case fault.Is(err, fault.Unauthenticated):
		return nil, "", err
	case fault.Is(err, fault.Denied), fault.Is(err, fault.NotFound):
		teams, err := s.managed(ctx)
		if err != nil {
			return nil, "", err
		}
		w.And(s.DB.InArray("w.team_id", "?"), sqldb.Strings(teams))
	case err != nil:
		return nil, "", err
	}
	if f.Team != "" {
		w.And(`(t.id = ? OR t.name = ?)`, clean(f.Team, 64))
	}
	return webhooks.Page(ctx, s.DB.Read(), w, f.Sort, page)
}

// managed gives the teams with webhooks whose webhooks the caller manages.
func (s *Service) managed(ctx context.Context) ([]string, error) {
	teams, err := s.store.teamsWithWebhooks(ctx)
	if err != nil {
		return nil, err
	}
	out := []string{}
	for _, id := range teams {
		switch _, err := s.Access.Check(ctx, access.WebhookManage, access.Target{Kind: "webhook", TeamID: id}); {
		case err == nil:
			out = append(out, id)
		case !fault.Is(err, fault.Denied) && !fault.Is(err, fault.NotFound):
			return nil, err
		}
	}
	return out, nil
}

// Change says what to change of a webhook; nil leaves it.
type Change struct {
	URL         *string // within its origin: another one takes a new secret, see Rotate
	Types       *[]string
	Description *string
	Enabled     *bool
}

// Update changes a webhook. ifVersion 0 is any.
func (s *Service) Update(ctx context.Context, id string, c Change, ifVersion int64) (Webhook, error) {
	was, d, err := s.find(ctx, id)
	if err != nil {
		return Webhook{}, err
	}
	var types []string
	if c.Types != nil {
		if types, err = checkTypes(*c.Types); err != nil {
			return Webhook{}, err
		}
	}
	if c.Description != nil {
		if err := ident.CheckText("/description", *c.Description, maxDescription); err != nil {
			return Webhook{}, err
		}
	}
	var out Webhook
	err = s.DB.Write(ctx, "webhook.update", func(tx *sqldb.Tx) error {
		w, err := s.locked(ctx, tx, id, ifVersion)
		if err != nil {
			return err
		}
		changed := map[string]any{}
		if c.URL != nil && *c.URL != w.URL {
			u, err := s.moved(was.URL, w.URL, *c.URL)
			if err != nil {
				return err
			}
			w.URL, changed["url"] = *c.URL, shown(u)
		}
		if types != nil {
			w.Types, changed["types"] = types, types
		}
		if c.Description != nil {
			w.Description, changed["description"] = *c.Description, *c.Description
		}
		anew := c.Enabled != nil && *c.Enabled && !w.Enabled
		if c.Enabled != nil && *c.Enabled != w.Enabled {
			w.Enabled, w.DisabledWhy, changed["enabled"] = *c.Enabled, "", *c.Enabled
		}
		if err := s.store.update(ctx, tx, w, anew); err != nil {
			return err
		}
		if anew {
			if err := s.store.well(ctx, tx, w.ID); err != nil {
				return err
			}
			tx.Notify(wake, "")
		}
		s.record(ctx, tx, "webhook:update", w, d, changed)
		out, err = s.store.webhook(ctx, tx, id, false)
		return err
	})
	return out, err
}

// moved checks a new URL against the one that the secret is for.
func (s *Service) moved(seen, now, to string) (*url.URL, error) {
	old, err := url.Parse(now)
	if err != nil || seen != now {
		return nil, stale()
	}
	u, err := s.Egress.CheckURL(to)
	if err == nil && egress.Origin(u) != egress.Origin(old) {
		err = fault.New(fault.Conflict, "webhook_origin", "the webhook's secret is for %s alone", egress.Origin(old)).WithField("/url").
			WithHint("move it with a new secret: fairlead webhook rotate ID --url URL")
	}
	return u, err
}

func stale() error {
	return fault.New(fault.Conflict, "stale_version", "the webhook was changed since you looked at it").WithHint("look again, then repeat what you wanted")
}

func (s *Service) locked(ctx context.Context, tx *sqldb.Tx, id string, ifVersion int64) (Webhook, error) {
	w, err := s.store.webhook(ctx, tx, id, true)
	if missing(err) {
		return Webhook{}, noWebhook()
	}
	if err == nil && ifVersion != 0 && w.Version != ifVersion {
		err = stale()
	}
	return w, err
}

// Delete removes a webhook, what it was to be told and its secret.
func (s *Service) Delete(ctx context.Context, id string, ifVersion int64) error {
	_, d, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, "webhook.delete", func(tx *sqldb.Tx) error {
		w, err := s.locked(ctx, tx, id, ifVersion)
		if err != nil {
			return err
		}
		if err := s.store.delete(ctx, tx, id); err != nil {
			return err
		}
		if err := s.Secrets.Delete(ctx, tx, id); err != nil {
			return err
		}
		s.record(ctx, tx, "webhook:delete", w, d, nil)
		return nil
	})
}

// Rotation is how a secret is changed.
type Rotation struct {
	URL     string        // where it leads from now on; "" leaves it
	Overlap time.Duration // how long the old secret signs too; 0 ends it at once. Another origin never gets it.
}

// Rotate makes a new secret, shown this once. It is also how a webhook moves
// to another origin, which never sees a signature by the old secret.
func (s *Service) Rotate(ctx context.Context, id string, r Rotation, ifVersion int64) (Webhook, redact.Secret, error) {
	none := redact.Secret{}
	seen, d, err := s.find(ctx, id)
	if err != nil {
		return Webhook{}, none, err
	}
	if r.Overlap < 0 || r.Overlap > maxOverlap {
		return Webhook{}, none, fault.New(fault.Invalid, "invalid_overlap", "the old secret can sign too for 0 to %d hours", int(maxOverlap.Hours())).WithField("/overlapSeconds")
	}
	if r.URL == "" {
		r.URL = seen.URL
	}
	u, err := s.Egress.CheckURL(r.URL)
	if err != nil {
		return Webhook{}, none, err
	}
	secret := newSecret()
	var out Webhook
	err = s.DB.Write(ctx, "webhook.rotate", func(tx *sqldb.Tx) error {
		w, err := s.locked(ctx, tx, id, ifVersion)
		if err != nil {
			return err
		}
		if w.Version != seen.Version {
			return stale()
		}
		old, err := url.Parse(w.URL)
		if err != nil {
			return err
		}
		w.Overlap = time.Time{}
		if r.Overlap > 0 && egress.Origin(old) == egress.Origin(u) {
			w.Overlap = tx.Now().Add(r.Overlap)
		}
		w.URL, w.generation = r.URL, w.generation+1
		if err := s.store.update(ctx, tx, w, false); err != nil {
			return err
		}
		if err := s.seal(ctx, tx, id, w.generation, u, secret); err != nil {
			return err
		}
		s.record(ctx, tx, "webhook:rotate", w, d, map[string]any{"url": shown(u), "overlap": r.Overlap.String()})
		out, err = s.store.webhook(ctx, tx, id, false)
		return err
	})
	return out, secret, err
}

// Ping sends the webhook an event of the type webhook.ping, now.
func (s *Service) Ping(ctx context.Context, id string) (Delivery, error) {
	_, d, err := s.find(ctx, id)
	if err != nil {
		return Delivery{}, err
	}
	var out Delivery
	err = s.DB.Write(ctx, "webhook.ping", func(tx *sqldb.Tx) error {
		w, err := s.locked(ctx, tx, id, 0)
		if err != nil {
			return err
		}
		if !w.Enabled {
			return disabled()
		}
		e := event.Event{ID: ident.New("evt"), At: tx.Now(), Type: event.WebhookPing, Subject: id, TeamID: w.TeamID, Data: map[string]any{"by": principal.From(ctx).Name}}
		payload, err := s.payload(e)
		if err != nil {
			return err
		}
		if err := s.store.add(ctx, tx, Delivery{Target: id, EventID: e.ID, EventType: e.Type, Payload: payload}, w.TeamID); err != nil {
			return err
		}
		s.record(ctx, tx, "webhook:ping", w, d, map[string]any{"event": e.ID})
		out, err = scanListed(tx.QueryRowContext(ctx, deliveries.Select+` WHERE d.event_id = $1`, e.ID))
		return err
	})
	return out, err
}

func disabled() error {
	return fault.New(fault.Conflict, "webhook_disabled", "the webhook is disabled").WithHint("enable it first: fairlead webhook enable ID")
}
