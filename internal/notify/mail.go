package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// mail sends a delivery to the person whom it concerns.
func (s *Service) mail(ctx context.Context, d Delivery) outcome {
	if s.Mailer == nil {
		return outcome{status: Pending, err: "no mail server is configured", ours: true}
	}
	name, address, err := s.People.Address(ctx, d.Recipient)
	if err != nil {
		s.Log.Warn("an address could not be looked up", "user", d.Recipient, "error", err)
		return outcome{status: Pending, err: "the address could not be looked up", ours: true}
	}
	if address == "" {
		return outcome{status: Skipped, err: "the user has no e-mail address", ours: true}
	}
	m, err := s.message(d)
	if err != nil {
		return outcome{status: Failed, err: "the event cannot be read", ours: true}
	}
	m.Name, m.Email = clean(name, 100), address
	failpoint.Hit("notify.mail.before")
	err = s.Mailer.Send(ctx, m)
	failpoint.Hit("notify.mail.after")
	if err == nil {
		return outcome{status: Delivered}
	}
	s.Log.Debug("a mail could not be sent", "delivery", d.ID, "error", err)
	o := again(err)
	if fault.Is(err, fault.Invalid) { // about this one mail, for ever
		o.status, o.ours = Failed, true
	}
	return o
}

// maxSubject is the longest subject of a mail, in bytes.
const maxSubject = 150

// message writes the mail about an event.
func (s *Service) message(d Delivery) (Message, error) {
	var e cloudEvent
	if err := json.Unmarshal([]byte(d.Payload), &e); err != nil {
		return Message{}, err
	}
	at, err := time.Parse(time.RFC3339Nano, e.Time)
	if err != nil {
		return Message{}, err
	}
	text := func(key string) string {
		v, _ := e.Data[key].(string)
		return clean(v, 200)
	}
	place := strings.Trim(text("project")+"/"+text("environment"), "/")
	about := text("resource")
	if about == "" {
		about = place
	} else if place != "" {
		about += " in " + place
	}
	say, ok := sentences[d.EventType]
	if !ok {
		say = sentence{subject: strings.ReplaceAll(d.EventType, ".", " "), text: "This happened: " + d.EventType + "."}
	}
	var b strings.Builder
	b.WriteString(say.text + "\n\n")
	for _, k := range slices.Sorted(maps.Keys(e.Data)) {
		writeField(&b, k, e.Data[k])
	}
	if e.Subject != "" {
		writeField(&b, "about", e.Subject)
	}
	writeField(&b, "at", at.UTC().Format("2 January 2006 15:04 MST"))
	if say.next != "" {
		b.WriteString("\nNext: " + say.next + "\n")
	}
	fmt.Fprintf(&b, "\nFairlead, %s\nNot wanted? fairlead notifications mute %s\n", s.Source, d.EventType)
	subject := "[fairlead] " + say.subject
	if about != "" {
		subject += ": " + about
	}
	return Message{ID: d.EventID + "." + d.Recipient, Subject: clean(subject, maxSubject), Text: b.String(), At: at}, nil
}

// writeField writes a value of an event's data in lines that cannot be taken
// for anything else of the mail.
func writeField(b *strings.Builder, key string, v any) {
	lines := []string{}
	switch v := v.(type) {
	case nil:
		return
	case string:
		lines = append(lines, v)
	case []any:
		for _, x := range v {
			lines = append(lines, fmt.Sprint(x))
		}
	default:
		j, err := json.Marshal(v)
		if err != nil {
			return
		}
		lines = append(lines, string(j))
	}
	for i, l := range lines {
		if l = clean(l, 500); l == "" {
			continue
		}
		if i > 0 {
			key = ""
		}
		fmt.Fprintf(b, "  %-14s %s\n", clean(key, 40), l)
	}
}

// sentence is what a mail about one type of event says besides its data.
type sentence struct{ subject, text, next string }

// Mutes gives the patterns of event types that the caller gets no mail about.
func (s *Service) Mutes(ctx context.Context) ([]string, error) {
	p, err := s.self(ctx)
	if err != nil {
		return nil, err
	}
	return s.store.mutes(ctx, s.DB.Read(), p.ID)
}

// Mute says what the caller wants no mail about: all the patterns of types at
// once; none is to get everything again.
func (s *Service) Mute(ctx context.Context, types []string) ([]string, error) {
	p, err := s.self(ctx)
	if err != nil {
		return nil, err
	}
	d, err := s.Access.Check(ctx, access.UserUpdate, access.Target{Kind: "user", ID: p.ID, Name: p.Name, OwnerID: p.ID})
	if err != nil {
		return nil, err
	}
	if len(types) > 0 {
		if types, err = checkTypes(types); err != nil {
			return nil, err
		}
	}
	err = s.DB.Write(ctx, "notify.mute", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO notify_mutes (user_id, types) VALUES ($1, $2) ON CONFLICT (user_id) DO UPDATE SET types = excluded.types`,
			p.ID, sqldb.Strings(types))
		if err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: "user:mute", Target: access.Target{Kind: "user", ID: p.ID, Name: p.Name}, Decision: d, Details: map[string]any{"types": types}})
		return nil
	})
	return types, err
}

// self is the user who asks.
func (s *Service) self(ctx context.Context) (principal.Principal, error) {
	p := principal.From(ctx)
	if p.Kind == principal.Anonymous || p.ID == "" {
		_, err := s.Access.Check(ctx, access.UserUpdate, access.Target{Kind: "user"})
		return p, err
	}
	if p.Kind != principal.User {
		return p, fault.New(fault.Denied, "not_a_user", "only people get mail").WithHint("sign in as a person; a program is told by a webhook")
	}
	return p, nil
}

func (s store) mutes(ctx context.Context, q sqldb.Querier, userID string) ([]string, error) {
	var text string
	err := q.QueryRowContext(ctx, `SELECT types FROM notify_mutes WHERE user_id = $1`, userID).Scan(&text)
	if missing(err) {
		return []string{}, nil
	}
	if err != nil {
		return nil, err
	}
	out := []string{}
	return out, json.Unmarshal([]byte(text), &out)
}
