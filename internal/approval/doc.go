// Package approval is what people agree to before it happens: who must, who
// must not, who did, and for exactly what. An approval is bound to one digest;
// what differs by one bit is another approval, and the old one is void and
// says what changed.
//
// Whether somebody may decide is two questions: access (approval:decide on
// the thing) and the needs of the approval itself (a role in a team, an
// organisation-wide role, named people). Both are asked again when the
// approval is about to be used, so that a vote counts only as long as its
// voter could still give it. Who asked, who made the revision, and who holds a
// token of the robot that asked decide on nothing of it, by no way.
//
// settle.go is what the gates call, decide.go what people do, people.go who
// counts, delegation.go who stands in, bypass.go what is broken in an
// emergency and looked at afterwards.
package approval
