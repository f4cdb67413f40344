// Package feedbackweb takes the answers to "is this page helpful?", which
// stands at every page's foot, and shows them to the platform team.
package feedbackweb
