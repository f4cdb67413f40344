# Nothing is open to the whole world: by what the engine would do.
package fairlead.public_plan

import data.fairlead.openness

deny contains {
	"rule": "plan",
	"msg": sprintf("%s would be open to the world: %s is %v", [change.address, openness.pointer(found.path), found.value]),
	"remedy": "leave it closed, or name who may come in",
} if {
	not openness.exempt(input.template.name)
	some change in input.plan.changes
	not change.action in {"delete", "no-op", "read"}
	some found in openness.of(change.after)
}
