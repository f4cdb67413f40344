package fairlead.guard_test

import data.fairlead.guard

settings := {"keep": ["baseline"], "free": ["drafts"], "count": 1}

bundle(action, name, from, to, guardrails) := {
	"action": "update",
	"bundle": {"action": action, "name": name, "from": from, "to": to, "guardrails": guardrails},
}

denied(document) := {v.rule | some v in guard.deny with input as document with data.guard as settings}

asked(document) := {v.msg | some v in guard.approve with input as document with data.guard as settings}

test_what_stays_is_not_taken_out if denied(bundle("deactivate", "baseline", "1.0.0", "", 0)) == {"keep"}

test_nor_rolled_back_to_nothing if denied(bundle("rollback", "baseline", "1.0.0", "", 0)) == {"keep"}

test_another_version_may_come if denied(bundle("activate", "baseline", "1.0.0", "1.1.0", 3)) == set()

test_an_empty_one_may_not if denied(bundle("activate", "baseline", "1.0.0", "1.1.0", 0)) == {"empty"}

test_others_may_be_taken_out if denied(bundle("deactivate", "mine", "1.0.0", "", 0)) == set()

test_a_second_person_is_asked if asked(bundle("activate", "mine", "", "1.0.0", 1)) == {"activate of mine: 1.0.0 instead of nothing"}

test_also_to_take_one_out if asked(bundle("deactivate", "mine", "1.0.0", "", 0)) == {"deactivate of mine: nothing instead of 1.0.0"}

test_what_is_free_is_not_asked_about if asked(bundle("activate", "drafts", "", "1.0.0", 1)) == set()

test_nobody_is_asked_when_none_is_wanted if {
	count(guard.approve) == 0 with input as bundle("activate", "mine", "", "1.0.0", 1) with data.guard as object.union(settings, {"count": 0})
}
