# Names: of what form, and which beginnings belong to which class. A name
# never changes, so only new things are refused; compliance tells of the others.
package fairlead.names

settings := data.baseline.names

deny contains {
	"rule": "form",
	"msg": sprintf("the name %s is not of the form %s that holds in %s", [input.resource.name, pattern, input.environment.class]),
	"remedy": "choose another name",
} if {
	asked
	pattern := settings.pattern[input.environment.class]
	not regex.match(pattern, input.resource.name)
}

deny contains {
	"rule": "reserved",
	"msg": sprintf("names that begin with %s are for %s, and this is %s", [prefix, concat(" and ", classes), input.environment.class]),
	"remedy": "choose another name, or another environment",
} if {
	asked
	some prefix, classes in settings.reserved
	startswith(input.resource.name, prefix)
	not input.environment.class in classes
}

asked if input.action in {"create", "keep"}
