package webui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"fairlead/internal/principal"
)

// Tone says how good something is; components show it by colour and word both.
type Tone string

// The tones.
const (
	Idle Tone = ""
	OK   Tone = "ok"
	Busy Tone = "busy"
	Warn Tone = "warn"
	Bad  Tone = "bad"
)

var tones = map[string]Tone{
	"ready": OK, "succeeded": OK, "approved": OK, "allowed": OK, "active": OK, "upgraded": OK, "reverted": Warn, "paused": Warn, "aside": Warn, "reverting": Busy, "baking": Busy, "halted": Bad, "stuck": Bad, "passed": OK, "done": OK, "healed": OK, "accepted": OK, "gone": OK,
	"pending": Busy, "planning": Busy, "applying": Busy, "destroying": Busy, "running": Busy, "queued": Busy, "ending": Busy, "heal": Busy,
	"waiting": Warn, "retrying": Warn, "approval": Warn, "advise": Warn, "coming": Warn, "expired": Warn, "bypassed": Warn, "approve": Warn, "canceled": Warn, "ask": Warn, "alert": Warn,
	"failed": Bad, "lost": Bad, "denied": Bad, "deny": Bad, "rejected": Bad, "failing": Bad, "refused": Bad, "held": Bad,
}

// ToneOf is the tone of a phase, a status or an outcome.
func ToneOf(word string) Tone { return tones[word] }

var toneIcons = map[Tone]string{OK: "check", Busy: "loader", Warn: "hourglass", Bad: "x", Idle: "clock"}

// Ago says a time in words, for who has no script; the script keeps it right
// and shows the exact one in the reader's zone.
func Ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := time.Since(t)
	future := d < 0
	if future {
		d = -d
	}
	text := Length(d)
	switch {
	case d < 5*time.Second:
		return "now"
	case future:
		return "in " + text
	}
	return text + " ago"
}

// Length says a duration with its largest unit.
func Length(d time.Duration) string {
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	case d < 60*24*time.Hour:
		return strconv.Itoa(int(d.Hours()/24)) + " days"
	}
	return strconv.Itoa(int(d.Hours()/24/30)) + " months"
}

// Number groups a number's digits.
func Number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// Money says an amount a month.
func Money(amount float64, currency string) string {
	if currency == "" {
		currency = "EUR"
	}
	if amount != 0 && amount < 0.01 && amount > -0.01 {
		return "< 0.01 " + currency
	}
	return strconv.FormatFloat(amount, 'f', 2, 64) + " " + currency
}

// Count is "1 resource", "3 resources".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "y") && !strings.HasSuffix(what, "ay") {
		what = strings.TrimSuffix(what, "y") + "ie"
	}
	return Number(int64(n)) + " " + what + "s"
}

// Title is a word with a capital.
func Title(s string) string {
	if s == "" {
		return s
	}
	r := []rune(s)
	r[0] = unicode.ToUpper(r[0])
	return string(r)
}

// Words makes a name readable: connection_limit, connectionLimit -> Connection limit.
func Words(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == '_' || r == '-':
			b.WriteByte(' ')
		case i > 0 && unicode.IsUpper(r):
			b.WriteByte(' ')
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteRune(r)
		}
	}
	return Title(b.String())
}

// Text says a value of inputs or outputs.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return "—"
	case string:
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case []any:
		out := make([]string, len(v))
		for i, e := range v {
			out[i] = Text(e)
		}
		return strings.Join(out, ", ")
	case []string:
		return strings.Join(v, ", ")
	case map[string]any:
		return compact(v)
	}
	return fmt.Sprint(v)
}

func initials(name string) string {
	parts := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	switch len(parts) {
	case 0:
		return "?"
	case 1:
		r := []rune(parts[0])
		return string(r[:min(2, len(r))])
	}
	return string([]rune(parts[0])[:1]) + string([]rune(parts[1])[:1])
}

func roleLine(p principal.Principal) string {
	var out []string
	for _, r := range p.OrgRoles {
		out = append(out, Words(string(r)))
	}
	for _, m := range p.Memberships {
		out = append(out, string(m.Role)+" of "+m.Team)
	}
	if len(out) > 3 {
		out = append(out[:3], "…")
	}
	return strings.Join(out, ", ")
}

func visible(nav []Nav, who principal.Principal) []Nav {
	return slices.DeleteFunc(slices.Clone(nav), func(n Nav) bool { return n.Show != nil && !n.Show(who) })
}

func yesNo(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// opening is the words that messages begin with, when they do not begin with
// the name of something, which stays as it is written.
var opening = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields("a an the it its this that there these you your nobody no not only some somebody something what who when where is are use choose type try ask look list check run wait " +
		"must can cannot could internal too nothing send read see start invalid unknown another needs need needed from at in on with within without none one two three more less larger smaller all any each every " +
		"everything everybody change create give make keep leave let open quote repeat sign take tell go destroy approve request requests approvals tests waits production staging development by as if so than") {
		m[w] = true
	}
	return m
}()

// Sentence begins a message with a capital, unless it begins with a name.
func Sentence(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if opening[strings.TrimRight(first, ",.:;")] {
		return Title(s)
	}
	return s
}
