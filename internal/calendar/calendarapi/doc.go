// Package calendarapi is the API of change windows, freezes and schedules.
package calendarapi
