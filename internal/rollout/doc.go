// Package rollout brings a new version of a template to many resources, in
// waves: each member is planned as a single change would be, equal diffs are
// groups, groups that destroy something wait for a person, a wave begins when
// the one before it is healthy, and what fails stops it and is taken back.
//
// All of it is records. A rollout and each member that is to be planned have a
// row in the queue; whoever claims one looks at what is wanted and what is
// there, does the next step and writes it down, so that a step may be done
// again by anybody after a crash. A member is changed by the ordinary change of
// a resource, in whose transaction its own record goes on: a member is upgraded
// once, or not at all.
//
// service.go and steer.go are what people do, plan.go and diff.go how members
// are planned and grouped, turn.go, member.go and revert.go the way from a plan
// to its end, pin.go what keeps a resource where it is.
package rollout
