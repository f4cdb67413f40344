// Package feedback is what people say of the portal's pages: whether each is
// helpful, and why not.
//
// Somebody's last word on a page counts, once a version of Fairlead, so that
// sums are of people and not of clicks. The platform team reads it.
package feedback
