# Outside production nothing lives for ever.
package fairlead.leases

settings := data.baseline.leases

deny contains {
	"rule": "required",
	"msg": sprintf("in %s everything has a lease, and this has none", [input.environment.class]),
	"remedy": "say for how long: --lease 7d",
} if {
	asked
	not input.lease
}

deny contains {
	"rule": "too_long",
	"msg": sprintf("a lease of %v hours is asked for; in %s at most %v are given at once", [input.lease.hours, input.environment.class, most]),
	"remedy": sprintf("take --lease %vh or less, and extend it when you need it longer", [most]),
} if {
	input.action == "create"
	asked
	most := settings.max_hours[input.environment.class]
	input.lease.hours > most
}

asked if {
	input.environment.class != "production"
	input.action in {"create", "keep"}
	not exempt
}

exempt if {
	some template in settings.exempt_templates
	glob.match(template, null, input.template.name)
}
