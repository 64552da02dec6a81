package k8sconfig

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// config is the attribs, as the barclamp names them.
type config struct {
	Cluster   string `json:"kubernetes-cluster-name"`
	Pool      string `json:"kubernetes-pool-name"`
	Port      int    `json:"kubernetes-api-port"`
	Pods      string `json:"kubernetes-pod-cidr"`
	Services  string `json:"kubernetes-service-cidr"`
	ServiceIP string `json:"kubernetes-service-ip"`
	DNSIP     string `json:"kubernetes-dns-ip"`
	Domain    string `json:"kubernetes-cluster-domain"`
}

// check gives every broken rule at once, or nil.
func (c config) check() error {
	var b broken
	b.name("kubernetes-cluster-name", c.Cluster)
	b.name("kubernetes-pool-name", c.Pool)
	b.name("kubernetes-cluster-domain", c.Domain)
	if !strings.Contains(c.Pool, ".") {
		b.rule("kubernetes-pool-name", c.Pool, "must have a domain, as name servers serve a zone", "append one, such as "+c.Pool+".kubeclamp.internal")
	}
	if c.Domain != "" && (c.Pool == c.Domain || strings.HasSuffix(c.Pool, "."+c.Domain)) {
		b.rule("kubernetes-pool-name", c.Pool, "must not lie below kubernetes-cluster-domain "+c.Domain+", which cluster DNS answers alone", "choose a name in another domain")
	}
	if c.Port < 1 || c.Port > 65535 {
		b.rule("kubernetes-api-port", c.Port, "must be between 1 and 65535", "6443 is usual")
	}
	pods := b.network("kubernetes-pod-cidr", c.Pods)
	services := b.network("kubernetes-service-cidr", c.Services)
	if pods.IsValid() && services.IsValid() {
		if pods.Addr().Is4() != services.Addr().Is4() {
			b.rule("kubernetes-service-cidr", c.Services, "must be of the same IP version as kubernetes-pod-cidr "+c.Pods, "choose two networks of one version")
		} else if pods.Overlaps(services) {
			b.rule("kubernetes-service-cidr", c.Services, "must not overlap kubernetes-pod-cidr "+c.Pods, "move one of the two")
		}
	}
	if services.IsValid() {
		c.addresses(&b, services)
	}
	return errors.Join(b...)
}

// addresses checks the two addresses that have to lie in the Service network.
func (c config) addresses(b *broken, services netip.Prefix) {
	if bits := services.Addr().BitLen() - services.Bits(); bits < 4 || bits > 20 {
		b.rule("kubernetes-service-cidr", c.Services, "must hold between 16 and 1048576 addresses", fmt.Sprintf("take a prefix between /%d and /%d", services.Addr().BitLen()-20, services.Addr().BitLen()-4))
	}
	first := services.Addr().Next()
	if ip, err := netip.ParseAddr(c.ServiceIP); err != nil || ip != first {
		b.rule("kubernetes-service-ip", c.ServiceIP, "must be the first address of kubernetes-service-cidr "+c.Services+", which the API server takes for itself", "set it to "+first.String())
	}
	dns, err := netip.ParseAddr(c.DNSIP)
	switch {
	case err != nil || !services.Contains(dns):
		b.rule("kubernetes-dns-ip", c.DNSIP, "must be an address in kubernetes-service-cidr "+c.Services, "set it to "+tenth(services).String())
	case dns == first || dns == services.Addr():
		b.rule("kubernetes-dns-ip", c.DNSIP, "must not be the network's own address nor the API's", "set it to "+tenth(services).String())
	}
}

func tenth(p netip.Prefix) netip.Addr {
	a := p.Addr()
	for range 10 {
		a = a.Next()
	}
	return a
}

// broken is the list of broken rules.
type broken []error

func (b *broken) rule(attrib string, value any, rule, do string) {
	*b = append(*b, fmt.Errorf("attrib %s: %v %s: %s", attrib, quoted(value), rule, do))
}

func quoted(v any) any {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return v
}

func (b *broken) network(attrib, v string) netip.Prefix {
	p, err := netip.ParsePrefix(v)
	if err != nil {
		b.rule(attrib, v, "must be a network in CIDR form", "write it like 10.244.0.0/16")
		return netip.Prefix{}
	}
	if p != p.Masked() {
		b.rule(attrib, v, "must be a network, not an address in one", "write "+p.Masked().String())
	}
	return p.Masked()
}

// name checks a DNS name in lower case (RFC 1123).
func (b *broken) name(attrib, v string) {
	bad := v == "" || len(v) > 253
	for _, label := range strings.Split(v, ".") {
		bad = bad || label == "" || len(label) > 63 || strings.Trim(label, "-") != label
		bad = bad || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != ""
	}
	if bad {
		b.rule(attrib, v, "must be a DNS name: lower-case letters, digits and '-', labels of 1 to 63 joined by '.'", "write it like kube.example.net")
	}
}
