package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// wanted reads a Leaf whose words are replaced already. Empty names are left out: an attrib may be empty.
func wanted(l crowbar.Leaf) (request, error) {
	r := request{subject: pkix.Name{CommonName: l.CommonName, Organization: compact(l.Organization)}}
	if l.CommonName == "" || len(l.CommonName) > 64 {
		return r, crowbar.Errorf(crowbar.Invalid, "leaf: common_name %q must have 1 to 64 characters", l.CommonName)
	}
	for _, n := range append(slices.Clone(l.DNS), l.IP...) {
		if left := strings.Contains(n, "{{"); left {
			return r, crowbar.Errorf(crowbar.Invalid, "leaf: %q still has a word in it: only {{node}}, {{address}} and {{attrib NAME}} are known", n)
		}
	}
	for _, n := range compact(l.DNS) {
		if !hostName(n) {
			return r, crowbar.Errorf(crowbar.Invalid, "leaf: dns name %q is not a host name: use letters, digits, '-' and '.', labels of at most 63", n)
		}
		r.dns = append(r.dns, n)
	}
	for _, n := range compact(l.IP) {
		a, err := netip.ParseAddr(n)
		if err != nil || a.Zone() != "" {
			return r, crowbar.Errorf(crowbar.Invalid, "leaf: ip %q is not an IP address: give the node an address, or correct the attrib it comes from", n)
		}
		r.ip = append(r.ip, a.Unmap().AsSlice())
	}
	for _, u := range l.Usages {
		switch u {
		case "server":
			r.usages = append(r.usages, x509.ExtKeyUsageServerAuth)
		case "client":
			r.usages = append(r.usages, x509.ExtKeyUsageClientAuth)
		default:
			return r, crowbar.Errorf(crowbar.Invalid, "leaf: usage %q is not known: use server or client", u)
		}
	}
	if len(r.usages) == 0 {
		return r, crowbar.Errorf(crowbar.Invalid, "leaf: no usages: name server, client or both")
	}
	r.tidy()
	return r, nil
}

// tidy sorts every list and drops doubles, so that two requests for the same thing are equal.
func (r *request) tidy() {
	r.subject.Organization = compact(r.subject.Organization)
	r.dns = compact(r.dns)
	slices.SortFunc(r.ip, bytes.Compare)
	r.ip = slices.CompactFunc(r.ip, bytes.Equal)
	slices.Sort(r.usages)
	r.usages = slices.Compact(r.usages)
}

func compact(in []string) []string {
	out := slices.DeleteFunc(slices.Clone(in), func(s string) bool { return s == "" })
	slices.Sort(out)
	return slices.Compact(out)
}

// short is an IPv4 address in 4 bytes, any other in 16.
func short(ip []byte) []byte {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap().AsSlice()
}

func hostName(n string) bool {
	if len(n) > 253 {
		return false
	}
	for i, label := range strings.Split(n, ".") {
		if i == 0 && label == "*" {
			continue
		}
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label {
			return false
		}
		for _, c := range label {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}
