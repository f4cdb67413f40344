package quota

// Topic is woken when a limit changes.
const Topic = "quotas"
