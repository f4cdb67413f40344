package fairlead.sizes_test

import data.fairlead.sizes

settings := {
	"units": {"development": {"connections": 50}},
	"values": {"development": {"size": ["small", "medium"]}},
	"exempt_templates": ["big-*"],
}

request(class, template, units, inputs) := {
	"action": "create", "inputs": inputs,
	"template": {"name": template, "units": units},
	"environment": {"class": class},
}

said(document) := {v.rule | some v in sizes.deny with input as document with data.baseline.sizes as settings}

test_too_many_units_are_denied if said(request("development", "postgres", {"connections": 51}, {})) == {"units"}

test_just_enough_pass if said(request("development", "postgres", {"connections": 50}, {})) == set()

test_units_that_a_template_has_not_are_none if said(request("development", "postgres", {}, {})) == set()

test_a_value_that_is_not_allowed_is_denied if said(request("development", "postgres", {}, {"size": "large"})) == {"values"}

test_an_allowed_value_passes if said(request("development", "postgres", {}, {"size": "small"})) == set()

test_the_field_is_named if {
	some v in sizes.deny with input as request("development", "postgres", {}, {"size": "large"}) with data.baseline.sizes as settings
	v.field == "/size"
}

test_production_is_free if said(request("production", "postgres", {"connections": 500}, {"size": "large"})) == set()

test_an_exempt_template_is_free if said(request("development", "big-data", {"connections": 500}, {})) == set()

test_what_stands_is_looked_at_too if {
	said(object.union(request("development", "postgres", {"connections": 51}, {}), {"action": "keep"})) == {"units"}
}

test_what_goes_is_let_go if {
	said(object.union(request("development", "postgres", {"connections": 51}, {}), {"action": "destroy"})) == set()
}
