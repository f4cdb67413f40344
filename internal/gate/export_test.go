package gate

// LimitVerdicts is limitVerdicts, for its test.
var LimitVerdicts = limitVerdicts
