// Package whycli is the commands that ask "why?".
package whycli
