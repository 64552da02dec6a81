package store

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The key space. An object is at prefix + kind + "/" + its id in twenty digits, so that a range comes in order of ids.
// Every commit writes head, whose mod revision is the revision of the state and whose value is the next free id.
const (
	prefix      = "/kubeclamp/v1/"
	headKey     = prefix + "head"
	schemaKey   = prefix + "schema"  // the version of the form that all this has
	journalKey  = prefix + "journal" // a commit too large for one transaction, until it is folded into the objects' keys
	partsPrefix = prefix + "parts/"  // + the revision before it in twenty digits + "/" + writer + "/" + number: what of a journal exceeds one request

	daemonPrefix = prefix + "daemons/" // + owner: a daemon that works on this state, under its lease
	donePrefix   = prefix + "done/"    // + owner: the number of its last commit, under the same lease
	leaderPrefix = prefix + "leader/"  // the election among the daemons
)

// partsBefore is where the parts begin of a journal that was computed from a revision.
func partsBefore(at int64) string { return fmt.Sprintf("%s%020d/", partsPrefix, at) }

func keyOf(k crowbar.Kind, id crowbar.ID) string {
	return fmt.Sprintf("%s%s/%020d", prefix, k, uint64(id))
}

// objectOf is an empty object for a key, with only its kind known to the caller, and its id; ok is false for the keys
// that hold no object.
func objectOf(key string) (kind crowbar.Kind, id crowbar.ID, ok bool) {
	k, digits, found := strings.Cut(strings.TrimPrefix(key, prefix), "/")
	if !found || crowbar.New(crowbar.Kind(k)) == nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return "", 0, false
	}
	return crowbar.Kind(k), crowbar.ID(n), true
}

// tomb is an object of which only kind and key are known: enough to drop it.
type tomb struct {
	kind crowbar.Kind
	id   crowbar.ID
}

func (t tomb) Kind() crowbar.Kind { return t.kind }
func (t tomb) Key() crowbar.ID    { return t.id }
