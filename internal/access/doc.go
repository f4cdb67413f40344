// Package access answers "may you, and why": Cedar policies over roles and
// attributes, deny by default. It is asked by every exported service method
// before anything else happens.
package access
