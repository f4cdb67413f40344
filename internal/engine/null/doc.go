// Package null is the engine that makes nothing: for tests, benches and
// templates that only compute. Its outputs are the resource's inputs, and what
// a template's spec adds.
//
// It has no world outside, so a resource's presence is what the caller
// remembers of it: present while Request.Previous is there, absent after the
// caller forgot it on Destroy. It can take its time and it can fail, so that
// templates, runs and cancelling can be tried without any infrastructure.
package null
