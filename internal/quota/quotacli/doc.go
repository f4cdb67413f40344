// Package quotacli is the commands of quotas and budgets.
package quotacli
