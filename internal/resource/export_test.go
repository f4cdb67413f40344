package resource

// Covers is covers, for its test.
var Covers = covers
