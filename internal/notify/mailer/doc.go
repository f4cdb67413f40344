// Package mailer sends e-mail over SMTP. It dials by internal/egress alone.
package mailer
