package nodeprep

import (
	"net/netip"
	"slices"
	"strings"
)

// fstab is the table with its swap lines turned into comments.
func fstab(content string) string {
	ls := strings.Split(content, "\n")
	for i, l := range ls {
		if w := strings.Fields(l); len(w) >= 3 && !strings.HasPrefix(w[0], "#") && w[2] == "swap" {
			ls[i] = "# swap is off for the kubelet: " + l
		}
	}
	return strings.Join(ls, "\n")
}

// hosts is the file with the node's name at its cluster address and nowhere else: Debian's installer puts it at 127.0.1.1,
// and whatever looks itself up there listens on loopback.
func hosts(content, name, addr string) string {
	var out []string
	found := false
	for _, l := range strings.Split(strings.TrimRight(content, "\n"), "\n") {
		text, _, _ := strings.Cut(l, "#")
		w := strings.Fields(text)
		if len(w) < 2 || !slices.ContainsFunc(w[1:], func(s string) bool { return ours(s, name) }) {
			out = append(out, l)
			continue
		}
		if same(w[0], addr) && slices.Contains(w[1:], name) {
			found = true
			out = append(out, l)
			continue
		}
		rest := slices.DeleteFunc(slices.Clone(w[1:]), func(s string) bool { return ours(s, name) })
		if len(rest) > 0 {
			out = append(out, w[0]+"\t"+strings.Join(rest, " "))
		}
	}
	if !found {
		out = append(out, addr+"\t"+name)
	}
	return strings.TrimLeft(strings.Join(out, "\n"), "\n") + "\n"
}

// ours says that a name in /etc/hosts is the node's, alone or with a domain.
func ours(s, name string) bool {
	short, _, _ := strings.Cut(s, ".")
	return strings.EqualFold(short, name) && !strings.EqualFold(short, "localhost")
}

func same(a, b string) bool {
	x, err := netip.ParseAddr(a)
	y, err2 := netip.ParseAddr(b)
	return err == nil && err2 == nil && x == y
}
