// Package identitytest gives tests of identity, and of what stands on it, an
// installation with the real access policies and the real audit log.
package identitytest
