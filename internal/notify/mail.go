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
	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
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
		b.WriteString("\nNext: " + filled(say.next, e.Data) + "\n")
	}
	fmt.Fprintf(&b, "\nFairlead, %s\nNot wanted? fairlead notifications mute %s\n", s.Source, d.EventType)
	subject := "[fairlead] " + say.subject
	if about != "" {
		subject += ": " + about
	}
	return Message{ID: d.EventID + "." + d.Recipient, Subject: clean(subject, maxSubject), Text: b.String(), At: at}, nil
}

// filled puts what an event names into a command, so that it can be pasted.
// What is no plain name stays the word that stands for it.
func filled(command string, data map[string]any) string {
	name := func(key string) string {
		if v, _ := data[key].(string); ident.IsRef(v) {
			return v
		}
		return ""
	}
	resource, project, environment := name("resource"), name("project"), name("environment")
	if resource == "" && data["kind"] == "resource" {
		resource = name("name") // of a lease
	}
	if resource != "" && project != "" && environment != "" {
		command = strings.ReplaceAll(command, "RESOURCE", resource+" -e "+project+"/"+environment)
	}
	for word, key := range map[string]string{"TEAM": "team", "REQUEST": "decision"} {
		if v := name(key); v != "" {
			command = strings.ReplaceAll(command, word, v)
		}
	}
	return command
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
