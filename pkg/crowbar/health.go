package crowbar

// Finding is what a look at one part of a daemon, or of the way to it, has found.
type Finding struct {
	Check  string `json:"check"`
	Grade  string `json:"grade"`
	Says   string `json:"says"`
	Remedy string `json:"remedy,omitempty"` // what to do about it
}

// Grades of findings.
const (
	GradeOK      = "ok"
	GradeWarning = "warning"
	GradeWrong   = "wrong"
	GradeSkipped = "skipped" // it could not be looked at
)
