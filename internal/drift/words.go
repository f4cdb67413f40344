package drift

import "fairlead/internal/engine"

// Open tells whether it is not over.
func (e Episode) Open() bool { return e.ResolvedAt.IsZero() }

// State is one word for how it is: the answer while it is open, how it was over
// afterwards.
func (e Episode) State() string {
	if e.Open() {
		return string(e.Answer)
	}
	return string(e.Resolution)
}

var causeTexts = map[engine.Cause]string{
	engine.CauseNoise:   "Nothing to put right",
	engine.CausePerson:  "Changed past Fairlead",
	engine.CauseDeleted: "Deleted past Fairlead",
	engine.CauseDesired: "Something else is wanted now",
}

// CauseText says a cause to who reads it.
func CauseText(c engine.Cause) string {
	if s := causeTexts[c]; s != "" {
		return s
	}
	return string(c)
}

var stateTexts = map[string]string{
	string(Ignore):    "It is remembered, and nothing else.",
	string(Heal):      "A run puts it right.",
	string(Alert):     "Nothing is done by itself: put it right, or say that it is fine.",
	string(Ask):       "It waits for a person, who puts it right or says that it is fine.",
	string(Held):      "Its repair is held, for too much is amiss at once.",
	string(Lost):      "What held data is gone, and nothing makes it anew. Restore it from a backup, or destroy it and request a new one.",
	string(Healed):    "A repair put it right.",
	string(Accepted):  "Somebody said that it is fine.",
	string(Gone):      "It was as wanted again, and nobody here had done that.",
	string(Changed):   "Another run made the resource anew.",
	string(Destroyed): "The resource was destroyed.",
}

// Says is what is done about it, or how it was over.
func (e Episode) Says() string { return stateTexts[e.State()] }
