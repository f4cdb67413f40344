// Package quotaweb is the pages of quotas and budgets: how much may be taken,
// what is, and by what.
package quotaweb
