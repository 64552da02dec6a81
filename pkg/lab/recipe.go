package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"sort"
	"strings"
)

// recipeVersion is raised when a change of the image does not show in what recipeHash reads.
const recipeVersion = "1"

// wrapperDir is where a booting node finds what the lab adds to it at run time.
const wrapperDir = "/run/kubeclamp-lab"

// imagePackages is a sane small server: what a machine has that somebody has just installed for this use. What a role
// needs beyond it, the role fetches itself.
func imagePackages() []string {
	return []string{"systemd", "systemd-sysv", "dbus", "udev", "openssh-server", "iproute2", "iptables", "nftables", "kmod", "ca-certificates",
		"iputils-ping", "curl", "procps", "less", "ethtool", "conntrack", "ipset", "socat"}
}

// maskedUnits touch state of the machine that nodes share with their host, or only cost start-up time.
func maskedUnits() []string {
	return []string{"systemd-udevd.service", "systemd-udev-trigger.service", "systemd-udev-settle.service", "systemd-udevd-control.socket",
		"systemd-udevd-kernel.socket", "modprobe@.service", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-kernel-config.mount",
		"dev-hugepages.mount", "sys-fs-fuse-connections.mount", "e2scrub_reap.service", "e2scrub_all.timer", "apt-daily.timer",
		"apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "console-getty.service", "getty.target",
		"systemd-remount-fs.service", "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "systemd-timesyncd.service",
		"systemd-networkd.service", "systemd-resolved.service", "systemd-hwdb-update.service", "systemd-firstboot.service",
		"systemd-pcrphase.service"}
}

type imageFile struct {
	Path string // below the root file system
	Text string // content; with Link, what it points to
	Mode os.FileMode
	Link bool
}

// imageFiles are the lab's own files in an image. Nothing of them differs between nodes: that part is written at a node's
// first boot.
func imageFiles(kernel string, config map[string]bool) []imageFile {
	files := []imageFile{
		{Path: "etc/ssh/sshd_config.d/lab.conf", Mode: 0o644, Text: "PermitRootLogin prohibit-password\nPasswordAuthentication no\nUseDNS no\nMaxStartups 50:30:200\nHostKey /etc/ssh/ssh_host_ed25519_key\n"},
		{Path: "etc/systemd/journald.conf.d/lab.conf", Mode: 0o644, Text: "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n"},
		{Path: "etc/systemd/system/default.target", Link: true, Text: "/lib/systemd/system/multi-user.target"},
		{Path: "etc/machine-id", Mode: 0o444, Text: "uninitialized\n"},
		{Path: "etc/resolv.conf", Mode: 0o644},
		{Path: "usr/local/sbin/runc", Link: true, Text: wrapperDir + "/runc"},
		// Root of some machines may not lower an oom score; containerd would fail each sandbox otherwise.
		{Path: "etc/containerd/conf.d/lab.toml", Mode: 0o644, Text: "version = 3\n\n[plugins.\"io.containerd.cri.v1.runtime\"]\n  restrict_oom_score_adj = true\n"},
		{Path: "lib/modules/" + kernel + "/modules.builtin", Mode: 0o644, Text: builtinModules(config)},
		{Path: "lib/modules/" + kernel + "/modules.order", Mode: 0o644},
		{Path: "lib/modules/" + kernel + "/modules.builtin.modinfo", Mode: 0o644},
	}
	for _, u := range maskedUnits() {
		files = append(files, imageFile{Path: "etc/systemd/system/" + u, Link: true, Text: "/dev/null"})
	}
	return files
}

// moduleOptions maps a module's path in a distribution's kernel to the option that builds it. A node's `modprobe` finds
// exactly those that this machine's kernel has built in, and misses the others as it would on a server without them.
func moduleOptions() map[string]string {
	m := map[string]string{}
	add := func(dir string, pairs ...string) {
		for i := 0; i < len(pairs); i += 2 {
			m["kernel/"+dir+"/"+pairs[i]+".ko"] = pairs[i+1]
		}
	}
	add("fs", "overlayfs/overlay", "OVERLAY_FS", "fuse/fuse", "FUSE_FS", "ext4/ext4", "EXT4_FS", "xfs/xfs", "XFS_FS", "btrfs/btrfs", "BTRFS_FS", "nfs/nfs", "NFS_FS")
	add("drivers", "net/vxlan/vxlan", "VXLAN", "net/tun", "TUN", "net/veth", "VETH", "net/macvlan", "MACVLAN", "net/ipvlan/ipvlan", "IPVLAN",
		"net/dummy", "DUMMY", "net/geneve", "GENEVE", "net/wireguard/wireguard", "WIREGUARD", "net/bonding/bonding", "BONDING", "block/loop", "BLK_DEV_LOOP")
	add("net", "bridge/bridge", "BRIDGE", "bridge/br_netfilter", "BRIDGE_NETFILTER", "8021q/8021q", "VLAN_8021Q", "llc/llc", "LLC",
		"ipv4/ipip", "NET_IPIP", "ipv4/ip_gre", "NET_IPGRE", "sched/sch_htb", "NET_SCH_HTB", "sched/sch_tbf", "NET_SCH_TBF", "sched/sch_netem", "NET_SCH_NETEM")
	add("net/ipv4/netfilter", "ip_tables", "IP_NF_IPTABLES_LEGACY", "iptable_filter", "IP_NF_FILTER", "iptable_nat", "IP_NF_NAT", "iptable_mangle", "IP_NF_MANGLE",
		"iptable_raw", "IP_NF_RAW", "ipt_REJECT", "IP_NF_TARGET_REJECT", "nf_reject_ipv4", "NF_REJECT_IPV4")
	add("net/ipv6/netfilter", "ip6_tables", "IP6_NF_IPTABLES_LEGACY", "ip6table_filter", "IP6_NF_FILTER", "ip6table_nat", "IP6_NF_NAT", "ip6table_mangle", "IP6_NF_MANGLE")
	add("net/netfilter", "nf_conntrack", "NF_CONNTRACK", "nf_conntrack_netlink", "NF_CT_NETLINK", "nf_nat", "NF_NAT", "nf_tables", "NF_TABLES", "nft_ct", "NFT_CT",
		"nft_nat", "NFT_NAT", "nft_masq", "NFT_MASQ", "nft_compat", "NFT_COMPAT", "nft_numgen", "NFT_NUMGEN", "nfnetlink_queue", "NETFILTER_NETLINK_QUEUE",
		"x_tables", "NETFILTER_XTABLES", "xt_conntrack", "NETFILTER_XT_MATCH_CONNTRACK", "xt_comment", "NETFILTER_XT_MATCH_COMMENT", "xt_mark", "NETFILTER_XT_MARK",
		"xt_nat", "NETFILTER_XT_NAT", "xt_statistic", "NETFILTER_XT_MATCH_STATISTIC", "xt_addrtype", "NETFILTER_XT_MATCH_ADDRTYPE", "xt_multiport", "NETFILTER_XT_MATCH_MULTIPORT",
		"xt_set", "NETFILTER_XT_SET", "xt_MASQUERADE", "NETFILTER_XT_TARGET_MASQUERADE", "xt_recent", "NETFILTER_XT_MATCH_RECENT", "xt_nfacct", "NETFILTER_XT_MATCH_NFACCT",
		"ipset/ip_set", "IP_SET", "ipset/ip_set_hash_ip", "IP_SET_HASH_IP", "ipset/ip_set_hash_ipport", "IP_SET_HASH_IPPORT", "ipset/ip_set_hash_net", "IP_SET_HASH_NET",
		"ipvs/ip_vs", "IP_VS", "ipvs/ip_vs_rr", "IP_VS_RR", "ipvs/ip_vs_wrr", "IP_VS_WRR", "ipvs/ip_vs_sh", "IP_VS_SH")
	return m
}

func builtinModules(config map[string]bool) string {
	var lines []string
	for path, option := range moduleOptions() {
		if config[option] {
			lines = append(lines, path+"\n")
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "")
}

// recipeHash changes when anything that goes into the image of a suite changes.
func recipeHash(suite, kernel string, config map[string]bool, more ...string) string {
	h := sha256.New()
	fmt.Fprintln(h, recipeVersion, suite, append(imagePackages(), more...))
	for _, f := range imageFiles(kernel, config) {
		fmt.Fprintf(h, "%q %v %v %q\n", f.Path, f.Mode, f.Link, f.Text)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}
