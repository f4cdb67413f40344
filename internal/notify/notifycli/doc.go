// Package notifycli is the commands of webhooks, events and what one wants no
// mail about.
package notifycli
