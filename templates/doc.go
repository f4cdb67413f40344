// Package templates holds the templates that Fairlead ships, one folder each.
// They are pushed at start like anyone's; a changed one needs a new version.
package templates
