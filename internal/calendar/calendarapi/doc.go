// Package calendarapi is the API of change windows and freezes.
package calendarapi
