package role

import (
	"encoding/json"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Strays is the action of a role whose nodes are known to a cluster, which could know others as well: one node that is alive
// says what there is in the cluster that is of no node, and what a node lacks there. It changes nothing: Target.DryRun is set,
// and it is refused what does not read. Target.Peers has all that hold the role, those of other deployments too; such a one is
// not Settled, as nothing of it need be here. Its answer is made by Found.
const Strays = "strays"

// Stray is one thing that was found.
type Stray = crowbar.Stray

// Found is the answer of action Strays.
func Found(list []Stray) (crowbar.Data, error) {
	b, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	var plain []any
	err = json.Unmarshal(b, &plain)
	return crowbar.Data{"strays": plain}, err
}

// Holders is, in action Strays, all that hold the role that is asked; see there.
func (t Target) Holders(role string) []Peer { return t.PeersOf(role) }
