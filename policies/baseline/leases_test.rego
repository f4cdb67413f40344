package fairlead.leases_test

import data.fairlead.leases

settings := {"max_hours": {"development": 168}, "exempt_templates": ["shared-*"]}

said(document) := {v.rule | some v in leases.deny with input as document with data.baseline.leases as settings}

request(action, class, template) := {"action": action, "environment": {"class": class}, "template": {"name": template}}

leased(action, class, hours) := object.union(request(action, class, "postgres"), {"lease": {"hours": hours}})

test_without_a_lease_it_is_denied if said(request("create", "development", "postgres")) == {"required"}

test_with_one_it_passes if said(leased("create", "development", 168)) == set()

test_one_that_is_too_long_is_denied if said(leased("create", "development", 169)) == {"too_long"}

test_a_class_without_a_bound_has_none if said(leased("create", "staging", 9999)) == set()

test_production_needs_none if said(request("create", "production", "postgres")) == set()

test_exempt_templates_need_none if said(request("create", "development", "shared-db")) == set()

test_what_stands_without_is_told_of if said(request("keep", "development", "postgres")) == {"required"}

test_what_was_extended_is_not if said(leased("keep", "development", 9999)) == set()

test_changes_are_not_held_up if said(request("update", "development", "postgres")) == set()
