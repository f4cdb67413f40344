// Package principal says who acts in a request: the snapshot of a user, a
// robot or Fairlead itself that identity makes, access decides on and audit
// writes down. It has no storage and no behaviour of its own.
package principal
