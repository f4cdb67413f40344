// Package templateweb is the templates as the platform team looks after them:
// their versions and what became of those, who still uses which, what they
// take, and the sources that they come from.
package templateweb
