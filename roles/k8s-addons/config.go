package k8saddons

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"text/template"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

//go:embed coredns.yaml.tmpl
var manifestText string

var manifestTemplate = template.Must(template.New("coredns").Funcs(template.FuncMap{"indent": indent, "quote": quote}).Parse(manifestText))

// config is what the attribs say.
type config struct {
	IP       string   `json:"kubernetes-dns-ip"`
	Domain   string   `json:"kubernetes-cluster-domain"`
	Replicas int      `json:"k8s-addons-dns-replicas"`
	Image    string   `json:"k8s-addons-dns-image"`
	Upstream []string `json:"k8s-addons-dns-upstream"`
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
	if _, err := netip.ParseAddr(c.IP); err != nil {
		return c, crowbar.Errorf(crowbar.Invalid, "kubernetes-dns-ip %q: want an IP in kubernetes-service-cidr", c.IP)
	}
	switch {
	case !plainDomain.MatchString(c.Domain):
		return c, crowbar.Errorf(crowbar.Invalid, "kubernetes-cluster-domain %q: want a DNS domain such as cluster.local", c.Domain)
	case !plainImage.MatchString(c.Image):
		return c, crowbar.Errorf(crowbar.Invalid, "k8s-addons-dns-image %q: want an image reference", c.Image)
	case c.Replicas < 1:
		return c, crowbar.Errorf(crowbar.Invalid, "k8s-addons-dns-replicas %d: want at least 1", c.Replicas)
	}
	for _, u := range c.Upstream {
		_, err := netip.ParseAddr(u)
		if _, err2 := netip.ParseAddrPort(u); err != nil && err2 != nil {
			return c, crowbar.Errorf(crowbar.Invalid, "k8s-addons-dns-upstream %q: want an address or address:port", u)
		}
	}
	return c, nil
}

// corefile is CoreDNS's configuration. Names outside the cluster go to the given resolvers, else to those of the node that
// the pod is on; where nodes have none they are not forwarded, for CoreDNS would ask itself.
func (c config) corefile(nodeResolves bool) string {
	forward := ""
	switch {
	case len(c.Upstream) > 0:
		forward = "    forward . " + strings.Join(c.Upstream, " ") + " {\n        max_concurrent 1000\n    }\n"
	case nodeResolves:
		forward = "    forward . /etc/resolv.conf {\n        max_concurrent 1000\n    }\n"
	}
	return fmt.Sprintf(`.:53 {
    errors
    health {
        lameduck 5s
    }
    ready
    kubernetes %s in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus :9153
%s    cache 30
    loop
    loadbalance
}
`, c.Domain, forward)
}

// manifest is all objects, as YAML.
func (c config) manifest(nodeResolves bool) (string, error) {
	core := c.corefile(nodeResolves)
	sum := sha256.Sum256([]byte(core))
	var b strings.Builder
	err := manifestTemplate.Execute(&b, struct {
		config
		Corefile, Sum string
	}{c, core, hex.EncodeToString(sum[:8])})
	return b.String(), err
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n    ")
}

// quote is a string as JSON, which YAML reads as well.
func quote(s string) (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}
