// Package feedbackapi is the API of what people say of the portal's pages.
package feedbackapi
