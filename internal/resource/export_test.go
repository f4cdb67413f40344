package resource

// Covers is covers, for its test.
var Covers = covers

// TopicOf is topic, for tests that write as a worker does.
var TopicOf = topic
