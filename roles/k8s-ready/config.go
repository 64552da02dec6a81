package k8sready

import (
	_ "embed"
	"encoding/json"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

//go:embed testserver.yaml.tmpl
var manifestText string

var manifestTemplate = template.Must(template.New("testserver").Funcs(template.FuncMap{"quote": quote}).Parse(manifestText))

// config is what the attribs say.
type config struct {
	DNS     string `json:"kubernetes-dns-ip"`
	Domain  string `json:"kubernetes-cluster-domain"`
	Pods    string `json:"kubernetes-pod-cidr"`
	Backend string `json:"flannel-backend"`
	Image   string `json:"k8s-ready-image"`

	Workers []string `json:"-"` // nodes that have to be Ready: the deployment's minions that live
}

var (
	plainDomain = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
	plainImage  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]*$`)
)

func configure(on role.Target) (config, error) {
	var c config
	if err := role.Decode(on.Attribs, &c); err != nil {
		return c, err
	}
	for _, p := range on.PeersOf("k8s-minion") {
		if p.Settled && p.Alive {
			c.Workers = append(c.Workers, p.Node)
		}
	}
	slices.Sort(c.Workers)
	_, errDNS := netip.ParseAddr(c.DNS)
	_, errPods := netip.ParsePrefix(c.Pods)
	switch {
	case errDNS != nil:
		return c, crowbar.Errorf(crowbar.Invalid, "kubernetes-dns-ip %q: want an IP", c.DNS)
	case errPods != nil:
		return c, crowbar.Errorf(crowbar.Invalid, "kubernetes-pod-cidr %q: want a network such as 10.244.0.0/16", c.Pods)
	case !plainDomain.MatchString(c.Domain):
		return c, crowbar.Errorf(crowbar.Invalid, "kubernetes-cluster-domain %q: want a DNS domain such as cluster.local", c.Domain)
	case !plainImage.MatchString(c.Image):
		return c, crowbar.Errorf(crowbar.Invalid, "k8s-ready-image %q: want an image reference", c.Image)
	}
	return c, nil
}

// service is the name that pods resolve.
func (c config) service() string { return "testserver." + space + ".svc." + c.Domain }

// subject is what a proof is of; another subject needs another proof.
func (c config) subject(nodes []string) string {
	return strings.Join([]string{"nodes=" + strings.Join(nodes, ","), "backend=" + c.Backend, "pods=" + c.Pods, "dns=" + c.DNS,
		"domain=" + c.Domain, "image=" + c.Image}, " ")
}

func (c config) manifest() (string, error) {
	var b strings.Builder
	err := manifestTemplate.Execute(&b, struct{ Space, Image string }{space, c.Image})
	return b.String(), err
}

func quote(s string) (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}
