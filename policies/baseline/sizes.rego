# How large things may be, by class of environment: in units that templates
# declare, and by allowed values of inputs.
package fairlead.sizes

settings := data.baseline.sizes

deny contains {
	"rule": "units",
	"msg": sprintf("%v %s are asked for; in %s at most %v are allowed", [input.template.units[unit], unit, input.environment.class, most]),
	"remedy": sprintf("ask for %v or less, or for an environment of another class", [most]),
} if {
	asked
	some unit, most in settings.units[input.environment.class]
	input.template.units[unit] > most
}

deny contains {
	"rule": "values",
	"msg": sprintf("%s %v is not allowed in %s", [name, input.inputs[name], input.environment.class]),
	"remedy": sprintf("take one of %s", [concat(", ", allowed)]),
	"field": sprintf("/%s", [name]),
} if {
	asked
	some name, allowed in settings.values[input.environment.class]
	not input.inputs[name] in allowed
}

asked if {
	input.action != "destroy"
	not exempt
}

exempt if {
	some template in settings.exempt_templates
	glob.match(template, null, input.template.name)
}
