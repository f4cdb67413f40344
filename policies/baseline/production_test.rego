package fairlead.production_test

import data.fairlead.production

settings := {"exempt_templates": ["dns-*"], "count": 2}

request(action, class, template, stateful) := {
	"action": action, "resource": {"name": "orders"}, "environment": {"class": class},
	"template": {"name": template, "stateful": stateful},
}

said(document) := {[v.rule, v.role, v.count] | some v in production.approve with input as document with data.baseline.production as settings}

changes := {["changes", "approver", 2]}

test_a_creation_needs_an_approver if said(request("create", "production", "postgres", true)) == changes

test_a_change_needs_an_approver if said(request("update", "production", "postgres", true)) == changes

test_the_end_of_data_needs_the_owner if said(request("destroy", "production", "postgres", true)) == {["data_loss", "team-owner", 2]}

test_the_end_of_what_holds_none_needs_an_approver if said(request("destroy", "production", "null", false)) == changes

test_other_classes_need_nobody if said(request("create", "staging", "postgres", true)) == set()

test_what_nobody_asks_for_needs_nobody if said(request("keep", "production", "postgres", true)) == set()

test_exempt_templates_need_nobody if said(request("create", "production", "dns-record", false)) == set()
