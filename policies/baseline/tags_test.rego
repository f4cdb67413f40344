package fairlead.tags_test

import data.fairlead.tags

settings := {
	"environment": {"production": ["owner"], "development": []},
	"inputs": {"service-*": ["team"]},
	"patterns": {"cost-center": "^cc-[0-9]+$"},
}

request(class, attributes, template, inputs) := {
	"action": "create", "inputs": inputs, "template": {"name": template}, "project": {"name": "shop"},
	"environment": {"name": "main", "class": class, "attributes": attributes},
}

said(document) := {v.rule | some v in tags.deny with input as document with data.baseline.tags as settings}

test_production_without_owner_is_denied if said(request("production", {}, "postgres", {})) == {"environment"}

test_an_empty_owner_is_none if said(request("production", {"owner": ""}, "postgres", {})) == {"environment"}

test_with_owner_it_passes if said(request("production", {"owner": "ann"}, "postgres", {})) == set()

test_development_needs_none if said(request("development", {}, "postgres", {})) == set()

test_an_input_of_a_template_is_required if said(request("development", {}, "service-web", {})) == {"inputs"}

test_it_may_be_a_tag if said(request("development", {}, "service-web", {"tags": {"team": "a"}})) == set()

test_or_a_label if said(request("development", {}, "service-web", {"labels": {"team": "a"}})) == set()

test_or_an_input if said(request("development", {}, "service-web", {"team": "a"})) == set()

test_a_form_is_kept if said(request("development", {"cost-center": "12"}, "postgres", {})) == {"form"}

test_in_inputs_too if said(request("development", {}, "postgres", {"tags": {"cost-center": "12"}})) == {"form"}

test_a_good_form_passes if said(request("development", {"cost-center": "cc-12"}, "postgres", {})) == set()

test_what_goes_is_let_go if said(object.union(request("production", {}, "postgres", {}), {"action": "destroy"})) == set()
