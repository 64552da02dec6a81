package graph

import "github.com/kubeclamp/kubeclamp/pkg/crowbar"

// Share says which of the daemons starts runs on a node: each node has its own order of preference among them (rendezvous
// hashing), so every daemon has about as many, and only the nodes of one that comes or goes change hands. "" where there is
// none. It spreads the work; that a node has one run at a time is kept by Begin.
func Share(owners []string, node crowbar.ID) string {
	best, top := "", uint64(0)
	for _, o := range owners {
		if h := liking(o, uint64(node)); best == "" || h > top || h == top && o < best {
			best, top = o, h
		}
	}
	return best
}

// liking is FNV-1a over the name and the node, mixed once more because nodes differ in their last bits alone.
func liking(owner string, node uint64) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(owner) {
		h = (h ^ uint64(owner[i])) * 1099511628211
	}
	h ^= node * 0x9e3779b97f4a7c15
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
