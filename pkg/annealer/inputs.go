package annealer

import (
	"encoding/hex"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// inputs is a digest of what decides what a run makes of its node: that it is the same as for the run before means that what
// there is to change was changed on the node. Unlike given it does not tell a first run from a second one; of its own peers
// it takes in who they are, of others also what they gave back.
func inputs(w *crowbar.Work, version string, saw seen) string {
	type peer struct {
		Role, Node, Address string
		Wall                crowbar.Data
	}
	var peers []peer
	for _, p := range w.Peers {
		o := peer{Role: p.Role, Node: p.Node, Address: p.Address}
		if p.Role != w.Role.Name {
			o.Wall = p.Wall
		}
		peers = append(peers, o)
	}
	s, ok := sumOf(struct {
		Role, Version, Address string
		Attribs                crowbar.Data
		Peers                  []peer
		Artifacts              map[string]role.Artifact
	}{w.Role.Name, version, w.Node.Address, w.Attribs, peers, saw.stats})
	if !ok {
		return ""
	}
	return hex.EncodeToString(s[:])
}
