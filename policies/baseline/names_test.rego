package fairlead.names_test

import data.fairlead.names

settings := {
	"pattern": {"production": "^[a-z]+-[a-z]+$"},
	"reserved": {"prod-": ["production"]},
}

said(action, class, name) := {v.rule |
	some v in names.deny with input as {"action": action, "resource": {"name": name}, "environment": {"class": class}} with data.baseline.names as settings
}

test_another_form_is_denied if said("create", "production", "orders") == {"form"}

test_the_form_passes if said("create", "production", "shop-orders") == set()

test_other_classes_have_no_form if said("create", "development", "orders") == set()

test_a_reserved_beginning_is_denied if said("create", "development", "prod-orders") == {"reserved"}

test_it_passes_where_it_belongs if said("create", "production", "prod-orders") == set()

test_what_stands_is_told_of if said("keep", "development", "prod-orders") == {"reserved"}

test_what_stands_may_change if said("update", "development", "prod-orders") == set()

test_and_go if said("destroy", "development", "prod-orders") == set()
