// Package notifyapi is the API of webhooks, deliveries, events and what one
// wants no mail about.
package notifyapi
