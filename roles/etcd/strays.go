package etcd

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdclient"
)

// strays is the members that are of no node, the learners that were left behind, and the nodes without a member.
func strays(ctx context.Context, on role.Target, c config) (crowbar.Data, error) {
	urls, _ := others(on, c)
	to, err := etcdclient.First(ctx, on.Conn, c.Admin, append([]string{c.clientURL()}, urls...)...)
	if err != nil {
		return nil, fmt.Errorf("its members cannot be told: %w", err)
	}
	defer to.Close()
	list, err := list(ctx, to)
	if err != nil {
		return nil, err
	}
	var out []role.Stray
	for _, m := range list {
		if !ours(on, c, m) {
			out = append(out, strange(ctx, on, c, m))
		}
	}
	for _, p := range on.Holders("etcd") {
		if !p.Settled || p.State != crowbar.Active {
			continue // it is on its way, in or out
		}
		m, is := own(list, etcdclient.Endpoint(p.Address, c.PeerPort))
		switch {
		case !is:
			out = append(out, role.Stray{What: "member of etcd", Name: p.Node, Node: p.Node, Address: p.Address, Mend: crowbar.MendRerun,
				Says: "it has role etcd, and is no member of etcd"})
		case m.IsLearner:
			out = append(out, role.Stray{What: "member of etcd", Name: m.label(), Node: p.Node, Address: p.Address, Mend: crowbar.MendRerun,
				Says: fmt.Sprintf("its member %s is a learner still, and has no vote", m.hex())})
		}
	}
	return role.Found(out)
}

// lifeSign is how long a stranger has to show that it is alive.
const lifeSign = 2 * time.Second

// strange is a member that is of no node. One that answers is run by somebody: a person says whether it may go. One at another
// port than ours cannot be told apart by its address alone.
func strange(ctx context.Context, on role.Target, c config, m member) role.Stray {
	kind := "voter"
	if m.IsLearner {
		kind = "learner"
	}
	x := role.Stray{What: "member of etcd", Name: m.label(), Says: fmt.Sprintf("member %s of etcd, a %s, is of no node", m.hex(), kind),
		Remedy: "take it out by hand, with `etcdctl member remove " + m.hex() + "`, if nobody needs it"}
	for _, peer := range m.PeerURLs {
		if u, err := url.Parse(peer); err == nil {
			x.Address = u.Hostname()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lifeSign)
	defer cancel()
	switch {
	case len(m.ClientURLs) > 0 && memberHealthy(ctx, on, c, m) == nil:
		x.Says += ", and it answers"
	case m.has(etcdclient.Endpoint(x.Address, c.PeerPort)):
		x.Mend, x.Remedy = crowbar.MendForget, ""
	}
	return x
}
