package crowbar

// Realm is OpenCrowbar's: part of every digest secret.
const Realm = "Crowbar"

// RebarRealm is Digital Rebar's.
const RebarRealm = "Rebar"

// Caller is who sent a request, and what they may do.
type Caller struct {
	Name        string
	Via         string // "digest", "session", "token", "certificate"
	Right       Right
	Deployments []string // names of those to which the right to change things is limited; nil = all
}
