// Package failpoint marks the places where a crash would hurt most, so that
// the kill suite can crash there. Every durable write hits two of them by
// itself (see sqldb.DB.Write); code marks its external calls.
//
// Nothing is listed by hand: with FAIRLEAD_FAILPOINT_TRACE=FILE a process
// appends the name of each point that it passes to FILE, and the kill suite
// enumerates what a traced run passed. A new point cannot be forgotten.
//
// FAIRLEAD_FAILPOINT=NAME[#N][=ACTION] arms one point at its N-th passing
// (first by default). Actions: kill (default: SIGKILL to this process),
// stop (SIGSTOP, a worker that sleeps past its lease).
//
// FAIRLEAD_FAILPOINT_CLOCK=DURATION, or @FILE that holds one and may be
// replaced meanwhile, sets the wall clock of the process wrong by that much
// (see Now), as a machine with a bad clock has it.
package failpoint
