package crowbar

// Schema is the version of the form in which the state is kept, by this program. It grows by one with each Reform.
const Schema = 2

// Reform is a step between two versions of that form, which a new program needs and an older one does not understand. It says
// what becomes of the JSON of one object, in both directions; nil for an answer drops the object, a nil function leaves all as
// they are. New keys that an older program may overlook need no step.
type Reform struct {
	What     string // for people
	Up, Down func(k Kind, value []byte) ([]byte, error)
}

// Reforms is the steps that there have been: the first leads from version 1 to version 2.
func Reforms() []Reform {
	return []Reform{
		{What: "the version is written down, and every commit is made on condition that it stays"},
	}
}
