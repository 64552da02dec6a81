package engine

// What of a sink is sealed, as its place names it.
const (
	sinkPassword = "password"
	sinkSecret   = "secret"
)
