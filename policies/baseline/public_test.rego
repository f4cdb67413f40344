package fairlead.public_test

import data.fairlead.public
import data.fairlead.public_plan

settings := {
	"keys": ["public"],
	"values": ["0.0.0.0/0", "public-read"],
	"exempt_templates": ["website"],
}

fields(template, inputs) := {v.field |
	some v in public.deny with input as {"action": "create", "inputs": inputs, "template": {"name": template}} with data.baseline.public as settings
}

planned(action, after) := count(said) if {
	said := public_plan.deny with input as {
		"template": {"name": "bucket"},
		"plan": {"changes": [{"address": "bucket.a", "kind": "bucket", "action": action, "after": after}]},
	}
		with data.baseline.public as settings
}

test_a_public_input_is_denied if fields("bucket", {"public": true}) == {"/public"}

test_so_is_one_further_down if fields("bucket", {"access": {"rules": [{"from": "0.0.0.0/0"}]}}) == {"/access/rules/0/from"}

test_case_does_not_hide_it if fields("bucket", {"Public": true}) == {"/Public"}

test_pointers_are_escaped if fields("bucket", {"a/b": {"public": true}}) == {"/a~1b/public"}

test_all_are_told_at_once if fields("bucket", {"public": true, "acl": "public-read"}) == {"/public", "/acl"}

test_what_is_closed_passes if fields("bucket", {"public": false, "from": "10.0.0.0/8"}) == set()

test_an_exempt_template_passes if fields("website", {"public": true}) == set()

test_a_plan_that_opens_is_denied if planned("create", {"acl": "public-read"}) == 1

test_also_when_it_replaces if planned("replace", {"ingress": [{"cidr_blocks": ["0.0.0.0/0"]}]}) == 1

test_what_it_deletes_passes if planned("delete", null) == 0

test_what_it_leaves_alone_passes if planned("no-op", {"acl": "public-read"}) == 0

test_a_closed_plan_passes if planned("create", {"acl": "private"}) == 0

test_what_goes_is_let_go if {
	count(public.deny) == 0 with input as {"action": "destroy", "inputs": {"public": true}, "template": {"name": "bucket"}} with data.baseline.public as settings
}
