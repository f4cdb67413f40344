# Changing what is in force is itself guarded.
package fairlead.guard

settings := data.guard

deny contains {
	"rule": "keep",
	"msg": sprintf("%s stays in force", [input.bundle.name]),
	"remedy": "put another version of it in force instead; what stays is listed in data.json of the bundle guard, at guard.keep",
} if {
	input.bundle.to == ""
	input.bundle.name in settings.keep
}

deny contains {
	"rule": "empty",
	"msg": sprintf("%s %s has no guardrails", [input.bundle.name, input.bundle.to]),
	"remedy": "take the bundle out of force instead, if that is what you mean",
} if {
	input.bundle.to != ""
	input.bundle.guardrails == 0
}

approve contains {
	"rule": "second_person",
	"msg": sprintf("%s of %s: %s", [input.bundle.action, input.bundle.name, change]),
	"remedy": "another platform administrator agrees: fairlead approvals; then give the command again",
	"role": "platform-admin",
	"count": settings.count,
} if {
	settings.count > 0
	not input.bundle.name in settings.free
}

change := sprintf("%s instead of %s", [named(input.bundle.to), named(input.bundle.from)])

named("") := "nothing"

named(version) := version if version != ""
