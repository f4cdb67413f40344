// Package calendarcli is the commands of change windows, freezes and schedules.
package calendarcli
