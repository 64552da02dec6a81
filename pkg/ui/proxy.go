package ui

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// proxyPage is the proxies of a deployment, and what its nodes were given.
type proxyPage struct {
	Deployment *crowbar.Deployment
	Servers    []proxied
	Nodes      []proxied
	With       int // nodes that use one
}

// proxied is a node with the proxy that it serves or uses.
type proxied struct {
	step
	URL, Direct string
	Counted     []pairOf // what its proxy has counted, where its role says it
}

func (u *UI) proxy(_ *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	server, client := s.RoleNamed("proxy-server"), s.RoleNamed("proxy")
	why := u.Engine.WhyIn(s)
	var out []proxyPage
	for d := range s.Deployments() {
		p := proxyPage{Deployment: d}
		if server != nil {
			for nr := range s.EachOf(d.ID, server.ID) {
				e := proxied{step: u.step(s, nr, why), URL: wallText(nr, "proxy-server-url")}
				for _, k := range slices.Sorted(keys(nr.Wall)) {
					if k != "proxy-server-url" && !crowbar.HasSealed(nr.Wall[k]) {
						e.Counted = append(e.Counted, pairOf{k, short(100, pretty(nr.Wall[k]))})
					}
				}
				p.Servers = append(p.Servers, e)
			}
		}
		if client != nil {
			for nr := range s.EachOf(d.ID, client.ID) {
				e := proxied{step: u.step(s, nr, why), URL: wallText(nr, "proxy-used-url"), Direct: wallText(nr, "proxy-used-no-proxy")}
				p.With += truth(e.URL != "")
				p.Nodes = append(p.Nodes, e)
			}
		}
		if len(p.Servers)+len(p.Nodes) > 0 {
			slices.SortFunc(p.Nodes, func(a, b proxied) int { return cmp.Compare(a.NodeName, b.NodeName) })
			out = append(out, p)
		}
	}
	return page{name: "proxy", title: "Proxy", menu: "/proxy", live: "node_role.*", body: out}, nil
}

func wallText(nr *crowbar.NodeRole, name string) string {
	if crowbar.HasSealed(nr.Wall[name]) {
		return ""
	}
	return pretty(nr.Wall[name])
}
