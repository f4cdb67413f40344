package fairlead.budget_test

import data.fairlead.budget

settings := {"advise": {"development": 100}, "approve": {"development": 500}}

request(action, class, before, monthly) := {
	"action": action, "environment": {"class": class},
	"cost": {"currency": "EUR", "before": before, "monthly": monthly},
}

said(document) := ({"advise" | some _ in warned} | {"approve" | some _ in asked}) if {
	warned := budget.warn with input as document with data.baseline.budget as settings
	asked := budget.approve with input as document with data.baseline.budget as settings
}

test_what_is_cheap_passes if said(request("create", "development", 0, 100)) == set()

test_what_is_dear_is_told if said(request("create", "development", 0, 100.01)) == {"advise"}

test_what_is_very_dear_is_asked_about if said(request("create", "development", 0, 501)) == {"approve"}

test_what_becomes_cheaper_passes if said(request("update", "development", 600, 550)) == set()

test_what_becomes_dearer_does_not if said(request("update", "development", 100, 550)) == {"approve"}

test_a_class_without_a_bound_passes if said(request("create", "production", 0, 9999)) == set()

test_what_goes_passes if said(request("destroy", "development", 0, 9999)) == set()

test_what_stands_passes if said(request("keep", "development", 0, 9999)) == set()
