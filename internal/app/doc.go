// Package app is the only place that wires: it builds the services in the
// order of their dependencies (app.go, one short function a concern), lists the
// adapters of every port (drivers.go), fits features to each other
// (bridges.go), mounts the faces (faces.go) and runs it all (up.go). Nothing
// but cmd imports it.
package app
