# Tags that say whom something belongs to: attributes of the environment, by
# its class, and inputs, by template. An input may stand at the top or in a map
# called tags or labels.
package fairlead.tags

settings := data.baseline.tags

deny contains {
	"rule": "environment",
	"msg": sprintf("the environment %s has no attribute %q", [input.environment.name, name]),
	"remedy": sprintf("fairlead env update %s/%s --attribute %s=…", [input.project.name, input.environment.name, name]),
} if {
	input.action != "destroy"
	some name in settings.environment[input.environment.class]
	object.get(input.environment.attributes, name, "") == ""
}

deny contains {
	"rule": "inputs",
	"msg": sprintf("the input %q is missing", [name]),
	"remedy": sprintf("add %s=… to the request", [name]),
	"field": sprintf("/%s", [name]),
} if {
	input.action != "destroy"
	some name in required_inputs
	value(name) in {"", null}
}

deny contains {
	"rule": "form",
	"msg": sprintf("%s is %q, which does not look like %s", [name, given, pattern]),
	"remedy": sprintf("give %s in the form %s", [name, pattern]),
} if {
	input.action != "destroy"
	some name, pattern in settings.patterns
	some given in {value(name), object.get(input.environment.attributes, name, "")}
	is_string(given)
	given != ""
	not regex.match(pattern, given)
}

required_inputs contains name if {
	some template, names in settings.inputs
	glob.match(template, null, input.template.name)
	some name in names
}

value(name) := found if {
	places := [object.get(input.inputs, ["tags", name], ""), object.get(input.inputs, ["labels", name], "")]
	found := [v | some v in array.concat([object.get(input.inputs, name, "")], places); v != ""][0]
} else := ""
