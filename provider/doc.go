package main

// The rooms: provider.go (configuration, what there is), call.go (answers and
// diagnostics), values.go (JSON and the program's values), places.go and
// environment.go (teams, projects, environments), thing.go (resources),
// template.go, token.go, data.go (data sources).
