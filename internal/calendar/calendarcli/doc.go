// Package calendarcli is the commands of change windows and freezes.
package calendarcli
