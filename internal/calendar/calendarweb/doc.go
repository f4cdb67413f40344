// Package calendarweb is the page of the calendar: freezes, change windows and
// schedules, what holds now and what comes.
package calendarweb
