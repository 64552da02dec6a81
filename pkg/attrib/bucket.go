package attrib

import (
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The buckets of OpenCrowbar: what of a carrier's data a value is read from.
const (
	BucketAll       = "all" // what counts
	BucketProposed  = "proposed"
	BucketCommitted = "committed"
	BucketUser      = "user"
	BucketHint      = "hint"
	BucketSystem    = "system"
	BucketWall      = "wall"
	BucketDiscovery = "discovery"
	BucketNote      = "note"
)

var buckets = [...]string{BucketAll, BucketProposed, BucketCommitted, BucketUser, BucketHint, BucketSystem, BucketWall, BucketDiscovery, BucketNote}

// In is the value of an attrib in one bucket of a carrier, and where that lies; the attrib's default where the bucket has
// none. An error is of kind Invalid for a bucket that there is not, else as of Value.
func In(s *crowbar.Snapshot, carrier crowbar.Object, a *crowbar.Attrib, bucket string) (any, crowbar.Place, error) {
	known := false
	for _, b := range buckets {
		known = known || b == bucket
	}
	switch {
	case !known:
		return nil, crowbar.Place{}, crowbar.Errorf(crowbar.Invalid, "bucket %q: there are %s", bucket, strings.Join(buckets[:], ", "))
	case bucket == BucketAll || computed(a):
		return Value(s, carrier, a)
	}
	switch c := carrier.(type) {
	case *crowbar.Node:
		if a.Role != 0 {
			if nr := s.NodeRoleOn(c.ID, a.Role); nr != nil {
				return In(s, nr, a, bucket)
			}
			return Value(s, c, a) // says that it is not bound
		}
		return first(a, c, ofNode(c, bucket))
	case *crowbar.Deployment:
		if dr := s.DeploymentRoleOf(home(s, c.ID, a.Role), a.Role); dr != nil {
			return In(s, dr, a, bucket)
		}
		return Value(s, c, a) // says that it is not there
	case *crowbar.Role:
		if bucket == BucketNote {
			return first(a, c, part{crowbar.PartNotes, c.Notes})
		}
	case *crowbar.DeploymentRole:
		switch bucket {
		case BucketNote:
			return first(a, c, part{crowbar.PartNotes, c.Notes})
		case BucketCommitted:
			return first(a, c, part{crowbar.PartData, c.Committed})
		case BucketWall, BucketSystem, BucketDiscovery:
			return first(a, c, part{crowbar.PartWall, c.Wall})
		}
	case *crowbar.NodeRole:
		return ofNodeRole(s, c, a, bucket)
	}
	return Value(s, carrier, a)
}

func ofNode(n *crowbar.Node, bucket string) part {
	switch bucket {
	case BucketHint, BucketUser, BucketProposed, BucketCommitted:
		return part{crowbar.PartHint, n.Hint}
	case BucketNote:
		return part{crowbar.PartNotes, n.Notes}
	}
	return part{crowbar.PartDiscovery, n.Discovery}
}

func ofNodeRole(s *crowbar.Snapshot, nr *crowbar.NodeRole, a *crowbar.Attrib, bucket string) (any, crowbar.Place, error) {
	switch bucket {
	case BucketCommitted:
		v, at := resolve(s, nr, a, false)
		return v, at, nil
	case BucketUser, BucketHint:
		return first(a, nr, part{crowbar.PartData, base(nr.Proposed, nr.Committed)})
	case BucketSystem:
		return first(a, nr, part{crowbar.PartSys, nr.Sys})
	case BucketNote:
		return first(a, nr, part{crowbar.PartNotes, nr.Notes})
	case BucketWall, BucketDiscovery:
		if v, ok := nr.Wall[a.Name]; ok {
			return v, crowbar.Place{Kind: nr.Kind(), ID: nr.ID, Part: crowbar.PartWall, Path: a.Name}, nil
		}
		return first(a, nr, part{crowbar.PartWall, nr.Wall})
	}
	return Value(s, nr, a)
}

// Note puts a value among the notes of a carrier: nothing is held against it, nothing runs because of it, and no run is
// given it.
func Note(s *crowbar.Snapshot, carrier crowbar.Object, a *crowbar.Attrib, value any) ([]crowbar.Change, error) {
	value, err := plain(value)
	switch {
	case err != nil:
		return nil, crowbar.Errorf(crowbar.Invalid, "attrib %q: the value is not JSON: %w", a.Name, err)
	case crowbar.HasSealed(value):
		return nil, crowbar.Errorf(crowbar.Invalid, "attrib %q: the value begins as a sealed one does: give the value itself", a.Name)
	case a.Map == "":
		return nil, crowbar.Errorf(crowbar.Invalid, "attrib %q has no map: say in the barclamp where its value lies", a.Name)
	}
	var made crowbar.Object
	var notes *crowbar.Data
	switch c := carrier.(type) {
	case *crowbar.Node:
		n := *c
		made, notes = &n, &n.Notes
	case *crowbar.Role:
		r := *c
		made, notes = &r, &r.Notes
	case *crowbar.DeploymentRole:
		dr := *c
		made, notes = &dr, &dr.Notes
	case *crowbar.NodeRole:
		nr := *c
		made, notes = &nr, &nr.Notes
	case *crowbar.Deployment:
		if dr := s.DeploymentRoleOf(c.ID, a.Role); dr != nil {
			return Note(s, dr, a, value)
		}
		return nil, crowbar.Errorf(crowbar.NotFound, "note attrib %q: its role is not in deployment %q: bind it first", a.Name, c.Name)
	default:
		return nil, crowbar.Errorf(crowbar.Invalid, "note attrib %q: %s take no attribs", a.Name, carrier.Kind())
	}
	if at := sealedAbove(*notes, a.Map); at != "" {
		return nil, crowbar.Errorf(crowbar.Conflict, "note attrib %q: its place %s lies in %s, which is sealed: set that one anew first", a.Name, a.Map, at)
	}
	*notes = with(*notes, a.Map, value)
	return []crowbar.Change{{Put: made}}, nil
}
