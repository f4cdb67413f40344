# Modules run no programs of their own, and use the providers that are listed.
package fairlead.modules

settings := data.modules

# Every block of the module and of the modules that it calls, with its place.
blocks contains {"resource": resource, "address": address} if {
	some path, resource
	walk(input.configuration.root_module, [path, resource])
	is_object(resource)
	resource.mode in {"managed", "data"}
	address := concat(".", [part | some i, name in path; i > 0; path[i - 1] == "module_calls"; part := sprintf("module.%s", [name])])
}

named(block) := block.resource.address if block.address == ""

named(block) := sprintf("%s.%s", [block.address, block.resource.address]) if block.address != ""

deny contains {
	"rule": "provisioner",
	"msg": sprintf("%s runs a provisioner: %s", [named(block), provisioner.type]),
	"remedy": "leave the provisioner out; what it does belongs into a provider, or into the image",
} if {
	some block in blocks
	some provisioner in object.get(block.resource, "provisioners", [])
	not provisioner.type in settings.provisioners
}

deny contains {
	"rule": "program",
	"msg": sprintf("%s runs a program: %s", [named(block), block.resource.type]),
	"remedy": "give its result as an input, or use a provider",
} if {
	some block in blocks
	block.resource.type in settings.denied_types
}

# By the configuration, which also has what is planned to do nothing yet.
providers contains name if {
	some provider in object.get(object.get(input, "configuration", {}), "provider_config", {})
	name := provider.full_name
}

# And by what would be done.
providers contains change.provider_name if some change in object.get(input, "resource_changes", [])

deny contains {
	"rule": "provider",
	"msg": sprintf("the provider %s is not on the list", [name]),
	"remedy": "use one that is, or ask the platform team to list it at modules.providers in data.json",
} if {
	some name in providers
	name != "fairlead" # what other engines plan
	not listed(name)
}

listed(name) if {
	some pattern in settings.providers
	glob.match(pattern, ["/"], name)
}
