// Package quotaapi is the API of quotas and budgets.
package quotaapi
