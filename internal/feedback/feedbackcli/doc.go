// Package feedbackcli is the commands of what people say of the portal's pages.
package feedbackcli
