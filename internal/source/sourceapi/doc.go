// Package sourceapi is the face of templates' sources on the API, and the door
// for their forges' signed pushes.
package sourceapi
