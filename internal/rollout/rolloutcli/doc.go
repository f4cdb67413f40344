// Package rolloutcli is the commands of rollouts, pins and exemptions.
package rolloutcli
