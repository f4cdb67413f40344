# Nothing is open to the whole world: by what is asked for.
package fairlead.public

import data.fairlead.openness

deny contains {
	"rule": "inputs",
	"msg": sprintf("%s would be open to the world: %v", [openness.pointer(found.path), found.value]),
	"remedy": "leave it closed, or name who may come in",
	"field": openness.pointer(found.path),
} if {
	input.action != "destroy"
	not openness.exempt(input.template.name)
	some found in openness.of(input.inputs)
}
