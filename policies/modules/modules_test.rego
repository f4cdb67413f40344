package fairlead.modules_test

import data.fairlead.modules

settings := {
	"providers": ["terraform.io/builtin/terraform", "registry.opentofu.org/hashicorp/*"],
	"provisioners": ["file"],
	"denied_types": ["external"],
}

resource(mode, kind, provisioners) := {
	"address": sprintf("%s.a", [kind]),
	"mode": mode,
	"type": kind,
	"name": "a",
	"provisioners": [{"type": p} | some p in provisioners],
}

plan(resources, providers) := {
	"configuration": {
		"provider_config": {name: {"full_name": name} | some name in providers},
		"root_module": {"resources": resources},
	},
	"resource_changes": [],
}

said(document) := {v.msg | some v in modules.deny with input as document with data.modules as settings}

rules(document) := {v.rule | some v in modules.deny with input as document with data.modules as settings}

builtin := "terraform.io/builtin/terraform"

test_a_plain_module_passes if rules(plan([resource("managed", "terraform_data", [])], [builtin])) == set()

test_local_exec_is_denied if {
	said(plan([resource("managed", "terraform_data", ["local-exec"])], [builtin])) == {"terraform_data.a runs a provisioner: local-exec"}
}

test_a_listed_provisioner_passes if rules(plan([resource("managed", "terraform_data", ["file"])], [builtin])) == set()

test_one_among_several_is_denied if rules(plan([resource("managed", "terraform_data", ["file", "local-exec"])], [builtin])) == {"provisioner"}

test_external_is_denied if rules(plan([resource("data", "external", [])], [builtin])) == {"program"}

test_in_a_module_that_is_called if {
	called := {"module_calls": {"b": {"module": {"module_calls": {"c": {"module": {"resources": [resource("managed", "terraform_data", ["local-exec"])]}}}}}}}
	said({"configuration": {"root_module": called}}) == {"module.b.module.c.terraform_data.a runs a provisioner: local-exec"}
}

test_an_unlisted_provider_is_denied if {
	said(plan([], ["registry.opentofu.org/evil/x"])) == {"the provider registry.opentofu.org/evil/x is not on the list"}
}

test_nor_one_with_more_behind_it if rules(plan([], ["registry.opentofu.org/hashicorp/x/y"])) == {"provider"}

test_a_listed_provider_passes if rules(plan([], ["registry.opentofu.org/hashicorp/random"])) == set()

test_by_what_would_be_done_too if {
	rules({"resource_changes": [{"provider_name": "registry.opentofu.org/evil/x"}]}) == {"provider"}
}

test_a_plan_of_another_engine_passes if rules({"resource_changes": [{"address": "database.a", "provider_name": "fairlead"}]}) == set()

test_without_a_provider_too if rules({"resource_changes": [{"address": "database.a"}]}) == set()
