# What "open to the whole world" looks like in a document.
package fairlead.openness

settings := data.baseline.public

# of gives the places where a document opens something, with what stands there.
of(document) := {{"path": path, "value": value} |
	walk(document, [path, value])
	count(path) > 0
	opens(path, value)
}

opens(path, value) if {
	value in {true, "true", "yes", "enabled"}
	lower(sprintf("%v", [path[count(path) - 1]])) in settings.keys
}

opens(_, value) if value in settings.values

exempt(template) if {
	some pattern in settings.exempt_templates
	glob.match(pattern, null, template)
}

pointer(path) := concat("", [sprintf("/%s", [part]) |
	some step in path
	part := replace(replace(sprintf("%v", [step]), "~", "~0"), "/", "~1")
])
