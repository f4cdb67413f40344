# When changes are welcome, by class: days and hours in UTC. Freezes proper are
# the calendar's; they hold changes up, these refuse or advise.
package fairlead.windows

window := data.baseline.windows[input.environment.class]

deny contains said if window.outside == "deny"

warn contains said if window.outside == "advise"

said := {
	"rule": "outside",
	"msg": sprintf("it is %s %02d:%02d UTC; changes in %s are for %s, %s to %s UTC", [
		input.time.weekday, input.time.hour, input.time.minute, input.environment.class,
		concat(", ", window.weekdays), window.from, window.to,
	]),
	"remedy": "come back within the window",
} if {
	input.action in {"create", "update", "destroy"}
	not open
}

open if {
	input.time.weekday in window.weekdays
	now := (input.time.hour * 60) + input.time.minute
	now >= minutes(window.from)
	now < minutes(window.to)
}

minutes(clock) := (to_number(parts[0]) * 60) + to_number(parts[1]) if parts := split(clock, ":")
