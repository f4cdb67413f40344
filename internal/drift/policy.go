package drift

import (
	"strings"

	"fairlead/internal/engine"
)

// Answer is what is done about what is not as wanted.
type Answer string

// The answers. A template may give the first four; the others come of what is
// seen.
const (
	None   Answer = ""       // nothing is amiss
	Ignore Answer = "ignore" // it is remembered, and nothing else
	Heal   Answer = "heal"   // it is put right by itself
	Alert  Answer = "alert"  // it is shown and told
	Ask    Answer = "ask"    // it waits for a person, who heals or accepts it
	Held   Answer = "held"   // the brake holds its repair
	Lost   Answer = "lost"   // what held data is gone; nothing makes it anew
)

// Answers lists those that a template may give.
func Answers() []Answer { return []Answer{Ignore, Alert, Heal, Ask} }

// care orders answers: a repair puts a whole resource right, so of several
// differences the one that wants most care decides.
var care = map[Answer]int{None: 0, Ignore: 1, Heal: 2, Alert: 3, Ask: 4}

// Pattern names fields of objects. A * in it stands for any text.
type Pattern struct{ Address, Field string }

// Matches tells whether the pattern names a field of an object.
func (p Pattern) Matches(address, field string) bool {
	return glob(p.Address, address) && (glob(p.Field, field) || strings.HasPrefix(field, p.Field+"."))
}

// glob tells whether text is what the pattern says. Only * is special: object
// addresses are full of what other notations take for classes.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, last)
}

// Policy is what a template says of drift. The zero value is what holds when
// it says nothing.
type Policy struct {
	Answers map[engine.Cause]Answer
	Ignored []Pattern // differences that are noise
	Ordered []Pattern // arrays whose order says something
}

// classify gives a difference the cause that it has by the policy.
func (p Policy) classify(d engine.Drift) engine.Drift {
	named := func(list []Pattern) bool {
		for _, x := range list {
			if x.Matches(d.Address, d.Field) {
				return true
			}
		}
		return false
	}
	if d.Cause == "" { // of an engine that names none
		d.Cause = engine.CausePerson
	}
	if d.Cause == engine.CauseNoise && d.Noise == engine.NoiseOrder && named(p.Ordered) {
		d.Cause, d.Noise, d.Severity = engine.CausePerson, "", engine.Heal
	}
	if d.Cause != engine.CauseDesired && named(p.Ignored) {
		d.Cause, d.Noise, d.Severity = engine.CauseNoise, engine.NoiseListed, engine.Ignore
	}
	return d
}

// answer is what is done about one difference, taken by itself. What an engine
// says needs a person is never repaired by itself, whatever a template says.
func (p Policy) answer(d engine.Drift) Answer {
	said, ok := p.Answers[d.Cause]
	switch {
	case ok && said == Heal && d.Severity == engine.Alert:
		return Alert
	case ok:
		return said
	case d.Cause == engine.CauseNoise:
		return Ignore
	case d.Severity == engine.Alert:
		return Alert
	case !d.Data:
		return Heal
	case d.Cause == engine.CausePerson:
		return Alert
	}
	return Ask
}

// severity shows an answer where resources show their drift.
func (a Answer) severity() engine.Severity {
	switch a {
	case Heal:
		return engine.Heal
	case Ignore:
		return engine.Ignore
	}
	return engine.Alert
}

// Subject is a resource that was looked at.
type Subject struct {
	ID, Name, Engine, Template, Host string // Host: where its objects are; "" when they have none
	OwnerID                          string // who asked for it

	TeamID, ProjectID, Project, EnvironmentID, Environment string
}

// Where names it in a command.
func (s Subject) Where() string { return s.Name + " -e " + s.Project + "/" + s.Environment }

// Sight is what was seen of one resource.
type Sight struct {
	Subject
	Policy   Policy
	Known    bool // it is known to be lost already: nothing about it is news
	Presence engine.Presence
	Drift    []engine.Drift
}

// Verdict is what follows from a sight.
type Verdict struct {
	Answer Answer
	Drift  []engine.Drift // all but noise that is ignored; what was accepted has the severity Ignore
	Brake  string         // of Held: the scope that holds it
	// Repairs is how many did not hold, when that is why a person is asked.
	Repairs int

	heals bool // by the template, a repair would follow

	free     bool // a person released the brake for it
	episodes []episode
	answers  map[engine.Cause]Answer
	byCause  map[engine.Cause][]engine.Drift
}

// missing stands for a resource of which not all is there, when the engine
// names no object.
func missing(p engine.Presence) engine.Drift {
	return engine.Drift{Address: "resource", Field: "presence", Want: string(engine.Present), Got: string(p), Severity: engine.Heal, Cause: engine.CauseDeleted}
}

// judge says what follows from a sight alone, given what was accepted of it and
// what is open of it.
func judge(s Sight, accepted map[[2]string]string, open []episode) Verdict {
	v := Verdict{episodes: open, answers: map[engine.Cause]Answer{}, byCause: map[engine.Cause][]engine.Drift{}}
	list := s.Drift
	if s.Presence != engine.Present && len(list) == 0 {
		list = []engine.Drift{missing(s.Presence)}
	}
	spared := false
	for _, d := range list {
		d = s.Policy.classify(d)
		if print, ok := accepted[[2]string{d.Address, d.Field}]; ok && print == printOf(d) && s.Presence != engine.Lost {
			d.Severity, spared = engine.Ignore, true
			v.Drift = append(v.Drift, d)
			continue
		}
		a := s.Policy.answer(d)
		if s.Presence == engine.Lost {
			a = Lost
		}
		d.Severity = a.severity()
		v.byCause[d.Cause] = append(v.byCause[d.Cause], d)
		if a == Lost || care[a] > care[v.answers[d.Cause]] {
			v.answers[d.Cause] = a
		}
		if a != Ignore {
			v.Drift = append(v.Drift, d)
		}
	}
	for _, a := range v.answers {
		switch {
		case a == Lost:
			v.Answer = Lost
		case v.Answer != Lost && care[a] > care[v.Answer]:
			v.Answer = a
		}
	}
	if v.Answer == Ignore {
		v.Answer = None
	}
	v.heals = v.Answer == Heal
	if v.Answer == Heal && (spared || v.asked()) {
		v.Answer = Ask // a repair would undo what somebody accepted, or was refused already
	}
	v.level()
	return v
}

// level makes the answers of all causes the one that decides.
func (v *Verdict) level() {
	for cause, a := range v.answers {
		if a != Ignore && a != v.Answer && (v.Answer == Held || v.Answer == Lost || care[v.Answer] > care[a]) {
			v.answers[cause] = v.Answer
		}
	}
}

// asked tells whether a repair of the same differences was refused before: it
// would have destroyed something.
func (v *Verdict) asked() bool {
	for _, e := range v.episodes {
		if e.Answer == Ask && v.answers[e.Cause] == Heal && sameDifferences(e.Differences, v.byCause[e.Cause]) {
			return true
		}
	}
	return false
}

// hold has the brake hold the repair.
func (v *Verdict) hold(scope string) {
	v.Answer, v.Brake = Held, scope
	v.level()
	v.alert()
}

// alert shows as such what is not repaired after all.
func (v *Verdict) alert() {
	for i := range v.Drift {
		if v.Drift[i].Severity == engine.Heal {
			v.Drift[i].Severity = engine.Alert
		}
	}
}
