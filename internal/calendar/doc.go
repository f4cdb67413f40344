// Package calendar says when changes may happen, and what runs when: weekly windows that open
// them, freezes that close them, for the organisation, a team, a project or an
// environment, and there for one class of environments; and schedules that stop
// and start what can be stopped (schedule.go).
//
// It implements gate.Calendar. What people ask for is held until it opens;
// what nobody asked for (healing, the end of a lease) goes on. Times of a
// window are those of its time zone; on the nights when clocks change, time.go
// says what that means.
package calendar
