package drift

import (
	"testing"

	"pgregory.net/rapid"

	"fairlead/internal/engine"
)

func TestWhatFollowsFromADifference(t *testing.T) {
	t.Parallel()
	healable := func(c engine.Cause) engine.Drift {
		return engine.Drift{Address: "x.a", Field: "tags.env", Want: "a", Got: "b", Severity: engine.Heal, Cause: c}
	}
	data := func(c engine.Cause) engine.Drift { d := healable(c); d.Data = true; return d }
	alert := func(c engine.Cause) engine.Drift { d := healable(c); d.Severity = engine.Alert; return d }
	noise := func(n engine.Noise) engine.Drift {
		d := healable(engine.CauseNoise)
		d.Severity, d.Noise = engine.Ignore, n
		return d
	}
	says := func(c engine.Cause, a Answer) Policy { return Policy{Answers: map[engine.Cause]Answer{c: a}} }
	for _, row := range []struct {
		why    string
		policy Policy
		drift  engine.Drift
		cause  engine.Cause
		want   Answer
	}{
		{"what holds no data is healed", Policy{}, healable(engine.CausePerson), engine.CausePerson, Heal},
		{"what holds data is shown", Policy{}, data(engine.CausePerson), engine.CausePerson, Alert},
		{"what was deleted is made anew", Policy{}, healable(engine.CauseDeleted), engine.CauseDeleted, Heal},
		{"a part of what holds data that was deleted is asked about", Policy{}, data(engine.CauseDeleted), engine.CauseDeleted, Ask},
		{"what is wanted anew is made", Policy{}, healable(engine.CauseDesired), engine.CauseDesired, Heal},
		{"what is wanted anew of data is asked about", Policy{}, data(engine.CauseDesired), engine.CauseDesired, Ask},
		{"noise is ignored", Policy{}, noise(engine.NoiseEmpty), engine.CauseNoise, Ignore},
		{"an engine that cannot heal it has the last word", Policy{}, alert(engine.CausePerson), engine.CausePerson, Alert},
		{"also against a template", says(engine.CausePerson, Heal), alert(engine.CausePerson), engine.CausePerson, Alert},
		{"a template may heal data in place", says(engine.CausePerson, Heal), data(engine.CausePerson), engine.CausePerson, Heal},
		{"a template may ask", says(engine.CausePerson, Ask), healable(engine.CausePerson), engine.CausePerson, Ask},
		{"a template may ignore what people do", says(engine.CausePerson, Ignore), healable(engine.CausePerson), engine.CausePerson, Ignore},
		{"a template may be told of noise", says(engine.CauseNoise, Alert), noise(engine.NoiseOrder), engine.CauseNoise, Alert},
		{"what it says of one cause is not said of another", says(engine.CauseDeleted, Ask), healable(engine.CausePerson), engine.CausePerson, Heal},
		{"a listed field is noise", Policy{Ignored: []Pattern{{"x.*", "tags.*"}}}, healable(engine.CausePerson), engine.CauseNoise, Ignore},
		{"a listed field covers what is below it", Policy{Ignored: []Pattern{{"x.a", "tags"}}}, healable(engine.CausePerson), engine.CauseNoise, Ignore},
		{"and not what only begins alike", Policy{Ignored: []Pattern{{"x.a", "tag"}}}, healable(engine.CausePerson), engine.CausePerson, Heal},
		{"another object's field is not listed", Policy{Ignored: []Pattern{{"y.*", "tags.*"}}}, healable(engine.CausePerson), engine.CausePerson, Heal},
		{"a list cannot hide that something else is wanted", Policy{Ignored: []Pattern{{"*", "*"}}}, healable(engine.CauseDesired), engine.CauseDesired, Heal},
		{"order counts where the template says so", Policy{Ordered: []Pattern{{"*", "tags*"}}}, noise(engine.NoiseOrder), engine.CausePerson, Heal},
		{"and only order", Policy{Ordered: []Pattern{{"*", "*"}}}, noise(engine.NoiseEmpty), engine.CauseNoise, Ignore},
		{"an engine that names no cause blames a person", Policy{}, healable(""), engine.CausePerson, Heal},
	} {
		d := row.policy.classify(row.drift)
		if got := row.policy.answer(d); got != row.want || d.Cause != row.cause {
			t.Errorf("%s: %s because of %s, want %s because of %s", row.why, got, d.Cause, row.want, row.cause)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why, pattern, text string
		want               bool
	}{
		{"itself", "a.b", "a.b", true},
		{"a beginning alone", "a.b", "a.bc", false},
		{"brackets and quotes are text", `x.y["a[0]"]`, `x.y["a[0]"]`, true},
		{"a star for an index", `x.y[*]`, `x.y[3]`, true},
		{"a star for nothing", "a*b", "ab", true},
		{"stars in turn", "*.tags.*", "x.tags.tags.y", true},
		{"the end must fit", "a*c", "abcd", false},
		{"the beginning and the end may not share text", "ab*ba", "aba", false},
		{"everything", "*", "", true},
	} {
		if got := glob(row.pattern, row.text); got != row.want {
			t.Errorf("%s: %q of %q is %v", row.why, row.text, row.pattern, got)
		}
	}
}

func TestOfSeveralDifferencesTheMostCarefulAnswerDecides(t *testing.T) {
	t.Parallel()
	d := func(field string, c engine.Cause) engine.Drift {
		return engine.Drift{Address: "x.a", Field: field, Want: 1, Got: 2, Severity: engine.Heal, Cause: c}
	}
	noise := engine.Drift{Address: "x.a", Field: "n", Severity: engine.Ignore, Cause: engine.CauseNoise, Noise: engine.NoiseEmpty}
	data := d("data", engine.CausePerson)
	data.Data = true
	here := func(list ...engine.Drift) Sight { return Sight{Presence: engine.Present, Drift: list} }
	open := func(a Answer, list ...engine.Drift) []episode {
		return []episode{{ID: "drf_1", Cause: engine.CausePerson, Answer: a, Differences: list}}
	}
	of := func(p engine.Presence, list ...engine.Drift) Sight { return Sight{Presence: p, Drift: list} }
	one := d("one", engine.CausePerson)
	for _, row := range []struct {
		why      string
		sight    Sight
		accepted map[[2]string]string
		open     []episode
		want     Answer
		shown    int
	}{
		{"nothing", here(), nil, nil, None, 0},
		{"noise alone is nothing", here(noise), nil, nil, None, 0},
		{"one that heals", here(one, noise), nil, nil, Heal, 1},
		{"one that heals, and one of data", here(one, data), nil, nil, Alert, 2},
		{"half of it is there, and the engine names nothing", of(engine.Partial), nil, nil, Heal, 1},
		{"nothing of it is there", of(engine.Absent), nil, nil, Heal, 1},
		{"data that is gone", of(engine.Lost, one), nil, nil, Lost, 1},
		{"what was accepted", here(one), map[[2]string]string{{"x.a", "one"}: printOf(one)}, nil, None, 1},
		{"what was accepted, and has changed again", here(one), map[[2]string]string{{"x.a", "one"}: "another"}, nil, Heal, 1},
		{"a repair would undo what was accepted beside it", here(one, d("two", engine.CausePerson)), map[[2]string]string{{"x.a", "one"}: printOf(one)}, nil, Ask, 2},
		{"nobody can accept that data is gone", of(engine.Lost, one), map[[2]string]string{{"x.a", "one"}: printOf(one)}, nil, Lost, 1},
		{"a repair of the same that was refused is not tried again", here(one), nil, open(Ask, one), Ask, 1},
		{"a repair of something else is", here(d("two", engine.CausePerson)), nil, open(Ask, one), Heal, 1},
		{"a repair that was held may go on", here(one), nil, open(Held, one), Heal, 1},
	} {
		got := judge(row.sight, row.accepted, row.open)
		if got.Answer != row.want || len(got.Drift) != row.shown {
			t.Errorf("%s: %q with %d, want %q with %d", row.why, got.Answer, len(got.Drift), row.want, row.shown)
		}
	}
}

// Whatever is seen and whatever a template says: what the engine says needs a
// person is never repaired by itself, and data that is gone is never made anew.
func TestNothingIsRepairedThatMustNotBe(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{Answers: map[engine.Cause]Answer{}}
		for _, c := range engine.Causes() {
			if rapid.Bool().Draw(t, "says") {
				p.Answers[c] = rapid.SampledFrom(Answers()).Draw(t, "answer")
			}
		}
		s := Sight{Policy: p, Presence: rapid.SampledFrom([]engine.Presence{engine.Present, engine.Partial, engine.Absent, engine.Lost}).Draw(t, "presence")}
		needsPerson := false
		for i := range rapid.IntRange(0, 4).Draw(t, "n") {
			d := engine.Drift{Address: "x", Field: string(rune('a' + i)), Want: 1, Got: i, Cause: rapid.SampledFrom(engine.Causes()).Draw(t, "cause"),
				Severity: rapid.SampledFrom([]engine.Severity{engine.Heal, engine.Alert}).Draw(t, "severity"), Data: rapid.Bool().Draw(t, "data")}
			needsPerson = needsPerson || d.Severity == engine.Alert && p.Answers[d.Cause] != Ignore && d.Cause != engine.CauseNoise
			s.Drift = append(s.Drift, d)
		}
		got := judge(s, nil, nil)
		switch {
		case s.Presence == engine.Lost && got.Answer != Lost:
			t.Fatalf("%+v comes to %s", s, got.Answer)
		case needsPerson && got.Answer == Heal:
			t.Fatalf("%+v is repaired", s)
		}
	})
}
