package crowbar

import (
	"encoding/base64"
	"strings"
)

// sealMark begins the text that stands in the state for a sealed value; no value that is set may begin with it.
const sealMark = "kubeclamp-sealed:1:"

// The parts of an object in which values lie, as a Place names them. What is proposed and what is committed is one part:
// a commit moves values from the one to the other as they are.
const (
	PartData      = "data" // of a deployment-role or node-role: proposed and committed
	PartWall      = "wall"
	PartSys       = "sysdata"
	PartNotes     = "notes"
	PartHint      = "hint"
	PartDiscovery = "discovery"
	PartTemplate  = "template"
)

// Place is where a value lies in the state. A sealed value is bound to its place: anywhere else it does not open.
type Place struct {
	Kind Kind
	ID   ID
	Part string
	Path string // slash path in the part's data
}

// String is the place's one spelling, such as "nodes/7/hint/site/password".
func (p Place) String() string {
	return string(p.Kind) + "/" + p.ID.String() + "/" + p.Part + "/" + p.Path
}

// Below is the place of what lies deeper, under one more word of the path.
func (p Place) Below(word string) Place {
	if p.Path != "" {
		word = p.Path + "/" + word
	}
	p.Path = word
	return p
}

// Place is what ties a sealed secret to its deployment and name.
func (s *Secret) Place() string { return s.Deployment.String() + "/" + s.Name }

// Place is what ties a user's credentials to that user.
func (u *User) Place() string { return "users/" + u.ID.String() + "/credentials" }

// Place is what ties a hammer's credential to that hammer.
func (h *Hammer) Place() string { return "hammers/" + h.ID.String() + "/authenticator" }

// SealedText is a sealed value as it lies in an object's data.
func SealedText(sealed []byte) string { return sealMark + base64.StdEncoding.EncodeToString(sealed) }

// Sealed gives the sealed bytes of a value that is one; a text that only begins like one gives none.
func Sealed(v any) (sealed []byte, ok bool) {
	if !IsSealed(v) {
		return nil, false
	}
	sealed, _ = base64.StdEncoding.DecodeString(v.(string)[len(sealMark):])
	return sealed, true
}

// IsSealed says whether a value is, itself, the text of a sealed one.
func IsSealed(v any) bool {
	t, ok := v.(string)
	return ok && strings.HasPrefix(t, sealMark)
}

// HasSealed says whether there is a sealed value anywhere in a JSON tree.
func HasSealed(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.HasPrefix(v, sealMark)
	case Data:
		for _, x := range v {
			if HasSealed(x) {
				return true
			}
		}
	case []any:
		for _, x := range v {
			if HasSealed(x) {
				return true
			}
		}
	}
	return false
}

// Part is one of the data of an object in which values lie.
type Part struct {
	Name string
	Data *Data
}

// Parts is where in an object values lie that may be secret; nil for an object that has none. To change one, change a copy
// of the object.
func Parts(o Object) []Part {
	switch o := o.(type) {
	case *Node:
		return []Part{{PartDiscovery, &o.Discovery}, {PartHint, &o.Hint}, {PartNotes, &o.Notes}}
	case *Role:
		return []Part{{PartTemplate, &o.Template}, {PartNotes, &o.Notes}}
	case *DeploymentRole:
		return []Part{{PartData, &o.Committed}, {PartData, &o.Proposed}, {PartWall, &o.Wall}, {PartNotes, &o.Notes}}
	case *NodeRole:
		if len(o.Committed)+len(o.Proposed)+len(o.Sys)+len(o.Wall)+len(o.Notes) == 0 {
			return nil
		}
		return []Part{{PartData, &o.Committed}, {PartData, &o.Proposed}, {PartSys, &o.Sys}, {PartWall, &o.Wall}, {PartNotes, &o.Notes}}
	}
	return nil
}
